//! Convolution, forward and backward with respect to its input.

use std::borrow::Cow;

use rayon::prelude::*;

use super::{View, winograd};
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv",
    text: include_str!("../../wgsl/conv.wgsl"),
    variants: VARIANTS,
};

pub(super) const VARIANTS: &[&[&str]] = &[
    &[],
    &["ACCUMULATE"],
    &["MASKED"],
    &["MASKED", "ACCUMULATE"],
    &["BIAS"],
    &["BIAS", "RELU"],
    &["SINGLE"],
    &["SINGLE", "ACCUMULATE"],
    &["SINGLE", "MASKED"],
    &["SINGLE", "MASKED", "ACCUMULATE"],
    &["SINGLE", "BIAS"],
    &["SINGLE", "BIAS", "RELU"],
    &["FLAT"],
    &["FLAT", "ACCUMULATE"],
    &["FLAT", "MASKED"],
    &["FLAT", "MASKED", "ACCUMULATE"],
    &["FLAT", "BIAS"],
    &["FLAT", "BIAS", "RELU"],
    &["FLAT", "SINGLE"],
    &["FLAT", "SINGLE", "ACCUMULATE"],
    &["FLAT", "SINGLE", "MASKED"],
    &["FLAT", "SINGLE", "MASKED", "ACCUMULATE"],
    &["FLAT", "SINGLE", "BIAS"],
    &["FLAT", "SINGLE", "BIAS", "RELU"],
];

/// A convolution with zeros outside the image:
/// `y (+)= alpha·(x° ⋆ w + bias)`, x° being x with `input_dilation − 1` zeros between neighbouring pixels.
///
/// The backward pass with respect to the input is the same operation with the weights of
/// [`pack_weights_backward`], `pad' = kernel − 1 − pad` and stride and `input_dilation` exchanged.
///
/// Bindings: `x`, `w` ([`pack_weights`]), `y`, then `bias` and, with `relu`, the mask written; or, with `masked`,
/// the mask through which x is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    /// Input.
    pub x: View,
    /// Output; its height and width are the caller's arithmetic.
    pub y: View,
    /// Side of the square window.
    pub kernel: u32,
    /// Step of the window.
    pub stride: u32,
    /// Zeros before the first row and column of x°.
    pub pad: u32,
    /// 1, or the stride of the convolution whose backward pass this is.
    pub input_dilation: u32,
    /// Factor on the result.
    pub alpha: f32,
    /// Adds a bias.
    pub bias: bool,
    /// Clamps at zero and writes the mask of positive elements; needs `bias`.
    pub relu: bool,
    /// Reads x through a mask; excludes `bias`.
    pub masked: bool,
    /// Adds to y.
    pub accumulate: bool,
    /// Each image of the batch has weights of its own, one set after the other.
    pub weights_per_image: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    kernel: u32,
    stride: u32,
    pad: u32,
    input_dilation: u32,
    alpha: f32,
    image_weights: u32,
}

impl Conv {
    /// A plain convolution `y = x ⋆ w` with stride 1 and no padding, to be adapted by struct update.
    #[must_use]
    pub fn new(x: View, y: View, kernel: u32) -> Self {
        Self {
            x,
            y,
            kernel,
            stride: 1,
            pad: 0,
            input_dilation: 1,
            alpha: 1.0,
            bias: false,
            relu: false,
            masked: false,
            accumulate: false,
            weights_per_image: false,
        }
    }

    /// Elements of one set of packed weights.
    #[must_use]
    pub fn weights_len(&self) -> usize {
        (self.kernel * self.kernel) as usize * self.x.padded() * self.y.padded()
    }

    /// The variant of `source` whose invocations are `items`.
    pub(super) fn variant(&self, source: &'static Source, items: Items) -> Shader {
        source.with(
            &self
                .operands()
                .chain(items.definitions())
                .collect::<Vec<_>>(),
        )
    }

    /// The definitions that say what is read and written beside x, w and y.
    pub(super) fn operands(&self) -> impl Iterator<Item = &'static str> + use<> {
        [
            ("BIAS", self.bias),
            ("RELU", self.relu),
            ("MASKED", self.masked),
            ("ACCUMULATE", self.accumulate),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
    }

