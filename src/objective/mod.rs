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
mod gram;
mod guide;
mod labels;
mod margin;
mod masked;
mod mmd;
mod moments;
mod tv;
mod tv_beta;
mod wasserstein;

pub use activation::{Activation, Selection};
pub use alpha_norm::AlphaNorm;
pub use channel_statistics::{ChannelStatistics, goal as channel_goal};
pub use content::Content;
pub use cross_entropy::CrossEntropy;
pub use direction::Direction;
pub use energy::Energy;
pub use gram::{Gram, gather_gram, record_gram};
pub use guide::Guide;
pub use labels::Labels;
pub use margin::Margin;
pub use masked::{Masked, record_guided};
pub use mmd::{Columns, EXACT as MMD_EXACT, KEPT as MMD_KEPT, Mmd, record_similarity};
pub use moments::{Moments, Spread, conclude_moments, gather_moments, spread_view};
pub use tv::Tv;
pub use tv_beta::TvBeta;
pub use wasserstein::{Wasserstein, record_root, regular};

use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{Combine, CopyRows, SquaredDifference, Sum, Tensor, View};

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

    /// The term over a layer that is seen in bands of rows.
    ///
    /// # Errors
    /// Why it needs all of the layer at once.
    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        Err("it needs the whole layer at once")
    }
}

/// A term that needs of a layer only sums over its positions, so that it can be computed band after band: first every
/// band's part of the sums is gathered, then the value concluded from them, then each band gets its gradient.
pub trait Banded {
    /// Adds what the rows `x` of the layer contribute to what has been gathered; the first band begins it.
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved);

    /// Records the value as [`Term::forward`] does, from what all bands have gathered.
    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved;

    /// As [`Term::backward`] for the rows `x` of the layer.
    fn backward_band(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    );
}

/// A [`Banded`] term that is the same of a layer seen whole: that is one band.
pub trait Summed: Banded + std::fmt::Debug + Send + Sync {}

impl<T: Summed> Term for T {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let mut gathered = Saved::default();
        self.gather(recording, x, Band::whole(x.view), &mut gathered);
        self.conclude(recording, x.view, gathered, loss)
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        self.backward_band(recording, x, Band::whole(x.view), saved, dx, accumulate);
    }

    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        Ok(self)
    }
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
    /// Completed iterations, one word: what random draws depend on. None for the part of a band: a term that draws is not banded.
    pub step: Option<ValueId>,
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug, Clone, Default)]
pub struct Saved(Vec<ValueId>);

/// Gathers a value that is a sum over positions: each band's own is kept until the sum is concluded. Returns where this
/// band's goes.
fn gather_value(recording: &mut Recording, n: u32, band: Band, gathered: &mut Saved) -> Loss {
    if gathered.0.is_empty() {
        let len = (n * band.count) as usize;
        gathered
            .0
            .push(recording.transient("values of the bands", Kind::Real, len));
    }
    Loss {
        losses: gathered.0[0],
        slots: band.count,
        slot: band.index,
        step: None,
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
