//! A factor and an addend per colour channel.

use rayon::prelude::*;

use super::View;
use super::rows::{
    gradient_definition, gradient_slot, in_row, pixel, row_grid, row_position, rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/affine.wgsl`.
pub const SOURCE: Source = Source {
    name: "affine",
    text: include_str!("../../wgsl/affine.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y (+)= x·scale + bias` per channel, for tensors of at most four channels.
///
/// With scale 1/std and bias −mean/std it is a network's normalisation; the backward pass is the same with `bias` 0.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Input, one vec4 per pixel.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
    /// Factor of each channel; those beyond c are ignored.
    pub scale: [f32; 4],
    /// Addend of each channel; those beyond c are ignored.
    pub bias: [f32; 4],
    /// Adds to y.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    scale: [f32; 4],
    bias: [f32; 4],
}

impl Affine {
    /// Zero for the padding channels, so that they stay zero.
    fn meaningful(&self, mut values: [f32; 4]) -> [f32; 4] {
        values[(self.y.c as usize).min(4)..].fill(0.0);
        values
    }
}

impl Kernel for Affine {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert_eq!((self.x.quads, self.y.quads), (1, 1), "{self:?}");
        SOURCE.with(gradient_definition(self.accumulate))
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            scale: self.meaningful(self.scale),
            bias: self.meaningful(self.bias),
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.w)
    }

    fn work(&self) -> Work {
        Work {
            flop: 2 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let scale = self.meaningful(self.scale).map(T::from_f32);
        let bias = self.meaningful(self.bias).map(T::from_f32);
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            for xx in 0..self.y.w as usize {
                let from = &x[pixel(self.x, n, yy, xx)];
                let to = &mut row[in_row(self.y, xx)];
                for i in 0..4 {
                    let value = from[i] * scale[i] + bias[i];
                    to[i] = if self.accumulate {
                        to[i] + value
                    } else {
                        value
                    };
                }
            }
        });
    }
}
