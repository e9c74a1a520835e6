//! Total variation, squared, and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/tv.wgsl`.
pub const SOURCE: Source = Source {
    name: "tv",
    text: include_str!("../../wgsl/tv.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// mean dx² + mean dy² of every image in [`Tv::parts`] parts whose plain sum is the value. Each mean is over its own
/// differences (h·(w−1)·c and (h−1)·w·c of them) and 0 where there are none.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tv {
    /// The images.
    pub x: View,
}

/// The gradient of [`Tv`]: `dx (+)= alpha·∂value/∂x`.
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TvBackward {
    /// The images.
    pub x: View,
    /// The gradient, of the same shape.
    pub dx: View,
    /// Factor on the gradient.
    pub alpha: f32,
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
fn scales(x: View) -> (f64, f64) {
    let count = |h: u32, w: u32| f64::from(h) * f64::from(w) * f64::from(x.c);
    let inverse = |count: f64| if count > 0.0 { 1.0 / count } else { 0.0 };
    (
        inverse(count(x.h, x.w.saturating_sub(1))),
        inverse(count(x.h.saturating_sub(1), x.w)),
    )
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
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, Slot::Out]
    }
    fn params(&self) -> Params {
        let (along_x, along_y) = scales(self.x);
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
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, partials) = (b.input(), b.output());
        let (along_x, along_y) = scales(self.x);
        let (h, w) = (self.x.h as usize, self.x.w as usize);
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .for_each(|(group, partial)| {
                let (mut horizontal, mut vertical) = (0.0, 0.0);
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    let here = &x[flat::place(self.x, pixel, quads.clone())];
                    let squared_distance = |other: usize| -> f64 {
                        let other = &x[flat::place(self.x, other, quads.clone())];
                        let differences = here.iter().zip(other).map(|(&a, &b)| (a - b).wide());
                        differences.map(|d| d * d).sum()
                    };
                    if pixel % w + 1 < w {
                        horizontal += squared_distance(pixel + 1);
                    }
                    if pixel / w % h + 1 < h {
                        vertical += squared_distance(pixel + w);
                    }
                }
                *partial = T::of(along_x * horizontal + along_y * vertical);
            });
    }
}

impl Kernel for TvBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        let (along_x, along_y) = scales(self.x);
        let factor = 2.0 * f64::from(self.alpha);
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
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let (along_x, along_y) = scales(self.x);
        let factor = 2.0 * f64::from(self.alpha);
        let (along_x, along_y) = (T::of(factor * along_x), T::of(factor * along_y));
        let (h, w) = (self.x.h as usize, self.x.w as usize);
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let at = |pixel: usize| &x[flat::place(self.x, pixel, quads.clone())];
            let (column, row) = (pixel % w, pixel / w % h);
            // A neighbour outside the image is the pixel itself: no difference.
            let left = at(if column > 0 { pixel - 1 } else { pixel });
            let right = at(if column + 1 < w { pixel + 1 } else { pixel });
            let above = at(if row > 0 { pixel - w } else { pixel });
            let below = at(if row + 1 < h { pixel + w } else { pixel });
            for (i, (dx, &here)) in dx.iter_mut().zip(at(pixel)).enumerate() {
                let value = along_x * ((here - left[i]) + (here - right[i]))
                    + along_y * ((here - above[i]) + (here - below[i]));
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
