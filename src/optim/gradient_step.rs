//! Steps against the gradient.

use super::{Optimizer, Site, State};
use crate::device::Recording;
use crate::kernels::{self, StepSize, record_moments};

/// x ← x − rate·g for each image, then clamped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientStep {
    /// The rate.
    pub rate: StepSize,
    /// Least and greatest value of x, around 0; `None`: it is not clamped.
    pub range: Option<[f32; 2]>,
}

impl Optimizer for GradientStep {
    fn record(&self, recording: &mut Recording, site: Site) -> State {
        let [low, high] = self.range.unwrap_or([-f32::MAX, f32::MAX]);
        let kernel = kernels::GradientStep {
            x: site.x.view,
            gradient: site.gradient.view,
            rate: self.rate,
            slots: site.slots,
            low,
            high,
        };
        let mut values = vec![site.gradient.value, site.x.value];
        match self.rate {
            StepSize::Constant { .. } => values.push(site.step),
            StepSize::Progress { .. } | StepSize::ProgressOfProbability { .. } => {
                let moments = record_moments(recording, "gradient", site.gradient, [0.0; 4]);
                values.push(moments);
            }
        }
        if let StepSize::ProgressOfProbability { .. } = self.rate {
            values.push(site.losses);
        }
        recording.call("gradient step", kernel, &values);
        State::default()
    }
}
