//! The maximum of every channel over a whole image.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_slot, in_row, pixel, row_grid, row_position, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/global_max_pool.wgsl`.
pub const SOURCE: Source = Source {
    name: "global_max_pool",
    text: include_str!("../../wgsl/global_max_pool.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// `y[n,0,0,c] = max of x[n,·,·,c]`, and the first position, row by row, that has it.
///
/// Bindings: `x`; `whence` ([n, C⁺] words, C⁺ = 4·quads); `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalMaxPool {
    /// Input.
    pub x: View,
    /// Output, of the same n and c and 1×1 positions.
    pub y: View,
}

/// The gradient of [`GlobalMaxPool`]: that of each channel goes to the position of its maximum.
///
/// Bindings: `dy`, `whence`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GlobalMaxPoolBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

impl GlobalMaxPool {
    /// Words of `whence`.
    #[must_use]
    pub fn whence_len(&self) -> usize {
        self.x.n as usize * self.x.padded()
    }
}

impl Kernel for GlobalMaxPool {
    type Params = [View; 2];

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_OUT, Slot::OUT]
    }

    fn params(&self) -> Self::Params {
        [self.x, self.y]
    }

    fn grid(&self) -> [u32; 3] {
        [self.x.quads.div_ceil(4), 1, self.x.n]
    }

    fn work(&self) -> Work {
        Work {
            flop: self.x.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, whence, y) = (b.input(), b.words_mut(), b.output());
        let (h, w) = (self.x.h as usize, self.x.w as usize);
        for (n, whence) in whence[..self.whence_len()]
            .chunks_exact_mut(self.x.padded())
            .enumerate()
        {
            let best = &mut y[pixel(self.y, n, 0, 0)];
            best.copy_from_slice(&x[pixel(self.x, n, 0, 0)]);
            whence.fill(0);
            for place in 1..h * w {
                let values = &x[pixel(self.x, n, place / w, place % w)];
                for ((best, first), &value) in best.iter_mut().zip(&mut *whence).zip(values) {
                    if value.exceeds(*best) {
                        (*best, *first) = (value, place as u32);
                    }
                }
            }
        }
    }
}

impl Kernel for GlobalMaxPoolBackward {
    type Params = [View; 2];

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["BACKWARD", "ACCUMULATE"]
        } else {
            &["BACKWARD"]
        })
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Self::Params {
        [self.dx, self.dy]
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: self.dx.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, whence, dx) = (b.input(), b.words(), b.output());
        let (w, padded) = (self.dx.w as usize, self.dx.padded());
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            let dy = &dy[pixel(self.dy, n, 0, 0)];
            let whence = &whence[n * padded..][..padded];
            for xx in 0..w {
                let here = (yy * w + xx) as u32;
                for ((to, &dy), &first) in row[in_row(self.dx, xx)].iter_mut().zip(dy).zip(whence) {
                    let value = if first == here { dy } else { T::ZERO };
                    *to = if self.accumulate { *to + value } else { value };
                }
            }
        });
    }
}
