//! Mean over windows that tile the input whatever its size, up to the mean of a whole image.

use std::ops::Range;

use super::View;
use super::avg_pool::{BACKWARD, average, spread};
use super::rows::{gradient_slot, row_grid};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/adaptive_avg_pool.wgsl`.
pub const SOURCE: Source = Source {
    name: "adaptive_avg_pool",
    text: include_str!("../../wgsl/adaptive_avg_pool.wgsl"),
    variants: &[&[]],
};

/// torch's adaptive average pool: row i of y is the mean over rows `⌊i·h/oh⌋..⌈(i+1)·h/oh⌉` of x, columns likewise.
/// With y of 1×1 it is the global average. All times `scale`.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveAvgPool {
    /// Input.
    pub x: View,
    /// Output, of the same n and c and any height and width.
    pub y: View,
    /// 1 for the mean itself.
    pub scale: f32,
}

/// The gradient of [`AdaptiveAvgPool`].
///
/// Bindings: `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveAvgPoolBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`AdaptiveAvgPool::scale`].
    pub scale: f32,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    views: [View; 2],
    scale: f32,
    end: [u32; 3],
}

/// The inputs, of `size`, that output `o` of `outputs` averages.
fn inputs(o: usize, size: usize, outputs: usize) -> Range<usize> {
    o * size / outputs..((o + 1) * size).div_ceil(outputs)
}

/// The outputs that average input `i`: those with ⌊o·size/outputs⌋ ≤ i < ⌈(o+1)·size/outputs⌉, solved for o.
fn outputs(i: usize, size: usize, outputs: usize) -> Range<usize> {
    i * outputs / size..((i + 1) * outputs).div_ceil(size)
}

impl Kernel for AdaptiveAvgPool {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.x, self.y],
            scale: self.scale,
            end: [0; 3],
        }
    }

    fn grid(&self) -> [u32; 3] {
        [self.y.w * self.y.quads.div_ceil(4), self.y.h, self.y.n]
    }

    fn work(&self) -> Work {
        Work {
            flop: self.x.elements().max(self.y.elements()) as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        average(
            self.x,
            self.y,
            x,
            y,
            T::from_f32(self.scale),
            |_, o, size, count| inputs(o, size, count).step_by(1),
            |_, o, size, count| inputs(o, size, count).len(),
        );
    }
}

impl Kernel for AdaptiveAvgPoolBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        BACKWARD.with(if self.accumulate {
            &["ADAPTIVE", "ACCUMULATE"]
        } else {
            &["ADAPTIVE"]
        })
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.dy, self.dx],
            scale: self.scale,
            end: [0; 3],
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: self.dx.elements().max(self.dy.elements()) as u64,
            bytes: self.dx.bytes() + self.dy.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, dx) = (b.input(), b.output());
        spread(
            (self.dy, dy),
            (self.dx, dx),
            T::from_f32(self.scale),
            self.accumulate,
            |_, o, size, count| inputs(o, size, count).step_by(1),
            |_, o, size, count| inputs(o, size, count).len(),
            outputs,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_whose_inputs_contain_it() {
        for (size, count) in [
            (1, 1),
            (13, 1),
            (13, 6),
            (6, 6),
            (7, 3),
            (3, 7),
            (1, 4),
            (9, 2),
        ] {
            for i in 0..size {
                let expected: Vec<usize> = (0..count)
                    .filter(|&o| inputs(o, size, count).contains(&i))
                    .collect();
                let found: Vec<usize> = outputs(i, size, count).collect();
                assert_eq!(found, expected, "input {i} of {size}, {count} outputs");
            }
        }
    }
}
