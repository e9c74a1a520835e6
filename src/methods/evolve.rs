//! Fooling images by evolution: MAP-Elites with the direct encoding (Nguyen, Yosinski and Clune 2015, "Deep Neural
//! Networks Are Easily Fooled", section 2.3). Each class is a *niche* that keeps the image of which the network is
//! surest.
//!
//! A generation is an iteration of a plan like any other: a batch is bred from the elites, seen by the network, judged,
//! and the winners replace elites. Images never leave the device; only the best scores are read back, as losses are.

use std::ops::ControlFlow;

use super::MethodError;
use super::classify::class_layers;
use super::options::USUAL_SIDE;
use crate::Error;
use crate::compile::ScaleReport;
use crate::compile::recipe::with_largest;
use crate::compile::stages::word;
use crate::device::{Kind, Recording};
use crate::image::Image;
use crate::kernels::{Record, View};
use crate::optim::{Elites, Evolve};
use crate::plan::{Forward, Iteration, Network, RING_ROWS};
use crate::run::{Outcome, Progress};
use crate::schedule::Executor;
use crate::value::Rule;

/// An evolution of images, one for each class of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Evolution {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Images of a generation.
    pub population: u32,
    /// Generations, the first of noise included.
    pub generations: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Mutation and crossover; its own seed is not used.
    pub operators: Evolve,
}

impl Evolution {
    /// Square images, with the paper's numbers: 200 images in a generation.
    #[must_use]
    pub fn new(side: u32) -> Self {
        Self {
            width: side,
            height: side,
            population: 200,
            generations: 1000,
            seed: 0,
            operators: Evolve::default(),
        }
    }

    /// Images of a side; where it is absent, of the size that the network needs, else of the usual one.
    #[must_use]
    pub fn of_network(network: &Network, side: Option<u32>) -> Self {
        let mut evolution = Self::new(side.unwrap_or(USUAL_SIDE));
        let graph = network.graph();
        let required = graph
            .logits()
            .map(|logits| graph.graph().required_size(logits));
        if let (None, Ok(Some([height, width]))) = (side, required) {
            (evolution.width, evolution.height) = (width, height);
        }
        evolution
    }

    fn check(&self) -> Result<(), MethodError> {
        let Evolve {
            mutation_rate,
            halving,
            mutation_eta,
            crossover_rate,
            crossover_eta,
            ..
        } = self.operators;
        if self.width == 0 || self.height == 0 {
            return Err(MethodError::NoPixel);
        }
        if self.population == 0 || self.generations == 0 {
            return Err(MethodError::NoGeneration);
        }
        let share = Rule::FromTo(0.0, 1.0);
        share
            .check("mutation_rate", mutation_rate)
            .and_then(|()| share.check("crossover_rate", crossover_rate))
            .and_then(|()| Rule::NOT_NEGATIVE.check("mutation_eta", mutation_eta))
            .and_then(|()| Rule::NOT_NEGATIVE.check("crossover_eta", crossover_eta))
            .and_then(|()| Rule::AtLeast(1.0).check("halving", halving))
            .map_err(MethodError::Evolution)
    }

    /// One generation in another size.
    fn planned(&self, network: &Network, size: (u32, u32)) -> Result<(Iteration, Elites), Error> {
        let graph = network.graph();
        let [_, node] = class_layers(graph, size)?;
        let niches = graph.node(node).channels;
        let view = View::new(self.population, size.1, size.0, 3);
        let mut recording = Recording::new();
        let step = recording.persistent("step", Kind::Word, 1);
        let row = niches as usize;
        let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize * row);
        let elites = Elites::new(&mut recording, niches, view);
        let operators = Evolve {
            seed: word(self.seed, 0),
            ..self.operators
        };
        let image = elites.breed(&mut recording, operators, view, step);
        let forward = Forward::record(&mut recording, network, image, &[node], &[], |_, _, _| ())?;
        elites.challenge(&mut recording, image, forward.tensor(node), step);
        let record = Record {
            slots: niches,
            rows: RING_ROWS,
        };
        recording.call("record", record, &[elites.best, ring, step]);
        let iteration = Iteration::recorded(recording, image, step, ring, row);
        Ok((iteration, elites))
    }

    /// One generation that fits the device, and what it takes.
    fn fitting(&self, network: &Network) -> Result<(Iteration, Elites, ScaleReport), Error> {
        self.check()?;
        let fitting = |size| -> Result<(Iteration, Elites), Error> {
            let (iteration, elites) = self.planned(network, size)?;
            let bytes = iteration.program.cost().total_bytes();
            iteration.program.check_fits(network.device(), bytes)?;
            Ok((iteration, elites))
        };
        let size = (self.width, self.height);
        let (iteration, elites) =
            fitting(size).map_err(|error| with_largest(error, size, |s| fitting(s).is_ok()))?;
        let report = ScaleReport {
            width: self.width,
            height: self.height,
            iterations: self.generations,
            bands: 1,
            peak_bytes: iteration.peak_bytes(0),
            cost: iteration.program.cost(),
        };
        Ok((iteration, elites, report))
    }

    /// What it would take, without allocating or running anything on the device.
    ///
    /// # Errors
    /// As [`Evolution::compile`].
    pub fn dry_run(&self, network: &Network) -> Result<ScaleReport, Error> {
        Ok(self.fitting(network)?.2)
    }

    /// Makes it ready to run.
    ///
    /// # Errors
    /// [`Error::Net`] for a network without a classifier or images too small for it, [`Error::Method`] for numbers that
    /// no evolution has, [`Error::TooLarge`] where batch or elites do not fit the device.
    pub fn compile(&self, network: &Network) -> Result<Evolving, Error> {
        let (iteration, elites, report) = self.fitting(network)?;
        Ok(Evolving {
            executor: Executor::new(network.device(), iteration)?,
            elites,
            report,
            best: Vec::new(),
        })
    }
}

