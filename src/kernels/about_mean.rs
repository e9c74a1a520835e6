//! Images drawn nearer to, or away from, a mean colour.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/about_mean.wgsl`.
pub const SOURCE: Source = Source {
    name: "about_mean",
    text: include_str!("../../wgsl/about_mean.wgsl"),
    variants: &[&[], &["NORM"]],
};

/// By how much an image's difference from the mean is multiplied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stretch {
    /// A factor for all images.
    By(f32),
    /// Until its norm ‖x − mean‖₂ is this.
    ToNorm(f32),
    /// Until its norm is this, where it is more.
    ToNormAtMost(f32),
}

/// `x = mean + s·(x − mean)` for each image; one equal to the mean stays as it is.
///
/// Bindings: for a norm `moments` of x about the mean ([n, 4] as [`super::MomentsReduce`] leaves them); `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AboutMean {
    /// The tensor.
    pub x: View,
    /// The mean of each channel: zeros, unless `x` has at most four; zero for padding channels.
    pub mean: [f32; 4],
    /// s.
    pub stretch: Stretch,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    mean: [f32; 4],
    columns: u32,
    items: u32,
    scale: f32,
    at_most: u32,
}

impl AboutMean {
    /// The reference's s for one image of norm ‖x − mean‖₂ = `norm`; `None` where it stays as it is.
    fn factor(&self, norm: f64) -> Option<f64> {
        let (radius, at_most) = match self.stretch {
            Stretch::By(scale) => return Some(f64::from(scale)),
            Stretch::ToNorm(radius) => (f64::from(radius), false),
            Stretch::ToNormAtMost(radius) => (f64::from(radius), true),
        };
        let stays = norm < f64::from(f32::MIN_POSITIVE) || (at_most && norm <= radius);
        (!stays).then(|| radius / norm)
    }
}

impl Kernel for AboutMean {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(match self.stretch {
            Stretch::By(_) => &[],
            Stretch::ToNorm(_) | Stretch::ToNormAtMost(_) => &["NORM"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        match self.stretch {
            Stretch::By(_) => vec![Slot::IN_OUT],
            Stretch::ToNorm(_) | Stretch::ToNormAtMost(_) => vec![Slot::IN, Slot::IN_OUT],
        }
    }
    fn params(&self) -> Params {
        let (Stretch::By(scale) | Stretch::ToNorm(scale) | Stretch::ToNormAtMost(scale)) =
            self.stretch;
        Params {
            x: self.x,
            mean: self.mean,
            columns: self.grid()[0],
            items: flat::items(self.x),
            scale,
            at_most: matches!(self.stretch, Stretch::ToNormAtMost(_)).into(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.x.elements() as u64,
            bytes: 2 * self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let norms: Vec<f64> = match self.stretch {
            Stretch::By(_) => vec![0.0; self.x.n as usize],
            Stretch::ToNorm(_) | Stretch::ToNormAtMost(_) => {
                let moments = bindings.input().chunks_exact(4);
                moments.map(|sums| sums[2].wide().sqrt()).collect()
            }
        };
        let factors: Vec<Option<f64>> = norms.iter().map(|&norm| self.factor(norm)).collect();
        let mean = self.mean.map(T::from_f32);
        let each = (self.x.h * self.x.w) as usize;
        flat::for_each_pixel(self.x, bindings.output(), |pixel, x| {
            let Some(s) = factors[pixel / each].map(T::of) else {
                return;
            };
            for (channel, x) in x.iter_mut().enumerate() {
                let mean = mean[channel % 4];
                *x = mean + s * (*x - mean);
            }
        });
    }
}
