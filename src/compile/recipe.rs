//! A recipe with everything resolved that needs no device memory: what runs, dry runs and gradients begin with.

use std::sync::Arc;

use super::activations::quads_of;
use super::init::{random_in_balls, start};
use super::layers::{Layers, nodes};
use super::objective::Placing;
use super::pictures::Pictures;
use super::report::ScaleReport;
use super::reuse::{MemoryPool, TargetCache};
use super::sizes::{batch, fitting, is_exact, scales};
use super::targets::{self, Targets};
use super::{masks, stages};
use crate::Error;
use crate::device::{Dial, Given, Kind, ValueId};
use crate::image::{Image, size_for_long_side};
use crate::kernels::View;
use crate::optim::Average;
use crate::plan::{Handles, Iteration, Keep, Network, Problem, Program, fewest_bands};
use crate::schedule::Executor;
use crate::spec::{Recipe, RecipeError};

/// Pictures read, layers found, sizes known, every scale planned.
#[derive(Debug)]
pub(crate) struct CompiledRecipe {
    pub recipe: Recipe,
    pub network: Network,
    pub pictures: Pictures,
    layers: Vec<Layers>,
    sizes: Vec<(u32, u32)>,
    scales: Vec<Scale>,
    /// Images optimized at once.
    batch: u32,
    /// The weight of each term: all scales take it from here.
    weights: Vec<Dial>,
    /// Whether the image is stepped; else its gradient is all that is wanted.
    stepped: bool,
    /// What is known of the style pictures from other runs.
    pub cache: Option<Arc<TargetCache>>,
    /// The pictures with those that are compared position by position brought to a size, the last one asked for.
    scaled: Option<((u32, u32), Arc<Pictures>)>,
    /// Size of the result, had it not to be a multiple of `tile`.
    asked: (u32, u32),
    /// What both sides are multiples of.
    tile: u32,
}

/// A scale of a recipe.
#[derive(Debug)]
struct Scale {
    report: ScaleReport,
    /// The scale's iteration, until it is loaded.
    planned: Option<Planned>,
}

/// An iteration with places for what is not there yet.
#[derive(Debug)]
struct Planned {
    iteration: Iteration,
    targets: Targets,
    /// The start pictures, in the engine's layout.
    origin: Given,
}

impl CompiledRecipe {
    /// Reads the pictures and plans every scale, in as few bands as fit the device.
    pub fn new(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        let mut compiled = Self::read(recipe, network)?;
        compiled.plan()?;
        Ok(compiled)
    }

    /// As [`CompiledRecipe::new`], for the gradient at the start image: nothing is stepped.
    pub fn gradient(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        let mut compiled = Self::read(recipe, network)?;
        compiled.stepped = false;
        compiled.plan()?;
        Ok(compiled)
    }

