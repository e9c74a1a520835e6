//! A recipe with everything resolved that needs no device memory: what runs, dry runs and gradients begin with.

use super::start::{Pictures, scales, start};
use super::targets::{Targets, packed};
use super::terms::{Layers, place};
use super::{GradientReport, OptimizerKind, Recipe, ScaleReport};
use crate::Error;
use crate::device::Device;
use crate::image::{Image, size_for_long_side};
use crate::kernels::View;
use crate::optim::{Adam, Average, Optimizer};
use crate::plan::{Network, Plan, Problem};
use crate::schedule::Executor;

/// Most iterations of a scale: they are counted in a u32 over all scales.
const MAX_ITERATIONS: u64 = 100_000_000;

/// Pictures read, layers found, sizes known.
#[derive(Debug)]
pub(super) struct Prepared {
    pub recipe: Recipe,
    pub network: Network,
    pub pictures: Pictures,
    layers: Vec<Layers>,
    scales: Vec<(u32, u32)>,
}

impl Prepared {
    pub fn new(recipe: &Recipe, network: &Network) -> Result<Self, Error> {
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
        let mut scales = scales(recipe, &pictures)?;
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
        })
    }

    /// Size of the result.
    fn last(&self) -> (u32, u32) {
        self.scales.last().copied().unwrap_or((1, 1))
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
        let cost = |size| Ok::<_, Error>(self.dry_plan(size)?.cost());
        self.scales
            .iter()
            .enumerate()
            .map(|(i, &(width, height))| {
                let iterations = self.iterations(i == 0);
                Ok(ScaleReport {
                    width,
                    height,
                    iterations,
                    cost: cost((width, height))?,
                })
            })
            .collect()
    }

    /// Whether the largest scale fits the device; the error tells the largest size that does.
    pub fn check_fits(&self, device: &Device) -> Result<(), Error> {
        let last = self.last();
        let fits = |size| self.dry_plan(size).and_then(|plan| plan.check_fits(device));
        match fits(last) {
            Err(Error::TooLarge {
                what,
                needed,
                limit,
                device,
                ..
            }) => {
                let (mut good, mut bad) = (0, last.0.max(last.1));
                while bad - good > 1 {
                    let side = good.midpoint(bad);
                    if fits(size_for_long_side(last.0, last.1, side)).is_ok() {
                        good = side
                    } else {
                        bad = side
                    }
                }
                Err(Error::TooLarge {
                    what,
                    needed,
                    limit,
                    device,
                    largest: (good > 0).then_some(good),
                })
            }
            other => other,
        }
    }

    /// The plan of a scale without its targets' values: same memory, same work.
    fn dry_plan(&self, size: (u32, u32)) -> Result<Plan, Error> {
        let outline = self.network.outline();
        let targets = Targets::shapes_only(&self.recipe, &self.layers, &outline, size)?;
        self.plan(&outline, &targets, size, Some(0))
    }

    /// The plan of a scale; `earlier` is the number of steps taken before it, `None` plans the gradient only.
    fn plan(
        &self,
        network: &Network,
        targets: &Targets,
        size: (u32, u32),
        earlier: Option<u64>,
    ) -> Result<Plan, Error> {
        let terms = place(&self.recipe, &self.layers, network, targets)?;
        let spec = &self.recipe.optimizer;
        let optimizer = earlier.map(|earlier| match spec.kind {
            OptimizerKind::Adam => Adam {
                step_size: spec.step_size,
                beta1: spec.beta1,
                beta2: spec.beta2,
                epsilon: spec.epsilon,
                range: [0.0, 1.0],
                earlier: u32::try_from(earlier).unwrap_or(u32::MAX / 2),
                slope: (spec.final_step - 1.0)
                    / self.iterations(size == self.scales[0]).max(1) as f32,
            },
        });
        Plan::new(&Problem {
            network,
            image: View::new(1, size.1, size.0, 3),
            parameterisation: &[],
            transformations: &[],
            terms: &terms,
            filters: &[],
            average: optimizer.filter(|_| spec.average > 0.0).map(|_| Average {
                decay: spec.average,
            }),
            optimizer: optimizer.as_ref().map(|o| o as &dyn Optimizer),
            projections: &[],
        })
    }

    fn targets(&self, size: (u32, u32)) -> Result<Targets, Error> {
        let native = self.recipe.image.size.is_none() && self.recipe.image.width.is_none();
        Targets::extract(
            &self.recipe,
            &self.layers,
            &self.network,
            &self.pictures.targets,
            size,
            native.then(|| self.last()),
        )
    }

    /// A scale with its targets and memory.
    pub fn executor(&self, size: (u32, u32), earlier: u64) -> Result<Executor, Error> {
        let plan = self.plan(&self.network, &self.targets(size)?, size, Some(earlier))?;
        Executor::new(self.network.device(), plan)
    }

    /// The start image at `size`.
    pub fn start(&self, size: (u32, u32)) -> Result<Image, Error> {
        start(&self.recipe, &self.pictures, size)
    }
}

fn check_optimizer(recipe: &Recipe) -> Result<(), Error> {
    let o = &recipe.optimizer;
    let unit = |v: f32| (0.0..1.0).contains(&v);
    let wrong = if !(o.step_size > 0.0 && o.step_size.is_finite()) {
        format!("step_size is {}; it must be greater than 0", o.step_size)
    } else if !(0.0..=1.0).contains(&o.final_step) {
        format!("final_step is {}; it must be in [0, 1]", o.final_step)
    } else if !unit(o.beta1) || !unit(o.beta2) {
        format!(
            "beta1 and beta2 are {} and {}; they must be in [0, 1)",
            o.beta1, o.beta2
        )
    } else if !(o.epsilon > 0.0 && o.epsilon.is_finite()) {
        format!("epsilon is {}; it must be greater than 0", o.epsilon)
    } else if let Some(most) = [Some(o.iterations), o.initial_iterations]
        .into_iter()
        .flatten()
        .find(|iterations| *iterations > MAX_ITERATIONS)
    {
        format!("{most} iterations; there can be {MAX_ITERATIONS} at every scale")
    } else if !unit(o.average) {
        format!("average is {}; it must be in [0, 1)", o.average)
    } else {
        return Ok(());
    };
    Err(Error::Recipe(format!("optimizer: {wrong}")))
}

impl Recipe {
    /// What every scale would be and cost, without allocating or running anything on the device.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn dry_run(&self, device: &Device, network: &Network) -> Result<Vec<ScaleReport>, Error> {
        let prepared = Prepared::new(self, network)?;
        prepared.check_fits(device)?;
        prepared.reports()
    }

    /// The gradient of the objective at the start image, at the full size.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn gradient(&self, network: &Network) -> Result<GradientReport, Error> {
        let prepared = Prepared::new(self, network)?;
        let device = network.device();
        prepared.check_fits(device)?;
        let size = prepared.last();
        let plan = prepared.plan(network, &prepared.targets(size)?, size, None)?;
        let mut executor = Executor::new(device, plan)?;
        let pixels = packed(&prepared.start(size)?).1;
        device.upload(executor.buffer(executor.plan().image.value), &pixels)?;
        let mut terms = vec![0.0; self.terms.len()];
        let groups = executor.plan().groups.clone();
        let _ = executor.run(1, &mut |step| {
            for (group, loss) in groups.iter().zip(&step.losses) {
                terms[*group] += loss;
            }
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(GradientReport {
            width: size.0,
            height: size.1,
            gradient: executor.read(executor.plan().gradient)?,
            loss: terms.iter().sum(),
            terms,
        })
    }
}
