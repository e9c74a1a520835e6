//! The distance of each channel's mean, and of its standard deviation, from a target's:
//!
//! - `bn`: (1/C)·Σ_c (μ − μ')² + (σ − σ')²: the batch-normalisation statistics of Li et al. 2017, "Demystifying Neural Style
//!   Transfer", section 4.2;
//! - `mmd` with the linear kernel xᵀy/C: (1/C)·Σ_c (μ − μ')², the same paper's section 4.1.

use super::moments::record_weighted;
use super::{
    Band, Banded, Loss, Saved, Spread, Summed, conclude_moments, gather_moments, record_sum,
};
use crate::device::{Buffer, Kind, Recording};
use crate::kernels::{ChannelAffine, ChannelDistance, Tensor, View};

/// How far each image's means and deviations are from a target's.
#[derive(Debug)]
pub struct ChannelStatistics {
    name: &'static str,
    goal: Buffer,
    deviation: bool,
    guide: Option<Buffer>,
    weight: f64,
}

impl ChannelStatistics {
    /// `bn`. `goal` holds the means, then the standard deviations of a target's C channels, as [`goal`] makes it.
    #[must_use]
    pub fn bn(goal: Buffer, weight: f64) -> Self {
        Self {
            name: "bn",
            goal,
            deviation: true,
            guide: None,
            weight,
        }
    }

    /// `mmd` with the linear kernel: only the means of `goal` count.
    #[must_use]
    pub fn linear(goal: Buffer, weight: f64) -> Self {
        Self {
            name: "mmd",
            deviation: false,
            ..Self::bn(goal, weight)
        }
    }

    /// The statistics of columns that are weighted with g², `guide` holding g (`[h·w]` of the layer) with mean g² = 1.
    #[must_use]
    pub fn through(self, guide: Option<Buffer>) -> Self {
        Self { guide, ..self }
    }

    /// The value of [`Self::bn`] at all-zero activations, (1/C)·Σ μ'² + σ'²: what `relative` divides by.
    #[must_use]
    pub fn bn_at_zero(means: &[f64], variances: &[f64]) -> f64 {
        let squares = means.iter().zip(variances).map(|(m, v)| m * m + v);
        squares.sum::<f64>() / means.len() as f64
    }

    /// The value of [`Self::linear`] at all-zero activations, (1/C)·Σ μ'².
    #[must_use]
    pub fn linear_at_zero(means: &[f64]) -> f64 {
        means.iter().map(|m| m * m).sum::<f64>() / means.len() as f64
    }
}

/// Means and deviations of C channels as `goal`: [2, C⁺] with zeros for the padding.
#[must_use]
pub fn goal(means: &[f64], variances: &[f64]) -> Vec<f32> {
    let padded = means.len().next_multiple_of(4);
    let mut goal = vec![0.0; 2 * padded];
    for (c, (mean, variance)) in means.iter().zip(variances).enumerate() {
        goal[c] = *mean as f32;
        goal[padded + c] = variance.max(0.0).sqrt() as f32;
    }
    goal
}

impl ChannelStatistics {
    fn spread(&self) -> Option<Spread> {
        self.deviation.then_some(Spread::Variances)
    }
}

impl Summed for ChannelStatistics {}

impl Banded for ChannelStatistics {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved) {
        let guide = self.guide.as_ref();
        gather_moments(recording, x, band, guide, self.spread(), gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved {
        let means = gathered.0[0];
        let variances = self
            .spread()
            .map(|spread| conclude_moments(recording, layer, spread, &gathered).spread);
        let len = layer.n as usize * layer.padded();
        let goal = recording.given(format!("{} target", self.name), self.goal.clone());
        let values = recording.transient(format!("{} values", self.name), Kind::Real, len);
        let coefficients =
            recording.transient(format!("{} coefficients", self.name), Kind::Real, 2 * len);
        let elements = f64::from(layer.c) * f64::from(layer.h * layer.w);
        let distance = ChannelDistance {
            n: layer.n,
            quads: layer.quads,
            deviation: self.deviation,
            alpha: (2.0 * self.weight / elements) as f32,
        };
        let bound: Vec<_> = [Some(means), Some(goal), variances]
            .into_iter()
            .flatten()
            .chain([values, coefficients])
            .collect();
        recording.call(format!("{} distance", self.name), distance, &bound);
        let scale = self.weight / f64::from(layer.c);
        record_sum(recording, self.name, values, layer.n, scale, loss);
        Saved(vec![means, coefficients])
    }

    fn backward_band(
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
            self.guide.as_ref(),
            band,
            dx,
            accumulate,
            backward,
        );
    }
}