    /// Reads the pictures and checks the recipe; nothing is planned yet.
    pub fn read(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        if recipe.terms.is_empty() {
            return Err(RecipeError::NoTerm.into());
        }
        recipe.validate_steps()?;
        let network = &network
            .rewired(recipe.padding, recipe.pooling)
            .with_precision(recipe.precision);
        let batch = batch(recipe)?;
        let layers = recipe
            .terms
            .iter()
            .map(|t| t.resolve(network))
            .collect::<Result<Vec<_>, _>>()?;
        let mut terms = recipe.terms.iter().zip(&layers);
        if terms.all(|(term, layers)| term.weight == 0.0 || layers.0.iter().all(|l| l.1 == 0.0)) {
            return Err(RecipeError::NoWeight.into());
        }
        let pictures = Pictures::load(recipe)?;
        let mut sizes = scales(recipe, &pictures)?;
        if sizes.len() > 1 && !recipe.image.parameterisation.is_empty() {
            return Err(RecipeError::ParameterisedScales.into());
        }
        if let Some(keep) = recipe.keep {
            keep.validate(recipe, sizes.len())?;
        }
        let asked = sizes[sizes.len() - 1];
        let tile = tile(recipe, &layers, network);
        let nodes = nodes(&layers);
        let exact = sizes.len() - usize::from(is_exact(recipe, &pictures));
        for size in &mut sizes {
            *size = tiled(*size, tile);
        }
        for size in &mut sizes[..exact] {
            *size = fitting(network.graph(), &nodes, *size);
        }
        sizes.dedup();
        let shape = pictures.shape().map_or(asked, |p| p.size());
        masks::check(recipe, &pictures.masks, shape, |group| {
            pictures.targets[group].iter().map(|p| p.size()).collect()
        })?;
        // Of a long, narrow picture the coarsest scales may be too narrow for a layer: it starts finer then.
        let graph = network.graph();
        let reaches = |(w, h)| {
            let mut nodes = nodes.iter();
            nodes.all(|node| graph.shape(*node, h, w).is_ok())
        };
        let narrow = sizes.iter().take_while(|s| !reaches(**s)).count();
        sizes.drain(..narrow.min(sizes.len() - 1));
        Ok(Self {
            recipe: recipe.clone(),
            network: network.clone(),
            pictures,
            layers,
            sizes,
            scales: Vec::new(),
            batch,
            weights: recipe.terms.iter().map(|t| Dial::new(t.weight)).collect(),
            stepped: true,
            asked,
            tile,
            cache: None,
            scaled: None,
        })
    }

