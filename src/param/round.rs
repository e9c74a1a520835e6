//! The network sees the image as an 8-bit file would hold it, so that what is found survives being written.

use super::{Map, Mapped};
use crate::device::{Recording, ValueId};
use crate::kernels::{Round as Kernel, Tensor, View};

/// y = round(255·x)/255 with x clamped to \[0, 1\], halves away from zero: as this crate writes 8-bit files. The
/// gradient goes through unchanged (the straight-through estimator, Bengio et al. 2013, "Estimating or Propagating
/// Gradients Through Stochastic Neurons", section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round;

impl Map for Round {
    fn forward(&self, recording: &mut Recording, x: Tensor, _: ValueId) -> Mapped {
        let View { n, h, w, c, .. } = x.view;
        let y = Tensor::transient(recording, "round", View::new(n, h, w, c));
        let round = Kernel {
            len: y.view.len() as u32,
            steps: 255.0,
        };
        recording.call("round", round, &[x.value, y.value]);
        Mapped {
            x,
            y,
            saved: Vec::new(),
        }
    }

    fn backward(&self, _: &mut Recording, _: &Mapped, dy: Tensor, _: ValueId) -> Tensor {
        dy
    }
}
