//! Gradients divided by a norm of their own, image by image.

use super::{Filter, Site};
use crate::device::Recording;
use crate::kernels::{Normalization, Rescale, Tensor, record_moments};

/// Divides the gradient of each image by its mean magnitude, its norm, …, or takes its sign. An image whose gradient is
/// zero keeps it.
///
/// `MeanAbs` is the step of `DeepDream` (Mordvintsev et al. 2015), `Std` that of TensorFlow's tutorial on it (ε =
/// 1e-8), `Sign` that of the fast gradient sign method (Goodfellow et al. 2015, "Explaining and Harnessing Adversarial
/// Examples", section 4). `L1`, then [`super::Momentum`], then `Sign` is that of MI-FGSM (Dong et al. 2018, "Boosting
/// Adversarial Attacks with Momentum", algorithm 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalize {
    /// What the gradient is divided by.
    pub mode: Normalization,
    /// ε, as [`Normalization`] has it.
    pub epsilon: f32,
}

impl Filter for Normalize {
    fn record(&self, recording: &mut Recording, site: Site) -> Tensor {
        let gradient = site.gradient;
        let rescale = Rescale {
            x: gradient.view,
            mode: self.mode,
            epsilon: self.epsilon,
        };
        if self.mode == Normalization::Sign {
            recording.call("gradient sign", rescale, &[gradient.value]);
        } else {
            let moments = record_moments(recording, "gradient", gradient, [0.0; 4]);
            recording.call("normalize gradient", rescale, &[moments, gradient.value]);
        }
        gradient
    }
}
