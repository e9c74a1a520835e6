//! The sum of layers, as in residual networks.

use std::ops::RangeInclusive;

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{CopyRows, Tensor};

/// The sum of its inputs, which are of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add;

/// All of `x`, written to `y` or added to it.
fn copy(x: Tensor, y: Tensor, accumulate: bool) -> CopyRows {
    CopyRows {
        x: x.view,
        y: y.view,
        from: 0,
        to: 0,
        rows: y.view.h,
        accumulate,
    }
}

impl Layer for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=usize::MAX
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let first = inputs[0];
        match inputs.iter().find(|channels| **channels != first) {
            None => Ok(first),
            Some(&other) => Err(LayerError::DifferentChannels { first, other }),
        }
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let y = pass.y;
        for (i, &x) in pass.x.iter().enumerate() {
            pass.recording
                .call(pass.label, copy(x, y, i > 0), &[x.value, y.value]);
        }
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        pass.call(copy(dy, dx, pass.accumulate), &[dy.value, dx.value]);
        Ok(())
    }
}