/// An evolution under way. Made by [`Evolution::compile`].
#[derive(Debug)]
pub struct Evolving {
    executor: Executor,
    elites: Elites,
    report: ScaleReport,
    best: Vec<f32>,
}

impl Evolving {
    /// Size, generations, memory and work.
    #[must_use]
    pub fn report(&self) -> &ScaleReport {
        &self.report
    }

    /// Completed generations.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.executor.done()
    }

    /// The highest probability of each class so far.
    #[must_use]
    pub fn best(&self) -> &[f32] {
        &self.best
    }

    /// Runs to the last generation; `watch` sees each, with the highest probability of each class so far, and may stop
    /// the run. The loss that it is told is −log of the median of these.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run(
        &mut self,
        watch: &mut dyn FnMut(&Progress, &[f32]) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        let (report, best) = (self.report, &mut self.best);
        let left = report.iterations.saturating_sub(self.executor.done());
        let flow = self.executor.run(left, &mut |step| {
            best.clone_from(&step.losses);
            let left = report.iterations.saturating_sub(step.iteration + 1);
            let progress = Progress {
                scale: (report.width, report.height),
                iteration: step.iteration,
                iterations: report.iterations,
                loss: -median(best).ln(),
                terms: Vec::new(),
                images: Vec::new(),
                elapsed: step.elapsed,
                remaining: Some(step.elapsed.mul_f64(left as f64)),
            };
            watch(&progress, best)
        })?;
        Ok(match flow {
            ControlFlow::Break(()) => Outcome::Stopped,
            ControlFlow::Continue(()) => Outcome::Finished,
        })
    }

    /// The best images of classes, as an 8-bit file holds them.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed, [`MethodError::NoSuchClass`] for a class that there is not.
    pub fn images(&self, classes: &[usize]) -> Result<Vec<Image>, Error> {
        let buffer = self.executor.buffer(self.elites.images);
        let words = self.executor.device().download_words(buffer)?;
        let (width, height) = (self.report.width, self.report.height);
        let each = width as usize * height as usize;
        let image = |class: &usize| {
            let elite = words.chunks_exact(each).nth(*class).ok_or({
                MethodError::NoSuchClass {
                    class: *class,
                    classes: self.elites.niches,
                }
            })?;
            let bytes = |word: &u32| word.to_le_bytes().into_iter().take(3);
            let bytes: Vec<u8> = elite.iter().flat_map(bytes).collect();
            Ok(Image::from_rgb8(width, height, &bytes)?)
        };
        classes.iter().map(image).collect()
    }
}

/// The classes with the highest probabilities, at most `most` of them, highest first.
#[must_use]
pub fn surest(best: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..best.len()).collect();
    order.sort_by(|a, b| best[*b].total_cmp(&best[*a]));
    order.truncate(most);
    order
}

/// The median; of an even number of values the mean of the middle two.
#[must_use]
pub fn median(values: &[f32]) -> f32 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or(f32::NAN);
    let half = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        at(half.wrapping_sub(1)).midpoint(at(half))
    } else {
        at(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 8.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn numbers_that_no_evolution_has_are_refused() {
        let refused = |change: fn(&mut Evolution)| {
            let mut evolution = Evolution::new(32);
            change(&mut evolution);
            evolution.check().expect_err("refused").to_string()
        };
        assert!(Evolution::new(32).check().is_ok());
        assert!(refused(|e| e.width = 0).contains("pixel"));
        assert!(refused(|e| e.population = 0).contains("at least one"));
        assert!(refused(|e| e.generations = 0).contains("at least one"));
        assert!(refused(|e| e.operators.mutation_rate = 1.5).contains("from 0 to 1"));
        assert!(refused(|e| e.operators.crossover_rate = f32::NAN).contains("from 0 to 1"));
        assert!(refused(|e| e.operators.mutation_eta = -1.0).contains("0 or more"));
        assert!(refused(|e| e.operators.halving = 0).contains("at least 1"));
    }
}
