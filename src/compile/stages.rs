//! From a recipe's specifications to the maps, filters, optimizer and projections of a plan.

use std::sync::Arc;

use crate::Error;
use crate::device::Given;
use crate::kernels::{self, Normalization, StepSize, View};
use crate::optim::{
    Adam, Ball, Blur, ClipSmallContribution, ClipSmallNorm, Decay, Filter, GradientStep, Laplacian,
    Lbfgs, Momentum, Norm, Normalize, Optimizer, Projection,
};
use crate::param::{Chain, Colour, Fourier, Jitter, Map, Round, Tanh, Warp};
use crate::spec::{
    BallNorm, FilterSpec, Init, MapSpec, Measure, OptimizerKind, ProgressPolicy, ProjectionSpec,
    Recipe,
};

/// Most iterations of a scale: they are counted in a u32 over all scales.
const MAX_ITERATIONS: u64 = 100_000_000;

/// A seed for one of several random parts, which the kernels take as a word.
pub(crate) fn word(seed: u64, part: u64) -> u32 {
    let mixed =
        (seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 32) as u32
}

/// The maps of a list, first to last, for an image of `size`.
pub(crate) fn maps(
    specs: &[MapSpec],
    seed: u64,
    size: (u32, u32),
) -> Result<Vec<Arc<dyn Map>>, Error> {
    specs
        .iter()
        .zip(0..)
        .map(|(spec, part)| -> Result<Arc<dyn Map>, Error> {
            let seed = word(seed, part);
            Ok(match *spec {
                MapSpec::Fourier { decay } => Arc::new(fourier(decay, size)),
                MapSpec::Colour { decorrelate } => Arc::new(Colour {
                    decorrelate,
                    sigmoid: true,
                }),
                MapSpec::Tanh => Arc::new(Tanh),
                MapSpec::Round => Arc::new(Round),
                MapSpec::Jitter { pixels } => Arc::new(Jitter::new(seed, pixels)),
                MapSpec::Warp => Arc::new(Warp::new(seed, &Chain::default())?),
            })
        })
        .collect()
}

fn fourier(decay: f64, size: (u32, u32)) -> Fourier {
    Fourier {
        width: size.0,
        decay: decay as f32,
    }
}

/// The size of what the network sees of an image of a size.
pub(crate) fn seen(recipe: &Recipe, image: View) -> Result<View, Error> {
    let size = (image.w, image.h);
    let maps = maps(&recipe.image.transformation, recipe.seed, size)?;
    let seen = maps.iter().fold(image, |view, map| map.output(view));
    let spatial = recipe.terms.iter().any(|term| term.kind.is_spatial());
    if seen != image && spatial {
        return Err(Error::Recipe(
            "a transformation changes the size of the image, and a term compares it with a target position by position"
                .to_string(),
        ));
    }
    Ok(seen)
}

/// Parameters that are drawn and not made of a start image: a spectrum, where the start is noise.
pub(crate) fn drawn(recipe: &Recipe, image: View) -> Option<Vec<f32>> {
    let noise = recipe.image.init == Init::Noise && recipe.image.noise == 0.0;
    match recipe.image.parameterisation.first() {
        Some(MapSpec::Fourier { decay }) if noise => {
            let fourier = fourier(*decay, (image.w, image.h));
            Some(fourier.start(image, recipe.seed))
        }
        _ => None,
    }
}

/// The filters of the gradient.
pub(crate) fn filters(recipe: &Recipe) -> Vec<Box<dyn Filter>> {
    let filter = |spec: &FilterSpec| -> Box<dyn Filter> {
        match *spec {
            FilterSpec::Normalize { by, epsilon } => Box::new(Normalize {
                mode: match by {
                    Measure::MeanAbs => Normalization::MeanAbs,
                    Measure::Std => Normalization::Std,
                    Measure::Rms => Normalization::Rms,
                    Measure::L1 => Normalization::L1,
                    Measure::L2 => Normalization::L2,
                    Measure::Sign => Normalization::Sign,
                },
                epsilon,
            }),
            FilterSpec::Momentum { decay } => Box::new(Momentum { decay }),
            FilterSpec::Laplacian { levels } => Box::new(Laplacian {
                levels,
                wrap: recipe.is_tile(),
            }),
        }
    };
    recipe.filters.iter().map(filter).collect()
}

