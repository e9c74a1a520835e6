//! DeepDream's guided objective: the product of every pixel of a layer with its best match in a guide's layer, and the
//! gradient (Mordvintsev, Olah & Tyka 2015, "Inceptionism").
//!
//! [`GuideMatch`] finds the matches, [`Guide`] adds their products. Where the match is unique the gradient of the
//! largest product is that of the product with the match, which stays: the matched pixel itself.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/guide_match.wgsl`.
pub const MATCH_SOURCE: Source = Source {
    name: "guide_match",
    text: include_str!("../../wgsl/guide_match.wgsl"),
    variants: &[&[]],
};

/// `wgsl/guide.wgsl`.
pub const SOURCE: Source = Source {
    name: "guide",
    text: include_str!("../../wgsl/guide.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// For every pixel of `x` the pixel of `y` with the largest product over the channels, the first one of several.
///
/// Bindings: `x`, `y`, `best` (words, one per pixel of x: a pixel of y, counted row by row).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuideMatch {
    /// The layer of the images.
    pub x: View,
    /// The guide's layer: one image of any size, channels as `x`.
    pub y: View,
}

/// Σ ⟨x_i, y_best(i)⟩ of every image in [`Guide::parts`] parts whose plain sum is the value.
///
/// Bindings: `y`, `best` (of [`GuideMatch`]), `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guide {
    /// The layer of the images.
    pub x: View,
    /// The guide's layer.
    pub y: View,
}

/// The gradient of [`Guide`]: `dx (+)= alpha·y_best(i)`.
///
/// Bindings: `y`, `best`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuideBackward {
    /// The guide's layer.
    pub y: View,
    /// The gradient, of the shape of x.
    pub dx: View,
    /// Factor on the gradient.
    pub alpha: f32,
    /// Adds to `dx`.
    pub accumulate: bool,
}

/// The parameters of [`GuideMatch`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct MatchParams {
    x: View,
    y: View,
    columns: u32,
    tiles: u32,
    pixels: u32,
    candidates: u32,
}

/// The parameters of [`Guide`] and [`GuideBackward`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    parts: u32,
    alpha: f32,
}

/// Pixels of x that one workgroup, or one task of the reference, matches.
const TILE: u32 = 32;
/// Pixels of y that the reference multiplies at a time.
const BLOCK: usize = 512;

impl GuideMatch {
    fn tiles(&self) -> u32 {
        (self.x.h * self.x.w).div_ceil(TILE)
    }

    /// The matches of pixels `first..`, counted over all images, as many as `best` holds.
    fn find<T: Real>(&self, x: &[T], y: &[T], first: usize, best: &mut [u32]) {
        let (width, channels) = (best.len(), self.x.padded());
        let quads = 0..self.x.quads as usize;
        // The pixels of x as columns.
        let mut columns = vec![T::ZERO; channels * width];
        for i in 0..width {
            let pixel = &x[flat::place(self.x, first + i, quads.clone())];
            for (c, &value) in pixel.iter().enumerate() {
                columns[c * width + i] = value;
            }
        }
        let candidates = self.y.pixels();
        let mut products = vec![T::ZERO; BLOCK.min(candidates) * width];
        let mut largest = vec![T::ZERO; width];
        for begin in (0..candidates).step_by(BLOCK) {
            let rows = BLOCK.min(candidates - begin);
            T::gemm(Gemm {
                m: rows,
                k: channels,
                n: width,
                dst: &mut products[..rows * width],
                dst_stride: width,
                lhs: &y[flat::place(self.y, begin, 0..0).start..],
                lhs_stride: self.y.pixel_stride(),
                lhs_step: 1,
                rhs: &columns,
                rhs_stride: width,
                accumulate: false,
            });
            for (j, row) in products.chunks_exact(width).take(rows).enumerate() {
                let j = begin + j;
                for ((best, largest), &product) in best.iter_mut().zip(&mut largest).zip(row) {
                    if j == 0 || product > *largest {
                        *best = j as u32;
                        *largest = product;
                    }
                }
            }
        }
    }
}

impl Kernel for GuideMatch {
    type Params = MatchParams;

    fn shader(&self) -> Shader {
        assert_eq!((self.y.n, self.y.c), (1, self.x.c), "{self:?}");
        MATCH_SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::WORDS_OUT]
    }
    fn params(&self) -> MatchParams {
        MatchParams {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            tiles: self.tiles(),
            pixels: self.x.h * self.x.w,
            candidates: self.y.pixels() as u32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(self.tiles().saturating_mul(self.x.n))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.x.elements() as u64 * self.y.pixels() as u64,
            bytes: self.x.bytes() + self.y.bytes() + self.x.pixels() as u64 * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, best) = (b.input(), b.input(), b.words_mut());
        let tile = TILE as usize;
        best[..self.x.pixels()]
            .par_chunks_mut(tile)
            .enumerate()
            .run(|(task, best)| self.find(x, y, task * tile, best));
    }
}

impl Guide {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }
}

impl Kernel for Guide {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            alpha: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.x.elements() as u64,
            bytes: 2 * self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (y, best, x, partials) = (b.input(), b.words(), b.input(), b.output());
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let mut sum = 0.0;
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    let x = &x[flat::place(self.x, pixel, quads.clone())];
                    let y = &y[flat::place(self.y, best[pixel] as usize, quads)];
                    sum += x.iter().zip(y).map(|(&x, &y)| (x * y).wide()).sum::<f64>();
                }
                *partial = T::of(sum);
            });
    }
}

impl Kernel for GuideBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            x: self.dx,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.dx),
            parts: 1,
            alpha: self.alpha,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.dx.elements() as u64,
            bytes: 2 * self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (y, best, dx) = (b.input(), b.words(), b.output());
        let alpha = T::from_f32(self.alpha);
        let quads = 0..self.dx.quads as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let y = &y[flat::place(self.y, best[pixel] as usize, quads.clone())];
            for (dx, &y) in dx.iter_mut().zip(y) {
                let value = alpha * y;
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
