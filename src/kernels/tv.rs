//! Total variation, squared, and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Tasks, Work};

/// `wgsl/tv.wgsl`.
pub const SOURCE: Source = Source {
    name: "tv",
    text: include_str!("../../wgsl/tv.wgsl"),
    variants: &[
        &[],
        &["BACKWARD"],
        &["BACKWARD", "ACCUMULATE"],
        &["WRAP"],
        &["WRAP", "BACKWARD"],
        &["WRAP", "BACKWARD", "ACCUMULATE"],
    ],
};

/// mean dx² + mean dy² of every image in [`Tv::parts`] parts whose plain sum is the value. Each mean is over its own
/// differences (h·(w−1)·c and (h−1)·w·c of them) and 0 where there are none.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tv {
    /// The images.
    pub x: View,
    /// Whether the last pixel of a row or a column has the first as its neighbour, so that there are h·w·c of either
    /// kind of difference.
    pub wrap: bool,
}

/// The gradient of [`Tv`]: `dx (+)= alpha·∂value/∂x`.
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, PartialEq)]
pub struct TvBackward {
    /// The images.
    pub x: View,
    /// As [`Tv::wrap`].
    pub wrap: bool,
    /// The gradient, of the same shape.
    pub dx: View,
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
    along_x: f32,
    along_y: f32,
}

/// One over the number of horizontal and of vertical differences of an image; 0 where there are none.
fn scales(x: View, wrap: bool) -> (f64, f64) {
    let count = |h: u32, w: u32| f64::from(h) * f64::from(w) * f64::from(x.c);
    let inverse = |count: f64| if count > 0.0 { 1.0 / count } else { 0.0 };
    let less = u32::from(!wrap);
    (
        inverse(count(x.h, x.w.saturating_sub(less))),
        inverse(count(x.h.saturating_sub(less), x.w)),
    )
}

/// The neighbours of pixel `at`, counted over all images: left, right, above, below; one outside the image is the pixel
/// itself.
pub(super) fn neighbours(x: View, at: usize, wrap: bool) -> [usize; 4] {
    let (h, w) = (x.h as usize, x.w as usize);
    let (column, row) = (at % w, at / w % h);
    let before = |i: usize, size: usize| match (i, wrap) {
        (0, true) => size - 1,
        (i, _) => i.saturating_sub(1),
    };
    let after = |i: usize, size: usize| match (i + 1 == size, wrap) {
        (true, true) => 0,
        (true, false) => i,
        (false, _) => i + 1,
    };
    let (first, top) = (at - column, at - row * w);
    [
        first + before(column, w),
        first + after(column, w),
        top + before(row, h) * w,
        top + after(row, h) * w,
    ]
}

impl Tv {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }
}

impl Kernel for Tv {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.wrap { &["WRAP"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        let (along_x, along_y) = scales(self.x, self.wrap);
        Params {
            x: self.x,
            dx: self.x,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            along_x: along_x as f32,
            along_y: along_y as f32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.x.elements() as u64,
            bytes: self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, partials) = (b.input(), b.output());
        let (along_x, along_y) = scales(self.x, self.wrap);
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let (mut horizontal, mut vertical) = (0.0, 0.0);
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    let here = &x[flat::place(self.x, pixel, quads.clone())];
                    let squared_distance = |other: usize| -> f64 {
                        let other = &x[flat::place(self.x, other, quads.clone())];
                        let differences = here.iter().zip(other).map(|(&a, &b)| (a - b).wide());
                        differences.map(|d| d * d).sum()
                    };
                    let [_, right, _, below] = neighbours(self.x, pixel, self.wrap);
                    horizontal += squared_distance(right);
                    vertical += squared_distance(below);
                }
                *partial = T::of(along_x * horizontal + along_y * vertical);
            });
    }
}

impl Kernel for TvBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("WRAP", self.wrap),
            ("BACKWARD", true),
            ("ACCUMULATE", self.accumulate),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        let (along_x, along_y) = scales(self.x, self.wrap);
        let factor = 2.0 * f64::from(self.alpha.get());
        Params {
            x: self.x,
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.x),
            parts: 1,
            along_x: (factor * along_x) as f32,
            along_y: (factor * along_y) as f32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 11 * self.x.elements() as u64,
            bytes: self.x.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let (along_x, along_y) = scales(self.x, self.wrap);
        let factor = 2.0 * f64::from(self.alpha.get());
        let (along_x, along_y) = (T::of(factor * along_x), T::of(factor * along_y));
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let at = |pixel: usize| &x[flat::place(self.x, pixel, quads.clone())];
            let [left, right, above, below] = neighbours(self.x, pixel, self.wrap).map(at);
            for (i, (dx, &here)) in dx.iter_mut().zip(at(pixel)).enumerate() {
                let value = along_x * ((here - left[i]) + (here - right[i]))
                    + along_y * ((here - above[i]) + (here - below[i]));
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
