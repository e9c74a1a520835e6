//! Scores of pixels, and the mean colour for those that score low (Yosinski et al. 2015, "Understanding Neural Networks
//! Through Deep Visualization", section 4).

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/clip_small.wgsl`.
pub const SOURCE: Source = Source {
    name: "clip_small",
    text: include_str!("../../wgsl/clip_small.wgsl"),
    variants: &[&["NORM"], &["CONTRIBUTION"], &["CLIP"]],
};

/// The norm of each pixel about the mean: `scores = √Σ_c (x − mean)²`.
///
/// Bindings: `x`, `scores` (reals, [n, h, w]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelNorm {
    /// The tensor.
    pub x: View,
    /// The mean of each channel: zeros, unless `x` has at most four; zero for padding channels.
    pub mean: [f32; 4],
}

/// What each pixel contributes to an objective that the gradient's loss is the negative of, to first order, compared
/// with the mean colour: `scores = −Σ_c (x − mean)·gradient`.
///
/// Bindings: `x`, `gradient`, `scores` (reals, [n, h, w]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelContribution {
    /// The tensor.
    pub x: View,
    /// The gradient, of its shape.
    pub gradient: View,
    /// As in [`PixelNorm`].
    pub mean: [f32; 4],
    /// The absolute value instead: pixels count that contribute either way.
    pub absolute: bool,
}

/// `x = mean` where `scores < threshold` of the image.
///
/// Bindings: `scores` (reals, [n, h, w]), `thresholds` (reals, \[n\]), `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipSmall {
    /// The tensor.
    pub x: View,
    /// As in [`PixelNorm`].
    pub mean: [f32; 4],
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    gradient: View,
    mean: [f32; 4],
    columns: u32,
    pixels: u32,
    absolute: u32,
}

impl Params {
    fn new(x: View, gradient: View, mean: [f32; 4], absolute: bool) -> Self {
        Self {
            x,
            gradient,
            mean,
            columns: grid(x)[0],
            pixels: x.pixels() as u32,
            absolute: absolute.into(),
        }
    }
}

/// One invocation per pixel.
fn grid(x: View) -> [u32; 3] {
    flat::item_grid(x.pixels() as u32)
}

/// The reference's scores: `score(pixel, x)` of each pixel's channels.
fn score_all<T: Real>(
    view: View,
    x: &[T],
    scores: &mut [T],
    score: impl Fn(usize, &[T]) -> T + Sync,
) {
    scores[..view.pixels()]
        .par_iter_mut()
        .enumerate()
        .with_min_len(flat::TASK / 4)
        .for_each(|(pixel, y)| {
            *y = score(pixel, &x[flat::place(view, pixel, 0..view.quads as usize)]);
        });
}

impl Kernel for PixelNorm {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["NORM"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.x, self.x, self.mean, false)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.x)
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.x.elements() as u64,
            bytes: self.x.bytes() + 4 * self.x.pixels() as u64,
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, scores) = (bindings.input(), bindings.output());
        let mean = self.mean.map(T::from_f32);
        score_all(self.x, x, scores, |_, x| {
            let square = |(channel, &x): (usize, &T)| {
                let v = x - mean[channel % 4];
                v * v
            };
            x.iter().enumerate().map(square).sum::<T>().sqrt()
        });
    }
}

impl Kernel for PixelContribution {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["CONTRIBUTION"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.x, self.gradient, self.mean, self.absolute)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.x)
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.x.elements() as u64,
            bytes: 2 * self.x.bytes() + 4 * self.x.pixels() as u64,
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, gradient, scores) = (bindings.input(), bindings.input(), bindings.output());
        let mean = self.mean.map(T::from_f32);
        let quads = 0..self.x.quads as usize;
        score_all(self.x, x, scores, |pixel, x| {
            let gradient = &gradient[flat::place(self.gradient, pixel, quads.clone())];
            let product = |(channel, (&x, &g)): (usize, (&T, &T))| (x - mean[channel % 4]) * g;
            let score = -x.iter().zip(gradient).enumerate().map(product).sum::<T>();
            if self.absolute { score.abs() } else { score }
        });
    }
}

impl Kernel for ClipSmall {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["CLIP"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.x, self.x, self.mean, false)
    }
    fn grid(&self) -> [u32; 3] {
        grid(self.x)
    }
    fn work(&self) -> Work {
        Work {
            flop: self.x.pixels() as u64,
            bytes: 4 * self.x.pixels() as u64 + self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (scores, thresholds) = (bindings.input(), bindings.input());
        let each = (self.x.h * self.x.w) as usize;
        let mean = self.mean.map(T::from_f32);
        flat::for_each_pixel(self.x, bindings.output(), |pixel, x| {
            if scores[pixel] < thresholds[pixel / each] {
                for (channel, x) in x.iter_mut().enumerate() {
                    *x = mean[channel % 4];
                }
            }
        });
    }
}
