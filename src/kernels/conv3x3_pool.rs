//! 3×3 convolution, ReLU and 2×2 max pooling at once, and the gradient's way back through all three: what is pooled is
//! never in memory, neither itself nor its gradient.

use rayon::prelude::*;

use super::conv::Params;
use super::conv_reference::{Kept, Sums};
use super::items::{Items, with_items};
use super::rows::{copy_masked, gradient_slot, in_row, pixel};
use super::{Conv, Conv3x3Form, View, conv3x3};
use crate::device::{Alternatives, Bindings, Kernel, Real, Shader, Slot, Source, Work, vectorized};

/// `wgsl/conv3x3_pool.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3_pool",
    text: include_str!("../../wgsl/conv3x3_pool.wgsl"),
    variants: with_items![["BIAS"]],
};

/// `y = maxpool(relu(x ⋆ w + bias))`: window 3×3, stride 1 and padding 1, then windows of 2×2 with stride 2, without an
/// odd size's last row and column.
///
/// Bindings: `x`, `w` ([`arrange_weights`](super::conv::arrange_weights)), `y`, `bias`, the mask of maxima written
/// ([`View::maxima_len`] of `y` words).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Pool {
    /// Input.
    pub x: View,
    /// Output, ⌊h/2⌋×⌊w/2⌋ of x's h×w.
    pub y: View,
}

/// The gradient of [`Conv3x3Pool`].
///
/// Bindings: `dy`, the weights of [`arrange_weights_backward`](super::conv::arrange_weights_backward), `dx`, the mask
/// of maxima.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Unpool {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The bits of a window's elements in row-major order, as they are for channel 0 of the first pixel of a word's two.
const BITS: [usize; 4] = [0, 4, 16, 20];
/// From the bits of one pooled pixel to those of the next.
const NEXT: usize = 8;

/// The convolution from `x` to `y`, be they of one size or, as the shaders' parameters have them, one of them pooled.
fn convolution(x: View, y: View) -> Conv {
    Conv {
        pad: [1; 2],
        ..Conv::new(x, y, 3)
    }
}

impl Conv3x3Pool {
    fn items(&self) -> Items {
        Items::new(self.y, self.y.groups() as u32)
    }

    /// The convolution as the shaders' parameters have it, from x to y.
    pub(super) fn conv(&self) -> Conv {
        convolution(self.x, self.y)
    }

    /// The convolution whose result is pooled.
    fn before(&self) -> Conv {
        let (n, h, w) = (self.x.n, self.x.h, self.x.w);
        convolution(self.x, View::new(n, h, w, self.y.c))
    }

    /// Pools the sums of two rows after the other into rows of y and of the mask.
    #[inline(always)]
    fn pool<T: Real>(&self, sums: &Sums<'_, T>, bias: &[T], y: &mut [T], maxima: &mut [u32]) {
        let (quads, cout) = (self.y.quads as usize, self.y.padded());
        let row_len = self.y.w as usize * self.y.pixel_stride();
        let rows = y.chunks_mut(row_len);
        let words = maxima.chunks_mut(self.y.groups() * quads);
        for (oy, (row, words)) in rows.zip(words).enumerate() {
            words.fill(0);
            for ox in 0..self.y.w as usize {
                let upper = 2 * (oy * sums.row_stride + ox);
                let lower = upper + sums.row_stride;
                let window = [upper, upper + 1, lower, lower + 1]
                    .map(|at| &sums.data[at * cout..(at + 1) * cout]);
                let to = row[in_row(self.y, ox)].chunks_exact_mut(4);
                let words = &mut words[ox / 2 * quads..][..quads];
                for (quad, (word, four)) in words.iter_mut().zip(to).enumerate() {
                    let channels = quad * 4..quad * 4 + 4;
                    let bias = &bias[channels.clone()];
                    let (mut maxima, mut bits) = ([T::ZERO; 4], [0u32; 4]);
                    for (element, at) in window.iter().zip(BITS) {
                        let values = element[channels.clone()].iter().zip(bias);
                        for ((best, bit), (value, bias)) in
                            maxima.iter_mut().zip(&mut bits).zip(values)
                        {
                            let value = *value + *bias;
                            let better = value.exceeds(*best);
                            *best = if better { value } else { *best };
                            *bit = if better { 1 << at } else { *bit };
                        }
                    }
                    four.copy_from_slice(&maxima);
                    for (i, bit) in bits.iter().enumerate() {
                        *word |= bit << (ox % 2 * NEXT + i);
                    }
                }
            }
        }
    }
}

impl Kernel for Conv3x3Pool {
    type Params = Params;

