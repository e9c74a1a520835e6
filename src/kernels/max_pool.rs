//! Maximum over windows, and the gradient's way back to the maxima.

use rayon::prelude::*;

use super::View;
use super::rows::{
    Windows, clear_row, gradient_definition, gradient_slot, in_row, pixel, row_grid, row_position,
    rows_mut, word_rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/max_pool.wgsl`.
pub const SOURCE: Source = Source {
    name: "max_pool",
    text: include_str!("../../wgsl/max_pool.wgsl"),
    variants: &[&[]],
};

/// `wgsl/max_pool_backward.wgsl`.
pub const BACKWARD: Source = Source {
    name: "max_pool_backward",
    text: include_str!("../../wgsl/max_pool_backward.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// The maximum over windows, clipped to the image (padding never wins), and which element it was: the
/// first in row-major order.
///
/// A window without a pixel of the image, which only a dilated one can be, has a maximum of 0; one with a NaN is NaN.
///
/// Bindings: `x`, `y`, the argmax written ([`MaxPool::argmax_len`] words, laid out as the WGSL file says).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPool {
    /// Input.
    pub x: View,
    /// Output, of the same n and c; its height and width are the caller's arithmetic.
    pub y: View,
    /// Height and width of the window, at most [`MaxPool::MOST_TAPS`] positions.
    pub kernel: [u32; 2],
    /// Step of the window, down and across.
    pub stride: [u32; 2],
    /// Rows and columns that the first window reaches beyond the image, less than what it reaches over.
    pub pad: [u32; 2],
    /// From one position of the window to the next.
    pub dilation: [u32; 2],
}

/// The gradient of [`MaxPool`]: each element of dy goes to the maximum of its window, 0 to all others.
///
/// Bindings: `dy`, the argmax, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPoolBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`MaxPool::kernel`].
    pub kernel: [u32; 2],
    /// As [`MaxPool::stride`].
    pub stride: [u32; 2],
    /// As [`MaxPool::pad`].
    pub pad: [u32; 2],
    /// As [`MaxPool::dilation`].
    pub dilation: [u32; 2],
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    views: [View; 2],
    kernel: [u32; 2],
    stride: [u32; 2],
    pad: [u32; 2],
    dilation: [u32; 2],
    bits: u32,
}

/// How the argmax of one output is laid out in words.
#[derive(Debug, Clone, Copy)]
struct Argmax {
    /// Bits per element.
    bits: u32,
    /// Neighbouring pixels of a row that share a word.
    pixels: usize,
    /// Words per row: one per group of pixels and vec4 of channels.
    per_row: usize,
}

impl Argmax {
    fn new(y: View, [height, width]: [u32; 2]) -> Self {
        let taps = height * width;
        assert!(taps <= MaxPool::MOST_TAPS, "a window of {height}x{width}");
        let bits: u32 = match taps {
            0..=4 => 2,
            5..=16 => 4,
            _ => 8,
        };
        let pixels = 8 / bits;
        Self {
            bits,
            pixels: pixels as usize,
            per_row: (y.w.div_ceil(pixels) * y.quads) as usize,
        }
    }

    fn len(self, y: View) -> usize {
        y.n as usize * y.h as usize * self.per_row
    }

    /// The shift of channel 0 of pixel `x` within its word.
    fn shift(self, x: usize) -> u32 {
        (x % self.pixels) as u32 * 4 * self.bits
    }
}

impl MaxPool {
    /// Most positions of a window: an argmax has 8 bits.
    pub const MOST_TAPS: u32 = 256;

    /// Words of the argmax.
    #[must_use]
    pub fn argmax_len(&self) -> usize {
        Argmax::new(self.y, self.kernel).len(self.y)
    }
}

impl MaxPoolBackward {
    /// Words of the argmax.
    #[must_use]
    pub fn argmax_len(&self) -> usize {
        Argmax::new(self.dy, self.kernel).len(self.dy)
    }
}

impl Kernel for MaxPool {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT, Slot::WORDS_OUT]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.x, self.y],
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            dilation: self.dilation,
            bits: Argmax::new(self.y, self.kernel).bits,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, Argmax::new(self.y, self.kernel).per_row as u32)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel[0] * self.kernel[1]) * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes() + self.argmax_len() as u64 * 4,
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, words) = (b.input(), b.output(), b.words_mut());
        let [down, across] = Windows::both(self.kernel, self.stride, self.pad, self.dilation);
        let argmax = Argmax::new(self.y, self.kernel);
        let quads = self.y.quads as usize;
        rows_mut(self.y, y)
            .zip(word_rows_mut(self.y, argmax.per_row, words))
            .enumerate()
            .run(|(place, (row, words))| {
                let (n, oy) = row_position(self.y, place);
                let mut taps = vec![0u32; self.y.padded()];
                words.fill(0);
                for ox in 0..self.y.w as usize {
                    let best = &mut row[in_row(self.y, ox)];
                    let mut first = true;
                    best.fill(T::ZERO);
                    taps.fill(0);
                    for yy in down.inputs(oy, self.x.h as usize) {
                        let ky = (yy + down.pad - oy * down.stride) / down.dilation;
                        for xx in across.inputs(ox, self.x.w as usize) {
                            let kx = (xx + across.pad - ox * across.stride) / across.dilation;
                            let tap = (ky * across.kernel + kx) as u32;
                            let values = &x[pixel(self.x, n, yy, xx)];
                            if first {
                                best.copy_from_slice(values);
                                taps.fill(tap);
                                first = false;
                                continue;
                            }
                            for ((best, at), &value) in best.iter_mut().zip(&mut taps).zip(values) {
                                let better = value.exceeds(*best);
                                *best = if better { value } else { *best };
                                *at = if better { tap } else { *at };
                            }
                        }
                    }
                    let words = &mut words[ox / argmax.pixels * quads..][..quads];
                    for (word, taps) in words.iter_mut().zip(taps.chunks_exact(4)) {
                        for (tap, i) in taps.iter().zip(0..) {
                            *word |= tap << (argmax.shift(ox) + i * argmax.bits);
                        }
                    }
                }
            });
    }
}

impl Kernel for MaxPoolBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        BACKWARD.with(gradient_definition(self.accumulate))
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.dy, self.dx],
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            dilation: self.dilation,
            bits: Argmax::new(self.dy, self.kernel).bits,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel[0] * self.kernel[1]) * self.dy.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes() + self.argmax_len() as u64 * 4,
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, words, dx) = (b.input(), b.words(), b.output());
        let [down, across] = Windows::both(self.kernel, self.stride, self.pad, self.dilation);
        let argmax = Argmax::new(self.dy, self.kernel);
        let (quads, width) = (self.dy.quads as usize, self.kernel[1]);
        let low = (1 << argmax.bits) - 1;
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            if !self.accumulate {
                clear_row(self.dx, row);
            }
            for oy in down.outputs(yy, self.dy.h as usize) {
                // The taps that lie on this row of dx.
                let ky = (yy + down.pad - oy * down.stride) / down.dilation;
                let first = ky as u32 * width;
                let words = &words[(n * self.dy.h as usize + oy) * argmax.per_row..];
                for ox in 0..self.dy.w as usize {
                    let words = &words[ox / argmax.pixels * quads..][..quads];
                    let from = dy[pixel(self.dy, n, oy, ox)].chunks_exact(4);
                    for (quad, (word, from)) in words.iter().zip(from).enumerate() {
                        let taps = word >> argmax.shift(ox);
                        for (i, &value) in from.iter().enumerate() {
                            let tap = taps >> (i as u32 * argmax.bits) & low;
                            let kx = tap.wrapping_sub(first);
                            if kx < width {
                                let at = ox * across.stride + kx as usize * across.dilation;
                                // Of a window that lies wholly outside the first position is none.
                                let xx = at.wrapping_sub(across.pad);
                                if xx >= self.dx.w as usize {
                                    continue;
                                }
                                row[in_row(self.dx, xx).start + quad * 4 + i] += value;
                            }
                        }
                    }
                }
            }
        });
    }
}
