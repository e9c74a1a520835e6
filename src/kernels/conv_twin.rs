//! How the twin of a convolution computes: band by band of rows, as products of matrices.

use std::borrow::Cow;

use rayon::prelude::*;

use super::rows::at_least;
use super::{Conv, winograd};
use crate::device::{Gemm, Real};

/// Tiles of Winograd's transforms that one task makes, or a row of them if that is more: the rows that bands of neighbouring tasks both have are few.
const TILES_PER_TASK: usize = 1024;

/// Sums of a band of output rows: `row_stride` pixels of `padded()` channels from one row to the next.
pub(super) struct Sums<'a, T> {
    pub data: &'a [T],
    pub row_stride: usize,
}

/// The memory of a task, kept for the next.
#[derive(Default)]
pub(super) struct Scratch<T> {
    band: Vec<T>,
    sums: Vec<T>,
    tiles: winograd::Scratch<T>,
}

impl Conv {
    /// All rows of y, from input rows as `fill(image, position, row)` copies them: row `position` of the padded, dilated
    /// input into `row`, which is zero.
    pub(super) fn rows<T: Real>(
        &self,
        w: &[T],
        bias: &[T],
        y: &mut [T],
        relu: Option<&mut [u32]>,
        fill: impl Fn(usize, usize, &mut [T]) + Sync,
    ) {
        let (yh, yw) = (self.y.h as usize, self.y.w as usize);
        let row_len = yw * self.y.pixel_stride();
        let mask_row = self.y.strips as usize * self.y.quads as usize;
        let rows = self.rows_per_task::<T>();
        let mut no_mask = vec![
            0u32;
            if relu.is_some() {
                0
            } else {
                self.y.n as usize * yh
            }
        ];
        // Without a ReLU each row still gets a (dummy, one-word) piece of mask, so that one loop serves both.
        let (relu, mask_row) = match relu {
            Some(words) => (words, mask_row),
            None => (&mut no_mask[..], 1),
        };
        let images = y
            .chunks_mut(row_len * yh)
            .zip(relu.chunks_mut(mask_row * yh))
            .take(self.y.n as usize);
        for (n, (y, relu)) in images.enumerate() {
            let w = self.factor(if self.weights_per_image {
                &w[n * self.weights_len()..]
            } else {
                w
            });
            y.par_chunks_mut(row_len * rows)
                .zip(relu.par_chunks_mut(mask_row * rows))
                .enumerate()
                .for_each_init(Scratch::default, |scratch, (chunk, (y, relu))| {
                    let first = chunk * rows;
                    let count = y.len() / row_len;
                    let sums = self.products(&w, first, count, scratch, |position, row| {
                        fill(n, position, row);
                    });
                    self.finish(&sums, bias, y, relu, count);
                });
        }
    }

    /// Whether the twin saves multiplications in type T: never where others are held against it, and only where the
    /// transforms cost less than they save.
    fn transforms<T: Real>(&self) -> bool {
        let channels = self.x.padded().min(self.y.padded());
        !T::ORACLE && self.is_same(3) && channels >= 64 && self.y.h.min(self.y.w) >= 8
    }

    /// Rows of y that one task makes: enough pixels for an efficient product, enough tasks for every thread.
    pub(super) fn rows_per_task<T: Real>(&self) -> usize {
        let (yh, yw) = (self.y.h as usize, self.y.w.max(1) as usize);
        let share = yh.div_ceil(rayon::current_num_threads()).max(1);
        if self.transforms::<T>() {
            let tiles = TILES_PER_TASK.div_ceil(yw.div_ceil(winograd::TILE));
            return winograd::TILE * tiles.min(share.div_ceil(winograd::TILE));
        }
        (384 / yw).clamp(1, share)
    }

