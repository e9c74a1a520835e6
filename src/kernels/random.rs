//! Random numbers without a state, the same on every device (`wgsl/shared/random.wgsl`), and white noise of them.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/random.wgsl`.
pub const SOURCE: Source = Source {
    name: "random",
    text: include_str!("../../wgsl/random.wgsl"),
    variants: &[&[]],
};

/// Four words that are a function of a run's seed, the iteration, the image of the batch and what is drawn: pcg4d of
/// Jarzynski and Olano 2020, "Hash Functions for GPU Rendering" (JCGT 9(3)), section 4.2.
#[must_use]
pub fn random(seed: u32, step: u32, image: u32, index: u32) -> [u32; 4] {
    let linear = |v: u32| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let v = stir([seed, step, image, index].map(linear));
    stir(v.map(|v| v ^ (v >> 16)))
}

fn stir([mut x, mut y, mut z, mut w]: [u32; 4]) -> [u32; 4] {
    x = x.wrapping_add(y.wrapping_mul(w));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, z, w]
}

/// A multiple of 2⁻²⁴ in [0, 1).
#[must_use]
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 / 16_777_216.0
}

/// An integer in [0, count). Their probabilities differ by a fraction of count/2³² at most.
#[must_use]
pub fn uniform_below(word: u32, count: u32) -> u32 {
    word % count
}

/// White noise: y uniform in \[`low`, `high`), drawn from the seed and the step, each image its own.
///
/// Bindings: `step`, one word; `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uniform {
    /// What is written.
    pub y: View,
    /// The run's seed.
    pub seed: u32,
    /// Least value.
    pub low: f32,
    /// Least upper bound.
    pub high: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    y: View,
    columns: u32,
    items: u32,
    each: u32,
    seed: u32,
    low: f32,
    span: f32,
}

impl Kernel for Uniform {
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
            items: flat::items(self.y),
            each: flat::items_of_one(self.y),
            seed: self.seed,
            low: self.low,
            span: self.high - self.low,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.y.elements() as u64,
            bytes: self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, y) = (b.words(), b.output());
        let (low, span) = (T::from_f32(self.low), T::from_f32(self.high - self.low));
        let (quads, c) = (self.y.quads as usize, self.y.c as usize);
        let each = flat::items_of_one(self.y) as usize / quads;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (image, pixel) = ((pixel / each) as u32, pixel % each);
            for (quad, y) in y.chunks_exact_mut(4).enumerate() {
                let words = random(self.seed, step[0], image, (pixel * quads + quad) as u32);
                for (i, (y, word)) in y.iter_mut().zip(words).enumerate() {
                    let value = low + span * T::from_f32(uniform(word));
                    *y = if quad * 4 + i < c { value } else { T::ZERO };
                }
            }
        });
    }
}
