//! The sigmoid-weighted linear unit.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_slot, in_row, pixel, row_grid, row_position, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/silu.wgsl`.
pub const SOURCE: Source = Source {
    name: "silu",
    text: include_str!("../../wgsl/silu.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// `y = x·σ(x)`, with the sigmoid `σ(x) = 1 / (1 + exp(−x))` (Elfwing et al. 2018, section 2).
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Silu {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
}

/// The gradient of [`Silu`]: `dx (+)= dy·σ(x)·(1 + x·(1 − σ(x)))`.
///
/// Bindings: `x`, `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SiluBackward {
    /// The input of the forward pass.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// `1 / (1 + exp(−x))`, without an overflow.
fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    (if x >= T::ZERO { T::ONE } else { e }) / (T::ONE + e)
}

impl Kernel for Silu {
    type Params = [View; 2];

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }

    fn params(&self) -> Self::Params {
        [self.x, self.y]
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.w * self.y.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: 4 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            for xx in 0..self.y.w as usize {
                let from = &x[pixel(self.x, n, yy, xx)];
                for (to, &x) in row[in_row(self.y, xx)].iter_mut().zip(from) {
                    *to = x * sigmoid(x);
                }
            }
        });
    }
}

impl Kernel for SiluBackward {
    type Params = [View; 3];

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["BACKWARD", "ACCUMULATE"]
        } else {
            &["BACKWARD"]
        })
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Self::Params {
        [self.x, self.dy, self.dx]
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: 8 * self.dx.elements() as u64,
            bytes: self.x.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dy, dx) = (b.input(), b.input(), b.output());
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            for xx in 0..self.dx.w as usize {
                let x = &x[pixel(self.x, n, yy, xx)];
                let dy = &dy[pixel(self.dy, n, yy, xx)];
                for ((to, &x), &dy) in row[in_row(self.dx, xx)].iter_mut().zip(x).zip(dy) {
                    let s = sigmoid(x);
                    let value = dy * s * (T::ONE + x * (T::ONE - s));
                    *to = if self.accumulate { *to + value } else { value };
                }
            }
        });
    }
}
