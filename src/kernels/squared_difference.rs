//! Squared difference of two tensors and its gradient: the content loss, and the distance of Gram matrices.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/squared_difference.wgsl`.
pub const SOURCE: Source = Source {
    name: "squared_difference",
    text: include_str!("../../wgsl/squared_difference.wgsl"),
    variants: &[
        &[],
        &["BACKWARD"],
        &["BACKWARD", "ACCUMULATE"],
        &["WEIGHTED"],
        &["WEIGHTED", "BACKWARD"],
        &["WEIGHTED", "BACKWARD", "ACCUMULATE"],
    ],
};

/// Σ (a − b)² of every image in [`SquaredDifference::parts`] parts, which [`super::Sum`] adds up.
///
/// Bindings: `a`, `b`, `partials` ([n, parts]); if weighted also `weights` (reals, one for each image of b).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredDifference {
    /// One tensor.
    pub a: View,
    /// The other, of the same shape; or one image, with which each image of `a` is compared.
    pub b: View,
    /// Whether each image of `b` has a weight, which multiplies the sum.
    pub weighted: bool,
}

/// The gradient of [`SquaredDifference`] with respect to `a`, up to a factor: `da (+)= alpha·(a − b)`; the gradient
/// of Σ (a − b)² itself has alpha = 2.
///
/// Bindings: `a`, `b`, `da`; if weighted also `weights`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredDifferenceBackward {
    /// One tensor.
    pub a: View,
    /// The other, or one image as in [`SquaredDifference`].
    pub b: View,
    /// Whether each image of `b` has a weight, which multiplies the gradient.
    pub weighted: bool,
    /// The gradient, of the shape of `a`.
    pub da: View,
    /// Factor on the difference.
    pub alpha: f32,
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
    pixels: u32,
}

/// The definitions that are asked for.
fn definitions(weighted: bool, backward: &[&'static str]) -> Vec<&'static str> {
    let weighted = weighted.then_some("WEIGHTED");
    weighted
        .into_iter()
        .chain(backward.iter().copied())
        .collect()
}

/// The bindings, the last of them only where there are weights.
fn slots(weighted: bool, result: Slot) -> Vec<Slot> {
    let weights = weighted.then_some(Slot::In);
    [Slot::In, Slot::In, result]
        .into_iter()
        .chain(weights)
        .collect()
}

/// The weight of an image of a.
fn weight<T: Real>(weights: Option<&[T]>, image: usize) -> T {
    weights.map_or(T::ONE, |weights| weights[image % weights.len()])
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
        SOURCE.with(&definitions(self.weighted, &[]))
    }
    fn bindings(&self) -> Vec<Slot> {
        slots(self.weighted, Slot::Out)
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
            pixels: self.a.h * self.a.w,
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
    fn twin<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, partials) = (bindings.input(), bindings.input(), bindings.output());
        let weights = self
            .weighted
            .then(|| &bindings.input()[..self.b.n as usize]);
        let (wrap, parts) = (self.b.pixels(), self.parts() as usize);
        partials[..flat::groups(self.a) as usize]
            .par_iter_mut()
            .enumerate()
            .for_each(|(group, partial)| {
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
                let sum: f64 = sums.iter().sum();
                *partial = T::of(weight(weights, group / parts).wide() * sum);
            });
    }
}

impl Kernel for SquaredDifferenceBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let backward: &[_] = if self.accumulate {
            &["BACKWARD", "ACCUMULATE"]
        } else {
            &["BACKWARD"]
        };
        SOURCE.with(&definitions(self.weighted, backward))
    }
    fn bindings(&self) -> Vec<Slot> {
        slots(self.weighted, flat::result(self.accumulate))
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
            alpha: self.alpha,
            pixels: self.a.h * self.a.w,
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
    fn twin<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, da) = (bindings.input(), bindings.input(), bindings.output());
        let weights = self
            .weighted
            .then(|| &bindings.input()[..self.b.n as usize]);
        let (alpha, wrap) = (T::from_f32(self.alpha), self.b.pixels());
        let each = self.a.h as usize * self.a.w as usize;
        let quads = 0..self.a.quads as usize;
        flat::for_each_pixel(self.da, da, |pixel, da| {
            let a = &a[flat::place(self.a, pixel, quads.clone())];
            let b = &b[flat::place(self.b, pixel % wrap, quads.clone())];
            let alpha = alpha * weight(weights, pixel / each);
            for ((da, &a), &b) in da.iter_mut().zip(a).zip(b) {
                let value = alpha * (a - b);
                *da = if self.accumulate { *da + value } else { value };
            }
        });
    }
}
