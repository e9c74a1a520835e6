//! The maximum of all positions.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// Maximum over all positions; its gradient goes to the first that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalMaxPool;

impl Layer for GlobalMaxPool {
    fn kind(&self) -> &'static str {
        "global_max_pool"
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

    /// Saves the positions of the maxima.
    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pool = kernels::GlobalMaxPool {
            x: x.view,
            y: y.view,
        };
        let whence = pass.words(pool.whence_len());
        pass.call(pool, &[x.value, whence, y.value]);
        Ok(vec![whence])
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let pool = kernels::GlobalMaxPoolBackward {
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(pool, &[dy.value, pass.saved[0], dx.value]);
        Ok(())
    }
}
