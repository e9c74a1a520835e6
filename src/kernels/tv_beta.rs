//! Total variation with an exponent, and its gradient.

use std::ops::Range;

use rayon::prelude::*;

use super::tv::neighbours;
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Tasks, Work};

/// `wgsl/tv_beta.wgsl`.
pub const SOURCE: Source = Source {
    name: "tv_beta",
    text: include_str!("../../wgsl/tv_beta.wgsl"),
    variants: &[
        &[],
        &["BACKWARD"],
        &["BACKWARD", "ACCUMULATE"],
        &["WRAP"],
        &["WRAP", "BACKWARD"],
        &["WRAP", "BACKWARD", "ACCUMULATE"],
    ],
};

/// Σ (dx² + dy²)^(β/2) over the pixels and channels of every image, in [`TvBeta::parts`] parts whose plain sum is the
/// value. dx and dy are the differences to the right and the lower neighbour, 0 where there is none.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TvBeta {
    /// The images.
    pub x: View,
    /// The exponent, positive.
    pub beta: f32,
    /// Whether the last pixel of a row or a column has the first as its neighbour.
    pub wrap: bool,
}

/// The gradient of [`TvBeta`]: `dx (+)= alpha·∂value/∂x`.
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, PartialEq)]
pub struct TvBetaBackward {
    /// The value.
    pub tv: TvBeta,
    /// The gradient, of the shape of x.
    pub dx: View,
    /// dx² + dy² counts as at least this in the factor (dx² + dy²)^(β/2−1); read only for β < 2, and positive there.
    pub floor: f32,
    /// Factor on the gradient.
    pub alpha: Scalar,
    /// Adds to `dx`.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dx: View,
    columns: u32,
    items: u32,
    parts: u32,
    whole: u32,
    fraction: f32,
    divide: u32,
    floor: f32,
    scale: f32,
}

impl TvBeta {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    /// β/2
    fn half(&self) -> f32 {
        0.5 * self.beta
    }

    /// Calls `visit(i, dx, dy)` for the elements `quads` of a pixel, counted over all images.
    fn differences<T: Real>(
        &self,
        x: &[T],
        pixel: usize,
        quads: Range<usize>,
        mut visit: impl FnMut(usize, T, T),
    ) {
        let at = |pixel: usize| &x[flat::place(self.x, pixel, quads.clone())];
        // A neighbour outside the image is the pixel itself: no difference.
        let [_, right, _, below] = neighbours(self.x, pixel, self.wrap).map(at);
        let here = at(pixel);
        for (i, &here) in here.iter().enumerate() {
            visit(i, right[i] - here, below[i] - here);
        }
    }
}

impl TvBetaBackward {
    fn floor(&self) -> f32 {
        if self.tv.beta < 2.0 { self.floor } else { 0.0 }
    }

    /// alpha·β, as f32 has it.
    fn scale(&self) -> f32 {
        (f64::from(self.alpha.get()) * f64::from(self.tv.beta)) as f32
    }
}

impl Kernel for TvBeta {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.wrap { &["WRAP"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            dx: self.x,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            whole: self.half() as u32,
            fraction: self.half().fract(),
            divide: 0,
            floor: 0.0,
            scale: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 10 * self.x.elements() as u64,
            bytes: self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, partials) = (b.input(), b.output());
        let half = T::from_f32(self.half());
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let mut sum = 0.0;
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    self.differences(x, pixel, quads, |_, across, down| {
                        sum += (across * across + down * down).powf(half).wide();
                    });
                }
                *partial = T::of(sum);
            });
    }
}

impl Kernel for TvBetaBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(match (self.tv.wrap, self.accumulate) {
            (false, false) => &["BACKWARD"],
            (false, true) => &["BACKWARD", "ACCUMULATE"],
            (true, false) => &["WRAP", "BACKWARD"],
            (true, true) => &["WRAP", "BACKWARD", "ACCUMULATE"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        let divide = self.tv.half() < 1.0;
        Params {
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.tv.x),
            parts: 1,
            whole: self.tv.half() as u32 - u32::from(!divide),
            divide: divide.into(),
            floor: self.floor(),
            scale: self.scale(),
            ..self.tv.params()
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.tv.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 30 * self.dx.elements() as u64,
            bytes: self.tv.x.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let (floor, scale) = (T::from_f32(self.floor()), T::from_f32(self.scale()));
        let less = T::of(f64::from(self.tv.half()) - 1.0);
        let factor =
            |across: T, down: T| scale * (across * across + down * down).max(floor).powf(less);
        let quads = 0..self.dx.quads as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            if !self.accumulate {
                dx.fill(T::ZERO);
            }
            // A pixel is in its own differences, in its left neighbour's to the right and in its upper neighbour's
            // down.
            let quads = || quads.clone();
            self.tv.differences(x, pixel, quads(), |i, across, down| {
                dx[i] += -factor(across, down) * (across + down);
            });
            let [left, _, above, _] = neighbours(self.tv.x, pixel, self.tv.wrap);
            if left != pixel {
                self.tv.differences(x, left, quads(), |i, across, down| {
                    dx[i] += factor(across, down) * across;
                });
            }
            if above != pixel {
                self.tv.differences(x, above, quads(), |i, across, down| {
                    dx[i] += factor(across, down) * down;
                });
            }
        });
    }
}
