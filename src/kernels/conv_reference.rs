//! How the reference of a convolution computes: band by band of rows, as products of matrices, in the way that suits
//! its channels.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::rows::{at_least, copy_masked};
use super::{Conv, winograd};
use crate::device::{Gemm, Real, vectorized};

/// Tiles of Winograd's transforms that one task makes, or a row of them if that is more: so the rows that bands of
/// neighbouring tasks have in common are few.
const TILES_PER_TASK: usize = 1024;

/// Most rows that one task makes where input pixels are multiplied with the whole window.
const SPREAD_ROWS: usize = 32;

/// Sums of a band of output rows: `row_stride` pixels of `padded()` channels from one row to the next.
pub(super) struct Sums<'a, T> {
    pub data: &'a [T],
    pub row_stride: usize,
}

/// How a convolution is made of products of matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By the definition.
    Direct,
    /// With fewer multiplications, where the transforms cost less than they save.
    Winograd,
    /// Each input pixel with the whole window at once: where a product to so few channels is a matrix too narrow to be
    /// fast, and most of a dilated input is zero. So goes the gradient with respect to a picture.
    Spread,
}

/// How the windows of some output rows lie in a band of input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Runs {
    /// Pixels of a row of the band.
    width: usize,
    /// Runs of windows that are one step apart, and how many each has.
    runs: usize,
    windows: usize,
    /// Sums from one output row to the next.
    pub row_stride: usize,
}

impl Runs {
    /// Pixels of all sums.
    pub fn len(self) -> usize {
        (self.runs - 1) * self.row_stride + self.windows
    }
}

/// The memory of a task, kept for the next.
#[derive(Default)]
pub(super) struct Scratch<T> {
    pub(super) band: Vec<T>,
    pub(super) sums: Vec<T>,
    /// Products of input pixels with every tap of the window, or those of one phase.
    pub(super) taps: Vec<T>,
    tiles: winograd::Scratch<T>,
}

thread_local! {
    /// A thread's [`Scratch`], of whatever numbers it was for.
    static SCRATCH: RefCell<Box<dyn Any>> = RefCell::new(Box::new(()));
}

/// The memory of the thread at hand, which gets it back: new memory is zeros, and to write these takes longer than many
/// a small convolution.
pub(super) struct Kept<T: Real>(pub Scratch<T>);

impl<T: Real> Kept<T> {
    pub fn take() -> Self {
        let kept = SCRATCH.with(|kept| kept.replace(Box::new(())));
        Self(
            kept.downcast()
                .map_or_else(|_| Scratch::default(), |kept| *kept),
        )
    }
}

impl<T: Real> Drop for Kept<T> {
    fn drop(&mut self) {
        let own = Box::new(std::mem::take(&mut self.0));
        // At the end of a thread there may be no place for it any more.
        let _ = SCRATCH.try_with(|kept| kept.replace(own));
    }
}

impl Conv {
    /// All rows of y, from input rows as `fill(image, position, row)` copies them: row `position` of the padded,
    /// dilated input into `row`, which is zero.
    pub(super) fn rows<T: Real>(
        &self,
        w: &[T],
        bias: &[T],
        y: &mut [T],
        relu: Option<&mut [u32]>,
        fill: impl Fn(usize, usize, &mut [T]) + Sync,
    ) {
        let images = if self.weights_per_image { self.y.n } else { 1 };
        let weights: Vec<Cow<'_, [T]>> = (0..images as usize)
            .map(|n| self.factor(&w[n * self.weights_len()..]))
            .collect();
        let of = |n: usize| &weights[n.min(weights.len() - 1)];
        let rows = self.rows_per_task::<T>();
        self.tasks(rows, bias, y, relu, |n, first, count, scratch| {
            self.products(of(n), first, count, scratch, |position, row| {
                fill(n, position, row);
            })
        });
    }

