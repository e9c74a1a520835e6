//! Probabilities over the channels of each pixel.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_definition, gradient_slot, in_row, pixel, row_position, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/softmax.wgsl`.
pub const SOURCE: Source = Source {
    name: "softmax",
    text: include_str!("../../wgsl/softmax.wgsl"),
    variants: &[&[]],
};

/// `wgsl/softmax_backward.wgsl`.
pub const BACKWARD: Source = Source {
    name: "softmax_backward",
    text: include_str!("../../wgsl/softmax_backward.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y_c = exp(x_c − m) / Σ_c' exp(x_c' − m)` for each pixel, m the maximum over its channels.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    /// Input: logits.
    pub x: View,
    /// Output: probabilities, of the same n, h, w and c.
    pub y: View,
}

/// The gradient of [`Softmax`]: `dx_c (+)= y_c·(dy_c − Σ_c' dy_c'·y_c')`.
///
/// Bindings: `y`, `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxBackward {
    /// The probabilities.
    pub y: View,
    /// Gradient with respect to the probabilities.
    pub dy: View,
    /// Gradient with respect to the logits.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

impl Kernel for Softmax {
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
        [self.y.w, self.y.h, self.y.n]
    }

    fn work(&self) -> Work {
        Work {
            flop: 5 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let channels = self.x.c as usize;
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            for xx in 0..self.y.w as usize {
                let from = &x[pixel(self.x, n, yy, xx)][..channels];
                let (to, padding) = row[in_row(self.y, xx)].split_at_mut(channels);
                padding.fill(T::ZERO);
                let top = from.iter().copied().fold(from[0], Real::max);
                for (to, &from) in to.iter_mut().zip(from) {
                    *to = (from - top).exp();
                }
                let sum: T = to.iter().copied().sum();
                for to in to {
                    *to /= sum;
                }
            }
        });
    }
}

impl Kernel for SoftmaxBackward {
    type Params = [View; 3];

    fn shader(&self) -> Shader {
        BACKWARD.with(gradient_definition(self.accumulate))
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Self::Params {
        [self.y, self.dy, self.dx]
    }

    fn grid(&self) -> [u32; 3] {
        [self.dx.w, self.dx.h, self.dx.n]
    }

    fn work(&self) -> Work {
        Work {
            flop: 4 * self.dx.elements() as u64,
            bytes: self.y.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (y, dy, dx) = (b.input(), b.input(), b.output());
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            for xx in 0..self.dx.w as usize {
                let y = &y[pixel(self.y, n, yy, xx)];
                let dy = &dy[pixel(self.dy, n, yy, xx)];
                let mean: T = y.iter().zip(dy).map(|(&y, &dy)| y * dy).sum();
                for ((to, &y), &dy) in row[in_row(self.dx, xx)].iter_mut().zip(y).zip(dy) {
                    let value = y * (dy - mean);
                    *to = if self.accumulate { *to + value } else { value };
                }
            }
        });
    }
}
