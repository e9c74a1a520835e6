//! Layers side by side.

use std::ops::RangeInclusive;

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::CopyChannels;

/// The inputs' channels one after another, in input order.
///
/// Inputs are computed in their place in the output where the plan can arrange it, and so are their gradients read;
/// what is elsewhere is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concat;

impl Layer for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        Ok(inputs.iter().sum())
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn joins(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let y = pass.y;
        let mut first = 0;
        for x in pass.x {
            let channels = x.view.c;
            if x.value != y.value {
                let copy = CopyChannels {
                    x: x.view,
                    y: y.view,
                    from: 0,
                    to: first,
                    channels,
                    accumulate: false,
                };
                pass.recording.call(pass.label, copy, &[x.value, y.value]);
            }
            first += channels;
        }
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let copy = CopyChannels {
            x: dy.view,
            y: dx.view,
            from: pass.channels[..input].iter().sum(),
            to: 0,
            channels: dx.view.c,
            accumulate: pass.accumulate,
        };
        pass.call(copy, &[dy.value, dx.value]);
        Ok(())
    }
}
