//! What lies between the numbers that are optimized and the picture that the network sees, one file each:
//! differentiable maps. A *parameterisation* makes the image of other numbers (a spectrum, a point of tanh space). A
//! *transformation* changes the image on its way to the network, anew in every iteration (jitter, scaling, rotation).

mod colour;
mod fourier;
mod jitter;
mod round;
mod tanh;
mod warp;

pub use colour::Colour;
pub use fourier::Fourier;
pub use jitter::Jitter;
pub use round::Round;
pub use tanh::Tanh;
pub use warp::{Chain, Warp};

use crate::device::{Recording, ValueId};
use crate::kernels::{Tensor, View};

/// A differentiable map from one tensor to another.
pub trait Map: std::fmt::Debug + Send + Sync {
    /// The shape of the input whose output has the shape `y`.
    fn input(&self, y: View) -> View {
        y
    }

    /// The shape of the output for an input of shape `x`.
    fn output(&self, x: View) -> View {
        x
    }

    /// Records y = map(x). `step` is one word, the number of iterations completed: what a random map draws from.
    fn forward(&self, recording: &mut Recording, x: Tensor, step: ValueId) -> Mapped;

    /// Records the gradient with respect to x, every element of it, from the one with respect to y.
    fn backward(
        &self,
        recording: &mut Recording,
        mapped: &Mapped,
        dy: Tensor,
        step: ValueId,
    ) -> Tensor;

    /// An input whose output is `y` (in the engine's layout, shape `view`), or as near as there is one: where an
    /// optimization that begins at a picture begins.
    fn preimage(&self, view: View, y: &[f32]) -> Vec<f32> {
        let _ = view;
        y.to_vec()
    }
}

/// What the forward pass of a map leaves behind.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// The input.
    pub x: Tensor,
    /// The output.
    pub y: Tensor,
    /// What else the backward pass reads.
    pub saved: Vec<Tensor>,
}
