//! Sums, means and extremes over axes.

use super::channels::{maximum, pieces, total};
use super::pool::{Over, of_positions};
use super::{One, Op, affine, binary, parameter, pointwise};
use crate::layer::{Conv, Function, Operation, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::{Part, Role};
use crate::net::onnx::node::{axes, axis, unsupported};

/// What is made of the numbers along axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reduction {
    Sum,
    Mean,
    Max,
}

/// Over all rows, all columns or both, and over any axes that channels make up.
pub(super) fn reduce(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let rank = x.layout.rank();
    let listed = op.numbers("axes", 1)?;
    let over = match listed {
        Some(listed) if !listed.is_empty() => axes(&listed, rank)?,
        _ if op.node.int("noop_with_empty_axes") == Some(1) => return Ok(x.clone()),
        _ => (0..rank).collect(),
    };
    let made = match op.node.operator() {
        "ReduceMean" => along(import, x, &over, Reduction::Mean)?,
        "ReduceMax" => along(import, x, &over, Reduction::Max)?,
        "ReduceMin" => {
            let negative = affine::uniform(import, x, "", -1.0, 0.0)?;
            let made = along(import, &negative, &over, Reduction::Max)?;
            affine::uniform(import, &made, "", -1.0, 0.0)?
        }
        "ReduceSum" => along(import, x, &over, Reduction::Sum)?,
        "ReduceL1" => length(import, x, &over, 1.0)?,
        "ReduceL2" => length(import, x, &over, 2.0)?,
        "ReduceSumSquare" => {
            let squares = pointwise::apply(import, x, Function::Square)?;
            along(import, &squares, &over, Reduction::Sum)?
        }
        _ => return Err(Unsupported::Operator),
    };
    let keeps = op.node.int("keepdims").unwrap_or(1) != 0;
    let mut layout = made.layout;
    for axis in over.into_iter().rev() {
        if !keeps {
            layout.0.remove(axis);
        }
    }
    Ok(Activation { layout, ..made })
}

/// Each number divided by the length of all along one axis.
pub(super) fn normalize(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let over = axis(op.node.int("axis").unwrap_or(-1), x.layout.rank())?;
    let p = op.node.int("p").unwrap_or(2);
    if ![1, 2].contains(&p) {
        return Err(unsupported("p", p, "1 or 2"));
    }
    let length = length(import, x, &[over], p as f32)?;
    binary::two(import, Operation::Div, x, &length)
}

/// `(sum |x|^p)^(1/p)` along axes, which stay.
fn length(import: &mut Import<'_>, x: &Activation, over: &[usize], p: f32) -> One {
    let powers = pointwise::powers(import, x, p)?;
    let sum = along(import, &powers, over, Reduction::Sum)?;
    pointwise::root(import, &sum, p)
}

/// The axes stay, with one position each.
fn along(import: &mut Import<'_>, x: &Activation, over: &[usize], reduction: Reduction) -> One {
    let parts = || over.iter().flat_map(|&axis| &x.layout.0[axis]);
    let count = |is_one: fn(&Part) -> bool| -> usize {
        let some = parts().filter(|part| is_one(part));
        some.map(|part| part.len()).product()
    };
    let of_channels = count(|part| part.is_channels());
    let all_channels = x.shape.channels as usize;
    let sizes = [x.shape.height as usize, x.shape.width as usize];
    let of = [
        count(|part| matches!(part, Part::Rows(_))),
        count(|part| matches!(part, Part::Columns(_))),
    ];
    // Where a layer has one position there is nothing to be summed up, whatever the axes are called.
    let is_one = of_channels == 1 && sizes == [1, 1] && all_channels != 1;
    // An axis of an image is rows or columns also where the file's size leaves one of them.
    let is_of = |role: Role| over.iter().any(|&axis| x.layout.role(axis) == Some(role));
    let rows_and_columns = [
        is_one || of[0] != 1 || is_of(Role::Rows),
        is_one || of[1] != 1 || is_of(Role::Columns),
    ];
    let mut made = x.clone();
    if rows_and_columns != [false; 2] {
        made = of_positions(
            import,
            &made,
            Over {
                rows_and_columns,
                reduction,
            },
        )?;
    }
    if of_channels == all_channels && reduction != Reduction::Max {
        if of_channels != 1 {
            made = of_all_channels(import, &made, reduction)?;
        }
        return Ok(made);
    }
    for &axis in over {
        if !made.layout.0[axis].is_empty() {
            made = of_axis(import, &made, axis, reduction)?;
        }
    }
    Ok(made)
}

/// Along one axis, which channels make up.
fn of_axis(import: &mut Import<'_>, x: &Activation, axis: usize, reduction: Reduction) -> One {
    let count = x.layout.0[axis]
        .iter()
        .map(|part| part.len())
        .product::<usize>();
    if reduction == Reduction::Max {
        return maximum(import, x, axis);
    }
    let pieces = pieces(import, x, axis)?;
    let sum = total(import, &pieces)?;
    if reduction == Reduction::Mean {
        return affine::uniform(import, &sum, "", 1.0 / count as f64, 0.0);
    }
    Ok(sum)
}

/// The sum or the mean of all channels of each position.
fn of_all_channels(import: &mut Import<'_>, x: &Activation, reduction: Reduction) -> One {
    let channels = x.shape.channels;
    let scale = match reduction {
        Reduction::Mean => 1.0 / channels as f32,
        _ => 1.0,
    };
    let tensor = import.numbered("sum");
    let parameters = vec![
        parameter(
            &tensor,
            "weight",
            vec![1, channels as usize, 1, 1],
            vec![scale; channels as usize],
        ),
        parameter(&tensor, "bias", vec![1], vec![0.0]),
    ];
    let name = tensor.clone();
    let layer = Conv {
        tensor,
        in_channels: channels,
        out_channels: 1,
        window: Window::square(1, 1, 0),
        groups: 1,
        linear: false,
    };
    let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
    let mut layout = x.layout.clone();
    for parts in &mut layout.0 {
        parts.retain(|part| !part.is_channels());
    }
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}
