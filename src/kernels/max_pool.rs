//! Maximum over windows, and the gradient's way back to the maxima.

use rayon::prelude::*;

use super::View;
use super::rows::{
    Windows, clear_row, gradient_definition, gradient_slot, in_row, pixel, row_grid, row_position,
    rows_mut, word_rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

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

/// The maximum over kernel×kernel windows, clipped to the image (padding never wins), and which element it was: the
/// first in row-major order.
///
/// Every window must hold a pixel of the image, as torch's and Caffe's arithmetic of y's size (floor or ceil) ensures.
///
/// Bindings: `x`, `y`, the argmax written ([`MaxPool::argmax_len`] words, laid out as the WGSL file says).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPool {
    /// Input.
    pub x: View,
    /// Output, of the same n and c; its height and width are the caller's arithmetic.
    pub y: View,
    /// Side of the square window, 1 to 4.
    pub kernel: u32,
    /// Step of the window.
    pub stride: u32,
    /// Rows and columns that the first window reaches beyond the image, less than `kernel`.
    pub pad: u32,
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
    pub kernel: u32,
    /// As [`MaxPool::stride`].
    pub stride: u32,
    /// As [`MaxPool::pad`].
    pub pad: u32,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    views: [View; 2],
    kernel: u32,
    stride: u32,
    pad: u32,
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
    fn new(y: View, kernel: u32) -> Self {
        let bits: u32 = if kernel <= 2 { 2 } else { 4 };
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
            bits: Argmax::new(self.y, self.kernel).bits,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, Argmax::new(self.y, self.kernel).per_row as u32)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel * self.kernel) * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes() + self.argmax_len() as u64 * 4,
        }
    }

    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, words) = (b.input(), b.output(), b.words_mut());
        let windows = Windows::new(self.kernel, self.stride, self.pad);
        let argmax = Argmax::new(self.y, self.kernel);
        let quads = self.y.quads as usize;
        rows_mut(self.y, y)
            .zip(word_rows_mut(self.y, argmax.per_row, words))
            .enumerate()
            .for_each(|(place, (row, words))| {
                let (n, oy) = row_position(self.y, place);
                let mut taps = vec![0u32; self.y.padded()];
                words.fill(0);
                for ox in 0..self.y.w as usize {
                    let best = &mut row[in_row(self.y, ox)];
                    let mut first = true;
                    for yy in windows.inputs(oy, self.x.h as usize) {
                        let ky = yy + windows.pad - oy * windows.stride;
                        for xx in windows.inputs(ox, self.x.w as usize) {
                            let kx = xx + windows.pad - ox * windows.stride;
                            let tap = (ky * windows.kernel + kx) as u32;
                            let values = &x[pixel(self.x, n, yy, xx)];
                            if first {
                                best.copy_from_slice(values);
                                taps.fill(tap);
                                first = false;
                                continue;
                            }
                            for ((best, at), &value) in best.iter_mut().zip(&mut taps).zip(values) {
                                let better = value > *best;
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
            bits: Argmax::new(self.dy, self.kernel).bits,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel * self.kernel) * self.dy.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes() + self.argmax_len() as u64 * 4,
        }
    }

    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, words, dx) = (b.input(), b.words(), b.output());
        let windows = Windows::new(self.kernel, self.stride, self.pad);
        let argmax = Argmax::new(self.dy, self.kernel);
        let (quads, kernel) = (self.dy.quads as usize, self.kernel);
        let low = (1 << argmax.bits) - 1;
        rows_mut(self.dx, dx).enumerate().for_each(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            if !self.accumulate {
                clear_row(self.dx, row);
            }
            for oy in windows.outputs(yy, self.dy.h as usize) {
                // The taps that lie on this row of dx.
                let first = (yy + windows.pad - oy * windows.stride) as u32 * kernel;
                let words = &words[(n * self.dy.h as usize + oy) * argmax.per_row..];
                for ox in 0..self.dy.w as usize {
                    let words = &words[ox / argmax.pixels * quads..][..quads];
                    let from = dy[pixel(self.dy, n, oy, ox)].chunks_exact(4);
                    for (quad, (word, from)) in words.iter().zip(from).enumerate() {
                        let taps = word >> argmax.shift(ox);
                        for (i, &value) in from.iter().enumerate() {
                            let tap = taps >> (i as u32 * argmax.bits) & low;
                            let kx = tap.wrapping_sub(first);
                            if kx < kernel {
                                let xx = ox * windows.stride + kx as usize - windows.pad;
                                row[in_row(self.dx, xx).start + quad * 4 + i] += value;
                            }
                        }
                    }
                }
            }
        });
    }
}
