//! Sums over axes.

use super::pool::of_all_positions;
use super::{One, Op, parameter, pointwise};
use crate::layer::{Conv, Function, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::Part;
use crate::net::onnx::node::axes;

/// Means and maxima over all positions; means, sums and lengths over the channels.
pub(super) fn reduce(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let rank = x.layout.rank();
    let listed = op.numbers("axes", 1)?;
    let over = match listed {
        Some(listed) if !listed.is_empty() => axes(&listed, rank)?,
        _ if op.node.int("noop_with_empty_axes") == Some(1) => return Ok(x.clone()),
        _ => (0..rank).collect(),
    };
    let parts: Vec<Part> = over
        .iter()
        .flat_map(|&axis| x.layout.0[axis].clone())
        .collect();
    let of_channels: usize = parts
        .iter()
        .filter(|part| part.is_channels())
        .map(|part| part.len())
        .product();
    let of_positions: usize = parts
        .iter()
        .filter(|part| !part.is_channels())
        .map(|part| part.len())
        .product();
    let all_channels = x.shape.channels as usize;
    let all_positions = (x.shape.height * x.shape.width) as usize;
    let wanted = Unsupported::Axes {
        shape: x.layout.shape(),
        wanted: "all channels, or all rows and columns, over which alone sums are taken",
    };
    let is_partial = |some: usize, all: usize| some != 1 && some != all;
    if is_partial(of_channels, all_channels) || is_partial(of_positions, all_positions) {
        return Err(wanted);
    }
    let operator = op.node.operator();
    // At one position there is nothing to be summed up, whatever the axes are called.
    let over_positions =
        of_positions != 1 || (of_channels == 1 && all_positions == 1 && all_channels != 1);
    let mut made = x.clone();
    if over_positions {
        made = match operator {
            "ReduceMean" => of_all_positions(import, &made, false)?,
            "ReduceMax" => of_all_positions(import, &made, true)?,
            _ => {
                return Err(Unsupported::Other(
                    "sums up positions, whose number depends on the image",
                ));
            }
        };
    }
    if of_channels != 1 {
        made = match operator {
            "ReduceMean" => sum(import, &made, 1.0 / all_channels as f32)?,
            "ReduceSum" => sum(import, &made, 1.0)?,
            "ReduceL2" | "ReduceSumSquare" => {
                let squares = pointwise::apply(import, &made, Function::Square)?;
                let sum = sum(import, &squares, 1.0)?;
                if operator == "ReduceL2" {
                    pointwise::apply(import, &sum, Function::Sqrt)?
                } else {
                    sum
                }
            }
            _ => return Err(wanted),
        };
    }
    let keeps = op.node.int("keepdims").unwrap_or(1) != 0;
    for &axis in over.iter().rev() {
        if keeps {
            made.layout.0[axis].clear();
        } else {
            made.layout.0.remove(axis);
        }
    }
    Ok(made)
}

/// `scale` times the sum of the channels of each position.
fn sum(import: &mut Import<'_>, x: &Activation, scale: f32) -> One {
    let channels = x.shape.channels;
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
