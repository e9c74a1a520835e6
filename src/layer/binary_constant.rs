//! A trained number at every channel and position: a mean image that is taken off, a bias that knows where it is. Or one
//! for every channel: bounds.

use super::{
    BackwardPass, ForwardPass, Layer, LayerError, Operation, ParameterBuffers, ParameterShape,
    Role, SizeError,
};
use crate::Error;
use crate::device::{Given, ValueId};
use crate::kernels::{self, Derivative, Tensor, View, record_binary_backward, to_quads};

/// The input, the operation, a constant: `[channels, h, w]`, which fits inputs of that size only, or `[channels, 1, 1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryConstant {
    /// Name of the parameter.
    pub tensor: String,
    pub operation: Operation,
    pub channels: u32,
    /// `[h, w]` of a constant that has a number for every position.
    pub size: Option<[u32; 2]>,
}

impl BinaryConstant {
    fn view(&self) -> View {
        let [height, width] = self.size.unwrap_or([1, 1]);
        View::new(1, height, width, self.channels)
    }

    fn derivative(&self) -> Derivative {
        Derivative {
            operation: self.operation,
            second: false,
        }
    }

    fn constant(&self, parameters: &dyn ParameterBuffers) -> Result<Given, Error> {
        let view = self.view();
        let arrange = move |values: &[f32]| to_quads(view, values);
        parameters.arranged(&self.tensor, Role::Exact, view.len(), Box::new(arrange))
    }
}

impl Layer for BinaryConstant {
    fn kind(&self) -> &'static str {
        self.operation.name()
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        LayerError::check_channels("takes", self.channels, inputs[0])
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let found = inputs[0];
        match self.size {
            Some(expected) if expected != found => Err(SizeError::Fixed { expected, found }),
            _ => Ok(found),
        }
    }

    fn is_local(&self) -> bool {
        self.size.is_none()
    }

    fn is_rectified(&self, _: bool) -> bool {
        false
    }

    fn parameters(&self) -> Vec<ParameterShape> {
        let View { c, h, w, .. } = self.view();
        let shape = [c, h, w];
        vec![ParameterShape {
            name: self.tensor.clone(),
            shape: shape.map(|n| n as usize).to_vec(),
            fan_in: 2,
        }]
    }

    /// A product's gradient needs the constant only, but that of an extreme tells which of the two it was.
    fn reads_input(&self) -> bool {
        matches!(self.operation, Operation::Min | Operation::Max)
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let constant = self.constant(pass.parameters)?;
        let constant = pass.recording.given(pass.label, constant);
        let binary = kernels::Binary {
            operation: self.operation,
            a: x.view,
            b: self.view(),
            y: y.view,
        };
        pass.call(binary, &[x.value, constant, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let of = self.derivative();
        let operands = if of.reads() {
            let constant = self.constant(pass.parameters)?;
            let constant = Tensor {
                value: pass.recording.given(pass.label, constant),
                view: self.view(),
            };
            let mine = if self.reads_input() {
                pass.input(0)?
            } else {
                constant
            };
            Some([mine, constant])
        } else {
            None
        };
        let (dy, dx) = (pass.dy, pass.dx);
        record_binary_backward(
            pass.recording,
            pass.label,
            of,
            operands,
            dy,
            dx,
            pass.accumulate,
        );
        Ok(())
    }
}
