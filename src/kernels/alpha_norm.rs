//! The α-norm of images around a mean colour, and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/alpha_norm.wgsl`.
pub const SOURCE: Source = Source {
    name: "alpha_norm",
    text: include_str!("../../wgsl/alpha_norm.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Σ |x − mean|^exponent of every image in [`AlphaNorm::parts`] parts whose plain sum is the value.
///
/// Bindings: `x`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaNorm {
    /// The images, of at most four channels.
    pub x: View,
    /// The mean of each channel; those beyond c are ignored.
    pub mean: [f32; 4],
    /// α ≥ 1.
    pub exponent: f32,
}

/// The gradient of [`AlphaNorm`]: `dx (+)= alpha·∂value/∂x`, 0 at the mean.
///
/// Bindings: `x`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlphaNormBackward {
    /// The value.
    pub norm: AlphaNorm,
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
    whole: u32,
    fraction: f32,
    scale: f32,
}

impl AlphaNorm {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    /// Zero for the padding channels, so that they add nothing.
    fn mean(&self) -> [f32; 4] {
        let mut mean = self.mean;
        mean[(self.x.c as usize).min(4)..].fill(0.0);
        mean
    }

    /// α·factor, as f32 has it.
    fn scale(&self, factor: f32) -> f32 {
        (f64::from(self.exponent) * f64::from(factor)) as f32
    }
}

impl Kernel for AlphaNorm {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert_eq!(self.x.quads, 1, "{self:?}");
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            dx: self.x,
            mean: self.mean(),
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            whole: self.exponent as u32,
            fraction: self.exponent.fract(),
            scale: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 8 * self.x.elements() as u64,
            bytes: self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, partials) = (b.input(), b.output());
        let mean = self.mean().map(T::from_f32);
        let exponent = T::from_f32(self.exponent);
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let mut sum = 0.0;
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    let x = &x[flat::place(self.x, pixel, quads)];
                    for (&x, mean) in x.iter().zip(mean) {
                        sum += (x - mean).abs().powf(exponent).wide();
                    }
                }
                *partial = T::of(sum);
            });
    }
}

impl Kernel for AlphaNormBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert_eq!((self.norm.x.quads, self.dx.quads), (1, 1), "{self:?}");
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.norm.x),
            parts: 1,
            whole: (self.norm.exponent as u32).saturating_sub(1),
            scale: self.norm.scale(self.alpha),
            ..self.norm.params()
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.norm.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 9 * self.dx.elements() as u64,
            bytes: self.norm.x.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dx) = (b.input(), b.output());
        let mean = self.norm.mean().map(T::from_f32);
        let less = T::of(f64::from(self.norm.exponent) - 1.0);
        let scale = T::from_f32(self.norm.scale(self.alpha));
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let x = &x[flat::place(self.norm.x, pixel, 0..1)];
            for ((dx, &x), mean) in dx.iter_mut().zip(x).zip(mean) {
                let d = x - mean;
                let size = scale * d.abs().powf(less);
                // The sign of 0 is 0.
                let value = if d > T::ZERO {
                    size
                } else if d < T::ZERO {
                    -size
                } else {
                    d
                };
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
