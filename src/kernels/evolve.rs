//! One generation of MAP-Elites with the direct encoding: Nguyen, Yosinski and Clune 2015, "Deep Neural Networks Are
//! Easily Fooled", section 2.3. The best image for each niche, its *elite*, is kept in 8 bits, as a file holds it.

use rayon::prelude::*;

use super::random::{random, uniform, uniform_below};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/evolve.wgsl`.
pub const SOURCE: Source = Source {
    name: "evolve",
    text: include_str!("../../wgsl/evolve.wgsl"),
    variants: &[&["BREED"], &["JUDGE"], &[]],
};

/// A generation's images, unrounded, in `[0,1]`. In generation 0 they are uniform noise of 8 bits; later each is a
/// randomly drawn elite, crossed with another by simulated binary crossover (SBX; Deb and Agrawal 1995) and then
/// changed by polynomial mutation (Deb and Goyal 1996), both clamped. `wgsl/evolve.wgsl` has the formulas.
///
/// Bindings: `step`, one word, the generation; `elites` (words, [niches, h·w], a byte for each channel, red lowest);
/// `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breed {
    /// What is written: one quad for each pixel.
    pub x: View,
    /// Elites.
    pub niches: u32,
    /// The run's seed.
    pub seed: u32,
    /// Probability that a gene (a channel of a pixel) is mutated, in the first generations.
    pub mutation_rate: f32,
    /// Generations after which it is half of that, and so on; at least 1.
    pub halving: u32,
    /// η of the mutation: the larger, the smaller the changes.
    pub mutation_eta: f32,
    /// Probability that an image has two parents; half of its genes are then crossed.
    pub crossover_rate: f32,
    /// η of the crossover.
    pub crossover_eta: f32,
}

/// The best score for each niche, and which image of the batch gave it. A NaN never wins, and of equals the first
/// image; what was there before yields to a larger score only. In generation 0 nothing was.
///
/// Bindings: `scores`; `step`, one word, the generation; `best` (reals, \[niches\]); `winner` (words, \[niches\]: an
/// image's number, n where none of them wins).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judge {
    /// n images, a channel for each niche, one position.
    pub scores: View,
}

/// The winners take the places of the elites, rounded to 8 bits.
///
/// Bindings: `x`, values in `[0,1]`; `winner` (words, \[niches\]); `elites` (words, [niches, h·w]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replace {
    /// The generation's images: one quad for each pixel.
    pub x: View,
    /// Elites.
    pub niches: u32,
}

/// The parameters of [`Breed`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct BreedParams {
    x: View,
    columns: u32,
    items: u32,
    each: u32,
    niches: u32,
    seed: u32,
    mutated: u32,
    crossed: u32,
    halving: u32,
    mutation: f32,
    crossing: f32,
}

/// The parameters of [`Replace`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct ReplaceParams {
    x: View,
    columns: u32,
    items: u32,
    each: u32,
}

/// The number that a random word is below with probability `share`.
fn below(share: f32) -> u32 {
    // Saturates: a share of 1 leaves out one word of 2³².
    (f64::from(share) * 4_294_967_296.0) as u32
}

/// The bytes of an elite's word.
fn genes<T: Real>(word: u32) -> [T; 3] {
    [0, 8, 16].map(|shift| T::from_usize((word >> shift & 255) as usize) / T::of(255.0))
}

impl Breed {
    /// β of SBX.
    fn spread<T: Real>(&self, word: u32) -> T {
        let (u, power) = (uniform(word), T::from_f32(1.0 / (self.crossover_eta + 1.0)));
        if u < 0.5 {
            T::from_f32(2.0 * u).powf(power)
        } else {
            T::ONE / T::from_f32(2.0 * (1.0 - u)).powf(power)
        }
    }

    /// δ of polynomial mutation.
    fn change<T: Real>(&self, word: u32) -> T {
        let (u, power) = (uniform(word), T::from_f32(1.0 / (self.mutation_eta + 1.0)));
        if u < 0.5 {
            T::from_f32(2.0 * u).powf(power) - T::ONE
        } else {
            T::ONE - T::from_f32(2.0 * (1.0 - u)).powf(power)
        }
    }
}

impl Kernel for Breed {
    type Params = BreedParams;

