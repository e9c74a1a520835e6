//! The α-norm of an image about a mean, to the power α (Mahendran & Vedaldi 2015, section 2.2), and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/alpha_norm.wgsl`.
pub const SOURCE: Source = Source {
    name: "alpha_norm",
    text: include_str!("../../wgsl/alpha_norm.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Σ |x − mean|^exponent over the pixels and channels of every image in [`AlphaNorm::parts`] parts whose plain sum it
/// is.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaNorm {
    /// The images, of at most four channels.
    pub x: View,
    /// For each channel what is taken from it; 0 for those that are padding.
    pub mean: [f32; 4],
    /// α, 1 or more.
    pub exponent: f32,
}

/// The gradient of [`AlphaNorm`]: `dx (+)= alpha·∂value/∂x`.
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaNormBackward {
    /// The kernel of the value.
    pub forward: AlphaNorm,
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
    mean: [f32; 4],
    columns: u32,
    items: u32,
    parts: u32,
    exponent: f32,
    scale: f32,
}

impl AlphaNorm {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    /// x − mean at one pixel, counted over all images.
    fn differences<'a, T: Real>(&self, x: &'a [T], pixel: usize) -> impl Iterator<Item = f64> + 'a {
        let x = &x[flat::place(self.x, pixel, 0..1)];
        let mean = self.mean.map(f64::from);
        x.iter().zip(mean).map(|(x, mean)| x.wide() - mean)
    }
}

impl Kernel for AlphaNorm {
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
            mean: self.mean,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            exponent: self.exponent,
            scale: 1.0,
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
        let exponent = f64::from(self.exponent);
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .for_each(|(group, partial)| {
                let powers = flat::share(self.x, group)
                    .flat_map(|pixel| self.differences(x, pixel))
                    .map(|d| d.abs().powf(exponent));
                *partial = T::of(powers.sum());
            });
    }
}

impl Kernel for AlphaNormBackward {
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
            exponent: self.forward.exponent - 1.0,
            scale: self.alpha * self.forward.exponent,
            ..Kernel::params(&self.forward)
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 8 * self.dx.elements() as u64,
            bytes: self.forward.x.bytes() + self.dx.bytes(),
        }
    }
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let exponent = f64::from(self.forward.exponent) - 1.0;
        let scale = f64::from(self.alpha) * f64::from(self.forward.exponent);
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            for (dx, d) in dx.iter_mut().zip(self.forward.differences(x, pixel)) {
                let slope = if d == 0.0 {
                    0.0
                } else {
                    d.signum() * d.abs().powf(exponent)
                };
                let value = T::of(scale * slope);
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