    /// What is not as it was asked for, in sentences for people.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let ((w, h), (width, height)) = (self.asked, self.last());
        if (w, h) != (width, height) {
            let why = if tiled((w, h), self.tile) == (w, h) {
                "the network joins layers whose sizes agree for some images only".to_owned()
            } else {
                let multiple = self.tile;
                format!(
                    "the sides of a tile are multiples of {multiple}, the stride of the deepest layer"
                )
            };
            notes.push(format!(
                "the result is {width}x{height} pixels, not {w}x{h}: {why}"
            ));
        }
        let made = self.sizes.len();
        if let Some(octaves) = self.recipe.image.octaves
            && octaves as usize > made
        {
            notes.push(format!(
                "{made} of {octaves} octaves are made: in the coarser ones the image would be too small for the layers"
            ));
        }
        notes
    }

    /// The shape of the images at a size.
    fn view(&self, size: (u32, u32)) -> View {
        View::new(self.batch, size.1, size.0, 3)
    }

    /// The networks' mean colour.
    fn mean(&self) -> [f32; 3] {
        self.network.graph().preprocessing.mean.map(|v| v as f32)
    }

    /// Size of every scale in pixels, coarsest first.
    pub fn sizes(&self) -> &[(u32, u32)] {
        &self.sizes
    }

    /// Size of the result.
    pub fn last(&self) -> (u32, u32) {
        self.sizes.last().copied().unwrap_or((1, 1))
    }

    /// The nearest size that the recipe can have: that of a tile is a multiple of the deepest layer's stride, and the
    /// layers that the network joins must agree.
    pub fn fitting(&self, size: (u32, u32)) -> (u32, u32) {
        let nodes = nodes(&self.layers);
        fitting(self.network.graph(), &nodes, tiled(size, self.tile))
    }

    /// Iterations of the coarsest scale or of any other.
    fn iterations(&self, coarsest: bool) -> u64 {
        let optimizer = &self.recipe.optimizer;
        optimizer
            .initial_iterations
            .filter(|_| coarsest)
            .unwrap_or(optimizer.iterations)
    }

    /// Changes the weight of a term, of those scales too that are planned already.
    pub fn set_weight(&mut self, term: usize, weight: f64) {
        self.recipe.terms[term].weight = weight;
        self.weights[term].set(weight);
    }

    /// What every scale is and costs, coarsest first.
    pub fn reports(&self) -> Vec<ScaleReport> {
        self.scales.iter().map(|scale| scale.report).collect()
    }

    /// What every scale that is not loaded yet is and costs, and its program.
    pub fn programs(&self) -> impl Iterator<Item = (ScaleReport, &Program)> {
        let scales = self.scales.iter();
        scales.filter_map(|scale| Some((scale.report, &scale.planned.as_ref()?.iteration.program)))
    }

    /// Plans every scale, in as few bands as fit the device; where the largest does not fit in any, the error tells the
    /// largest size that does.
    pub fn plan(&mut self) -> Result<(), Error> {
        let nodes = nodes(&self.layers);
        self.plan_scales(|compiled, number, size, beside| {
            let fit = |size: (u32, u32), beside: u64| {
                fewest_bands(
                    &compiled.network,
                    (&nodes, size.1),
                    |planned: &Planned| &planned.iteration.program,
                    |planned| planned.iteration.peak_bytes(beside),
                    |bands| compiled.planned(number, size, bands),
                )
            };
            let fits = |size| fit(compiled.fitting(size), 0).is_ok();
            fit(size, beside).map_err(|error| with_largest(error, size, fits))
        })
    }

    /// Plans every scale in bands that are known already: those of another run of the same sizes.
    pub fn plan_in_bands(&mut self, bands: &[u32]) -> Result<(), Error> {
        self.plan_scales(|compiled, number, size, _| {
            let bands = bands.get(number).copied().unwrap_or(1);
            Ok((bands, compiled.planned(number, size, bands)?))
        })
    }

    /// `plan` makes the scale of a number and a size, beside which so many bytes stand while the scale before hands
    /// over to it.
    fn plan_scales(
        &mut self,
        plan: impl Fn(&Self, usize, (u32, u32), u64) -> Result<(u32, Planned), Error>,
    ) -> Result<(), Error> {
        let mut scales: Vec<Scale> = Vec::new();
        for (number, &size) in self.sizes.iter().enumerate() {
            let before = scales.last().and_then(|scale| scale.planned.as_ref());
            let beside = before.map_or(0, |p| bytes_beside(&p.iteration, self.view(size)));
            let (bands, planned) = plan(self, number, size, beside)?;
            let report = ScaleReport {
                width: size.0,
                height: size.1,
                iterations: self.iterations(number == 0),
                bands,
                peak_bytes: planned.iteration.peak_bytes(beside),
                cost: planned.iteration.program.cost(),
            };
            scales.push(Scale {
                report,
                planned: Some(planned),
            });
        }
        self.scales = scales;
        Ok(())
    }

    /// The iteration of a scale, without values: nothing runs on the device.
    fn planned(&self, number: usize, size: (u32, u32), bands: u32) -> Result<Planned, Error> {
        let (recipe, network) = (&self.recipe, &self.network);
        let image = self.view(size);
        let targets = Targets::plan(&self.target_scale(&self.pictures, size))?;
        let origin = Given::later(Kind::Real, image.len());
        let terms = Placing {
            recipe,
            layers: &self.layers,
            network,
            targets: &targets,
            image,
            seen: stages::seen(recipe, image)?,
            origin: &origin,
            weights: &self.weights,
        }
        .place()?;
        let spec = &recipe.optimizer;
        let iterations = self.iterations(number == 0);
        let earlier = (0..number).map(|before| self.iterations(before == 0)).sum();
        let stepped = self.stepped;
        let optimizer = stepped.then(|| stages::optimizer(recipe, iterations, earlier));
        let average = (stepped && spec.average > 0.0).then_some(Average {
            decay: spec.average,
        });
        let (filters, projections) = if stepped {
            let projections = stages::projections(recipe, &origin, image, self.mean());
            (stages::filters(recipe), projections)
        } else {
            (Vec::new(), Vec::new())
        };
        let iteration = Iteration::new(&Problem {
            network,
            image,
            parameterisation: &stages::maps(&recipe.image.parameterisation, recipe.seed, size)?,
            transformations: &stages::maps(&recipe.image.transformation, recipe.seed, size)?,
            terms: &terms,
            filters: &filters,
            optimizer: optimizer.as_deref(),
            projections: &projections,
            average,
            keep: recipe.keep.filter(|_| stepped).map(|keep| Keep {
                // A term of classes, as those that are kept for are, has one slot.
                slot: terms.iter().take_while(|t| t.group != keep.term).count() as u32,
                threshold: keep.at_most,
                origin: origin.clone(),
            }),
            bands,
        })?;
        Ok(Planned {
            iteration,
            targets,
            origin,
        })
    }

    fn target_scale<'a>(&'a self, pictures: &'a Pictures, size: (u32, u32)) -> targets::Scale<'a> {
        targets::Scale {
            recipe: &self.recipe,
            layers: &self.layers,
            network: &self.network,
            pictures,
            size,
        }
    }

    /// The pictures for a scale: a large one is brought to its size once, and not for every use.
    fn pictures_at(&mut self, size: (u32, u32)) -> Result<Arc<Pictures>, Error> {
        if let Some((_, pictures)) = self.scaled.as_ref().filter(|(of, _)| *of == size) {
            return Ok(Arc::clone(pictures));
        }
        let pictures = Arc::new(self.pictures.at(&self.recipe, size)?);
        self.scaled = Some((size, Arc::clone(&pictures)));
        Ok(pictures)
    }

    /// A scale with its targets and memory, taken from `pool` if there is any of its kind.
    pub async fn executor(
        &mut self,
        number: usize,
        pool: Option<&mut MemoryPool>,
    ) -> Result<Executor, Error> {
        let iteration = self.with_values(number).await?;
        let device = self.network.device();
        let Some(pool) = pool else {
            return Executor::new_async(device, iteration).await;
        };
        match pool.take(&iteration.program.layout.slots) {
            Some(memory) => Executor::in_memory(device, iteration, memory).await,
            None => {
                // Beside all that is kept.
                let needed = iteration.program.bytes_on_top(device);
                iteration.program.check_fits(device, needed)?;
                Executor::new_async(device, iteration).await
            }
        }
    }

    /// A scale for the one before to hand over to; it is not complete yet.
    pub async fn next_executor(&mut self, number: usize) -> Result<Executor, Error> {
        let iteration = self.with_values(number).await?;
        Executor::with_state(self.network.device(), iteration)
    }

    /// The recipe at any size, ready to run from its first iteration.
    pub async fn executor_at(&mut self, size: (u32, u32)) -> Result<Executor, Error> {
        let of_size = |scale: &&Scale| (scale.report.width, scale.report.height) == size;
        let bands = self
            .scales
            .iter()
            .find(of_size)
            .map_or(1, |scale| scale.report.bands);
        let planned = self.planned(0, size, bands)?;
        let iteration = self.filled(planned, size).await?;
        Executor::new_async(self.network.device(), iteration).await
    }

    /// The iteration of a scale, with its targets computed. A scale that was loaded before is planned anew.
    async fn with_values(&mut self, number: usize) -> Result<Iteration, Error> {
        let scale = &mut self.scales[number];
        let size = (scale.report.width, scale.report.height);
        let (planned, bands) = (scale.planned.take(), scale.report.bands);
        let planned = match planned {
            Some(planned) => planned,
            None => self.planned(number, size, bands)?,
        };
        self.filled(planned, size).await
    }

    /// Fills the places of an iteration.
    async fn filled(&mut self, planned: Planned, size: (u32, u32)) -> Result<Iteration, Error> {
        let pictures = self.pictures_at(size)?;
        let scale = self.target_scale(&pictures, size);
        let cache = self.cache.as_deref();
        planned.targets.compute(&scale, cache).await?;
        let origin = quads_of(&self.start(size)?).1;
        let device = self.network.device();
        planned
            .origin
            .set(device.buffer_from("start pictures", &origin)?);
        Ok(planned.iteration)
    }

    /// The start images at `size`.
    pub fn start(&mut self, size: (u32, u32)) -> Result<Vec<Image>, Error> {
        let pictures = self.pictures_at(size)?;
        start(&self.recipe, &pictures, size, self.batch, self.mean())
    }

    /// What the optimization begins with, in the engine's layout: the start images, a random point of the ball around
    /// them where the recipe says so, or the parameters that make them.
    pub fn parameter(&mut self, size: (u32, u32)) -> Result<Vec<f32>, Error> {
        let view = self.view(size);
        if let Some(drawn) = stages::drawn(&self.recipe, view) {
            return Ok(drawn);
        }
        let images = self.start(size)?;
        let recipe = &self.recipe;
        let maps = stages::maps(&recipe.image.parameterisation, recipe.seed, size)?;
        let images = random_in_balls(recipe, images);
        let mut views = vec![view];
        for map in maps.iter().rev() {
            views.push(map.input(views[views.len() - 1]));
        }
        let pixels = quads_of(&images).1;
        Ok(maps
            .iter()
            .rev()
            .zip(views)
            .fold(pixels, |y, (map, view)| map.preimage(view, &y)))
    }
}