    /// Whether this is a convolution of stride 1 by a window of `kernel` that keeps the image's size.
    pub(super) fn is_same(&self, kernel: u32) -> bool {
        let fits =
            (self.kernel, self.stride, self.pad, self.input_dilation) == (kernel, 1, kernel / 2, 1);
        fits && (self.x.n, self.x.h, self.x.w) == (self.y.n, self.y.h, self.y.w)
    }

    /// What the time of a convolution depends on, for people and for files: shapes and operands.
    pub(super) fn shape(&self) -> String {
        let (x, y) = (self.x, self.y);
        let mut shape = format!(
            "{} of {}x{}x{} to {}x{}x{}, window {}, stride {}, padding {}, dilation {}",
            x.n,
            x.c,
            x.h,
            x.w,
            y.c,
            y.h,
            y.w,
            self.kernel,
            self.stride,
            self.pad,
            self.input_dilation
        );
        for operand in self.operands() {
            shape += &format!(" {operand}");
        }
        shape
    }

    /// Strips of the output, and pairs of vec4s of output channels.
    pub(super) fn items(&self) -> Items {
        Items::new(self.y, self.y.strips)
    }
}

/// The invocations of an image, as `work` in `wgsl/shared/conv.wgsl` numbers them: each a piece of a row and a column of output
/// channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items {
    images: u32,
    /// Pieces of all rows.
    pieces: u32,
    columns: u32,
    /// A column is one vec4 where it could be two.
    single: bool,
}

impl Items {
    /// `per_row` pieces in every row of `y`; a column is two vec4s, or one where their number is odd.
    pub(super) fn new(y: View, per_row: u32) -> Self {
        let single = !y.quads.is_multiple_of(2);
        Self {
            images: y.n,
            pieces: y.h * per_row,
            columns: if single { y.quads } else { y.quads / 2 },
            single,
        }
    }

    /// Strips, and columns of one vec4 where there could be two.
    pub(super) fn single(y: View) -> Self {
        Self {
            columns: y.quads,
            single: true,
            ..Self::new(y, y.strips)
        }
    }

    /// Strips, and columns of one vec4, for a kernel that knows no others.
    pub(super) fn narrow(y: View) -> Self {
        Self {
            columns: y.quads,
            single: false,
            ..Self::new(y, y.strips)
        }
    }

    /// Whether workgroups of one column would leave a quarter of their invocations idle, or be too many for one
    /// dimension of a grid.
    fn flat(self) -> bool {
        let groups = self.pieces.div_ceil(64);
        groups > 65_535 || self.columns > 65_535 || self.pieces * 4 < groups * 64 * 3
    }

    pub(super) fn definitions(self) -> impl Iterator<Item = &'static str> {
        let flat = self.flat().then_some("FLAT");
        flat.into_iter().chain(self.single.then_some("SINGLE"))
    }

    /// Workgroups of 64 invocations.
    pub(super) fn grid(self) -> [u32; 3] {
        if !self.flat() {
            return [self.pieces.div_ceil(64), self.columns, self.images];
        }
        let groups = (self.pieces.next_multiple_of(8) * self.columns).div_ceil(64);
        [groups.min(32768), groups.div_ceil(32768), self.images]
    }
}

impl Kernel for Conv {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.variant(&SOURCE, self.items())
    }

    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![
            Slot::In,
            Slot::In,
            if self.accumulate {
                Slot::InOut
            } else {
                Slot::Out
            },
        ];
        slots.extend(self.bias.then_some(Slot::In));
        slots.extend(self.relu.then_some(Slot::WordsOut));
        slots.extend(self.masked.then_some(Slot::WordsIn));
        slots
    }

    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            input_dilation: self.input_dilation,
            alpha: self.alpha,
            image_weights: if self.weights_per_image {
                (self.weights_len() / 4) as u32
            } else {
                0
            },
        }
    }

    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }

    fn work(&self) -> Work {
        // Of a dilated input only every input_dilation-th row and column has weight.
        let window = u64::from(self.kernel * self.kernel);
        let per_output =
            window * u64::from(self.x.c) / u64::from(self.input_dilation * self.input_dilation);
        Work {
            flop: 2 * per_output.max(1) * self.y.elements() as u64,
            bytes: self.x.bytes()
                + self.y.bytes()
                + window * u64::from(self.x.c) * u64::from(self.y.c) * 4,
        }
    }

    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, w, y) = (b.input(), b.input(), b.output());
        let bias = if self.bias { b.input() } else { &[] };
        let relu = if self.relu { Some(b.words_mut()) } else { None };
        let mask = if self.masked { b.words() } else { &[] };
        self.rows(w, bias, y, relu, |n, position, row| {
            self.fill_row(x, mask, n, position, row);
        });
    }
}

