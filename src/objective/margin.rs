//! `margin`: how far the scores are from the wanted side of a class's border: the f₆ of Carlini & Wagner 2016, "Towards
//! Evaluating the Robustness of Neural Networks", sections V.A and VI.A.
//!
//! Targeted: max(max_{j≠t} z_j − z_t, −κ). Untargeted, t being the class to leave: max(z_t − max_{j≠t} z_j, −κ). Where
//! it is less than 0 the attack has succeeded.

use super::{Labels, Loss, Saved, Term, record_sum};
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
    /// `targeted`: the labels are to be reached, else to be left. `confidence` is κ ≥ 0, in units of the scores: how far
    /// beyond the border to go. `weight` multiplies all images, on top of the weights that `labels` holds.
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
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let (labels, weights) = self.labels.record(recording);
        let n = x.view.n;
        let values = recording.transient("margin values", Kind::Real, n as usize);
        recording.call(
            "margin",
            self.kernel(x.view),
            &[x.value, labels, weights, values],
        );
        record_sum(recording, "margin", values, n, self.weight, loss);
        Saved(vec![labels, weights])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
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