    /// All rows of y, at most `rows` of an image in one task, from their sums as `sums(image, first row, rows, memory)`
    /// makes them.
    pub(super) fn tasks<T: Real>(
        &self,
        rows: usize,
        bias: &[T],
        y: &mut [T],
        relu: Option<&mut [u32]>,
        sums: impl for<'s> Fn(usize, usize, usize, &'s mut Scratch<T>) -> Sums<'s, T> + Sync,
    ) {
        let (yh, yw) = (self.y.h as usize, self.y.w as usize);
        let row_len = yw * self.y.pixel_stride();
        let mask_row = self.y.strips as usize * self.y.quads as usize;
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
            y.par_chunks_mut(row_len * rows)
                .zip(relu.par_chunks_mut(mask_row * rows))
                .enumerate()
                .for_each_init(Kept::take, |scratch, (chunk, (y, relu))| {
                    let first = chunk * rows;
                    let count = y.len() / row_len;
                    let sums = sums(n, first, count, &mut scratch.0);
                    vectorized(|| self.finish(&sums, bias, y, relu, count));
                });
        }
    }

    /// How the reference computes in type T: in a faster way never where others are held against it.
    pub(super) fn way<T: Real>(&self) -> Way {
        let channels = self.x.padded().min(self.y.padded());
        if T::ORACLE {
            Way::Direct
        } else if self.is_same(3) && channels >= 64 && self.y.h.min(self.y.w) >= 8 {
            Way::Winograd
        } else if [self.stride, self.dilation] == [[1; 2]; 2]
            && self.taps() > 1
            && self.y.padded() == 4
        {
            Way::Spread
        } else {
            Way::Direct
        }
    }

    /// Whether the reference computes phase by phase what a dilated input makes.
    pub(super) fn in_phases<T: Real>(&self) -> bool {
        let dilated = self.input_dilation != [1; 2] && self.stride == [1; 2];
        dilated && !T::ORACLE && !self.weights_per_image && self.way::<T>() == Way::Direct
    }

    /// Rows of y that one task makes: enough pixels for an efficient product, enough tasks for every thread.
    pub(super) fn rows_per_task<T: Real>(&self) -> usize {
        let (yh, yw) = (self.y.h as usize, self.y.w.max(1) as usize);
        let share = yh.div_ceil(rayon::current_num_threads()).max(1);
        match self.way::<T>() {
            Way::Winograd => {
                let tiles = TILES_PER_TASK.div_ceil(yw.div_ceil(winograd::TILE));
                winograd::TILE * tiles.min(share.div_ceil(winograd::TILE))
            }
            Way::Spread => share.min(SPREAD_ROWS),
            Way::Direct => (384 / yw).clamp(1, share),
        }
    }

    /// The weights as the products take them.
    pub(super) fn factor<'a, T: Real>(&self, w: &'a [T]) -> Cow<'a, [T]> {
        let (cin, cout) = (self.x.padded(), self.y.padded());
        match self.way::<T>() {
            Way::Winograd => Cow::Owned(winograd::transformed_weights(w, cin, cout)),
            Way::Spread => Cow::Owned(self.weights_by_input(w)),
            Way::Direct => Cow::Borrowed(w),
        }
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
        match self.way::<T>() {
            Way::Winograd => self.winograd_products(w, first, count, scratch, fill),
            Way::Spread => self.spread_products(w, first, count, scratch, fill),
            Way::Direct => self.direct_products(w, first, count, scratch, fill),
        }
    }

    fn winograd_products<'a, T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        scratch: &'a mut Scratch<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<'a, T> {
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

    /// By the definition: one matrix product per row of the window.
    fn direct_products<'a, T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        scratch: &'a mut Scratch<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<'a, T> {
        let runs = self.runs(count);
        let band = self.direct_band(first, count, &mut scratch.band, fill);
        let channels = 0..self.y.padded();
        let data = at_least(&mut scratch.sums, runs.len() * channels.len());
        self.add_taps(runs, (band, self.x.padded()), w, channels, data);
        Sums {
            data,
            row_stride: runs.row_stride,
        }
    }

    /// How the windows of `count` output rows lie in their band. There the window of an output pixel is, row by row, a
    /// contiguous run of width·channels elements, so that the rows of the left factor simply overlap. A dilated window
    /// is made of such runs of one pixel.
    pub(super) fn runs(&self, count: usize) -> Runs {
        let yw = self.y.w as usize;
        let across = self.stride[1] as usize;
        let width =
            (yw - 1) * across + (self.kernel[1] as usize - 1) * self.dilation[1] as usize + 1;
        // With strides of 1 the whole band is one run of windows (those across a row's end are computed and ignored).
        let (runs, windows, row_stride) = if self.stride == [1; 2] {
            (1, (count - 1) * width + yw, width)
        } else {
            (count, yw, yw)
        };
        Runs {
            width,
            runs,
            windows,
            row_stride,
        }
    }

    /// The rows of the padded, dilated input that output rows `first..first + count` see, copied by `fill`.
    pub(super) fn direct_band<'a, T: Real>(
        &self,
        first: usize,
        count: usize,
        memory: &'a mut Vec<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> &'a [T] {
        let (down, cin) = (self.stride[0] as usize, self.x.padded());
        let width = self.runs(count).width;
        let reach = (self.kernel[0] as usize - 1) * self.dilation[0] as usize;
        let rows = (count - 1) * down + reach + 1;
        let band = at_least(memory, rows * width * cin);
        // Windows of one pixel see no padding, and no gap that is not filled.
        let filled = self.is_same(1);
        for (r, row) in band.chunks_mut(width * cin).enumerate() {
            if !filled {
                row.fill(T::ZERO);
            }
            fill(first * down + r, row);
        }
        band
    }

    /// Σ x·w of those output channels from a band whose pixels are `pixel` elements apart, into rows of as many.
    pub(super) fn add_taps<T: Real>(
        &self,
        runs: Runs,
        (band, pixel): (&[T], usize),
        w: &[T],
        channels: Range<usize>,
        sums: &mut [T],
    ) {
        let [kh, kw] = self.kernel.map(|side| side as usize);
        let [down, across] = self.stride.map(|step| step as usize);
        let [apart_y, apart_x] = self.dilation.map(|step| step as usize);
        let (cin, cout) = (self.x.padded(), self.y.padded());
        let length = if apart_x == 1 { kw } else { 1 };
        for run in 0..runs.runs {
            for tap in (0..kh * kw).step_by(length) {
                let (ky, kx) = (tap / kw, tap % kw);
                let at = (run * down + ky * apart_y) * runs.width + kx * apart_x;
                T::gemm(Gemm {
                    m: runs.windows,
                    k: length * cin,
                    n: channels.len(),
                    dst: &mut sums[run * runs.row_stride * channels.len()..],
                    dst_stride: channels.len(),
                    lhs: &band[at * pixel..],
                    lhs_stride: across * pixel,
                    lhs_step: 1,
                    rhs: &w[tap * cin * cout + channels.start..],
                    rhs_stride: cout,
                    accumulate: tap > 0,
                });
            }
        }
    }

    /// Σ x·w of a window of one pixel for output rows `first..first + count` of image `n`: one product, of x as it
    /// lies.
    pub(super) fn pixel_sums<'s, T: Real>(
        &self,
        x: &[T],
        w: &[T],
        (n, first, count): (usize, usize, usize),
        scratch: &'s mut Scratch<T>,
    ) -> Sums<'s, T> {
        let runs = self.runs(count);
        let own = if self.weights_per_image { n } else { 0 };
        let band = (&x[self.x.at(n, first, 0)..], self.x.pixel_stride());
        let channels = 0..self.y.padded();
        let data = at_least(&mut scratch.sums, runs.len() * channels.len());
        self.add_taps(runs, band, &w[own * self.weights_len()..], channels, data);
        Sums {
            data,
            row_stride: runs.row_stride,
        }
    }

    /// The weights as rows of input channels, each with all taps and their output channels.
    fn weights_by_input<T: Real>(&self, w: &[T]) -> Vec<T> {
        let taps = self.taps() as usize;
        let (cin, cout) = (self.x.padded(), self.y.padded());
        let mut by_input = vec![T::ZERO; taps * cin * cout];
        for (ci, row) in by_input.chunks_mut(taps * cout).enumerate() {
            for (tap, to) in row.chunks_mut(cout).enumerate() {
                to.copy_from_slice(&w[(tap * cin + ci) * cout..][..cout]);
            }
        }
        by_input
    }

    /// Input pixel by input pixel, one product with the whole window, whose parts are then added up where they belong:
    /// row oy has those of input row yy and row ky of the window for which yy·dilation + pad = oy + ky.
    fn spread_products<'a, T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        scratch: &'a mut Scratch<T>,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<'a, T> {
        let [kh, kw] = self.kernel.map(|side| side as usize);
        let [above, left] = self.pad.map(|pad| pad as usize);
        let [down, across] = self.input_dilation.map(|dilation| dilation as usize);
        let cin = self.x.padded();
        let (xh, xw) = (self.x.h as usize, self.x.w as usize);
        let (yw, cout) = (self.y.w as usize, self.y.padded());
        let row_of_taps = kh * kw * cout;
        // Input rows that some output row of the band sees.
        let top = first.saturating_sub(above).div_ceil(down).min(xh);
        let end = (first + count + kh - 1)
            .saturating_sub(above)
            .div_ceil(down)
            .clamp(top, xh);
        let band = at_least(&mut scratch.band, (left + xw * across) * cin);
        let taps = at_least(&mut scratch.taps, (end - top) * xw * row_of_taps);
        for (yy, products) in (top..end).zip(taps.chunks_mut(xw * row_of_taps)) {
            band.fill(T::ZERO);
            fill(yy * down + above, band);
            T::gemm(Gemm {
                m: xw,
                k: cin,
                n: row_of_taps,
                dst: products,
                dst_stride: row_of_taps,
                lhs: &band[left * cin..],
                lhs_stride: across * cin,
                lhs_step: 1,
                rhs: w,
                rhs_stride: row_of_taps,
                accumulate: false,
            });
        }
        let data = at_least(&mut scratch.sums, count * yw * cout);
        data.fill(T::ZERO);
        for (row, sums) in data.chunks_mut(yw * cout).enumerate() {
            for ky in 0..kh {
                let position = first + row + ky;
                let inside = position >= above && (position - above).is_multiple_of(down);
                let yy = position.saturating_sub(above) / down;
                if !inside || yy >= xh {
                    continue;
                }
                let products = &taps[(yy - top) * xw * row_of_taps..][..xw * row_of_taps];
                for kx in 0..kw {
                    // Pixel ox has the parts of input pixel xx for which xx·dilation + pad = ox + kx.
                    let begin = kx.saturating_sub(left).div_ceil(across);
                    let end = (yw + kx).saturating_sub(left).div_ceil(across).min(xw);
                    for xx in begin..end {
                        let from = &products[xx * row_of_taps + (ky * kw + kx) * cout..][..cout];
                        let to = &mut sums[(xx * across + left - kx) * cout..][..cout];
                        for (to, from) in to.iter_mut().zip(from) {
                            *to += *from;
                        }
                    }
                }
            }
        }
        Sums {
            data,
            row_stride: yw,
        }
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
        let [above, left] = self.pad.map(|pad| pad as usize);
        let [down, across] = self.input_dilation.map(|dilation| dilation as usize);
        let cin = self.x.padded();
        if position < above || !(position - above).is_multiple_of(down) {
            return;
        }
        let yy = (position - above) / down;
        if yy >= self.x.h as usize {
            return;
        }
        let fitting = (row.len() / cin)
            .saturating_sub(left)
            .div_ceil(across)
            .min(self.x.w as usize);
        let pixel = |xx: usize| {
            (
                &x[self.x.at(n, yy, xx)..][..cin],
                (left + xx * across) * cin,
            )
        };
        if !self.masked {
            for xx in 0..fitting {
                let (from, to) = pixel(xx);
                row[to..to + cin].copy_from_slice(from);
            }
            return;
        }
        vectorized(|| {
            for xx in 0..fitting {
                let (from, to) = pixel(xx);
                let words = &mask[self.x.mask_at(n, yy, xx / 8, 0)..][..self.x.quads as usize];
                copy_masked(&mut row[to..to + cin], from, words, xx % 8 * 4);
            }
        });
    }

    /// Bias, factor, ReLU and its mask, and the way into y.
    #[inline(always)]
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
                            *value = if *value <= T::ZERO { T::ZERO } else { *value };
                        }
                    }
                }
            }
        }
    }
}
