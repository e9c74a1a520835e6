//! The distance of each channel's mean, and of its standard deviation, from a target's:
//!
//! - `bn`: (1/C)·Σ_c (μ − μ')² + (σ − σ')²: the batch-normalisation statistics of Li et al. 2017, "Demystifying Neural
//!   Style Transfer", section 4.2;
//! - `mmd` with the linear kernel xᵀy/C: (1/C)·Σ_c (μ − μ')², the same paper's section 4.1.

use super::moments::record_weighted;
use super::{
    Band, Gathered, Loss, Saved, Spread, Term, conclude_moments, gather_moments, record_sum,
};
use crate::device::{Given, Kind, Recording, Scalar};
use crate::kernels::{ChannelAffine, ChannelDistance, CopyRows, Tensor, View};

/// How far each image's means and deviations are from a target's.
#[derive(Debug)]
pub struct ChannelStatistics {
    name: &'static str,
    goal: Given,
    deviation: bool,
    mask: Option<Given>,
    weight: Scalar,
}

impl ChannelStatistics {
    /// `bn`. `goal` holds the means, then the variances of a target's C channels, [2, C⁺], as [`record_goal`] makes it.
    #[must_use]
    pub fn bn(goal: impl Into<Given>, weight: impl Into<Scalar>) -> Self {
        Self {
            name: "bn",
            goal: goal.into(),
            deviation: true,
            mask: None,
            weight: weight.into(),
        }
    }

    /// `mmd` with the linear kernel: only the means of `goal` count.
    #[must_use]
    pub fn linear(goal: impl Into<Given>, weight: impl Into<Scalar>) -> Self {
        Self {
            name: "mmd",
            deviation: false,
            ..Self::bn(goal, weight)
        }
    }

    /// The statistics of positions that are weighted with m², `mask` holding m (`[h·w]` of the layer) with mean m² = 1.
    #[must_use]
    pub fn through(self, mask: Option<Given>) -> Self {
        Self { mask, ..self }
    }
}

/// The shape of a goal: means and variances of `channels` channels.
#[must_use]
pub fn goal_view(channels: u32) -> View {
    View::new(1, 2, 1, channels)
}

/// Records means and variances, [C⁺] each, as a goal.
pub fn record_goal(recording: &mut Recording, means: Tensor, variances: Tensor) -> Tensor {
    let goal = Tensor::persistent(recording, "statistics", goal_view(means.view.c));
    for (to, x) in [(0, means), (1, variances)] {
        let copy = CopyRows {
            x: x.view,
            y: goal.view,
            from: 0,
            to,
            rows: 1,
            accumulate: false,
        };
        recording.call("statistics", copy, &[x.value, goal.value]);
    }
    goal
}

impl ChannelStatistics {
    fn spread(&self) -> Option<Spread> {
        self.deviation.then_some(Spread::Variances)
    }
}

impl Term for ChannelStatistics {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let mask = self.mask.as_ref();
        gather_moments(recording, x, band, mask, self.spread(), gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        let means = gathered.values[0];
        let variances = self
            .spread()
            .map(|spread| conclude_moments(recording, layer, spread, &gathered).spread);
        let len = layer.n as usize * layer.padded();
        let goal = recording.given(format!("{} target", self.name), &self.goal);
        let values = recording.transient(format!("{} values", self.name), Kind::Real, len);
        let coefficients =
            recording.transient(format!("{} coefficients", self.name), Kind::Real, 2 * len);
        let elements = f64::from(layer.c) * f64::from(layer.h * layer.w);
        let distance = ChannelDistance {
            n: layer.n,
            quads: layer.quads,
            deviation: self.deviation,
            alpha: self.weight.times(2.0 / elements),
        };
        let bound: Vec<_> = [Some(means), Some(goal), variances]
            .into_iter()
            .flatten()
            .chain([values, coefficients])
            .collect();
        recording.call(format!("{} distance", self.name), distance, &bound);
        let scale = self.weight.times(1.0 / f64::from(layer.c));
        record_sum(recording, self.name, values, layer.n, scale, loss);
        Saved(vec![means, coefficients])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let backward = |recording: &mut Recording, dx: Tensor, accumulate: bool| {
            let gradient = ChannelAffine {
                x: x.view,
                y: dx.view,
                accumulate,
            };
            recording.call(
                format!("{} gradient", self.name),
                gradient,
                &[x.value, saved.0[0], saved.0[1], dx.value],
            );
        };
        record_weighted(
            recording,
            self.mask.as_ref(),
            band,
            dx,
            accumulate,
            backward,
        );
    }
}