/// The projections after the step. `origin` holds the start pictures, `mean` is the networks' mean colour.
pub(crate) fn projections(
    recipe: &Recipe,
    origin: &Given,
    image: View,
    mean: [f32; 3],
) -> Vec<Box<dyn Projection>> {
    let projection = |spec: &ProjectionSpec| -> Box<dyn Projection> {
        match *spec {
            ProjectionSpec::Ball { norm, radius, .. } => Box::new(Ball::new(
                match norm {
                    BallNorm::Linf => kernels::BallNorm::Linf,
                    BallNorm::L2 => kernels::BallNorm::L2,
                },
                radius,
                origin.clone(),
                image,
            )),
            ProjectionSpec::Norm { radius, at_most } => Box::new(Norm {
                radius,
                at_most,
                mean,
            }),
            ProjectionSpec::Decay { rate } => Box::new(Decay { rate, mean }),
            ProjectionSpec::Blur { sigma, every } => Box::new(Blur {
                sigma,
                every,
                wrap: recipe.is_tile(),
            }),
            ProjectionSpec::ClipSmallNorm { percentile } => {
                Box::new(ClipSmallNorm { percentile, mean })
            }
            ProjectionSpec::ClipSmallContribution {
                percentile,
                absolute,
            } => Box::new(ClipSmallContribution {
                percentile,
                absolute,
                mean,
            }),
        }
    };
    recipe.projections.iter().map(projection).collect()
}

/// The optimizer of a scale of `iterations` iterations, after `earlier` ones at coarser scales.
pub(crate) fn optimizer(recipe: &Recipe, iterations: u64, earlier: u64) -> Box<dyn Optimizer> {
    let spec = &recipe.optimizer;
    // Parameters of an image may be any number; pixels may not.
    let pixels = recipe.image.parameterisation.is_empty();
    let slope = (spec.final_step - 1.0) / iterations.max(1) as f32;
    match spec.kind {
        OptimizerKind::Lbfgs => Box::new(Lbfgs {
            history: spec.history,
            step_size: spec.step_size,
            range: pixels.then_some([0.0, 1.0]),
            ..Lbfgs::default()
        }),
        OptimizerKind::Gradient => Box::new(GradientStep {
            rate: match spec.progress {
                None => StepSize::Constant {
                    rate: spec.step_size,
                    slope,
                },
                Some(ProgressPolicy::Fixed { desired }) => StepSize::Progress {
                    max: spec.step_size,
                    desired,
                },
                Some(ProgressPolicy::Probability { early, late }) => {
                    StepSize::ProgressOfProbability {
                        max: spec.step_size,
                        early,
                        late,
                        slot: 0,
                    }
                }
            },
            range: pixels.then_some([0.0, 1.0]),
        }),
        OptimizerKind::Adam => Box::new(Adam {
            step_size: spec.step_size,
            beta1: spec.beta1,
            beta2: spec.beta2,
            epsilon: spec.epsilon,
            range: if pixels {
                [0.0, 1.0]
            } else {
                [-f32::MAX, f32::MAX]
            },
            earlier: u32::try_from(earlier).unwrap_or(u32::MAX / 2),
            slope,
        }),
    }
}