    /// The weights as the products take them.
    pub(super) fn factor<'a, T: Real>(&self, w: &'a [T]) -> Cow<'a, [T]> {
        if self.transforms::<T>() {
            let (cin, cout) = (self.x.padded(), self.y.padded());
            return Cow::Owned(winograd::transformed_weights(w, cin, cout));
        }
        Cow::Borrowed(w)
    }

    /// Σ x·w for output rows `first..first + count` of an image, with weights from [`Conv::factor`].
    ///
    /// The input rows are copied once, by `fill`, into a zero-padded band.
    pub(super) fn products<'a, T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        scratch: &'a mut Scratch<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<'a, T> {
        if !self.transforms::<T>() {
            return self.direct_products(w, first, count, scratch, fill);
        }
        let across = (self.y.w as usize).div_ceil(winograd::TILE);
        let down = count.div_ceil(winograd::TILE);
        let (width, channels) = (winograd::TILE * across + 2, self.x.padded());
        let rows = winograd::TILE * down + 2;
        let data = at_least(&mut scratch.band, rows * width * channels);
        for (r, row) in data.chunks_mut(width * channels).enumerate() {
            row.fill(T::ZERO);
            fill(first + r, row);
        }
        let band = winograd::Band {
            data,
            width,
            channels,
        };
        let row_stride = winograd::TILE * across;
        let pixels = winograd::TILE * down * row_stride;
        let data = at_least(&mut scratch.sums, pixels * self.y.padded());
        winograd::convolve(
            &band,
            w,
            (down, across),
            self.y.padded(),
            &mut scratch.tiles,
            data,
        );
        Sums { data, row_stride }
    }

    /// By the definition: one matrix product per row of the window. In the band the window of an output pixel is, row by row,
    /// a contiguous run of kernel·channels elements, so that the rows of the left factor simply overlap.
    fn direct_products<'a, T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        scratch: &'a mut Scratch<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<'a, T> {
        let (k, s) = (self.kernel as usize, self.stride as usize);
        let (cin, cout) = (self.x.padded(), self.y.padded());
        let yw = self.y.w as usize;
        // With stride 1 the whole band is one run of windows (those across a row's end are computed and ignored).
        let width = (yw - 1) * s + k;
        let (runs, windows, row_stride) = if s == 1 {
            (1, (count - 1) * width + yw, width)
        } else {
            (count, yw, yw)
        };
        let band_rows = (count - 1) * s + k;
        let band = at_least(&mut scratch.band, band_rows * width * cin);
        for (r, row) in band.chunks_mut(width * cin).enumerate() {
            row.fill(T::ZERO);
            fill(first * s + r, row);
        }
        let len = (runs - 1) * row_stride * cout + windows * cout;
        let data = at_least(&mut scratch.sums, len);
        for run in 0..runs {
            for ky in 0..k {
                T::gemm(Gemm {
                    m: windows,
                    k: k * cin,
                    n: cout,
                    dst: &mut data[run * row_stride * cout..],
                    dst_stride: cout,
                    lhs: &band[(run * s + ky) * width * cin..],
                    lhs_stride: s * cin,
                    lhs_step: 1,
                    rhs: &w[ky * k * cin * cout..],
                    rhs_stride: cout,
                    accumulate: ky > 0,
                });
            }
        }
        Sums { data, row_stride }
    }

    /// Copies row `position` of the padded, dilated input into `row`, which is zero.
    pub(super) fn fill_row<T: Real>(
        &self,
        x: &[T],
        mask: &[u32],
        n: usize,
        position: usize,
        row: &mut [T],
    ) {
        let (pad, dilation, cin) = (
            self.pad as usize,
            self.input_dilation as usize,
            self.x.padded(),
        );
        if position < pad || !(position - pad).is_multiple_of(dilation) {
            return;
        }
        let yy = (position - pad) / dilation;
        if yy >= self.x.h as usize {
            return;
        }
        let fitting = (row.len() / cin)
            .saturating_sub(pad)
            .div_ceil(dilation)
            .min(self.x.w as usize);
        for xx in 0..fitting {
            let from = &x[self.x.at(n, yy, xx)..][..cin];
            let to = &mut row[(pad + xx * dilation) * cin..][..cin];
            if !self.masked {
                to.copy_from_slice(from);
                continue;
            }
            let words = &mask[self.x.mask_at(n, yy, xx / 8, 0)..][..self.x.quads as usize];
            for (quad, word) in words.iter().enumerate() {
                let bits = word >> ((xx % 8) * 4);
                for i in 0..4 {
                    to[quad * 4 + i] = if bits >> i & 1 == 1 {
                        from[quad * 4 + i]
                    } else {
                        T::ZERO
                    };
                }
            }
        }
    }

    /// Bias, factor, ReLU and its mask, and the way into y.
    fn finish<T: Real>(
        &self,
        sums: &Sums<'_, T>,
        bias: &[T],
        y: &mut [T],
        relu: &mut [u32],
        count: usize,
    ) {
        let (yw, cout, quads) = (self.y.w as usize, self.y.padded(), self.y.quads as usize);
        let alpha = T::from_f32(self.alpha);
        if self.relu {
            relu.fill(0);
        }
        for row in 0..count {
            for xx in 0..yw {
                let from = &sums.data[(row * sums.row_stride + xx) * cout..][..cout];
                let at = (row * yw + xx) * self.y.pixel_stride() + self.y.offset as usize * 4;
                let to = &mut y[at..at + cout];
                if self.accumulate {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to += alpha * from;
                    }
                } else if !self.bias {
                    for (to, &from) in to.iter_mut().zip(from) {
                        *to = alpha * from;
                    }
                } else {
                    for ((to, &from), &bias) in to.iter_mut().zip(from).zip(bias) {
                        *to = alpha * (from + bias);
                    }
                }
                if self.relu {
                    let words =
                        &mut relu[(row * self.y.strips as usize + xx / 8) * quads..][..quads];
                    for (word, four) in words.iter_mut().zip(to.chunks_exact_mut(4)) {
                        for (i, value) in four.iter_mut().enumerate() {
                            let on = *value > T::ZERO;
                            *word |= u32::from(on) << ((xx % 8) * 4 + i);
                            *value = if on { *value } else { T::ZERO };
                        }
                    }
                }
            }
        }
    }
}
