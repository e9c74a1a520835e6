//! The terms of the objective: one file per term, with its value and the gradient it injects into a layer.
//!
//! A term reads one tensor (a layer's activation, or the image) and writes `weight · L` of every image of a batch to a
//! slot of that image's losses. The objective of a batch is the sum over its images: none depends on another.

mod activation;
mod alpha_norm;
mod channel_statistics;
mod content;
mod cross_entropy;
mod direction;
mod energy;
mod error;
mod gram;
mod guide;
mod labels;
mod margin;
mod masked;
mod mmd;
mod moments;
mod normal;
mod polar;
mod sliced_wasserstein;
mod tv;
mod tv_beta;
mod wasserstein;

pub use activation::{Activation, Selection};
pub use alpha_norm::AlphaNorm;
pub use channel_statistics::{ChannelStatistics, goal_view, record_goal};
pub use content::Content;
pub use cross_entropy::CrossEntropy;
pub use direction::Direction;
pub use energy::Energy;
pub use error::{ObjectiveError, SelectionError};
pub use gram::{Gram, gather_gram, gram_view, record_gram};
pub use guide::Guide;
pub use labels::Labels;
pub use margin::Margin;
pub use masked::{Masked, record_masked};
pub use mmd::{
    EXACT as MMD_EXACT, Mmd, MmdTarget, VectorSet, evenly_spread, record_similarity,
    record_similarity_to_zero,
};
pub use moments::{Moments, Spread, conclude_moments, gather_moments, record_mixture, spread_view};
pub use normal::{Dispersion, conclude_normal, covariance_factor, gather_normal};
pub use polar::{record_polar, record_roots};
pub use sliced_wasserstein::SlicedWasserstein;
pub use tv::Tv;
pub use tv_beta::TvBeta;
pub use wasserstein::Wasserstein;

use crate::device::{Kind, Recording, Scalar, ValueId};
use crate::kernels::{Combine, CopyRows, SquaredDifference, Sum, Tensor, View};

/// One term at one tensor.
///
/// A layer may be larger than the device's memory; then it is seen in bands of rows. So a term has three steps. Each
/// band is gathered, the value is concluded from what all bands have gathered, and then each band gets its gradient. A
/// layer that is seen whole is one band.
pub trait Term: std::fmt::Debug + Send + Sync {
    /// Why the term needs the whole layer at once, if it does.
    fn needs_whole_layer(&self) -> Option<&'static str> {
        None
    }

    /// Records what the rows `x` of a layer contribute; the first band begins `gathered`.
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered);

    /// Records `losses[i, slot] = weight · L(xᵢ)` for every image i of the batch, from what all bands have gathered.
    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved;

    /// Records `dx (+)= weight · dL/dx` for the rows `x` of the layer; adds where `accumulate`, else writes every
    /// element.
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    );
}

/// Records the value of a term at a tensor that is seen whole.
pub fn record_value(recording: &mut Recording, term: &dyn Term, x: Tensor, loss: Loss) -> Saved {
    let mut gathered = Gathered::default();
    term.gather(recording, x, Band::whole(x.view), &mut gathered);
    term.conclude(recording, x.view, gathered, loss)
}

/// Records the gradient of a term at a tensor that is seen whole: `dx (+)= weight · dL/dx`.
pub fn record_gradient(
    recording: &mut Recording,
    term: &dyn Term,
    x: Tensor,
    saved: &Saved,
    dx: Tensor,
    accumulate: bool,
) {
    term.backward(recording, x, Band::whole(x.view), saved, dx, accumulate);
}

/// Some rows of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// The whole layer.
    pub layer: View,
    /// The band's first row in it.
    pub first: u32,
    /// Its number.
    pub index: u32,
    /// How many bands the layer is seen in.
    pub count: u32,
}

impl Band {
    /// Whether all rows of the layer have been seen after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }

    /// The whole layer as one band.
    #[must_use]
    pub fn whole(layer: View) -> Self {
        Self {
            layer,
            first: 0,
            index: 0,
            count: 1,
        }
    }
}

