//! A border of what is there already, or of one number.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

pub use crate::kernels::Edge;

/// `before` positions more at the top and the left, `after` more at the bottom and the right, filled as `edge` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad {
    pub before: [u32; 2],
    pub after: [u32; 2],
    pub edge: Edge,
}

impl Layer for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let input = inputs[0];
        let most = |axis: usize| self.before[axis].max(self.after[axis]);
        if self.edge == Edge::Reflect && (0..2).any(|axis| most(axis) >= input[axis]) {
            return Err(SizeError::TooSmall { input });
        }
        let along = |axis: usize| input[axis] + self.before[axis] + self.after[axis];
        Ok([along(0), along(1)])
    }

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        Some(inputs.under(1, 1, self.before[axis]))
    }

    fn is_local(&self) -> bool {
        // The top of a tile sees its bottom. What is mirrored stands twice as far away as a receptive field says.
        !matches!(self.edge, Edge::Wrap | Edge::Reflect)
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs && !matches!(self.edge, Edge::Constant { value } if value < 0.0)
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pad = kernels::Pad {
            x: x.view,
            y: y.view,
            before: self.before,
            edge: self.edge,
        };
        pass.call(pad, &[x.value, y.value]);
        Ok(Vec::new())
    }

    fn backward(&self, pass: &mut BackwardPass<'_>, _: usize) -> Result<(), Error> {
        let (dy, dx) = (pass.dy, pass.dx);
        let pad = kernels::PadBackward {
            dy: dy.view,
            dx: dx.view,
            before: self.before,
            edge: self.edge,
            accumulate: pass.accumulate,
        };
        pass.call(pad, &[dy.value, dx.value]);
        Ok(())
    }
}