/// Whether the numbers of a recipe's steps can be used.
pub(crate) fn check(recipe: &Recipe) -> Result<(), Error> {
    check_optimizer(recipe)?;
    check_tile(recipe)?;
    let fail = |what: &str, reason: &str| Err(Error::Recipe(format!("{what}: {reason}")));
    for filter in &recipe.filters {
        match filter {
            FilterSpec::Normalize { epsilon, .. } if !(*epsilon >= 0.0 && epsilon.is_finite()) => {
                return fail("filter normalize", "`epsilon` must be 0 or more");
            }
            FilterSpec::Momentum { decay } if !(0.0..=1.0).contains(decay) => {
                return fail("filter momentum", "`decay` must be in [0, 1]");
            }
            FilterSpec::Laplacian { levels } if !(1..=16).contains(levels) => {
                return fail("filter laplacian", "`levels` must be from 1 to 16");
            }
            _ => {}
        }
    }
    let positive = |v: f32| v > 0.0 && v.is_finite();
    for projection in &recipe.projections {
        match projection {
            ProjectionSpec::Ball { radius, .. } | ProjectionSpec::Norm { radius, .. }
                if !positive(*radius) =>
            {
                return fail("projection", "`radius` must be greater than 0");
            }
            ProjectionSpec::Ball { .. } if !recipe.image.parameterisation.is_empty() => {
                return fail(
                    "projection ball",
                    "is for pixels, not for a parameterised image",
                );
            }
            ProjectionSpec::Decay { rate } if !(0.0..=1.0).contains(rate) => {
                return fail("projection decay", "`rate` must be in [0, 1]");
            }
            ProjectionSpec::Blur { sigma, every } if !positive(*sigma) || *every == 0 => {
                return fail(
                    "projection blur",
                    "`sigma` must be greater than 0 and `every` at least 1",
                );
            }
            ProjectionSpec::ClipSmallNorm { percentile }
            | ProjectionSpec::ClipSmallContribution { percentile, .. }
                if !(0.0..=100.0).contains(percentile) =>
            {
                return fail("projection", "`percentile` must be from 0 to 100");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether every part of a recipe for a tile knows what is beyond an edge.
fn check_tile(recipe: &Recipe) -> Result<(), Error> {
    if recipe.is_tile() && recipe.image.transformation.contains(&MapSpec::Warp) {
        return Err(Error::Recipe(
            "transformation `warp` does not wrap around: it is not for a recipe with `padding = \"wrap\"`"
                .to_string(),
        ));
    }
    Ok(())
}

/// Whether what a recipe keeps can be kept over that many scales.
pub(crate) fn check_keep(recipe: &Recipe, scales: usize) -> Result<(), Error> {
    let Some(keep) = recipe.keep else {
        return Ok(());
    };
    let wrong = match recipe.terms.get(keep.term) {
        None => format!(
            "there is no term {}: the recipe has {}, counted from 0",
            keep.term,
            recipe.terms.len()
        ),
        Some(term) if !term.kind.is_of_classes() => format!(
            "term {} is {}; it must be logit, cross_entropy or margin",
            keep.term,
            term.kind.name()
        ),
        _ if scales > 1 => "is for one scale: leave `min_size` and `octaves` away".to_string(),
        _ if recipe.optimizer.average > 0.0 => {
            "the result is either an average or what is kept, not both".to_string()
        }
        _ => return Ok(()),
    };
    Err(Error::Recipe(format!("keep: {wrong}")))
}

fn check_optimizer(recipe: &Recipe) -> Result<(), Error> {
    let o = &recipe.optimizer;
    let unit = |v: f32| (0.0..1.0).contains(&v);
    let positive = |v: f32| v > 0.0 && v.is_finite();
    let wrong = if !positive(o.step_size) {
        format!("step_size is {}; it must be greater than 0", o.step_size)
    } else if !(0.0..=1.0).contains(&o.final_step) {
        format!("final_step is {}; it must be in [0, 1]", o.final_step)
    } else if !unit(o.beta1) || !unit(o.beta2) {
        format!(
            "beta1 and beta2 are {} and {}; they must be in [0, 1)",
            o.beta1, o.beta2
        )
    } else if !positive(o.epsilon) {
        format!("epsilon is {}; it must be greater than 0", o.epsilon)
    } else if let Some(most) = [Some(o.iterations), o.initial_iterations]
        .into_iter()
        .flatten()
        .find(|iterations| *iterations > MAX_ITERATIONS)
    {
        format!("{most} iterations; there can be {MAX_ITERATIONS} at every scale")
    } else if !unit(o.average) {
        format!("average is {}; it must be in [0, 1)", o.average)
    } else if !(1..=127).contains(&o.history) {
        format!("history is {}; it must be from 1 to 127", o.history)
    } else if o.kind == OptimizerKind::Lbfgs && !recipe.image.transformation.is_empty() {
        "lbfgs compares the objective of one iteration with that of the next, so it takes no random transformation"
            .to_string()
    } else if o.kind == OptimizerKind::Lbfgs
        && !(recipe.filters.is_empty() && recipe.projections.is_empty())
    {
        "lbfgs needs the gradient as it is and moves the image itself: it takes no filter and no projection"
            .to_string()
    } else if o.kind == OptimizerKind::Lbfgs && o.average > 0.0 {
        "lbfgs ends at its best point: it takes no average".to_string()
    } else if o.progress.is_some() && o.kind != OptimizerKind::Gradient {
        "`progress` is for the optimizer `gradient`".to_string()
    } else {
        return Ok(());
    };
    Err(Error::Recipe(format!("optimizer: {wrong}")))
}
