//! A compiled recipe: its scales one after the other, each a plan with its memory.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::answers::packed;
use super::checkpoint::{Stamp, Standing};
use super::handover::{hand_over, result, survivors};
use super::memo::Spare;
use super::prepared::Prepared;
use super::remaining::{Estimate, Portion};
use super::start::resized;
use super::{Carry, Recipe};
use crate::Error;
use crate::device::Device;
use crate::image::{Image, luma, with_luma};
use crate::kernels::unpack;
use crate::objective::Labels;
use crate::plan::{Cost, Network};
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
    /// In how many bands of rows the network sees the image.
    pub bands: u32,
    /// The most bytes on the device at one time: the plan and the result read from it, or what it takes over from the scale
    /// before.
    pub peak_bytes: u64,
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
    /// The weighted value of every term of the recipe, over all images of the batch.
    pub terms: Vec<f32>,
    /// The objective of every image of the batch.
    pub images: Vec<f32>,
    /// Time the iteration took.
    pub elapsed: Duration,
    /// Estimated time until the last iteration is done; none before there is anything to tell it from.
    pub remaining: Option<Duration>,
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
    pub(super) prepared: Prepared,
    reports: Vec<ScaleReport>,
    scale: usize,
    executor: Executor,
    /// Steps of the optimizer before this scale.
    earlier: u64,
    /// Time in which how much work was done.
    spent: (Duration, f64),
    /// What is known of the time that is left.
    estimate: Estimate,
    /// What a checkpoint says of the pictures, once one has been written.
    pub(super) stamps: OnceLock<Vec<Stamp>>,
    /// The memory of scales that are done, where another run is to follow.
    spare: Option<Spare>,
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
        Run::first(device, prepared, reports, None)
    }
}

impl Run {
    /// A run before its first iteration; with `spare` it takes memory from there, and gives none back until it ends.
    pub(super) fn first(
        device: &Device,
        prepared: Prepared,
        reports: Vec<ScaleReport>,
        spare: Option<Spare>,
    ) -> Result<Self, Error> {
        let standing = Standing {
            width: reports[0].width,
            height: reports[0].height,
            ..Standing::default()
        };
        let run = Self::at(prepared, reports, &standing, spare)?;
        let start = run.prepared.parameter((standing.width, standing.height))?;
        let parameter = run.executor.buffer(run.executor.plan().parameter.value);
        device.upload(parameter, &start)?;
        Ok(run)
    }

    /// The memory of its scales.
    pub(super) fn into_spare(self) -> Spare {
        let mut spare = self.spare.unwrap_or_default();
        spare.put(self.executor);
        spare
    }

    /// A run that stands somewhere, with its memory still empty.
    pub(super) fn at(
        prepared: Prepared,
        reports: Vec<ScaleReport>,
        standing: &Standing,
        mut spare: Option<Spare>,
    ) -> Result<Self, Error> {
        let size = (standing.width, standing.height);
        let earlier = Some(standing.earlier);
        let kept = spare
            .as_mut()
            .and_then(|spare| prepared.executor(size, earlier, Some(spare)).ok());
        let mut executor = match kept {
            Some(executor) => executor,
            // Where there is not as much memory as a series would like, what it keeps goes first.
            None => {
                spare = None;
                prepared.executor(size, earlier, None)?
            }
        };
        executor.set_done(standing.iteration);
        let seconds = Duration::try_from_secs_f64(standing.seconds).unwrap_or_default();
        Ok(Self {
            prepared,
            reports,
            scale: standing.scale,
            executor,
            earlier: standing.earlier,
            spent: (seconds, standing.gflop),
            estimate: Estimate::default(),
            stamps: OnceLock::new(),
            spare,
        })
    }

    /// Where the run stands.
    pub(super) fn standing(&self) -> Standing {
        let report = self.reports[self.scale];
        Standing {
            scale: self.scale,
            width: report.width,
            height: report.height,
            iteration: self.executor.done(),
            earlier: self.earlier,
            seconds: self.spent.0.as_secs_f64(),
            gflop: self.spent.1,
            bands: self.prepared.bands.clone(),
        }
    }

