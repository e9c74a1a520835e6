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
    Recipe, RecipeError,
};

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
                MapSpec::Tanh {} => Arc::new(Tanh),
                MapSpec::Round {} => Arc::new(Round),
                MapSpec::Jitter { pixels } => Arc::new(Jitter::new(seed, pixels)),
                MapSpec::Warp {} => Arc::new(Warp::new(seed, &Chain::default())?),
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
        return Err(RecipeError::ChangedSize.into());
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
