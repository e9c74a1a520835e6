//! `margin`: how far the scores are from the wanted side of a class's border: the f₆ of Carlini & Wagner 2016, "Towards
//! Evaluating the Robustness of Neural Networks", sections V.A and VI.A.
//!
//! Targeted: max(max_{j≠t} z_j − z_t, −κ). Untargeted, t being the class to leave: max(z_t − max_{j≠t} z_j, −κ). Where
//! it is less than 0 the attack has succeeded.

use super::{Band, Gathered, Labels, Loss, Saved, Term};
use crate::device::{Kind, Recording};
use crate::kernels::{self, MarginBackward, Tensor, View};

/// The margin of each image's label.
#[derive(Debug)]
pub struct Margin {
    labels: Labels,
    targeted: bool,
    confidence: f32,
    weight: f64,
}

impl Margin {
    /// `targeted`: the labels are to be reached, else to be left. `confidence` is κ ≥ 0, in units of the scores: how
    /// far beyond the border to go. `weight` multiplies all images, on top of the weights that `labels` holds.
    #[must_use]
    pub fn new(labels: Labels, targeted: bool, confidence: f32, weight: f64) -> Self {
        Self {
            labels,
            targeted,
            confidence,
            weight,
        }
    }

    fn kernel(&self, z: View) -> kernels::Margin {
        kernels::Margin {
            z,
            targeted: self.targeted,
            confidence: self.confidence,
        }
    }
}

impl Term for Margin {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("it compares the scores of all classes")
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let (labels, weights) = self.labels.record(recording);
        let n = x.view.n;
        let values = recording.transient("margin values", Kind::Real, n as usize);
        recording.call(
            "margin",
            self.kernel(x.view),
            &[x.value, labels, weights, values],
        );
        gathered.add_sum(values, self.weight);
        gathered.values = vec![labels, weights];
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "margin", layer.n, loss);
        Saved(gathered.values)
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = MarginBackward {
            forward: self.kernel(x.view),
            dz: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call(
            "margin gradient",
            gradient,
            &[x.value, saved.0[0], saved.0[1], dx.value],
        );
    }
}