    fn shader(&self) -> Shader {
        SOURCE.with(&["BREED"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> BreedParams {
        BreedParams {
            x: self.x,
            columns: self.grid()[0],
            items: flat::items(self.x),
            each: flat::items_of_one(self.x),
            niches: self.niches,
            seed: self.seed,
            mutated: below(self.mutation_rate),
            crossed: below(self.crossover_rate),
            halving: self.halving.max(1),
            mutation: 1.0 / (self.mutation_eta + 1.0),
            crossing: 1.0 / (self.crossover_eta + 1.0),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 60 * self.x.elements() as u64,
            bytes: self.x.bytes() + 8 * self.x.pixels() as u64,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (step, elites, x) = (b.words(), b.words(), b.output());
        let t = step[0];
        let each = flat::items_of_one(self.x);
        let rate = below(self.mutation_rate) >> (t / self.halving.max(1)).min(31);
        let clamped = |v: T| v.max(T::ZERO).min(T::ONE);
        flat::for_each_pixel(self.x, x, |place, x| {
            let (image, pixel) = (place as u32 / each, place as u32 % each);
            let draw = |index| random(self.seed, t, image, index);
            let choices = draw(3 * pixel);
            let parents = draw(3 * each);
            let elite = |word| {
                // The lowest bits of a draw's words are not independent of each other.
                let elite = uniform_below(word >> 8, self.niches);
                genes::<T>(elites[(elite * each + pixel) as usize])
            };
            let mut gene = if t == 0 {
                genes(choices[0] >> 24 | choices[1] >> 24 << 8 | choices[2] >> 24 << 16)
            } else {
                elite(parents[0])
            };
            if t > 0 && parents[2] < below(self.crossover_rate) {
                let (other, words) = (elite(parents[1]), draw(3 * pixel + 1));
                for (i, gene) in gene.iter_mut().enumerate() {
                    let (near, far) = match choices[3] >> (24 + 2 * i) & 3 {
                        0 => (*gene, other[i]),
                        1 => (other[i], *gene),
                        _ => continue,
                    };
                    let beta: T = self.spread(words[i]);
                    let both = (T::ONE + beta) * near + (T::ONE - beta) * far;
                    *gene = clamped(T::of(0.5) * both);
                }
            }
            if t > 0 {
                let words = draw(3 * pixel + 2);
                for (i, gene) in gene.iter_mut().enumerate() {
                    if choices[i] < rate {
                        *gene = clamped(*gene + self.change(words[i]));
                    }
                }
            }
            let channels = (self.x.c as usize).min(3);
            x[..channels].copy_from_slice(&gene[..channels]);
            x[channels..].fill(T::ZERO);
        });
    }
}

impl Judge {
    /// −2¹²⁷: what must be exceeded in iteration 0.
    pub const LOWEST: f32 = -f32::from_bits(254 << 23);
}

impl Kernel for Judge {
    type Params = View;

    fn shader(&self) -> Shader {
        SOURCE.with(&["JUDGE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::IN_OUT, Slot::WORDS_OUT]
    }
    fn params(&self) -> View {
        self.scores
    }
    fn grid(&self) -> [u32; 3] {
        [self.scores.c.div_ceil(flat::LANES), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: self.scores.elements() as u64,
            bytes: self.scores.bytes() + 12 * u64::from(self.scores.c),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (scores, step) = (b.input(), b.words());
        let (best, winner) = (b.output(), b.words_mut());
        for niche in 0..self.scores.c as usize {
            if step[0] == 0 {
                best[niche] = T::from_f32(Self::LOWEST);
            }
            winner[niche] = self.scores.n;
            for i in 0..self.scores.n {
                let score = scores[self.scores.at(i as usize, 0, 0) + niche];
                if score > best[niche] {
                    (best[niche], winner[niche]) = (score, i);
                }
            }
        }
    }
}

impl Kernel for Replace {
    type Params = ReplaceParams;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::WORDS_IN_OUT]
    }
    fn params(&self) -> ReplaceParams {
        let each = flat::items_of_one(self.x);
        ReplaceParams {
            x: self.x,
            columns: self.grid()[0],
            items: self.niches.saturating_mul(each),
            each,
        }
    }
    fn grid(&self) -> [u32; 3] {
        let each = flat::items_of_one(self.x);
        flat::item_grid(self.niches.saturating_mul(each))
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 8 * u64::from(self.niches) * u64::from(flat::items_of_one(self.x)),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, winner, elites) = (b.input(), b.words(), b.words_mut());
        let each = flat::items_of_one(self.x) as usize;
        elites[..self.niches as usize * each]
            .par_chunks_mut(each)
            .zip(winner)
            .filter(|(_, image)| **image < self.x.n)
            .run(|(elite, image)| {
                for (pixel, word) in elite.iter_mut().enumerate() {
                    let place = *image as usize * each + pixel;
                    let value = &x[flat::place(self.x, place, 0..1)];
                    *word = (0..3).fold(0, |word, i| {
                        let level = value[i].max(T::ZERO).min(T::ONE) * T::of(255.0) + T::of(0.5);
                        word | (level.wide() as u32) << (8 * i)
                    });
                }
            });
    }
}
