//! The exponential average of the iterates, whose noise is lower than any single one's (Polyak averaging).

use crate::device::{Recording, ValueId};
use crate::kernels::{Ema, EmaRead, Tensor};

/// v ← decay·v + (1 − decay)·x after every step; read as v/(1 − decayᵗ).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// The decay, in [0, 1).
    pub decay: f32,
}

impl Average {
    /// Records the update and returns the running average.
    #[must_use]
    pub fn record(&self, recording: &mut Recording, image: Tensor) -> Tensor {
        let average = Tensor::persistent(recording, "average", image.view);
        let ema = Ema {
            len: image.view.len() as u32,
            decay: self.decay,
        };
        recording.call("average", ema, &[image.value, average.value]);
        average
    }

    /// Records the corrected read-out of `average` into `out`.
    pub fn record_read(
        &self,
        recording: &mut Recording,
        average: Tensor,
        step: ValueId,
        out: Tensor,
    ) {
        let read = EmaRead {
            len: average.view.len() as u32,
            decay: self.decay,
        };
        recording.call("average read-out", read, &[average.value, step, out.value]);
    }
}
