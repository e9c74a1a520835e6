//! The mean of all positions.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// Mean over all positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAvgPool;

impl Layer for GlobalAvgPool {
    fn kind(&self) -> &'static str {
        "global_avg_pool"
    }

    fn size(&self, _: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        Ok([1, 1])
    }

    fn receptive_field(&self, _: usize, _: ReceptiveField) -> Option<ReceptiveField> {
        None
    }

    fn is_global(&self) -> bool {
        true
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        forward(pass);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        backward(pass);
        Ok(())
    }
}

/// As many means as the output has positions.
pub(super) fn forward(pass: &mut ForwardPass<'_>) {
    let (x, y) = (pass.x[0], pass.y);
    let pool = kernels::AdaptiveAvgPool {
        x: x.view,
        y: y.view,
    };
    pass.call(pool, &[x.value, y.value]);
}

/// The gradient of [`forward`].
pub(super) fn backward(pass: &mut BackwardPass<'_>) {
    let (dy, dx) = (pass.dy, pass.dx);
    let pool = kernels::AdaptiveAvgPoolBackward {
        dy: dy.view,
        dx: dx.view,
        accumulate: pass.accumulate,
    };
    pass.call(pool, &[dy.value, dx.value]);
}
