//! The sigmoid-weighted linear unit.

use super::{BackwardPass, ForwardPass, Layer};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// `x / (1 + exp(-x))` (Elfwing et al. 2018, section 2), also called swish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silu;

impl Layer for Silu {
    fn kind(&self) -> &'static str {
        "silu"
    }

    /// Its least value is -0.28, at x = -1.28.
    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn reads_input(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let silu = kernels::Silu {
            x: x.view,
            y: y.view,
        };
        pass.call(silu, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (x, dy, dx) = (pass.input(input)?, pass.dy, pass.dx);
        let silu = kernels::SiluBackward {
            x: x.view,
            dy: dy.view,
            dx: dx.view,
            accumulate: pass.accumulate,
        };
        pass.call(silu, &[x.value, dy.value, dx.value]);
        Ok(())
    }
}
