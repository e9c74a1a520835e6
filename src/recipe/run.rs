//! A compiled recipe: its scales one after the other, each a plan with its memory.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::start::{Pictures, scales, start};
use super::targets::{Targets, packed, resized};
use super::terms::{Layers, place};
use super::{GradientReport, OptimizerKind, Recipe};
use crate::Error;
use crate::device::{Buffer, Device, Kind, Recording, ValueId};
use crate::image::Image;
use crate::kernels::{Clamp, ResizeFilter, Tensor, View, record_resize, unpack};
use crate::optim::{Adam, Average};
use crate::plan::{Cost, Network, Placed, Plan, Problem, RING_ROWS};
use crate::schedule::Executor;

/// What a scale is and costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScaleReport {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Iterations of the optimizer.
    pub iterations: u64,
    /// Memory and work of its plan.
    #[serde(flatten)]
    pub cost: Cost,
}

/// One completed iteration.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Width and height in pixels of the scale at work.
    pub scale: (u32, u32),
    /// Number of the iteration over all scales, from 0.
    pub iteration: u64,
    /// Iterations of all scales together.
    pub iterations: u64,
    /// The objective at the image before this iteration's step.
    pub loss: f32,
    /// The weighted value of every term of the recipe.
    pub terms: Vec<f32>,
    /// Time the iteration took.
    pub elapsed: Duration,
    /// Estimated time until the last iteration is done.
    pub remaining: Duration,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All iterations are done.
    Finished,
    /// The number of iterations asked for is done, more remain.
    Paused,
    /// The progress callback stopped it.
    Stopped,
}

/// A recipe compiled for a device and a network. Made by [`Recipe::compile`].
#[derive(Debug)]
pub struct Run {
    recipe: Recipe,
    network: Network,
    pictures: Pictures,
    layers: Vec<Layers>,
    reports: Vec<ScaleReport>,
    scale: usize,
    executor: Executor,
    /// Time in which how much work was done, for the estimate.
    spent: (Duration, f64),
}

impl Recipe {
    /// Reads the pictures, resolves layers and sizes, and makes the first scale ready to run.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe, its pictures or its layers; [`Error::TooLarge`] when the largest scale
    /// does not fit the device, with the largest size that would.
    pub fn compile(&self, device: &Device, network: &Network) -> Result<Run, Error> {
        let prepared = Prepared::new(self, network)?;
        let reports = prepared.reports()?;
        prepared.check_fits(device)?;
        let first = reports[0];
        let executor = prepared.executor((first.width, first.height))?;
        let image = start(self, &prepared.pictures, (first.width, first.height))?;
        device.upload(
            executor.buffer(executor.plan().image.value),
            &packed(&image).1,
        )?;
        let Prepared {
            recipe,
            network,
            pictures,
            layers,
            ..
        } = prepared;
        Ok(Run {
            recipe,
            network,
            pictures,
            layers,
            reports,
            scale: 0,
            executor,
            spent: (Duration::ZERO, 0.0),
        })
    }

    /// What every scale would be and cost, without allocating or running anything on the device.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn dry_run(&self, device: &Device, network: &Network) -> Result<Vec<ScaleReport>, Error> {
        let prepared = Prepared::new(self, network)?;
        let reports = prepared.reports()?;
        prepared.check_fits(device)?;
        Ok(reports)
    }
}

/// A recipe with everything resolved that needs no device memory.
struct Prepared {
    recipe: Recipe,
    network: Network,
    pictures: Pictures,
    layers: Vec<Layers>,
    scales: Vec<(u32, u32)>,
}

impl Prepared {
    fn new(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        if recipe.terms.is_empty() {
            return Err(Error::Recipe(
                "the recipe has no [[term]]: there is nothing to optimize".to_string(),
            ));
        }
        check_optimizer(recipe)?;
        let layers = recipe
            .terms
            .iter()
            .map(|t| t.resolve(network))
            .collect::<Result<Vec<_>, _>>()?;
        let pictures = Pictures::load(recipe)?;
        let scales = scales(recipe, &pictures)?;
        Ok(Self {
            recipe: recipe.clone(),
            network: network.clone(),
            pictures,
            layers,
            scales,
        })
    }

