//! Random vectors of length 1.

use std::f64::consts::FRAC_PI_2;

use rayon::prelude::*;

use super::random::{random, uniform};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/unit_vectors.wgsl`.
pub const SOURCE: Source = Source {
    name: "unit_vectors",
    text: include_str!("../../wgsl/unit_vectors.wgsl"),
    variants: &[&[]],
};

/// Random vectors of length 1, all directions alike, drawn from the seed, the step and the slot, each image its own.
///
/// Bindings: `step`, one word; `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitVectors {
    /// What is written, whole: [images, 1, vectors, channels], at most 2²⁰ vec4s for an image.
    pub y: View,
    /// The run's seed.
    pub seed: u32,
    /// What keeps the draws of one user from those of another.
    pub slot: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    y: View,
    columns: u32,
    seed: u32,
    slot: u32,
}

/// Two independent normals of two words.
fn normals(radius: u32, angle: u32) -> [f64; 2] {
    let radius = f64::from(uniform(radius)) + 0.5f64.powi(25);
    let r = (-2.0 * radius.ln()).sqrt();
    let angle = FRAC_PI_2 * (4.0 * f64::from(uniform(angle)) - 0.5);
    [r * angle.cos(), r * angle.sin()]
}

impl Kernel for UnitVectors {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            y: self.y,
            columns: self.grid()[0],
            seed: self.seed,
            slot: self.slot,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.y.n.saturating_mul(self.y.w))
    }
    fn work(&self) -> Work {
        Work {
            flop: 40 * self.y.elements() as u64,
            bytes: self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, y) = (b.words()[0], b.output());
        let (channels, vectors) = (self.y.c as usize, self.y.w);
        y[..self.y.len()]
            .par_chunks_exact_mut(self.y.padded())
            .enumerate()
            .run(|(at, y)| {
                let (image, vector) = (at as u32 / vectors, at as u32 % vectors);
                let mut v = Vec::with_capacity(y.len());
                for quad in 0..self.y.quads {
                    let index = (self.slot << 20).wrapping_add(vector * self.y.quads + quad);
                    let [a, b, c, d] = random(self.seed, step, image, index);
                    v.extend([normals(a, b), normals(c, d)].concat());
                }
                v[channels..].fill(0.0);
                let square: f64 = v.iter().map(|v| v * v).sum();
                let length = square.max(1e-30).sqrt();
                for (y, v) in y.iter_mut().zip(v) {
                    *y = T::of(v / length);
                }
            });
    }
}
