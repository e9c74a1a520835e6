//! Total variation with an exponent (Mahendran & Vedaldi 2015, "Understanding Deep Image Representations by Inverting
//! Them", eq. 3) and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/tv_beta.wgsl`.
pub const SOURCE: Source = Source {
    name: "tv_beta",
    text: include_str!("../../wgsl/tv_beta.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// The least dx² + dy² that the gradient divides by where beta < 2. The paper's code has 10⁻⁵ for images of 0 to 255;
/// squares of differences of images of 0 to 1 are 255² times smaller.
const LEAST: f32 = 1e-5 / (255.0 * 255.0);
/// A number so small that its powers mean nothing, and whose logarithm is still one.
const TINY: f32 = 1e-37;

/// Σ (dx² + dy²)^(beta/2) over the pixels and channels of every image in [`TvBeta::parts`] parts whose plain sum it is;
/// dx and dy are the differences to the right and the lower neighbour, 0 in the last column and the last row.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TvBeta {
    /// The images.
    pub x: View,
    /// The exponent, greater than 0.
    pub beta: f32,
}

/// The gradient of [`TvBeta`]: `dx (+)= alpha·∂value/∂x`. Where beta < 2 the slope grows without bound as neighbours
/// become equal: there it is that of dx² + dy² = 10⁻⁵/255².
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TvBetaBackward {
    /// The kernel of the value.
    pub forward: TvBeta,
    /// The gradient, of the shape of x.
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
    exponent: f32,
    least: f32,
    scale: f32,
}

impl TvBeta {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    /// The differences from a pixel, counted over all images, to its right and its lower neighbour; `quads` of it.
    fn differences<'a, T: Real>(
        &self,
        x: &'a [T],
        pixel: usize,
        quads: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (f64, f64)> + 'a {
        let (h, w) = (self.x.h as usize, self.x.w as usize);
        let at = |pixel: usize| &x[flat::place(self.x, pixel, quads.clone())];
        // A neighbour outside the image is the pixel itself: no difference.
        let right = at(pixel + usize::from(pixel % w + 1 < w));
        let below = at(if pixel / w % h + 1 < h {
            pixel + w
        } else {
            pixel
        });
        let neighbours = right.iter().zip(below);
        at(pixel)
            .iter()
            .zip(neighbours)
            .map(|(here, (right, below))| {
                let here = here.wide();
                (right.wide() - here, below.wide() - here)
            })
    }
}

impl Kernel for TvBeta {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, Slot::Out]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            dx: self.x,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            exponent: self.beta / 2.0,
            least: TINY,
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
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, partials) = (b.input(), b.output());
        let exponent = f64::from(self.beta) / 2.0;
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .for_each(|(group, partial)| {
                let mut sum = 0.0;
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    for (across, down) in self.differences(x, pixel, quads) {
                        let v = across * across + down * down;
                        if v > 0.0 {
                            sum += v.powf(exponent);
                        }
                    }
                }
                *partial = T::of(sum);
            });
    }
}

impl TvBetaBackward {
    fn least(&self) -> f32 {
        if self.forward.beta < 2.0 { LEAST } else { TINY }
    }
}

impl Kernel for TvBetaBackward {
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
        Params {
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.dx),
            exponent: self.forward.beta / 2.0 - 1.0,
            least: self.least(),
            scale: self.alpha * self.forward.beta,
            ..Kernel::params(&self.forward)
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 30 * self.dx.elements() as u64,
            bytes: self.forward.x.bytes() + self.dx.bytes(),
        }
    }
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let view = self.forward.x;
        let (h, w) = (view.h as usize, view.w as usize);
        let quads = 0..view.quads as usize;
        let exponent = f64::from(self.forward.beta) / 2.0 - 1.0;
        let least = f64::from(self.least());
        let scale = f64::from(self.alpha) * f64::from(self.forward.beta);
        // At each channel: the factor of the differences, and these.
        let slopes = |pixel: usize| {
            let differences = self.forward.differences(x, pixel, quads.clone());
            differences.map(|(across, down)| {
                let v = across * across + down * down;
                (v.max(least).powf(exponent), across, down)
            })
        };
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            if !self.accumulate {
                dx.fill(T::ZERO);
            }
            let mut add = |channel: usize, slope: f64| dx[channel] += T::of(scale * slope);
            for (channel, (factor, across, down)) in slopes(pixel).enumerate() {
                add(channel, -factor * (across + down));
            }
            if pixel % w > 0 {
                for (channel, (factor, across, _)) in slopes(pixel - 1).enumerate() {
                    add(channel, factor * across);
                }
            }
            if pixel / w % h > 0 {
                for (channel, (factor, _, down)) in slopes(pixel - w).enumerate() {
                    add(channel, factor * down);
                }
            }
        });
    }
}