    /// Every scale's size, iterations, memory and work, coarsest first.
    #[must_use]
    pub fn plan(&self) -> &[ScaleReport] {
        &self.reports
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.prepared.recipe
    }

    /// The scale at work, with its plan and memory.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// The scale at work, for measuring it: what runs through it counts as iterations of the scale.
    pub fn executor_mut(&mut self) -> &mut Executor {
        &mut self.executor
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
        let term_count = self.prepared.recipe.terms.len();
        let batch = self.executor.plan().image.view.n as usize;
        let later: Vec<Portion> = self.reports[self.scale + 1..]
            .iter()
            .map(|r| Portion {
                iterations: r.iterations,
                gflop: r.cost.gflop,
            })
            .collect();
        let (spent, estimate) = (&mut self.spent, &mut self.estimate);
        let mut last = Instant::now();
        self.executor.run(iterations, &mut |step| {
            spent.0 += last.elapsed();
            last = Instant::now();
            spent.1 += report.cost.gflop;
            estimate.add(report.cost.gflop, step.elapsed);
            let each = step.losses.len() / batch;
            let images = step.losses.chunks(each.max(1)).map(|own| own.iter().sum());
            let mut terms = vec![0.0; term_count];
            for (group, loss) in groups.iter().zip(&step.losses) {
                terms[*group] += loss;
            }
            let own = Portion {
                iterations: report.iterations.saturating_sub(step.iteration + 1),
                gflop: report.cost.gflop,
            };
            let left = std::iter::once(own).chain(later.iter().copied());
            progress(&Progress {
                scale: (report.width, report.height),
                iteration: before + step.iteration,
                iterations: total,
                loss: terms.iter().sum(),
                terms,
                images: images.collect(),
                elapsed: step.elapsed,
                remaining: estimate.time(left),
            })
        })
    }

    /// Makes the next finer scale and hands image and moments over, resampled on the device.
    fn next_scale(&mut self) -> Result<(), Error> {
        let earlier = self.before() + self.executor.done();
        let report = self.reports[self.scale + 1];
        let size = (report.width, report.height);
        let kept = self
            .spare
            .as_mut()
            .map(|spare| self.prepared.executor(size, Some(earlier), Some(spare)));
        let next = match kept {
            Some(Ok(next)) => next,
            // The coarser scale's activations make room for the finer one's, also where both were to be kept.
            _ => {
                self.spare = None;
                self.executor.release(&survivors(self.executor.plan()));
                self.prepared.next_executor(size, earlier)?
            }
        };
        let detail = match self.prepared.recipe.image.carry {
            Carry::Image => None,
            Carry::Detail => {
                let before = self.reports[self.scale];
                let start = |w, h| Ok::<_, Error>(packed(&self.prepared.start((w, h))?).1);
                Some((
                    start(before.width, before.height)?,
                    start(report.width, report.height)?,
                ))
            }
        };
        let wrap = self.prepared.recipe.is_tile();
        hand_over(&self.executor, &next, detail, wrap)?;
        self.estimate.begin();
        let done = std::mem::replace(&mut self.executor, next);
        match &mut self.spare {
            Some(spare) => spare.put(done),
            // What survived of it makes room for the rest of the finer scale.
            None => drop(done),
        }
        self.earlier = earlier;
        self.scale += 1;
        self.executor.complete()
    }