/// Where a plan for `size` is too large, the error tells the largest long side of that shape that fits.
pub(crate) fn with_largest(
    mut error: Error,
    size: (u32, u32),
    fits: impl Fn((u32, u32)) -> bool,
) -> Error {
    if let Error::TooLarge { largest, .. } = &mut error {
        let (mut good, mut bad) = (0, size.0.max(size.1));
        while bad - good > 1 {
            let side = good.midpoint(bad);
            if fits(size_for_long_side(size.0, size.1, side)) {
                good = side
            } else {
                bad = side
            }
        }
        *largest = (good > 0).then_some(good);
    }
    error
}

/// The nearest size whose sides are multiples of `tile`.
fn tiled(size: (u32, u32), tile: u32) -> (u32, u32) {
    let whole = |side: u32| side.saturating_add(tile / 2).max(tile) / tile * tile;
    (whole(size.0), whole(size.1))
}

/// What the sides of the image are multiples of: the deepest layer's stride where it is a tile, so that the layers'
/// positions meet across its edges; else 1.
fn tile(recipe: &Recipe, layers: &[Layers], network: &Network) -> u32 {
    if !recipe.is_tile() {
        return 1;
    }
    let nodes = nodes(layers);
    let strides = nodes
        .iter()
        .filter_map(|node| network.graph().stride(*node));
    strides.max().unwrap_or(1)
}

