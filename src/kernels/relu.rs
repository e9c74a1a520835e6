//! The rectifier, for where no convolution computes it on the way.

use rayon::prelude::*;

use super::View;
use super::rows::{
    gradient_definition, gradient_slot, in_row, pixel, row_grid, row_position, rows_mut,
    word_rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work, vectorized};

/// `wgsl/relu.wgsl`.
pub const SOURCE: Source = Source {
    name: "relu",
    text: include_str!("../../wgsl/relu.wgsl"),
    variants: &[&[]],
};

/// `wgsl/relu_backward.wgsl`.
pub const BACKWARD: Source = Source {
    name: "relu_backward",
    text: include_str!("../../wgsl/relu_backward.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y = max(x, 0)`, NaN where x is, and the mask of the positive elements.
///
/// Bindings: `x`, `y`, the mask written ([`View::mask_len`] words over y).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relu {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
}

/// `dx (+)= dy` where the mask of [`Relu`] is set, 0 elsewhere.
///
/// Bindings: `dy`, the mask, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReluBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input, of the same n, h, w and c.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

impl Kernel for Relu {
    type Params = [View; 2];

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT, Slot::WORDS_OUT]
    }

    fn params(&self) -> Self::Params {
        [self.x, self.y]
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.strips * self.y.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes() + self.y.mask_len() as u64 * 4,
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, mask) = (b.input(), b.output(), b.words_mut());
        let quads = self.y.quads as usize;
        rows_mut(self.y, y)
            .zip(word_rows_mut(self.y, self.y.strips as usize * quads, mask))
            .enumerate()
            .run(|(place, (row, words))| {
                let (n, yy) = row_position(self.y, place);
                words.fill(0);
                vectorized(|| {
                    for xx in 0..self.y.w as usize {
                        let from = x[pixel(self.x, n, yy, xx)].chunks_exact(4);
                        let to = row[in_row(self.y, xx)].chunks_exact_mut(4);
                        let words = &mut words[xx / 8 * quads..][..quads];
                        for ((from, to), word) in from.zip(to).zip(words) {
                            for i in 0..4 {
                                let on = from[i] > T::ZERO;
                                *word |= u32::from(on) << (xx % 8 * 4 + i);
                                to[i] = if from[i] <= T::ZERO { T::ZERO } else { from[i] };
                            }
                        }
                    }
                });
            });
    }
}

impl Kernel for ReluBackward {
    type Params = [View; 2];

    fn shader(&self) -> Shader {
        BACKWARD.with(gradient_definition(self.accumulate))
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Self::Params {
        [self.dy, self.dx]
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.strips * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: self.dx.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes() + self.dy.mask_len() as u64 * 4,
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, mask, dx) = (b.input(), b.words(), b.output());
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            vectorized(|| {
                for xx in 0..self.dx.w as usize {
                    let from = dy[pixel(self.dy, n, yy, xx)].chunks_exact(4);
                    let to = row[in_row(self.dx, xx)].chunks_exact_mut(4);
                    let words = &mask[self.dy.mask_at(n, yy, xx / 8, 0)..];
                    for ((from, to), word) in from.zip(to).zip(words) {
                        let kept =
                            T::kept([from[0], from[1], from[2], from[3]], word >> (xx % 8 * 4));
                        for (to, kept) in to.iter_mut().zip(kept) {
                            *to = if self.accumulate { *to + kept } else { kept };
                        }
                    }
                }
            });
        });
    }
}
