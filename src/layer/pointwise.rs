//! Functions of every number by itself.

use super::{BackwardPass, ForwardPass, Layer, LayerError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

pub use crate::kernels::Function;

/// `function` of every activation. [`Relu`](super::Relu) is a kind of its own, since its backward pass needs but a bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointwise {
    pub function: Function,
}

impl Layer for Pointwise {
    fn kind(&self) -> &'static str {
        self.function.name()
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let function = self.function;
        let numbers = function.numbers();
        let is_defined = match function {
            Function::Celu(alpha) => alpha != 0.0 && alpha.is_finite(),
            Function::Clip { .. } => !numbers.iter().any(|number| number.is_nan()),
            _ => numbers.iter().all(|number| number.is_finite()),
        };
        if !is_defined {
            return Err(LayerError::Function { function });
        }
        Ok(inputs[0])
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        self.function.is_rectified(inputs)
    }

    fn reads_input(&self) -> bool {
        true
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pointwise = kernels::Pointwise {
            x: x.view,
            y: y.view,
            function: self.function,
        };
        pass.call(pointwise, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let (x, dy, dx) = (pass.input(input)?, pass.dy, pass.dx);
        let pointwise = kernels::PointwiseBackward {
            x: x.view,
            dy: dy.view,
            dx: dx.view,
            function: self.function,
            accumulate: pass.accumulate,
        };
        pass.call(pointwise, &[x.value, dy.value, dx.value]);
        Ok(())
    }
}
