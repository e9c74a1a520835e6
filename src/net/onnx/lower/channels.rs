//! Channels that are joined, taken apart and put into another order.

use super::{Lowered, One, Op, ordered};
use crate::layer::{Concat, SelectChannels};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::Layout;
use crate::net::onnx::node::axis;
use crate::net::onnx::shapes::{indices, slices, split_sizes};

/// The channels of several values one after another.
pub(super) fn concat(import: &mut Import<'_>, op: Op<'_>) -> One {
    let first = op.activation(0)?;
    let along = axis(op.node.int("axis").unwrap_or(1), first.layout.rank())?;
    let mut inputs = Vec::with_capacity(op.inputs.len());
    for index in 0..op.inputs.len() {
        let x = ordered(import, op.activation(index)?)?;
        let fails = || Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "the channels, along which alone values are joined",
        };
        if x.layout.rank() != first.layout.rank() || x.layout.channel_axis(along) != Some(along) {
            return Err(fails());
        }
        inputs.push(x);
    }
    if let [only] = &inputs[..] {
        return Ok(only.clone());
    }
    // All other axes must be the same, in the same order.
    let rest = |x: &Activation| {
        Layout(
            (0..x.layout.rank())
                .filter(|&axis| axis != along)
                .map(|axis| x.layout.0[axis].clone())
                .collect(),
        )
    };
    if let Some(other) = inputs.iter().find(|x| rest(x) != rest(&inputs[0])) {
        return Err(Unsupported::Broadcast {
            first: inputs[0].layout.shape(),
            other: other.layout.shape(),
        });
    }
    let drafts: Vec<usize> = inputs.iter().map(|x| x.draft).collect();
    let name = import.numbered("concat");
    let (draft, shape) = import.push(name, Concat, &drafts, Vec::new())?;
    let layout = inputs[0].layout.with_channels(along, shape.channels);
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// The values at some indices of an axis, all others as they are.
fn select(import: &mut Import<'_>, x: &Activation, along: usize, indices: &[usize]) -> One {
    let size = x.layout.shape()[along];
    let is_whole =
        indices.len() == size && indices.iter().enumerate().all(|(i, &index)| i == index);
    if is_whole {
        return Ok(x.clone());
    }
    if indices.is_empty() || x.layout.0[along].iter().any(|part| !part.is_channels()) {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "the channels, of which alone some are taken",
        });
    }
    // The channels of all axes, the last the fastest, with those along the axis picked.
    let mut channels = vec![0];
    for axis in x.layout.channel_axes() {
        let all = x.layout.along(axis);
        let picked: Vec<u32> = if axis == along {
            indices.iter().map(|&index| all[index]).collect()
        } else if x.layout.0[axis].iter().all(|part| part.is_channels()) {
            all
        } else {
            return Err(Unsupported::Axes {
                shape: x.layout.shape(),
                wanted: "the channels, of which alone some are taken",
            });
        };
        channels = channels
            .iter()
            .flat_map(|&c| picked.iter().map(move |p| c + p))
            .collect();
    }
    let name = import.numbered("select");
    let (draft, shape) = import.push(name, SelectChannels { channels }, &[x.draft], Vec::new())?;
    let count = u32::try_from(indices.len()).map_err(|_| Unsupported::Operator)?;
    let layout = x.layout.with_channels(along, count);
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

pub(super) fn split(import: &mut Import<'_>, op: Op<'_>) -> Lowered {
    let x = op.activation(0)?;
    let along = axis(op.node.int("axis").unwrap_or(0), x.layout.rank())?;
    let sizes = split_sizes(op.node, x.layout.shape()[along], op.constant(1)?)?;
    let mut start = 0;
    let parts = sizes.into_iter().map(|size| {
        let indices: Vec<usize> = (start..start + size).collect();
        start += size;
        select(import, x, along, &indices)
    });
    parts.collect()
}

pub(super) fn slice(import: &mut Import<'_>, op: Op<'_>) -> One {
    let missing = |index| Unsupported::Missing { index };
    let starts = op.numbers("starts", 1)?.ok_or(missing(1))?;
    let ends = op.numbers("ends", 2)?.ok_or(missing(2))?;
    let (at, steps) = (op.numbers("axes", 3)?, op.numbers("steps", 4)?);
    let mut x = op.activation(0)?.clone();
    let taken = slices(
        &x.layout.shape(),
        &starts,
        &ends,
        at.as_deref(),
        steps.as_deref(),
    )?;
    for (along, indices) in taken.into_iter().enumerate() {
        if let Some(indices) = indices {
            x = select(import, &x, along, &indices)?;
        }
    }
    Ok(x)
}

pub(super) fn gather(import: &mut Import<'_>, op: Op<'_>) -> One {
    let (x, numbers) = (op.activation(0)?, op.needed(1)?);
    let along = axis(op.node.int("axis").unwrap_or(0), x.layout.rank())?;
    let chosen = indices(&numbers.to_i64(), x.layout.shape()[along])?;
    let made = select(import, x, along, &chosen)?;
    // The axis gives way to those of the indices.
    let mut shape = made.layout.shape();
    shape.splice(along..=along, numbers.shape.iter().copied());
    let layout = made
        .layout
        .reshaped(&shape)
        .ok_or_else(|| Unsupported::Shape {
            shape: made.layout.shape(),
            wanted: shape.iter().map(|&n| n as i64).collect(),
        })?;
    Ok(Activation { layout, ..made })
}
