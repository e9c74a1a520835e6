//! A compiled recipe: its scales one after the other, each a plan with its memory.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::Duration;

use super::RunError;
use super::checkpoint::{RunState, Stamp};
use super::estimate::{Estimate, Portion};
use super::rescale::{hand_over, result};
use crate::Error;
use crate::compile::ScaleReport;
use crate::compile::activations::quads_of;
use crate::compile::pictures::resized;
use crate::compile::recipe::CompiledRecipe;
use crate::compile::recipe::survivors;
use crate::compile::reuse::MemoryPool;
use crate::device::Device;
use crate::image::{Image, luma, with_luma};
use crate::kernels::from_quads;
use crate::objective::Labels;
use crate::plan::Network;
use crate::schedule::{Executor, Step};
use crate::spec::{Carry, Recipe};

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
    pub(crate) compiled: CompiledRecipe,
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
    pub(crate) stamps: OnceLock<Vec<Stamp>>,
    /// The memory of scales that are done, where another run is to follow.
    pool: Option<MemoryPool>,
}

impl Recipe {
    /// Reads the pictures, resolves layers and sizes, and makes the first scale ready to run.
    ///
    /// # Errors
    /// Whatever is wrong with the recipe, its pictures or its layers; [`Error::TooLarge`] when the largest scale
    /// does not fit the device, with the largest size that would.
    pub async fn compile_async(&self, device: &Device, network: &Network) -> Result<Run, Error> {
        if !device.is(network.device()) {
            return Err(RunError::OtherDevice {
                network: network.device().info().name.clone(),
                device: device.info().name.clone(),
            }
            .into());
        }
        Run::first(CompiledRecipe::new(self, network)?, None).await
    }
}

impl Run {
    /// A run before its first iteration; with `pool` it takes memory from there, and gives none back until it ends.
    pub(crate) async fn first(
        compiled: CompiledRecipe,
        pool: Option<MemoryPool>,
    ) -> Result<Self, Error> {
        let (width, height) = compiled.sizes()[0];
        let state = RunState {
            width,
            height,
            ..RunState::default()
        };
        let mut run = Self::at(compiled, &state, pool).await?;
        let start = run.compiled.parameter((width, height))?;
        run.executor.set_parameter(&start)?;
        Ok(run)
    }

    /// The memory of its scales.
    pub(crate) fn into_pool(self) -> MemoryPool {
        let mut pool = self.pool.unwrap_or_default();
        pool.put(self.executor);
        pool
    }

    /// A run that stands somewhere, with its memory still empty.
    pub(crate) async fn at(
        mut compiled: CompiledRecipe,
        state: &RunState,
        mut pool: Option<MemoryPool>,
    ) -> Result<Self, Error> {
        let kept = match &mut pool {
            Some(pool) => compiled.executor(state.scale, Some(pool)).await.ok(),
            None => None,
        };
        let mut executor = match kept {
            Some(executor) => executor,
            // Where there is not as much memory as a series would like, what it keeps goes first.
            None => {
                pool = None;
                compiled.executor(state.scale, None).await?
            }
        };
        executor.set_done(state.iteration);
        let seconds = Duration::try_from_secs_f64(state.seconds).unwrap_or_default();
        Ok(Self {
            reports: compiled.reports(),
            compiled,
            scale: state.scale,
            executor,
            earlier: state.earlier,
            spent: (seconds, state.gflop),
            estimate: Estimate::default(),
            stamps: OnceLock::new(),
            pool,
        })
    }

