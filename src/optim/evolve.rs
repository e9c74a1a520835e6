//! MAP-Elites with the direct encoding (Nguyen, Yosinski and Clune 2015, section 2.3; Mouret and Clune 2015). It needs
//! no gradient: a generation is a batch of images bred from the best image for each *niche* and judged by a layer's
//! activations.

use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{Breed, Judge, Replace, Round, Tensor, View};

/// The operators of the paper's direct encoding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evolve {
    /// Seed of everything random.
    pub seed: u32,
    /// Probability that a gene (a channel of a pixel) is mutated, in the first generations.
    pub mutation_rate: f32,
    /// Generations after which it is half of that, and so on.
    pub halving: u32,
    /// η of polynomial mutation.
    pub mutation_eta: f32,
    /// Probability that an image has two parents.
    pub crossover_rate: f32,
    /// η of simulated binary crossover.
    pub crossover_eta: f32,
}

impl Default for Evolve {
    /// A tenth of the genes, halved every 1000 generations, η = 15; two parents for every other image, η = 10.
    fn default() -> Self {
        Self {
            seed: 0,
            mutation_rate: 0.1,
            halving: 1000,
            mutation_eta: 15.0,
            crossover_rate: 0.5,
            crossover_eta: 10.0,
        }
    }
}

/// The best image for each niche. All of it stays on the device.
#[derive(Debug, Clone, Copy)]
pub struct Elites {
    /// Words, [niches, h·w]: a byte for each channel, red lowest.
    pub images: ValueId,
    /// Their scores, reals, \[niches\].
    pub best: ValueId,
    /// How many.
    pub niches: u32,
}

impl Elites {
    /// Room for the elites of `niches`, in the size of `view`.
    pub fn new(recording: &mut Recording, niches: u32, view: View) -> Self {
        let words = niches as usize * view.h as usize * view.w as usize;
        Self {
            images: recording.persistent("elites", Kind::Word, words),
            best: recording.persistent("best scores", Kind::Real, niches as usize),
            niches,
        }
    }

    /// Records the breeding of a batch, rounded to 8 bits. `step` is one word, the generation: in generation 0 the
    /// images are noise, whatever the elites are.
    pub fn breed(
        self,
        recording: &mut Recording,
        evolve: Evolve,
        view: View,
        step: ValueId,
    ) -> Tensor {
        let offspring = Tensor::transient(recording, "offspring", view);
        let breed = Breed {
            x: view,
            niches: self.niches,
            seed: evolve.seed,
            mutation_rate: evolve.mutation_rate,
            halving: evolve.halving,
            mutation_eta: evolve.mutation_eta,
            crossover_rate: evolve.crossover_rate,
            crossover_eta: evolve.crossover_eta,
        };
        recording.call("breed", breed, &[step, self.images, offspring.value]);
        let image = Tensor::transient(recording, "image", view);
        let round = Round {
            len: view.len() as u32,
            steps: 255.0,
        };
        recording.call("round", round, &[offspring.value, image.value]);
        image
    }

    /// Records the replacement of every elite that an image of the batch outdoes. `scores` are of the batch `image`, a
    /// channel for each niche at one position.
    pub fn challenge(
        self,
        recording: &mut Recording,
        image: Tensor,
        scores: Tensor,
        step: ValueId,
    ) {
        let winner = recording.transient("winners", Kind::Word, self.niches as usize);
        let judge = Judge {
            scores: scores.view,
        };
        let values = [scores.value, step, self.best, winner];
        recording.call("judge", judge, &values);
        let replace = Replace {
            x: image.view,
            niches: self.niches,
        };
        recording.call("replace", replace, &[image.value, winner, self.images]);
    }
}