/// Tiles that one task transforms together.
const TILES_PER_TASK: usize = 128;

/// Sums of a band of output rows: `row_stride` pixels of `padded()` channels from one row to the next.
pub(super) struct Sums<T> {
    pub data: Vec<T>,
    pub row_stride: usize,
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
                .for_each(|(chunk, (y, relu))| {
                    let first = chunk * rows;
                    let count = y.len() / row_len;
                    let sums = self.products(&w, first, count, |position, row| {
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
    pub(super) fn products<T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<T> {
        if !self.transforms::<T>() {
            return self.direct_products(w, first, count, fill);
        }
        let across = (self.y.w as usize).div_ceil(winograd::TILE);
        let down = count.div_ceil(winograd::TILE);
        let (width, channels) = (winograd::TILE * across + 2, self.x.padded());
        let mut data = vec![T::ZERO; (winograd::TILE * down + 2) * width * channels];
        for (r, row) in data.chunks_mut(width * channels).enumerate() {
            fill(first + r, row);
        }
        let band = winograd::Band {
            data: &data,
            width,
            channels,
        };
        Sums {
            data: winograd::convolve(&band, w, (down, across), self.y.padded()),
            row_stride: winograd::TILE * across,
        }
    }

    /// By the definition: one matrix product per row of the window. In the band the window of an output pixel is, row by row,
    /// a contiguous run of kernel·channels elements, so that the rows of the left factor simply overlap.
    fn direct_products<T: Real>(
        &self,
        w: &[T],
        first: usize,
        count: usize,
        fill: impl Fn(usize, &mut [T]),
    ) -> Sums<T> {
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
        let mut band = vec![T::ZERO; band_rows * width * cin];
        for (r, row) in band.chunks_mut(width * cin).enumerate() {
            fill(first * s + r, row);
        }
        let mut data = vec![T::ZERO; (runs - 1) * row_stride * cout + windows * cout];
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
        sums: &Sums<T>,
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

/// `[out,in,k,k]` as every framework has it → rows (ky·k + kx)·in⁺ + ci of out⁺ columns, both channel counts rounded
/// up to a multiple of 4 with zeros.
#[must_use]
pub fn pack_weights(weight: &[f32], out: u32, input: u32, kernel: u32) -> Vec<f32> {
    pack(
        weight,
        [out as usize, input as usize, kernel as usize],
        |ky, kx, ci, co| (ky, kx, ci, co),
        (input, out),
    )
}

/// The weights of the backward pass: rotated by 180° and transposed, in the layout of [`pack_weights`].
#[must_use]
pub fn pack_weights_backward(weight: &[f32], out: u32, input: u32, kernel: u32) -> Vec<f32> {
    let last = kernel as usize - 1;
    pack(
        weight,
        [out as usize, input as usize, kernel as usize],
        |ky, kx, ci, co| (last - ky, last - kx, co, ci),
        (out, input),
    )
}

fn pack(
    weight: &[f32],
    [out, input, k]: [usize; 3],
    place: impl Fn(usize, usize, usize, usize) -> (usize, usize, usize, usize),
    (rows, columns): (u32, u32),
) -> Vec<f32> {
    let (rows, columns) = (
        rows.next_multiple_of(4) as usize,
        columns.next_multiple_of(4) as usize,
    );
    let mut packed = vec![0.0; k * k * rows * columns];
    for co in 0..out {
        for ci in 0..input {
            for ky in 0..k {
                for kx in 0..k {
                    let (y, x, row, column) = place(ky, kx, ci, co);
                    packed[((y * k + x) * rows + row) * columns + column] =
                        weight[((co * input + ci) * k + ky) * k + kx];
                }
            }
        }
    }
    packed
}
