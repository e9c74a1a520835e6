//! `cross_entropy`: −ln softmax(z) at each image's label, times its weight: what Szegedy et al. 2013 (section 4.1) and
//! Goodfellow et al. 2014 (section 4) call the loss of a label.

use super::{Band, Gathered, Labels, Loss, Saved, Term};
use crate::device::{Kind, Recording};
use crate::kernels::{self, CrossEntropyBackward, Tensor, View};

/// Cross-entropy of the scores with each image's label.
#[derive(Debug)]
pub struct CrossEntropy {
    labels: Labels,
    weight: f64,
}

impl CrossEntropy {
    /// `weight` multiplies all images, on top of the weights that `labels` holds; negative: away from the label.
    #[must_use]
    pub fn new(labels: Labels, weight: f64) -> Self {
        Self { labels, weight }
    }
}

impl Term for CrossEntropy {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("it compares the scores of all classes")
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let (labels, weights) = self.labels.record(recording);
        let n = x.view.n;
        let values = recording.transient("cross_entropy values", Kind::Real, n as usize);
        recording.call(
            "cross_entropy",
            kernels::CrossEntropy { z: x.view },
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
        gathered.conclude_sums(recording, "cross_entropy", layer.n, loss);
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
        let gradient = CrossEntropyBackward {
            z: x.view,
            dz: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call(
            "cross_entropy gradient",
            gradient,
            &[x.value, saved.0[0], saved.0[1], dx.value],
        );
    }
}
