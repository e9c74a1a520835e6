//! A recipe with everything resolved that needs no device memory: what runs, dry runs and gradients begin with.

use std::sync::Arc;

use parking_lot::Mutex;

use super::answers::packed;
use super::handover::bytes_beside;
use super::masks;
use super::memo::{Memo, Spare};
use super::place::Placing;
use super::start::{Pictures, batch, random_in_balls, scales, start};
use super::steps;
use super::targets::Targets;
use super::terms::Layers;
use super::{Recipe, ScaleReport};
use crate::Error;
use crate::device::{Buffer, Kind};
use crate::image::{Image, size_for_long_side};
use crate::kernels::View;
use crate::optim::Average;
use crate::plan::{Keep, Network, Plan, Problem, fewest_bands};
use crate::schedule::Executor;

/// Pictures read, layers found, sizes known.
#[derive(Debug)]
pub(super) struct Prepared {
    pub recipe: Recipe,
    pub network: Network,
    pub pictures: Pictures,
    layers: Vec<Layers>,
    scales: Vec<(u32, u32)>,
    /// In how many bands the network sees the image of each scale.
    pub bands: Vec<u32>,
    /// Images optimized at once.
    batch: u32,
    /// What is known of the style pictures from other runs.
    pub memo: Option<Arc<Memo>>,
    /// The pictures with those that are compared position by position brought to a size, the last one asked for.
    scaled: Mutex<Option<Scaled>>,
    /// Size of the result, had it not to be a multiple of `tile`.
    asked: (u32, u32),
    /// What both sides are multiples of.
    tile: u32,
}

/// A size in pixels, and pictures for it.
type Scaled = ((u32, u32), Arc<Pictures>);

impl Prepared {
    pub fn new(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        let mut prepared = Self::read(recipe, network)?;
        prepared.bands = prepared.fit()?;
        Ok(prepared)
    }

    /// As [`Prepared::new`] without a look at memory: the bands are the caller's to set.
    pub fn read(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
        if recipe.terms.is_empty() {
            return Err(Error::Recipe(
                "the recipe has no [[term]]: there is nothing to optimize".to_string(),
            ));
        }
        steps::check(recipe)?;
        let network = &network
            .rewired(recipe.padding, recipe.pooling)
            .stored(recipe.precision);
        let batch = batch(recipe)?;
        let layers = recipe
            .terms
            .iter()
            .map(|t| t.resolve(network))
            .collect::<Result<Vec<_>, _>>()?;
        let pictures = Pictures::load(recipe)?;
        let mut scales = scales(recipe, &pictures)?;
        if scales.len() > 1 && !recipe.image.parameterisation.is_empty() {
            return Err(Error::Recipe(
                "a parameterised image has one scale: leave `min_size` and `octaves` away"
                    .to_string(),
            ));
        }
        steps::check_keep(recipe, scales.len())?;
        let asked = scales[scales.len() - 1];
        let tile = tile(recipe, &layers, network);
        for size in &mut scales {
            *size = tiled(*size, tile);
        }
        scales.dedup();
        let shape = pictures.shape(recipe).map_or(asked, |p| p.size());
        masks::check(recipe, &pictures.masks, shape, |group| {
            pictures.targets[group].iter().map(|p| p.size()).collect()
        })?;
        // Of a long, narrow picture the coarsest scales may be too narrow for a layer: it starts finer then.
        let graph = network.graph();
        let reaches = |(w, h)| {
            let mut nodes = layers.iter().flat_map(|l: &Layers| &l.0);
            nodes.all(|(node, _)| graph.shape(*node, h, w).is_ok())
        };
        let narrow = scales.iter().take_while(|s| !reaches(**s)).count();
        scales.drain(..narrow.min(scales.len() - 1));
        Ok(Self {
            recipe: recipe.clone(),
            network: network.clone(),
            pictures,
            layers,
            scales,
            bands: Vec::new(),
            batch,
            asked,
            tile,
            memo: None,
            scaled: Mutex::default(),
        })
    }

