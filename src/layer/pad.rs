//! A border of what is there already.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

/// What stands beyond the edges of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// The outermost positions, repeated.
    Replicate,
    /// The positions of the opposite side.
    Wrap,
}

/// `before` positions more at the top and the left, `after` more at the bottom and the right, filled as `edge` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        let along = |axis: usize| inputs[0][axis] + self.before[axis] + self.after[axis];
        Ok([along(0), along(1)])
    }

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        Some(inputs.under(1, 1, self.before[axis]))
    }

    fn is_local(&self) -> bool {
        // The top of a tile sees its bottom.
        self.edge != Edge::Wrap
    }

    fn is_rectified(&self, inputs: bool) -> bool {
        inputs
    }

    fn forward(&self, pass: &mut ForwardPass<'_>) -> Result<Vec<ValueId>, Error> {
        let (x, y) = (pass.x[0], pass.y);
        let pad = kernels::Pad {
            x: x.view,
            y: y.view,
            before: self.before,
            wrap: self.edge == Edge::Wrap,
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
            wrap: self.edge == Edge::Wrap,
            accumulate: pass.accumulate,
        };
        pass.call(pad, &[dy.value, dx.value]);
        Ok(())
    }
}