    fn shader(&self) -> Shader {
        let items = self.items().definitions();
        SOURCE.with(&items.chain(["BIAS"]).collect::<Vec<_>>())
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT, Slot::IN, Slot::WORDS_OUT]
    }

    fn params(&self) -> Params {
        Kernel::params(&self.conv())
    }

    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }

    fn work(&self) -> Work {
        let Work { flop, .. } = Kernel::work(&self.before());
        let Work { bytes, .. } = Kernel::work(&self.conv());
        Work {
            flop,
            bytes: bytes + self.y.maxima_len() as u64 * 4,
        }
    }

    fn alternatives(&self) -> Option<Alternatives> {
        Conv3x3Form::from(*self).alternatives()
    }
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        Conv3x3Form::from(*self).reduced_alternatives()
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, w, y) = (b.input(), b.input(), b.output());
        let (bias, maxima) = (b.input(), b.words_mut());
        let conv = self.before();
        let (yh, yw) = (self.y.h as usize, self.y.w as usize);
        let row_len = yw * self.y.pixel_stride();
        let mask_row = self.y.groups() * self.y.quads as usize;
        let rows = conv.rows_per_task::<T>().div_ceil(2);
        let w = conv.factor(w);
        let images = y.chunks_mut(row_len * yh);
        let images = images.zip(maxima.chunks_mut(mask_row * yh));
        for (n, (y, maxima)) in images.enumerate().take(self.y.n as usize) {
            y.par_chunks_mut(row_len * rows)
                .zip(maxima.par_chunks_mut(mask_row * rows))
                .enumerate()
                .for_each_init(Kept::take, |scratch, (chunk, (y, maxima))| {
                    let (first, count) = (chunk * rows, y.len() / row_len);
                    let sums =
                        conv.products(&w, 2 * first, 2 * count, &mut scratch.0, |position, row| {
                            conv.fill_row(x, &[], n, position, row);
                        });
                    vectorized(|| self.pool(&sums, bias, y, maxima));
                });
        }
    }
}

impl Conv3x3Unpool {
    /// The convolution as the shaders' parameters have it, from dy to dx.
    pub(super) fn conv(&self) -> Conv {
        self.conv_of(self.dy)
    }

    fn conv_of(&self, x: View) -> Conv {
        Conv {
            accumulate: self.accumulate,
            ..convolution(x, self.dx)
        }
    }

    /// Copies row `position` of the padded, unpooled gradient into `row`, which is zero.
    fn fill_row<T: Real>(
        &self,
        dy: &[T],
        maxima: &[u32],
        n: usize,
        position: usize,
        row: &mut [T],
    ) {
        let Some(yy) = position.checked_sub(1) else {
            return;
        };
        let (oy, below) = (yy / 2, yy % 2);
        if oy >= self.dy.h as usize {
            return;
        }
        let pairs = row[self.dy.padded()..].chunks_exact_mut(2 * self.dy.padded());
        vectorized(|| {
            for (ox, pair) in pairs.enumerate().take(self.dy.w as usize) {
                let from = &dy[pixel(self.dy, n, oy, ox)];
                let words = &maxima[self.dy.maxima_at(n, oy, ox / 2, 0)..];
                let (left, right) = pair.split_at_mut(self.dy.padded());
                for (to, at) in [left, right].into_iter().zip(&BITS[2 * below..]) {
                    copy_masked(to, from, words, at + ox % 2 * NEXT);
                }
            }
        });
    }
}

impl Kernel for Conv3x3Unpool {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = ["UNPOOL"]
            .into_iter()
            .chain(self.accumulate.then_some("ACCUMULATE"))
            .chain(self.conv().items().definitions());
        conv3x3::SOURCE.with(&definitions.collect::<Vec<_>>())
    }

    fn bindings(&self) -> Vec<Slot> {
        let dx = gradient_slot(self.accumulate);
        vec![Slot::IN, Slot::IN, dx, Slot::WORDS_IN]
    }

    fn params(&self) -> Params {
        Kernel::params(&self.conv())
    }

    fn grid(&self) -> [u32; 3] {
        self.conv().items().grid()
    }

    fn work(&self) -> Work {
        let Work { flop, bytes } = Kernel::work(&self.conv());
        Work {
            flop,
            bytes: bytes + self.dy.maxima_len() as u64 * 4,
        }
    }

    fn alternatives(&self) -> Option<Alternatives> {
        Conv3x3Form::from(*self).alternatives()
    }
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        Conv3x3Form::from(*self).reduced_alternatives()
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, w, dx) = (b.input(), b.input(), b.output());
        let maxima = b.words();
        let whole = View::new(self.dx.n, self.dx.h, self.dx.w, self.dy.c);
        self.conv_of(whole)
            .rows(w, &[], dx, None, |n, position, row| {
                self.fill_row(dy, maxima, n, position, row);
            });
    }
}