    /// Where the run stands.
    pub(crate) fn state(&self) -> RunState {
        let report = self.reports[self.scale];
        RunState {
            scale: self.scale,
            width: report.width,
            height: report.height,
            iteration: self.executor.done(),
            earlier: self.earlier,
            seconds: self.spent.0.as_secs_f64(),
            gflop: self.spent.1,
            bands: self.reports.iter().map(|report| report.bands).collect(),
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
        &self.compiled.recipe
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

    /// Whether all iterations are done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.scale + 1 == self.reports.len() && self.left_of_scale() == 0
    }

    /// Iterations that the scale at work still has to do.
    fn left_of_scale(&self) -> u64 {
        let all = self.reports[self.scale].iterations;
        all.saturating_sub(self.executor.done())
    }

    /// Runs one slice and returns the iterations that were completed with it, often none or several: on a GPU about
    /// 50 ms of work while the next slice is on its way already, on `cpu` one iteration. Where a scale is done it begins
    /// with the next one. [`Run::run`] is a loop over this.
    ///
    /// What is on its way stays there between two calls. Before a longer pause, and before the image is read, call
    /// [`Run::settle`].
    ///
    /// ```no_run
    /// # async fn paint(mut run: pixgrad::Run) -> Result<(), pixgrad::Error> {
    /// while !run.is_finished() {
    ///     for progress in run.advance().await? {
    ///         println!("{}: loss {}", progress.iteration, progress.loss);
    ///     }
    /// }
    /// run.settle().await?;
    /// let image = run.image_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn advance(&mut self) -> Result<Vec<Progress>, Error> {
        self.advance_within(u64::MAX).await
    }

    /// As [`Run::advance`], in which at most `most` iterations end.
    async fn advance_within(&mut self, most: u64) -> Result<Vec<Progress>, Error> {
        if self.left_of_scale() == 0 && !self.is_finished() {
            self.next_scale().await?;
        }
        let most = self.left_of_scale().min(most);
        let steps = self.executor.advance(most).await?;
        Ok(steps.iter().map(|step| self.progress(step)).collect())
    }