    /// See [`Run::notes`](super::Run::notes).
    pub fn notes(&self) -> Vec<String> {
        let ((w, h), (width, height)) = (self.asked, self.last());
        if (w, h) == (width, height) {
            return Vec::new();
        }
        vec![format!(
            "the result is {width}x{height} pixels, not {w}x{h}: the sides of a tile are multiples of {}, the stride of \
             the deepest layer",
            self.tile
        )]
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
    pub fn scales(&self) -> &[(u32, u32)] {
        &self.scales
    }

    /// Size of the result.
    pub fn last(&self) -> (u32, u32) {
        self.scales.last().copied().unwrap_or((1, 1))
    }

    /// The nearest size that the recipe can have: that of a tile is a multiple of the deepest layer's stride.
    pub fn tiled(&self, size: (u32, u32)) -> (u32, u32) {
        tiled(size, self.tile)
    }

    /// Iterations of the coarsest scale or of any other.
    fn iterations(&self, coarsest: bool) -> u64 {
        let optimizer = &self.recipe.optimizer;
        optimizer
            .initial_iterations
            .filter(|_| coarsest)
            .unwrap_or(optimizer.iterations)
    }

    /// What every scale is and costs, coarsest first.
    pub fn reports(&self) -> Result<Vec<ScaleReport>, Error> {
        let mut before: Option<Plan> = None;
        let mut reports = Vec::new();
        for (i, (&(width, height), &bands)) in self.scales.iter().zip(&self.bands).enumerate() {
            let plan = self.dry_plan((width, height), bands)?;
            let cost = plan.cost();
            let beside = before.map_or(0, |p| bytes_beside(&p, plan.image.view));
            reports.push(ScaleReport {
                width,
                height,
                iterations: self.iterations(i == 0),
                bands,
                peak_bytes: plan.peak_bytes(beside),
                cost,
            });
            before = Some(plan);
        }
        Ok(reports)
    }

    /// In as few bands as possible for every scale; where the largest does not fit in any, the error tells the largest size
    /// that does.
    pub fn fit(&self) -> Result<Vec<u32>, Error> {
        let device = self.network.device();
        let fit = |size: (u32, u32), before: Option<&Plan>| {
            let beside = before.map_or(0, |p| bytes_beside(p, self.view(size)));
            fewest_bands(
                device,
                |plan| plan.peak_bytes(beside),
                |bands| self.dry_plan(size, bands),
            )
        };
        let mut before: Option<Plan> = None;
        let mut bands = Vec::new();
        for &size in &self.scales {
            match fit(size, before.as_ref()) {
                Ok((count, plan)) => {
                    bands.push(count);
                    before = Some(plan);
                }
                Err(error) => {
                    let fits = |size| fit(size, None).is_ok();
                    return Err(with_largest(error, size, fits));
                }
            }
        }
        Ok(bands)
    }

    /// The plan of a scale without its targets' values: same memory, same work.
    pub fn dry_plan(&self, size: (u32, u32), bands: u32) -> Result<Plan, Error> {
        let outline = self.network.outline();
        let pictures = &self.pictures.targets;
        let targets = Targets::shapes_only(
            &self.recipe,
            &self.layers,
            &outline,
            pictures,
            size,
            self.native(),
        )?;
        let len = self.view(size).len();
        let origin = outline.device().buffer("start pictures", Kind::Real, len)?;
        self.plan(&outline, &targets, &origin, size, bands, Some(0))
    }

    /// The plan of a scale; `earlier` is the number of steps taken before it, `None` plans the gradient only.
    fn plan(
        &self,
        network: &Network,
        targets: &Targets,
        origin: &Buffer,
        size: (u32, u32),
        bands: u32,
        earlier: Option<u64>,
    ) -> Result<Plan, Error> {
        let recipe = &self.recipe;
        let terms = Placing {
            recipe,
            layers: &self.layers,
            network,
            targets,
            image: self.view(size),
            seen: steps::seen(recipe, self.view(size))?,
            origin,
        }
        .place()?;
        let spec = &recipe.optimizer;
        let iterations = self.iterations(size == self.scales[0]);
        let optimizer = earlier.map(|earlier| steps::optimizer(recipe, iterations, earlier));
        let stepped = optimizer.is_some();
        let average = (stepped && spec.average > 0.0).then_some(Average {
            decay: spec.average,
        });
        Plan::new(&Problem {
            network,
            image: self.view(size),
            parameterisation: &steps::maps(&recipe.image.parameterisation, recipe.seed, size)?,
            transformations: &steps::maps(&recipe.image.transformation, recipe.seed, size)?,
            terms: &terms,
            filters: &if stepped {
                steps::filters(recipe)
            } else {
                Vec::new()
            },
            optimizer: optimizer.as_deref(),
            projections: &if stepped {
                steps::projections(recipe, origin, self.view(size), self.mean())
            } else {
                Vec::new()
            },
            average,
            keep: recipe.keep.filter(|_| stepped).map(|keep| Keep {
                // A term of classes, as those that are kept for are, has one slot.
                slot: terms.iter().take_while(|t| t.group != keep.term).count() as u32,
                threshold: keep.at_most,
                origin: origin.clone(),
            }),
            bands,
        })
    }

    /// The pictures for a scale: a large one is brought to its size once, and not for every use.
    fn pictures_at(&self, size: (u32, u32)) -> Result<Arc<Pictures>, Error> {
        let mut scaled = self.scaled.lock();
        if let Some((_, pictures)) = scaled.as_ref().filter(|(of, _)| *of == size) {
            return Ok(Arc::clone(pictures));
        }
        let pictures = Arc::new(self.pictures.at(&self.recipe, size)?);
        *scaled = Some((size, Arc::clone(&pictures)));
        Ok(pictures)
    }

    fn targets(&self, size: (u32, u32)) -> Result<Targets, Error> {
        Targets::extract(
            &self.recipe,
            &self.layers,
            &self.network,
            &*self.pictures_at(size)?,
            size,
            self.native(),
            self.memo.as_deref(),
        )
    }

    /// The final size, where no size was asked for.
    fn native(&self) -> Option<(u32, u32)> {
        let image = &self.recipe.image;
        (image.size.is_none() && image.width.is_none()).then(|| self.last())
    }

    /// A scale with its targets and memory, taken from `spare` if there is any of its kind; `earlier` as for its plan.
    pub fn executor(
        &self,
        size: (u32, u32),
        earlier: Option<u64>,
        spare: Option<&mut Spare>,
    ) -> Result<Executor, Error> {
        let device = self.network.device();
        let plan = self.full_plan(size, earlier)?;
        let Some(spare) = spare else {
            return Executor::new(device, plan);
        };
        match spare.take(&plan.layout.slots) {
            Some(memory) => Executor::in_memory(device, plan, memory),
            None => {
                // Beside all that is kept.
                plan.check_fits(device, plan.bytes_on_top(device))?;
                Executor::new(device, plan)
            }
        }
    }

    /// A scale for the one before to hand over to, `earlier` steps after the first; it is not complete yet.
    pub fn next_executor(&self, size: (u32, u32), earlier: u64) -> Result<Executor, Error> {
        Executor::with_state(self.network.device(), self.full_plan(size, Some(earlier))?)
    }

    fn full_plan(&self, size: (u32, u32), earlier: Option<u64>) -> Result<Plan, Error> {
        let device = self.network.device();
        let scale = self.scales.iter().position(|scale| *scale == size);
        let bands = scale.map_or(1, |scale| self.bands[scale]);
        let targets = self.targets(size)?;
        let origin = packed(&self.start(size)?).1;
        let origin = device.buffer_from("start pictures", &origin)?;
        self.plan(&self.network, &targets, &origin, size, bands, earlier)
    }

    /// The start images at `size`.
    pub fn start(&self, size: (u32, u32)) -> Result<Vec<Image>, Error> {
        let pictures = self.pictures_at(size)?;
        start(&self.recipe, &pictures, size, self.batch, self.mean())
    }

    /// What the optimization begins with, in the engine's layout: the start images, a random point of the ball around
    /// them where the recipe says so, or the parameters that make them.
    pub fn parameter(&self, size: (u32, u32)) -> Result<Vec<f32>, Error> {
        let recipe = &self.recipe;
        let view = self.view(size);
        let maps = steps::maps(&recipe.image.parameterisation, recipe.seed, size)?;
        if let Some(drawn) = steps::drawn(recipe, view) {
            return Ok(drawn);
        }
        let images = random_in_balls(recipe, self.start(size)?);
        let mut views = vec![view];
        for map in maps.iter().rev() {
            views.push(map.input(views[views.len() - 1]));
        }
        let pixels = packed(&images).1;
        Ok(maps
            .iter()
            .rev()
            .zip(views)
            .fold(pixels, |y, (map, view)| map.preimage(view, &y)))
    }
}

/// Where a plan for `size` is too large, the error tells the largest long side of that shape that fits.
pub(super) fn with_largest(
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

/// What the sides of the image are multiples of: the deepest layer's stride where it is a tile, so that the layers' positions
/// meet across its edges; else 1.
fn tile(recipe: &Recipe, layers: &[Layers], network: &Network) -> u32 {
    if !recipe.is_tile() {
        return 1;
    }
    let nodes = layers.iter().flat_map(|l| &l.0);
    let strides = nodes.filter_map(|(node, _)| network.graph().stride(*node));
    strides.max().unwrap_or(1)
}

impl Recipe {
    /// What every scale would be and cost, without allocating or running anything on the device.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn dry_run(&self, network: &Network) -> Result<Vec<ScaleReport>, Error> {
        Prepared::new(self, network)?.reports()
    }
}
