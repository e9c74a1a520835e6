//! Jitter (Mordvintsev et al. 2015, DeepDream): the network sees the image rolled by a random offset, another one in
//! every iteration, so that no pixel keeps its place in the grids of the network's strides.

use super::{Map, Mapped};
use crate::device::{Recording, ValueId};
use crate::kernels::{Roll, Tensor, View};

/// Rolls each image by an offset drawn uniformly from [−`reach`, `reach`]² pixels; the gradient is rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// The run's seed.
    pub seed: u32,
    /// Largest shift along either axis, in pixels; at most [`Roll::MAX_SHIFT`]. 0: only `fixed`.
    pub reach: u32,
    /// What the random offset is added to: to the right and down, in pixels; at most [`Roll::MAX_SHIFT`] either way.
    pub fixed: [i32; 2],
    /// The same offset for all images of a batch.
    pub shared: bool,
}

impl Jitter {
    /// Random offsets up to `reach` pixels, each image its own.
    #[must_use]
    pub fn new(seed: u32, reach: u32) -> Self {
        Self {
            seed,
            reach,
            fixed: [0; 2],
            shared: false,
        }
    }

    /// The call, from a tensor to one of the same shape.
    fn record(&self, recording: &mut Recording, x: Tensor, step: ValueId, inverse: bool) -> Tensor {
        let View { n, h, w, c, .. } = x.view;
        let label = if inverse { "backward jitter" } else { "jitter" };
        let y = Tensor::transient(recording, label, View::new(n, h, w, c));
        let limit = Roll::MAX_SHIFT;
        let roll = Roll {
            x: x.view,
            y: y.view,
            seed: self.seed,
            reach: self.reach.min(limit),
            fixed: self.fixed.map(|v| v.clamp(-(limit as i32), limit as i32)),
            shared: self.shared,
            inverse,
        };
        recording.call(label, roll, &[step, x.value, y.value]);
        y
    }
}

impl Map for Jitter {
    fn forward(&self, recording: &mut Recording, x: Tensor, step: ValueId) -> Mapped {
        let y = self.record(recording, x, step, false);
        Mapped {
            x,
            y,
            saved: Vec::new(),
        }
    }

    fn backward(&self, recording: &mut Recording, _: &Mapped, dy: Tensor, step: ValueId) -> Tensor {
        self.record(recording, dy, step, true)
    }
}