    fn reports(&self) -> Result<Vec<ScaleReport>, Error> {
        self.scales
            .iter()
            .enumerate()
            .map(|(i, &(width, height))| {
                let cost = self.dry_plan((width, height))?.cost();
                Ok(ScaleReport {
                    width,
                    height,
                    iterations: iterations(&self.recipe, i),
                    cost,
                })
            })
            .collect()
    }

    /// The plan of a scale without its targets' values: same memory, same work.
    fn dry_plan(&self, size: (u32, u32)) -> Result<Plan, Error> {
        let outline = self.network.outline();
        let targets = Targets::shapes_only(&self.recipe, &self.layers, &outline, size)?;
        make_plan(&self.recipe, &self.layers, &outline, &targets, size)
    }

    fn check_fits(&self, device: &Device) -> Result<(), Error> {
        let Some(&last) = self.scales.last() else {
            return Ok(());
        };
        let fits = |size| self.dry_plan(size).and_then(|plan| plan.check_fits(device));
        match fits(last) {
            Err(Error::TooLarge {
                what,
                needed,
                limit,
                device,
                ..
            }) => {
                // Bisect for the largest long side that fits.
                let (mut good, mut bad) = (0, last.0.max(last.1));
                while bad - good > 1 {
                    let side = good.midpoint(bad);
                    let size = crate::image::size_for_long_side(last.0, last.1, side);
                    if fits(size).is_ok() {
                        good = side
                    } else {
                        bad = side
                    }
                }
                let largest = (good > 0).then_some(good);
                Err(Error::TooLarge {
                    what,
                    needed,
                    limit,
                    device,
                    largest,
                })
            }
            other => other,
        }
    }

    fn executor(&self, size: (u32, u32)) -> Result<Executor, Error> {
        make_executor(
            &self.recipe,
            &self.layers,
            &self.network,
            &self.pictures,
            size,
        )
    }
}

fn check_optimizer(recipe: &Recipe) -> Result<(), Error> {
    let o = &recipe.optimizer;
    let unit = |v: f32| (0.0..1.0).contains(&v);
    let wrong = if !(o.step_size > 0.0 && o.step_size.is_finite()) {
        format!("step_size is {}; it must be greater than 0", o.step_size)
    } else if !unit(o.beta1) || !unit(o.beta2) {
        format!(
            "beta1 and beta2 are {} and {}; they must be in [0, 1)",
            o.beta1, o.beta2
        )
    } else if !(o.epsilon > 0.0 && o.epsilon.is_finite()) {
        format!("epsilon is {}; it must be greater than 0", o.epsilon)
    } else if !unit(o.average) {
        format!("average is {}; it must be in [0, 1)", o.average)
    } else {
        return Ok(());
    };
    Err(Error::Recipe(format!("optimizer: {wrong}")))
}

fn iterations(recipe: &Recipe, scale: usize) -> u64 {
    match (scale, recipe.optimizer.initial_iterations) {
        (0, Some(initial)) => initial,
        _ => recipe.optimizer.iterations,
    }
}

fn make_plan(
    recipe: &Recipe,
    layers: &[Layers],
    network: &Network,
    targets: &Targets,
    size: (u32, u32),
) -> Result<Plan, Error> {
    let terms: Vec<Placed> = place(recipe, layers, network, targets)?;
    let o = &recipe.optimizer;
    let optimizer = match o.kind {
        OptimizerKind::Adam => Adam {
            step_size: o.step_size,
            beta1: o.beta1,
            beta2: o.beta2,
            epsilon: o.epsilon,
            range: [0.0, 1.0],
        },
    };
    Plan::new(&Problem {
        network,
        image: View::new(1, size.1, size.0, 3),
        terms: &terms,
        optimizer: Some(&optimizer),
        average: (o.average > 0.0).then_some(Average { decay: o.average }),
    })
}

fn make_executor(
    recipe: &Recipe,
    layers: &[Layers],
    network: &Network,
    pictures: &Pictures,
    size: (u32, u32),
) -> Result<Executor, Error> {
    let targets = Targets::extract(recipe, layers, network, &pictures.targets, size)?;
    Executor::new(
        network.device(),
        make_plan(recipe, layers, network, &targets, size)?,
    )
}

