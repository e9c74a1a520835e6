//! Two layers number by number, such as activations and the gates on them.

use std::ops::RangeInclusive;

use super::{BackwardPass, ForwardPass, Layer, LayerError, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels::{self, Derivative, record_binary_backward};

pub use crate::kernels::Operation;

/// The first input, the operation, the second. An input of one channel stands for one of as many as the other has, one
/// of 1x1 positions for one of the other's size. Sums of more than two layers of one shape are [`Add`](super::Add).
///
/// Behind a gate that is made of all positions (squeeze and excitation, Hu et al. 2018) each unit sees the whole image:
/// it has no receptive field. Yet the layer knows places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    pub operation: Operation,
}

/// The number that both have, or that the one has where the other has only one.
fn common<N: Copy + PartialEq>(a: N, b: N, one: N) -> Option<N> {
    if a == b || b == one {
        Some(a)
    } else {
        (a == one).then_some(b)
    }
}

impl Binary {
    fn derivative(&self, input: usize) -> Derivative {
        Derivative {
            operation: self.operation,
            second: input == 1,
        }
    }
}

impl Layer for Binary {
    fn kind(&self) -> &'static str {
        self.operation.name()
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn channels(&self, inputs: &[u32]) -> Result<u32, LayerError> {
        let (first, other) = (inputs[0], inputs[1]);
        common(first, other, 1).ok_or(LayerError::DifferentChannels { first, other })
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let (first, other) = (inputs[0], inputs[1]);
        common(first, other, [1, 1]).ok_or(SizeError::Different { first, other })
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs && self.operation != Operation::Sub
    }

    fn reads_input(&self) -> bool {
        self.derivative(0).reads()
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (a, b, y) = (pass.x[0], pass.x[1], pass.y);
        let binary = kernels::Binary {
            operation: self.operation,
            a: a.view,
            b: b.view,
            y: y.view,
        };
        pass.call(binary, &[a.value, b.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, input: usize) -> Result<(), Error> {
        let of = self.derivative(input);
        let operands = if of.reads() {
            Some([pass.input(input)?, pass.input(1 - input)?])
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