/// Where a term's weighted value goes, and the iteration whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Loss {
    /// The buffer of all values of an iteration, `[n, slots]`.
    pub losses: ValueId,
    /// Values of one image.
    pub slots: u32,
    /// This term's place among them.
    pub slot: u32,
    /// Completed iterations, one word: what random draws depend on.
    pub step: ValueId,
}

/// What the bands of a layer have contributed to a term.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// Whatever the term keeps, such as sums over positions.
    values: Vec<ValueId>,
    /// The layer, for a term that needs it whole.
    layer: Option<Tensor>,
    /// For each band, or part of the value, partial sums, `[n, parts]`, and the factor on them.
    sums: Vec<(ValueId, Scalar)>,
}

impl Gathered {
    /// Keeps partial sums, `[n, parts]`: a band's, or a part of the value. The value is the sum of all, each times its
    /// `scale`.
    pub fn add_sum(&mut self, partials: ValueId, scale: impl Into<Scalar>) {
        self.sums.push((partials, scale.into()));
    }

    /// Whether the layer was seen in several bands.
    fn is_banded(&self) -> bool {
        self.sums.len() > 1
    }

    /// Records the value of each of n images from the partial sums of all bands.
    pub fn conclude_sums(&self, recording: &mut Recording, label: &str, n: u32, loss: Loss) {
        if let [(partials, scale)] = &self.sums[..] {
            return record_sum(recording, label, *partials, n, scale.clone(), loss);
        }
        let slots = self.sums.len() as u32;
        let len = (n * slots) as usize;
        let values = recording.transient("partial values", Kind::Real, len);
        for ((partials, scale), slot) in self.sums.iter().zip(0..) {
            let of_band = Loss {
                losses: values,
                slots,
                slot,
                ..loss
            };
            record_sum(recording, label, *partials, n, scale.clone(), of_band);
        }
        record_sum(recording, label, values, n, 1.0.into(), loss);
    }
}

/// What the value of a term leaves for its gradient.
#[derive(Debug, Clone, Default)]
pub struct Saved(Vec<ValueId>);

impl Saved {
    /// Values that the gradient reads again.
    #[must_use]
    pub fn new(values: Vec<ValueId>) -> Self {
        Self(values)
    }

    /// These values.
    #[must_use]
    pub fn values(&self) -> &[ValueId] {
        &self.0
    }
}

/// Records `sum += x`, values of one length, a multiple of 4.
fn record_add(recording: &mut Recording, label: &str, x: ValueId, sum: ValueId) {
    let add = Combine {
        len: recording.value(sum).len as u32,
        alpha: 1.0,
        beta: 1.0,
    };
    recording.call(label, add, &[x, sum]);
}

/// Records the rows of `target`, a tensor of `band.layer`'s height, that `x` is compared with.
fn rows_of(recording: &mut Recording, target: Tensor, band: Band, x: View) -> Tensor {
    let view = View::new(target.view.n, x.h, x.w, x.c);
    let rows = Tensor::transient(recording, "rows of the target", view);
    let copy = CopyRows {
        x: target.view,
        y: view,
        from: band.first,
        to: 0,
        rows: x.h,
        accumulate: false,
    };
    recording.call("rows of the target", copy, &[target.value, rows.value]);
    rows
}

/// Records the partial sums of Σ (aᵢ − bᵢ)² for every image i: `[n, parts]`.
fn record_squared_difference(
    recording: &mut Recording,
    label: &str,
    a: Tensor,
    b: (ValueId, View),
) -> ValueId {
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
    partials
}

/// Records `losses[i, slot] = scale · Σ partials[i, ..]` for each of n images; `partials` is `[n, parts]`.
fn record_sum(
    recording: &mut Recording,
    label: &str,
    partials: ValueId,
    n: u32,
    scale: Scalar,
    loss: Loss,
) {
    let parts = recording.value(partials).len as u32 / n;
    recording.call(
        format!("{label} sum"),
        Sum {
            n,
            parts,
            scale,
            slots: loss.slots,
            slot: loss.slot,
        },
        &[partials, loss.losses],
    );
}