impl Run {
    /// Every scale's size, iterations, memory and work, coarsest first.
    #[must_use]
    pub fn plan(&self) -> &[ScaleReport] {
        &self.reports
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The scale at work, with its plan and memory.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Iterations of all scales together.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.reports.iter().map(|r| r.iterations).sum()
    }

    /// Completed iterations over all scales.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.before() + self.executor.done()
    }

    /// Iterations of the scales before the one at work.
    fn before(&self) -> u64 {
        self.reports[..self.scale]
            .iter()
            .map(|r| r.iterations)
            .sum()
    }

    /// Runs to the end; `progress` sees every iteration and may stop the run.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run(
        &mut self,
        progress: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        self.run_for(u64::MAX, progress)
    }

    /// Runs at most `most` iterations, across scales.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run_for(
        &mut self,
        most: u64,
        mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        let mut left = most;
        loop {
            let remaining = self.reports[self.scale]
                .iterations
                .saturating_sub(self.executor.done());
            let now = remaining.min(left);
            left -= now;
            if self.run_scale(now, &mut progress)?.is_break() {
                return Ok(Outcome::Stopped);
            }
            if now < remaining {
                return Ok(Outcome::Paused);
            }
            if self.scale + 1 == self.reports.len() {
                return Ok(Outcome::Finished);
            }
            if left == 0 {
                return Ok(Outcome::Paused);
            }
            self.next_scale()?;
        }
    }

    fn run_scale(
        &mut self,
        iterations: u64,
        progress: &mut impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let report = self.reports[self.scale];
        let (before, total) = (self.before(), self.iterations());
        let groups = self.executor.plan().groups.clone();
        let term_count = self.recipe.terms.len();
        // GFLOP of the scales after this one.
        let later: f64 = self.reports[self.scale + 1..]
            .iter()
            .map(|r| r.iterations as f64 * r.cost.gflop)
            .sum();
        let spent = &mut self.spent;
        let mut last = Instant::now();
        self.executor.run(iterations, &mut |step| {
            spent.0 += last.elapsed();
            last = Instant::now();
            spent.1 += report.cost.gflop;
            let mut terms = vec![0.0; term_count];
            for (group, loss) in groups.iter().zip(&step.losses) {
                terms[*group] += loss;
            }
            let gflop_left = (report.iterations.saturating_sub(step.iteration + 1)) as f64
                * report.cost.gflop
                + later;
            progress(&Progress {
                scale: (report.width, report.height),
                iteration: before + step.iteration,
                iterations: total,
                loss: terms.iter().sum(),
                terms,
                elapsed: step.elapsed,
                remaining: spent.0.mul_f64(gflop_left / spent.1.max(1e-9)),
            })
        })
    }

    /// Makes the next finer scale and hands the image over, resampled on the device.
    fn next_scale(&mut self) -> Result<(), Error> {
        let (from, view) = self.result_buffer()?;
        self.scale += 1;
        let ScaleReport { width, height, .. } = self.reports[self.scale];
        let next = make_executor(
            &self.recipe,
            &self.layers,
            &self.network,
            &self.pictures,
            (width, height),
        )?;
        let image = next.plan().image;
        resample(
            self.network.device(),
            (from, view),
            (next.buffer(image.value).clone(), image.view),
        )?;
        self.executor = next;
        Ok(())
    }

    /// The image that is the result of the scale at work: the average where there is one, else the last iterate.
    fn result_buffer(&self) -> Result<(Buffer, View), Error> {
        let plan = self.executor.plan();
        let image = plan.image;
        let Some((average, tensor)) = plan.average.filter(|_| self.executor.done() > 0) else {
            return Ok((self.executor.buffer(image.value).clone(), image.view));
        };
        let device = self.network.device();
        let out = device.buffer("result", Kind::Real, image.view.len())?;
        let mut recording = Recording::new();
        let given = Tensor {
            value: recording.given("average", self.executor.buffer(tensor.value).clone()),
            view: image.view,
        };
        let step = recording.given("step", self.executor.buffer(plan.step).clone());
        let result = Tensor {
            value: recording.given("result", out.clone()),
            view: image.view,
        };
        average.record_read(&mut recording, given, step, result);
        run_once(device, recording)?;
        Ok((out, image.view))
    }

    /// The image as it is now, with the alpha channel of the picture that gave the shape.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn image(&self) -> Result<Image, Error> {
        let (buffer, view) = self.result_buffer()?;
        let planes = unpack(view, &self.network.device().download(&buffer)?);
        let pixels = view.h as usize * view.w as usize;
        let rgb = (0..pixels)
            .flat_map(|i| [planes[i], planes[pixels + i], planes[2 * pixels + i]])
            .collect();
        let image = Image::new(view.w, view.h, rgb)?.clamp();
        let shape = self.pictures.shape(&self.recipe);
        match shape.filter(|picture| picture.alpha.is_some()) {
            Some(picture) => match resized(picture, image.size())?.alpha {
                Some(alpha) => Ok(image.with_alpha(alpha)?),
                None => Ok(image),
            },
            None => Ok(image),
        }
    }

    /// Appends iterations of the scale at work to the host program's command encoder (GPU only).
    ///
    /// # Errors
    /// [`Error::Plan`] on the `cpu` device.
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        iterations: u64,
    ) -> Result<(), Error> {
        self.executor.encode(encoder, iterations)
    }

    /// The GPU buffer of the image being optimized: `height·width` vec4s of f32, RGB in [0,1] and 0.
    #[must_use]
    pub fn image_buffer(&self) -> Option<&wgpu::Buffer> {
        self.executor
            .buffer(self.executor.plan().image.value)
            .wgpu()
    }
}

