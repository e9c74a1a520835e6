//! Gradients with momentum.

use super::{Filter, Site};
use crate::device::Recording;
use crate::kernels::{Combine, Tensor};

/// m ← μ·m + g, from m = 0; the gradient becomes m (Polyak 1964; as in MI-FGSM, Dong et al. 2018, with μ = 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// μ.
    pub decay: f32,
}

impl Filter for Momentum {
    fn record(&self, recording: &mut Recording, site: Site) -> Tensor {
        let gradient = site.gradient;
        let momentum = Tensor::persistent(recording, "momentum", gradient.view);
        let combine = |beta| Combine {
            len: gradient.view.len() as u32,
            alpha: 1.0,
            beta,
        };
        let (g, m) = (gradient.value, momentum.value);
        recording.call("momentum", combine(self.decay), &[g, m]);
        // A copy, since the next filter may overwrite what it is given.
        recording.call("gradient with momentum", combine(0.0), &[m, g]);
        gradient
    }
}
