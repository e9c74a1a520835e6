//! The optimizers: one file each; a step is recorded after the gradient.

mod adam;
mod average;

pub use adam::Adam;
pub use average::Average;

use crate::device::{Recording, ValueId};
use crate::kernels::Tensor;

/// What steps the image.
pub trait Optimizer: std::fmt::Debug + Send + Sync {
    /// Records one step of `image` against `gradient`; `step` holds the number of completed iterations.
    fn record(&self, recording: &mut Recording, image: Tensor, gradient: Tensor, step: ValueId) -> State;
}

/// An optimizer's memory: tensors of the image's shape that a finer scale takes over, resampled.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Signed moments.
    pub first: Option<Tensor>,
    /// Moments that must not become negative.
    pub second: Option<Tensor>,
}
