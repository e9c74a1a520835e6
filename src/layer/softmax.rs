//! Probabilities of classes.

use super::{BackwardPass, ForwardPass, Layer};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// `exp(x) / sum exp(x)` over the channels, at each position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax;

impl Layer for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn is_rectified(&self, _: bool) -> bool {
        true
    }

    fn reads_output(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let softmax = kernels::Softmax {
            x: x.view,
            y: y.view,
        };
        pass.call(softmax, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (y, dy, dx) = (pass.output()?, pass.dy, pass.dx);
        let softmax = kernels::SoftmaxBackward {
            y: y.view,
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(softmax, &[y.value, dy.value, dx.value]);
        Ok(())
    }
}
