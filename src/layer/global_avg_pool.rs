//! The mean or the sum of all positions.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{self, View};

/// Mean or sum over all rows, over all columns, or over both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAvgPool {
    /// Whether it is over the rows, and whether over the columns; the others stay as they are.
    pub over: [bool; 2],
    /// The sum in place of the mean.
    pub sum: bool,
}

impl GlobalAvgPool {
    /// The mean over all positions.
    pub const MEAN: Self = Self {
        over: [true; 2],
        sum: false,
    };

    /// What the means are multiplied by, for an input of the shape of `x`.
    fn scale(self, x: View) -> f32 {
        let along = |over: bool, size: u32| if over { size as f32 } else { 1.0 };
        if self.sum {
            along(self.over[0], x.h) * along(self.over[1], x.w)
        } else {
            1.0
        }
    }
}

impl Layer for GlobalAvgPool {
    fn kind(&self) -> &'static str {
        if self.sum {
            "global_sum_pool"
        } else {
            "global_avg_pool"
        }
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let along = |axis: usize| if self.over[axis] { 1 } else { inputs[0][axis] };
        Ok([along(0), along(1)])
    }

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        (!self.over[axis]).then_some(inputs)
    }

    fn is_global(&self) -> bool {
        true
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        forward(pass, self.scale(pass.x[0].view));
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        backward(pass, self.scale(pass.dx.view));
        Ok(())
    }
}

/// As many means as the output has positions, times `scale`.
pub(super) fn forward(pass: &mut ForwardPass<'_>, scale: f32) {
    let (x, y) = (pass.x[0], pass.y);
    let pool = kernels::AdaptiveAvgPool {
        x: x.view,
        y: y.view,
        scale,
    };
    pass.call(pool, &[x.value, y.value]);
}

/// The gradient of [`forward`].
pub(super) fn backward(pass: &mut BackwardPass<'_>, scale: f32) {
    let (dy, dx) = (pass.dy, pass.dx);
    let pool = kernels::AdaptiveAvgPoolBackward {
        dy: dy.view,
        dx: dx.view,
        scale,
        accumulate: pass.accumulate,
    };
    pass.call(pool, &[dy.value, dx.value]);
}
