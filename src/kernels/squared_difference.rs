//! Squared difference of two tensors and its gradient: the content loss, and the distance of Gram matrices.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Tasks, Work};

/// `wgsl/squared_difference.wgsl`.
pub const SOURCE: Source = Source {
    name: "squared_difference",
    text: include_str!("../../wgsl/squared_difference.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Σ (a − b)² of every image in [`SquaredDifference::parts`] parts, which [`super::Sum`] adds up.
///
/// Bindings: `a`, `b`, `partials` ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredDifference {
    /// One tensor.
    pub a: View,
    /// The other, of the same shape; or one image, with which each image of `a` is compared.
    pub b: View,
}

/// The gradient of [`SquaredDifference`] with respect to `a`, up to a factor: `da (+)= alpha·(a − b)`; the gradient
/// of Σ (a − b)² itself has alpha = 2.
///
/// Bindings: `a`, `b`, `da`.
#[derive(Debug, Clone, PartialEq)]
pub struct SquaredDifferenceBackward {
    /// One tensor.
    pub a: View,
    /// The other, or one image as in [`SquaredDifference`].
    pub b: View,
    /// The gradient, of the shape of `a`.
    pub da: View,
    /// Factor on the difference.
    pub alpha: Scalar,
    /// Adds to `da`.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    a: View,
    b: View,
    da: View,
    columns: u32,
    items: u32,
    parts: u32,
    wrap: u32,
    alpha: f32,
}

impl SquaredDifference {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.a)
    }
}

impl Kernel for SquaredDifference {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            a: self.a,
            b: self.b,
            da: self.a,
            columns: self.grid()[0],
            items: flat::items_of_one(self.a),
            parts: self.parts(),
            wrap: self.b.pixels() as u32,
            alpha: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.a))
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.a.elements() as u64,
            bytes: self.a.bytes() + self.b.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, partials) = (bindings.input(), bindings.input(), bindings.output());
        let wrap = self.b.pixels();
        partials[..flat::groups(self.a) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let mut sums = [0.0; 4];
                for (pixel, quads) in flat::pixels(self.a, flat::share(self.a, group)) {
                    let a = &a[flat::place(self.a, pixel, quads.clone())];
                    let b = &b[flat::place(self.b, pixel % wrap, quads)];
                    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
                        for i in 0..4 {
                            let d = (a[i] - b[i]).wide();
                            sums[i] += d * d;
                        }
                    }
                }
                *partial = T::of(sums.iter().sum());
            });
    }
}

impl Kernel for SquaredDifferenceBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            a: self.a,
            b: self.b,
            da: self.da,
            columns: self.grid()[0],
            items: flat::items(self.a),
            parts: 1,
            wrap: self.b.pixels() as u32,
            alpha: self.alpha.get(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.a))
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.a.elements() as u64,
            bytes: self.a.bytes() + self.b.bytes() + self.da.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, da) = (bindings.input(), bindings.input(), bindings.output());
        let (alpha, wrap) = (T::from_f32(self.alpha.get()), self.b.pixels());
        let quads = 0..self.a.quads as usize;
        flat::for_each_pixel(self.da, da, |pixel, da| {
            let a = &a[flat::place(self.a, pixel, quads.clone())];
            let b = &b[flat::place(self.b, pixel % wrap, quads.clone())];
            for ((da, &a), &b) in da.iter_mut().zip(a).zip(b) {
                let value = alpha * (a - b);
                *da = if self.accumulate { *da + value } else { value };
            }
        });
    }
}
