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
    fn record(
        &self,
        recording: &mut Recording,
        image: Tensor,
        gradient: Tensor,
        step: ValueId,
    ) -> State;
}

/// An optimizer's memory, in the image's shape: a finer scale takes it over, resampled.
#[derive(Debug, Clone, Copy, Default)]
pub struct State {
    /// A mean of gradients.
    pub first: Option<Tensor>,
    /// A mean of squared gradients, never negative.
    pub second: Option<Tensor>,
}
