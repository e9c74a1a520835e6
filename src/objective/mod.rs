//! The terms of the objective: one file per term, with its value and the gradient it injects into a layer.
//!
//! A term reads one tensor (a layer's activation, or the image) and writes `weight · L` of every image of a batch to a
//! slot of that image's losses. The objective of a batch is the sum over its images: none depends on another.

mod activation;
mod alpha_norm;
mod content;
mod cross_entropy;
mod direction;
mod energy;
mod gram;
mod guide;
mod labels;
mod margin;
mod tv;
mod tv_beta;

pub use activation::{Activation, Selection};
pub use alpha_norm::AlphaNorm;
pub use content::Content;
pub use cross_entropy::CrossEntropy;
pub use direction::Direction;
pub use energy::Energy;
pub use gram::{Gram, record_gram};
pub use guide::Guide;
pub use labels::Labels;
pub use margin::Margin;
pub use tv::Tv;
pub use tv_beta::TvBeta;

use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{SquaredDifference, Sum, Tensor, View};

/// One term at one tensor.
pub trait Term: std::fmt::Debug + Send + Sync {
    /// Records `losses[i, slot] = weight · L(xᵢ)` for every image i of the batch.
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
    /// The buffer of all values of an iteration, `[n, slots]`.
    pub losses: ValueId,
    /// Values of one image.
    pub slots: u32,
    /// This term's place among them.
    pub slot: u32,
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug, Clone, Default)]
pub struct Saved(Vec<ValueId>);

/// Records `losses[i, slot] = scale · Σ (aᵢ − bᵢ)²` for every image i.
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
        (a.view.n * difference.parts()) as usize,
    );
    recording.call(
        format!("{label} difference"),
        difference,
        &[a.value, b.0, partials],
    );
    record_sum(recording, label, partials, a.view.n, scale, loss);
}

/// Records `losses[i, slot] = scale · Σ partials[i, ..]` for each of n images; `partials` is `[n, parts]`.
fn record_sum(
    recording: &mut Recording,
    label: &str,
    partials: ValueId,
    n: u32,
    scale: f64,
    loss: Loss,
) {
    let parts = recording.value(partials).len as u32 / n;
    recording.call(
        format!("{label} sum"),
        Sum {
            n,
            parts,
            scale: scale as f32,
            slots: loss.slots,
            slot: loss.slot,
        },
        &[partials, loss.losses],
    );
}
