//! A border of what is there already, or of one number.

use super::{BackwardPass, ForwardPass, Layer, ReceptiveField, SizeError};
use crate::Error;
use crate::device::ValueId;
use crate::kernels;

pub use crate::kernels::Edge;

/// `before` positions more at the top and the left, `after` more at the bottom and the right, filled as `edge` says.
/// With [`Edge::Constant`] either may be negative: so many positions are cut off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pad {
    pub before: [i32; 2],
    pub after: [i32; 2],
    pub edge: Edge,
}

impl Layer for Pad {
    fn kind(&self) -> &'static str {
        "pad"
    }

    fn size(&self, inputs: &[[u32; 2]]) -> Result<[u32; 2], SizeError> {
        let input = inputs[0];
        let along = |axis: usize| {
            let [before, after] = [self.before[axis], self.after[axis]].map(i64::from);
            let size = i64::from(input[axis]);
            let fits = self.edge != Edge::Reflect || before.max(after) < size;
            // At least one position of the input is shown.
            let shows = before.min(0) + after.min(0) + size > 0;
            u32::try_from(size + before + after)
                .ok()
                .filter(|_| fits && shows)
                .ok_or(SizeError::TooSmall { input })
        };
        Ok([along(0)?, along(1)?])
    }

    fn receptive_field(&self, axis: usize, inputs: ReceptiveField) -> Option<ReceptiveField> {
        let field = inputs.under(1, 1, 0);
        let before = f64::from(self.before[axis]) * f64::from(inputs.stride);
        Some(ReceptiveField {
            start: field.start - before,
            ..field
        })
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
