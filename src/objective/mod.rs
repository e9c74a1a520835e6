//! The terms of the objective: one file per term, with its value and the gradient it injects into a layer.
//!
//! A term reads one tensor (a layer's activation, or the image) and adds `weight · L` to a slot of the losses. All
//! values are per image of a batch and summed over it.

mod content;
mod gram;
mod tv;

pub use content::Content;
pub use gram::{Gram, record_gram};
pub use tv::Tv;

use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{SquaredDifference, Sum, Tensor, View};

/// One term at one tensor.
pub trait Term: std::fmt::Debug + Send + Sync {
    /// Records `losses[slot] = weight · L(x)`.
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved;

    /// Records `dx (+)= weight · dL/dx`; adds where `accumulate`, else writes every element.
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    );
}

/// Where a term's weighted value goes.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// The buffer of all values of an iteration.
    pub losses: ValueId,
    /// This term's place in it.
    pub slot: u32,
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug, Clone, Default)]
pub struct Saved(Vec<Tensor>);

/// Records `losses[slot] = scale · Σ (a − b)²`.
fn record_squared_difference(
    recording: &mut Recording,
    label: &str,
    a: Tensor,
    b: (ValueId, View),
    scale: f64,
    loss: Loss,
) {
    let difference = SquaredDifference { a: a.view, b: b.1 };
    let partials = recording.transient(
        format!("{label} partial sums"),
        Kind::Real,
        difference.partials_len() as usize,
    );
    recording.call(
        format!("{label} difference"),
        difference,
        &[a.value, b.0, partials],
    );
    record_sum(recording, label, partials, scale, loss);
}

/// Records `losses[slot] = scale · Σ partials`.
fn record_sum(recording: &mut Recording, label: &str, partials: ValueId, scale: f64, loss: Loss) {
    let len = recording.value(partials).len as u32;
    recording.call(
        format!("{label} sum"),
        Sum {
            len,
            scale: scale as f32,
            slot: loss.slot,
        },
        &[partials, loss.losses],
    );
}
