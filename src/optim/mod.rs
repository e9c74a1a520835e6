//! What steps the image, one file each: filters of the gradient, optimizers, projections. They are recorded after the
//! gradient, in this order, and none reads anything back.

mod about_mean;
mod adam;
mod average;
mod ball;
mod blur;
mod clip_small;
mod evolve;
mod gradient_step;
mod keep_best;
mod laplacian;
mod lbfgs;
mod momentum;
mod normalize;

pub use about_mean::{Decay, Norm};
pub use adam::Adam;
pub use average::Average;
pub use ball::Ball;
pub use blur::Blur;
pub use clip_small::{ClipSmallContribution, ClipSmallNorm};
pub use evolve::{Elites, Evolve};
pub use gradient_step::GradientStep;
pub use keep_best::{Kept, record_keep_best};
pub use laplacian::Laplacian;
pub use lbfgs::Lbfgs;
pub use momentum::Momentum;
pub use normalize::Normalize;

use crate::device::{Recording, ValueId};
use crate::kernels::Tensor;

/// Where a step is taken: what it reads and writes.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// What is stepped: the pixels of n images in `[0,1]`, or the parameters that they are made of.
    pub x: Tensor,
    /// The gradient of the objective with respect to `x`, filtered.
    pub gradient: Tensor,
    /// One word: the number of iterations completed before this one.
    pub step: ValueId,
    /// The weighted values of the terms at `x`, `[n, slots]`.
    pub losses: ValueId,
    /// Values of one image.
    pub slots: u32,
}

/// A change of the gradient before the optimizer sees it: normalisation, smoothing, momentum.
pub trait Filter: std::fmt::Debug + Send + Sync {
    /// Records the filtered gradient; the one of `site` may be overwritten.
    fn record(&self, recording: &mut Recording, site: Site) -> Tensor;
}

/// What steps the image.
pub trait Optimizer: std::fmt::Debug + Send + Sync {
    /// Records one step of `site.x` against `site.gradient`.
    fn record(&self, recording: &mut Recording, site: Site) -> State;
}

/// A change of the image after the step: a constraint or a regularisation that is not a term.
pub trait Projection: std::fmt::Debug + Send + Sync {
    /// Records the change of `site.x` in place; `site.gradient` is still the one that the step was taken against.
    fn record(&self, recording: &mut Recording, site: Site);
}

/// An optimizer's memory, in the image's shape: a finer scale takes it over, resampled.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// A mean of gradients.
    pub first: Option<Tensor>,
    /// A mean of squared gradients, never negative.
    pub second: Option<Tensor>,
    /// What to show instead of `x`, where that is a trial point: the best point so far, in the shape of `x`.
    pub result: Option<Tensor>,
    /// Words that the optimizer counts in, for each image of a batch; it says what they are.
    pub counters: Option<ValueId>,
}
