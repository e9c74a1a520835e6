//! Operators that only say anew how axes lie.

use super::depth::blocks_to_channels;
use super::{Lowered, One, Op};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import, Value};
use crate::net::onnx::layout::{Layout, Misfit};
use crate::net::onnx::node::axis;
use crate::net::onnx::shapes::{broadcast, permutation, reshaped, squeezed, unsqueezed};

/// The same layer under another layout.
pub(super) fn view(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let layout = match op.node.operator() {
        "Reshape" => return reshape(import, op, x),
        "Flatten" => {
            let shape = x.layout.shape();
            let split = op.node.int("axis").unwrap_or(1);
            let split = if split == shape.len() as i64 {
                shape.len()
            } else {
                axis(split, shape.len())?
            };
            let (outer, inner) = shape.split_at(split);
            return to(import, x, &[outer.iter().product(), inner.iter().product()]);
        }
        "Squeeze" => {
            let at = op.numbers("axes", 1)?;
            let shape = x.layout.shape();
            let gone = squeezed(&shape, at.as_deref())?;
            if gone.iter().any(|&axis| shape[axis] != 1) {
                return Err(Unsupported::Other(
                    "takes an axis away that has several positions",
                ));
            }
            let kept = (0..shape.len()).filter(|axis| !gone.contains(axis));
            Layout(kept.map(|axis| x.layout.0[axis].clone()).collect())
        }
        "Unsqueeze" => {
            let at = op
                .numbers("axes", 1)?
                .ok_or(Unsupported::Missing { index: 1 })?;
            return to(import, x, &unsqueezed(&x.layout.shape(), &at)?);
        }
        "Transpose" => x
            .layout
            .transposed(&permutation(op.node.ints("perm"), x.layout.rank())?),
        _ => return Err(Unsupported::Operator),
    };
    Ok(Activation {
        layout,
        ..x.clone()
    })
}

/// The same layer under a shape with more axes or positions.
pub(super) fn expand(op: Op<'_>) -> Lowered {
    let x = op.activation(0)?;
    let wanted = op.needed(1)?.to_i64();
    let wanted: Vec<usize> = wanted.iter().map(|&n| n.max(0) as usize).collect();
    let shape = broadcast(&x.layout.shape(), &wanted)?;
    let mut layout = x.layout.clone();
    layout
        .0
        .splice(0..0, vec![vec![]; shape.len() - layout.rank()]);
    let is_same = layout.shape() == shape;
    let x = Activation {
        layout,
        ..x.clone()
    };
    Ok(vec![if is_same {
        Value::Activation(x)
    } else {
        Value::Repeated(x, shape)
    }])
}

/// The shape that a Reshape means. A file that was made for several images at once has their number in the first
/// place; there is one image here.
fn reshape(import: &mut Import<'_>, op: Op<'_>, x: &Activation) -> One {
    let wanted = op
        .numbers("shape", 1)?
        .ok_or(Unsupported::Missing { index: 1 })?;
    let keeps_zero = op.node.int("allowzero") == Some(1);
    to(
        import,
        x,
        &reshaped(&x.layout.shape(), &wanted, keeps_zero)?,
    )
}

/// The same elements in another shape. Rows and columns that it cuts into pieces become channels first.
pub(super) fn to(import: &mut Import<'_>, x: &Activation, shape: &[usize]) -> One {
    let mut x = x.clone();
    loop {
        match x.layout.reshaped(shape) {
            Ok(layout) => return Ok(Activation { layout, ..x }),
            Err(Misfit::Blocks(block)) => x = blocks_to_channels(import, &x, block)?,
            Err(Misfit::Shape) => {
                return Err(Unsupported::Shape {
                    shape: x.layout.shape(),
                    wanted: shape.iter().map(|&n| n as i64).collect(),
                });
            }
        }
    }
}
