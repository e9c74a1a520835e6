//! Rectification.

use super::{BackwardPass, ForwardPass, Layer};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// `max(x, 0)`. A convolution before it that nobody else reads computes it as well, see
/// [`Conv::record`](super::Conv::record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relu;

impl Layer for Relu {
    fn kind(&self) -> &'static str {
        "relu"
    }

    fn is_rectified(&self, _: bool) -> bool {
        true
    }

    /// Saves one bit of each element: whether it is above 0.
    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let mask = pass.words(y.view.mask_len());
        let relu = kernels::Relu {
            x: x.view,
            y: y.view,
        };
        pass.call(relu, &[x.value, y.value, mask]);
        Ok(vec![mask])
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let relu = kernels::ReluBackward {
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(relu, &[dy.value, pass.saved[0], dx.value]);
        Ok(())
    }
}