/// The objective and its gradient at the start image, see [`Recipe::gradient`].
pub(super) fn objective_only(recipe: &Recipe, network: &Network) -> Result<GradientReport, Error> {
    let prepared = Prepared::new(recipe, network)?;
    prepared.check_fits(network.device())?;
    let Some(&size) = prepared.scales.last() else {
        return Err(Error::Recipe("the recipe has no size".to_string()));
    };
    let targets = Targets::extract(
        recipe,
        &prepared.layers,
        network,
        &prepared.pictures.targets,
        size,
    )?;
    let terms = place(recipe, &prepared.layers, network, &targets)?;
    let image = View::new(1, size.1, size.0, 3);
    let plan = Plan::new(&Problem {
        network,
        image,
        terms: &terms,
        optimizer: None,
        average: None,
    })?;
    let mut executor = Executor::new(network.device(), plan)?;
    let pixels = packed(&start(recipe, &prepared.pictures, size)?).1;
    network
        .device()
        .upload(executor.buffer(executor.plan().image.value), &pixels)?;
    let mut values = vec![0.0; recipe.terms.len()];
    let groups = executor.plan().groups.clone();
    let _ = executor.run(1, &mut |step| {
        for (group, loss) in groups.iter().zip(&step.losses) {
            values[*group] += loss;
        }
        ControlFlow::Continue(())
    })?;
    Ok(GradientReport {
        width: size.0,
        height: size.1,
        gradient: executor.read(executor.plan().gradient)?,
        loss: values.iter().sum(),
        terms: values,
    })
}

/// Resamples `from` into `to` (bicubic, antialiased) and clamps to [0,1], on the device.
fn resample(device: &Device, from: (Buffer, View), to: (Buffer, View)) -> Result<(), Error> {
    let mut recording = Recording::new();
    let from = Tensor {
        value: recording.given("from", from.0),
        view: from.1,
    };
    let to = Tensor {
        value: recording.given("to", to.0),
        view: to.1,
    };
    record_resize(&mut recording, "resize", from, to, ResizeFilter::Bicubic);
    let clamp = Clamp {
        len: to.view.len() as u32,
        low: 0.0,
        high: 1.0,
    };
    recording.call("clamp", clamp, &[to.value]);
    run_once(device, recording)
}

/// Runs a recording once.
fn run_once(device: &Device, mut recording: Recording) -> Result<(), Error> {
    let ring = recording.persistent("loss ring", Kind::Real, RING_ROWS as usize);
    let step = recording.persistent("step", Kind::Word, 1);
    let image = Tensor {
        value: ValueId(0),
        view: View::new(1, 1, 1, 1),
    };
    let mut executor = Executor::new(device, Plan::finished(recording, image, step, ring))?;
    let _ = executor.run(1, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}