    /// The image as it is now, with the alpha channel of the picture that gave the shape; the first of a batch.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn image(&self) -> Result<Image, Error> {
        let image = self.images()?.swap_remove(0);
        let shape = self.prepared.pictures.shape(&self.prepared.recipe);
        match shape.filter(|picture| picture.alpha.is_some()) {
            Some(picture) => match resized(picture, image.size())?.alpha {
                Some(alpha) => Ok(image.with_alpha(alpha)?),
                None => Ok(image),
            },
            None => Ok(image),
        }
    }

    /// All images of the batch as they are now.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn images(&self) -> Result<Vec<Image>, Error> {
        let (buffer, view) = result(&self.executor)?;
        let planes = unpack(view, &self.executor.device().download(&buffer)?);
        let pixels = view.h as usize * view.w as usize;
        let chroma = self.prepared.pictures.chroma.as_ref();
        let chroma = chroma.map(|picture| resized(picture, (view.w, view.h)));
        let chroma = chroma.transpose()?;
        planes
            .chunks(3 * pixels)
            .map(|planes| {
                let rgb = (0..pixels)
                    .flat_map(|i| [planes[i], planes[pixels + i], planes[2 * pixels + i]])
                    .collect();
                let image = Image::new(view.w, view.h, rgb)?.clamp();
                Ok(match &chroma {
                    Some(picture) => {
                        let painted = with_luma(picture, &luma(&image))?;
                        Image::new(view.w, view.h, painted.rgb)?.clamp()
                    }
                    None => image,
                })
            })
            .collect()
    }

    /// What is not as it was asked for, in sentences for people.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.prepared.notes()
    }

    /// Sets the weights of each image of the batch in the recipe's term `term`, on top of the term's own, from the next
    /// iteration on: what an outer search over them does. For terms of classes.
    ///
    /// # Errors
    /// [`Error::Recipe`] where the term is none of classes, [`Error::Plan`] where it has another number of images.
    pub fn set_weights(&self, term: usize, weights: &[f32]) -> Result<(), Error> {
        self.labels(term)?
            .set_weights(self.executor.device(), weights)
    }

    /// Sets the class of each image of the batch in the recipe's term `term` from the next iteration on.
    ///
    /// # Errors
    /// [`Error::Recipe`] where the term is none of classes, [`Error::Plan`] where there is no such class or the term has
    /// another number of images.
    pub fn set_labels(&self, term: usize, labels: &[u32]) -> Result<(), Error> {
        self.labels(term)?
            .set_labels(self.executor.device(), labels)
    }

    fn labels(&self, term: usize) -> Result<&Labels, Error> {
        let all = &self.executor.plan().labels;
        all.iter()
            .find(|(group, _)| *group == term)
            .map(|(_, labels)| labels)
            .ok_or_else(|| Error::Recipe(format!("term {term} of the recipe is none of classes")))
    }

    /// Begins again at the start images, with the optimizer as it was: for another run of the same plan.
    ///
    /// # Errors
    /// [`Error::Plan`] for a run of several scales, [`Error::Device`] when the device has failed.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.reports.len() > 1 {
            return Err(Error::Plan(
                "a run of several scales cannot begin again".to_string(),
            ));
        }
        self.executor.reset()?;
        let report = self.reports[0];
        let start = self.prepared.parameter((report.width, report.height))?;
        let parameter = self.executor.plan().parameter.value;
        Ok(self
            .executor
            .device()
            .upload(self.executor.buffer(parameter), &start)?)
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

    /// Appends a copy of the image as it is now to the host program's command encoder (GPU only).
    ///
    /// `texture` must be of the size of the scale at work, of a format of [`TEXTURE_FORMATS`](super::TEXTURE_FORMATS), and allow
    /// `COPY_DST`. The bytes are sRGB-encoded, whether the format says so or not; alpha is opaque. What is copied is
    /// the last iterate, not the average.
    ///
    /// # Errors
    /// [`Error::Plan`] on the `cpu` device, or where the texture's size or format is another.
    pub fn copy_to_texture(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        texture: &wgpu::Texture,
    ) -> Result<(), Error> {
        super::texture_copy::record(&self.executor, encoder, texture)
    }

    /// The GPU buffer of the images being optimized: `n·height·width` vec4s of f32, RGB in `[0,1]` and 0. None on the `cpu`
    /// device, and none where the image is made of parameters: it is in memory only while the network reads it.
    #[must_use]
    pub fn image_buffer(&self) -> Option<&wgpu::Buffer> {
        let plan = self.executor.plan();
        let pixels = plan.parameterisation.is_empty();
        let own = pixels.then(|| self.executor.buffer(plan.image.value).wgpu())?;
        own.map(|own| own.buffer)
    }
}