impl Recipe {
    /// What every scale would be and cost, without allocating or running anything on the device.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn dry_run(&self, network: &Network) -> Result<Vec<ScaleReport>, Error> {
        Ok(CompiledRecipe::new(self, network)?.reports())
    }
}
/// The values of a scale that the next one, and whoever asks for the image meanwhile, still need.
pub(crate) fn survivors(handles: &Handles) -> Vec<ValueId> {
    [handles.parameter.value, handles.step]
        .into_iter()
        .chain(handles.average.map(|(_, tensor)| tensor.value))
        .chain(
            [
                handles.state.first,
                handles.state.second,
                handles.state.result,
            ]
            .into_iter()
            .flatten()
            .map(|tensor| tensor.value),
        )
        .collect()
}

/// Bytes that stand beside the program of an image of the shape `next` while it takes over from `iteration`: what
/// survives of it, its result, and one pass of the resampling.
fn bytes_beside(iteration: &Iteration, next: View) -> u64 {
    let values = survivors(&iteration.handles).into_iter();
    let lens = values.map(|id| iteration.program.recording.value(id).len);
    let survivors: usize = lens.sum();
    let image = iteration.handles.image.view;
    let between = View { w: next.w, ..image };
    (survivors + image.len() + between.len()) as u64 * 4
}
