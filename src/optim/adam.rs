//! Adam (Kingma and Ba 2015, algorithm 1), then a projection onto the box of valid pixels.

use super::{Optimizer, Site, State};
use crate::device::Recording;
use crate::kernels::{self, Tensor};

/// Adam on the pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// α, in units of the `[0,1]` image per iteration.
    pub step_size: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
    /// Pixels are clamped to this range after every step.
    pub range: [f32; 2],
    /// Steps taken at coarser scales, whose moments this one begins with.
    pub earlier: u32,
    /// Change of the step size with every step, as a fraction of it.
    pub slope: f32,
}

impl Optimizer for Adam {
    fn record(&self, recording: &mut Recording, site: Site) -> State {
        let view = site.x.view;
        let first = Tensor::persistent(recording, "adam first moment", view);
        let second = Tensor::persistent(recording, "adam second moment", view);
        let adam = kernels::Adam {
            len: view.len() as u32,
            step_size: self.step_size,
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            low: self.range[0],
            high: self.range[1],
            earlier: self.earlier,
            slope: self.slope,
        };
        recording.call(
            "adam",
            adam,
            &[
                site.gradient.value,
                site.step,
                site.x.value,
                first.value,
                second.value,
            ],
        );
        State {
            first: Some(first),
            second: Some(second),
            ..State::default()
        }
    }
}