    /// Completes what is on its way and the iteration that the run is in, and returns the iterations that ended: then
    /// the image may be read, and the run may rest as long as it likes.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn settle(&mut self) -> Result<Vec<Progress>, Error> {
        let steps = self.executor.settle().await?;
        Ok(steps.iter().map(|step| self.progress(step)).collect())
    }

    /// Runs at most `most` iterations, across scales; `progress` sees every iteration and may stop the run.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn run_for_async(
        &mut self,
        most: u64,
        mut progress: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Outcome, Error> {
        let mut left = most;
        while !self.is_finished() {
            if left == 0 {
                return Ok(Outcome::Paused);
            }
            let mut flow = ControlFlow::Continue(());
            for step in self.advance_within(left).await? {
                left -= 1;
                if progress(&step).is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            if flow.is_break() {
                for step in self.settle().await? {
                    let _ = progress(&step);
                }
                return Ok(Outcome::Stopped);
            }
        }
        Ok(Outcome::Finished)
    }

    /// What a completed iteration of the scale at work means for the run.
    fn progress(&mut self, step: &Step) -> Progress {
        let report = self.reports[self.scale];
        self.spent.0 += step.elapsed;
        self.spent.1 += report.cost.gflop;
        self.estimate.add(report.cost.gflop, step.elapsed);
        let handles = self.executor.handles();
        let each = step.losses.len() / handles.image.view.n as usize;
        let images = step.losses.chunks(each.max(1)).map(|own| own.iter().sum());
        let mut terms = vec![0.0; self.compiled.recipe.terms.len()];
        for (group, loss) in handles.groups.iter().zip(&step.losses) {
            terms[*group] += loss;
        }
        let portion = |iterations, report: &ScaleReport| Portion {
            iterations,
            gflop: report.cost.gflop,
        };
        let own = report.iterations.saturating_sub(step.iteration + 1);
        let later = self.reports[self.scale + 1..].iter();
        let left = std::iter::once(portion(own, &report))
            .chain(later.map(|report| portion(report.iterations, report)));
        Progress {
            scale: (report.width, report.height),
            iteration: self.before() + step.iteration,
            iterations: self.iterations(),
            loss: terms.iter().sum(),
            terms,
            images: images.collect(),
            elapsed: step.elapsed,
            remaining: self.estimate.time(left),
        }
    }

    /// Makes the next finer scale and hands image and moments over, resampled on the device.
    async fn next_scale(&mut self) -> Result<(), Error> {
        let earlier = self.before() + self.executor.done();
        let (number, report) = (self.scale + 1, self.reports[self.scale + 1]);
        let kept = match &mut self.pool {
            Some(pool) => Some(self.compiled.executor(number, Some(pool)).await),
            None => None,
        };
        let next = match kept {
            Some(Ok(next)) => next,
            // The coarser scale's activations make room for the finer one's, also where both were to be kept.
            _ => {
                self.pool = None;
                self.executor.release(&survivors(self.executor.handles()));
                self.compiled.next_executor(number).await?
            }
        };
        let detail = match self.compiled.recipe.image.carry {
            Carry::Image => None,
            Carry::Detail => {
                let before = self.reports[self.scale];
                let mut start = |w, h| Ok::<_, Error>(quads_of(&self.compiled.start((w, h))?).1);
                Some((
                    start(before.width, before.height)?,
                    start(report.width, report.height)?,
                ))
            }
        };
        let wrap = self.compiled.recipe.is_tile();
        hand_over(&self.executor, &next, detail, wrap).await?;
        self.estimate.begin();
        let done = std::mem::replace(&mut self.executor, next);
        match &mut self.pool {
            Some(pool) => pool.put(done),
            // What survived of it makes room for the rest of the finer scale.
            None => drop(done),
        }
        self.earlier = earlier;
        self.scale += 1;
        self.executor.complete_async().await
    }

    /// The image as it is now, with the alpha channel of the picture that gave the shape, and with that picture's
    /// colours where it is transparent; the first of a batch.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed, [`RunError::InMotion`] before [`Run::settle`].
    pub async fn image_async(&self) -> Result<Image, Error> {
        let mut image = self.images_async().await?.swap_remove(0);
        let shape = self.compiled.pictures.shape();
        let Some(shape) = shape.filter(|picture| picture.alpha.is_some()) else {
            return Ok(image);
        };
        let shape = resized(shape, image.size())?;
        let Some(alpha) = shape.alpha else {
            return Ok(image);
        };
        let pixels = image.rgb.chunks_exact_mut(3).zip(shape.rgb.chunks_exact(3));
        for ((pixel, own), opacity) in pixels.zip(&alpha) {
            if *opacity <= 0.0 {
                pixel.copy_from_slice(own);
            }
        }
        Ok(image.with_alpha(alpha)?)
    }

    /// Fails where an iteration is under way. On a device that has failed none will ever end, which is told instead.
    pub(super) fn expect_rest(&self) -> Result<(), Error> {
        if self.executor.is_at_rest() {
            return Ok(());
        }
        if let Some(gpu) = self.executor.device().gpu() {
            gpu.check()?;
        }
        Err(RunError::InMotion.into())
    }

    /// All images of the batch as they are now.
    ///
    /// # Errors
    /// As [`Run::image_async`].
    pub async fn images_async(&self) -> Result<Vec<Image>, Error> {
        self.expect_rest()?;
        let (buffer, view) = result(&self.executor).await?;
        let values = self.executor.device().download_async(&buffer).await?;
        let planes = from_quads(view, &values);
        let pixels = view.h as usize * view.w as usize;
        let chroma = self.compiled.pictures.chroma.as_ref();
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
        self.compiled.notes()
    }

    /// Sets the weight of the recipe's term `term` from the next iteration on; nothing is restarted. The recipe has the
    /// new weight afterwards. For terms that compare (`content`, the styles, `inversion`) and for `tv` and `l2`.
    ///
    /// # Errors
    /// [`RunError::FixedWeight`] for other terms, [`RunError::NoWeight`] for a weight that is no number.
    pub fn set_term_weight(&mut self, term: usize, weight: f64) -> Result<(), Error> {
        let spec = self.compiled.recipe.terms.get(term);
        let Some(spec) = spec.filter(|spec| spec.kind.has_dial()) else {
            return Err(RunError::FixedWeight { term }.into());
        };
        if !weight.is_finite() {
            let kind = spec.kind.name().to_string();
            return Err(RunError::NoWeight { kind, weight }.into());
        }
        self.compiled.set_weight(term, weight);
        self.executor.take_up();
        Ok(())
    }

    /// Sets the weights of each image of the batch in the recipe's term `term`, on top of the term's own, from the next
    /// iteration on: what an outer search over them does. For terms of classes.
    ///
    /// # Errors
    /// [`RunError::NotOfClasses`]; [`Error::Objective`] where there is another number of images.
    pub fn set_weights(&self, term: usize, weights: &[f32]) -> Result<(), Error> {
        self.labels(term)?
            .set_weights(self.executor.device(), weights)
    }

    /// Sets the class of each image of the batch in the recipe's term `term` from the next iteration on.
    ///
    /// # Errors
    /// [`RunError::NotOfClasses`]; [`Error::Objective`] where there is no such class, or another number of images.
    pub fn set_labels(&self, term: usize, labels: &[u32]) -> Result<(), Error> {
        self.labels(term)?
            .set_labels(self.executor.device(), labels)
    }

    fn labels(&self, term: usize) -> Result<&Labels, Error> {
        let all = &self.executor.handles().labels;
        all.iter()
            .find(|(group, _)| *group == term)
            .map(|(_, labels)| labels)
            .ok_or_else(|| RunError::NotOfClasses { term }.into())
    }

    /// Begins again at the start images, with the optimizer as it was: for another run of the same plan.
    ///
    /// # Errors
    /// [`RunError::SeveralScales`], [`Error::Device`] when the device has failed.
    pub fn restart(&mut self) -> Result<(), Error> {
        if self.reports.len() > 1 {
            return Err(RunError::SeveralScales.into());
        }
        self.executor.reset()?;
        let report = self.reports[0];
        let start = self.compiled.parameter((report.width, report.height))?;
        self.executor.set_parameter(&start)
    }

    /// Appends iterations of the scale at work to the host program's command encoder (GPU only). A weight that is set
    /// holds from the next submission on.
    ///
    /// # Errors
    /// [`Error::Plan`] on the `cpu` device, [`RunError::InMotion`] between [`Run::advance`] and [`Run::settle`].
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        iterations: u64,
    ) -> Result<(), Error> {
        self.expect_rest()?;
        self.executor.encode(encoder, iterations)
    }

    /// Appends a copy of the image as it is now to the host program's command encoder (GPU only).
    ///
    /// `texture` must be of the size of the scale at work, of a format of [`TEXTURE_FORMATS`](super::TEXTURE_FORMATS),
    /// and allow `COPY_DST`. The bytes are sRGB-encoded, whether the format says so or not; alpha is opaque. What is
    /// copied is the last iterate, not the average.
    ///
    /// # Errors
    /// [`Error::Texture`] on the `cpu` device, or where the texture's size or format is another.
    pub fn copy_to_texture(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        texture: &wgpu::Texture,
    ) -> Result<(), Error> {
        super::texture::record(&self.executor, encoder, texture)
    }

    /// The GPU buffer of the images being optimized: `n·height·width` vec4s of f32, RGB in `[0,1]` and 0. None on the
    /// `cpu` device, and none where the image is made of parameters: it is in memory only while the network reads it.
    #[must_use]
    pub fn image_buffer(&self) -> Option<&wgpu::Buffer> {
        let handles = self.executor.handles();
        let pixels = handles.parameterisation.is_empty();
        let own = pixels.then(|| self.executor.buffer(handles.image.value).wgpu())?;
        own.map(|own| own.buffer)
    }
}
