//! The projection into a ball around an image.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/ball.wgsl`.
pub const SOURCE: Source = Source {
    name: "ball",
    text: include_str!("../../wgsl/ball.wgsl"),
    variants: &[&["LINF"], &["L2"]],
};

/// How the distance of two images is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BallNorm {
    /// The greatest difference of an element.
    Linf,
    /// The root of the sum of squared differences.
    L2,
}

/// Moves each image of `x` to the nearest one within `radius` of `c`, then clamps it to \[0, 1\].
///
/// Bindings: `c`, `x`; for [`BallNorm::L2`] then `moments` of x − c ([n, 4] as [`super::MomentsReduce`] leaves them).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ball {
    /// What is projected.
    pub x: View,
    /// The centres, of the same shape; or one image, the centre for all.
    pub c: View,
    /// The norm.
    pub norm: BallNorm,
    /// The radius, not negative.
    pub radius: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    c: View,
    columns: u32,
    items: u32,
    wrap: u32,
    radius: f32,
}

impl Kernel for Ball {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(match self.norm {
            BallNorm::Linf => &["LINF"],
            BallNorm::L2 => &["L2"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        match self.norm {
            BallNorm::Linf => vec![Slot::IN, Slot::IN_OUT],
            BallNorm::L2 => vec![Slot::IN, Slot::IN_OUT, Slot::IN],
        }
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            c: self.c,
            columns: self.grid()[0],
            items: flat::items(self.x),
            wrap: self.c.pixels() as u32,
            radius: self.radius,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.x.elements() as u64,
            bytes: 2 * self.x.bytes() + self.c.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (c, x) = (bindings.input(), bindings.output());
        let moments: &[T] = match self.norm {
            BallNorm::Linf => &[],
            BallNorm::L2 => bindings.input(),
        };
        let (wrap, each) = (self.c.pixels(), (self.x.h * self.x.w) as usize);
        let quads = 0..self.x.quads as usize;
        let radius = T::from_f32(self.radius);
        flat::for_each_pixel(self.x, x, |pixel, x| {
            let c = &c[flat::place(self.c, pixel % wrap, quads.clone())];
            let shrink = match self.norm {
                BallNorm::Linf => None,
                BallNorm::L2 => {
                    let norm = moments[pixel / each * 4 + 2].sqrt();
                    (norm > radius).then(|| radius / norm)
                }
            };
            for (x, &c) in x.iter_mut().zip(c) {
                let moved = match (self.norm, shrink) {
                    (BallNorm::Linf, _) => x.max(c - radius).min(c + radius),
                    (BallNorm::L2, Some(shrink)) => c + (*x - c) * shrink,
                    (BallNorm::L2, None) => *x,
                };
                *x = moved.max(T::ZERO).min(T::ONE);
            }
        });
    }
}
