//! Values that are joined, taken apart and put into another order.

use super::resize::padded;
use super::{One, Op, affine, binary, ordered, shape};
use crate::layer::{Add, AvgPool, Concat, Edge, Operation, SelectChannels, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import, Value};
use crate::net::onnx::layout::{Layout, Part};
use crate::net::onnx::node::axis;
use crate::net::onnx::shapes::{indices, slices, split_sizes};

/// The values of several along one axis, one after another: of activations, of constants and of values that were
/// repeated over rows and columns.
pub(super) fn concat(import: &mut Import<'_>, op: Op<'_>) -> One {
    let first = op.inputs.iter().find_map(|input| match input {
        Some(Value::Activation(x)) => Some(x),
        _ => None,
    });
    let first = first.ok_or(Unsupported::Other(
        "joins nothing but constants and repeated values",
    ))?;
    let along = axis(op.node.int("axis").unwrap_or(1), first.layout.rank())?;
    let mut all = Vec::with_capacity(op.inputs.len());
    for (index, input) in op.inputs.iter().enumerate() {
        all.push(match input {
            Some(Value::Repeated(x, shape)) => {
                let nothing = nothing_beside(import, first, along, shape)?;
                binary::two(import, Operation::Add, &nothing, x)?
            }
            Some(Value::Constant(c)) => {
                let nothing = nothing_beside(import, first, along, &c.shape)?;
                binary::with_constant(import, Operation::Add, &nothing, "", c)?
            }
            _ => op.activation(index)?.clone(),
        });
    }
    join(import, &all.iter().collect::<Vec<_>>(), along)
}

/// Zeros of a shape that stands beside `x` along an axis. They are made of its first channel, so that they have as many
/// rows and columns as `x`, whatever the image's size.
fn nothing_beside(import: &mut Import<'_>, x: &Activation, along: usize, shape: &[usize]) -> One {
    let fits = x.layout.shape();
    let is_same = |axis: usize| axis == along || fits[axis] == shape[axis];
    let count = shape.get(along).copied().unwrap_or(0);
    if shape.len() != fits.len() || !(0..fits.len()).all(is_same) || count == 0 {
        return Err(Unsupported::Broadcast {
            first: fits,
            other: shape.to_vec(),
        });
    }
    let first = select(import, x, along, &vec![0; count])?;
    affine::uniform(import, &first, "", 0.0, 0.0)
}

/// Values one after another along an axis that channels make up, or that has one position in each.
pub(super) fn join(import: &mut Import<'_>, all: &[&Activation], along: usize) -> One {
    let [first, ..] = all else {
        return Err(Unsupported::Missing { index: 0 });
    };
    if let [only] = all {
        return Ok((*only).clone());
    }
    // The axis becomes the slowest of the channels, so that those of a value stand behind those of the one before it.
    let rank = first.layout.rank();
    let mut order: Vec<usize> = (0..rank).filter(|&axis| axis != along).collect();
    order.insert(0, along);
    let mut inputs = Vec::with_capacity(all.len());
    for x in all {
        if x.layout.rank() != rank || x.layout.0[along].iter().any(|part| !part.is_channels()) {
            return Err(Unsupported::Axes {
                shape: x.layout.shape(),
                wanted: "the channels, along which alone values are joined",
            });
        }
        let layout = x.layout.transposed(&order);
        inputs.push(ordered(
            import,
            &Activation {
                layout,
                ..(*x).clone()
            },
        )?);
    }
    // All other axes must be the same, in the same order.
    let rest = |x: &Activation| x.layout.0[1..].to_vec();
    if let Some(other) = (0..all.len()).find(|&i| rest(&inputs[i]) != rest(&inputs[0])) {
        return Err(Unsupported::Broadcast {
            first: first.layout.shape(),
            other: all[other].layout.shape(),
        });
    }
    let drafts: Vec<usize> = inputs.iter().map(|x| x.draft).collect();
    let name = import.numbered("concat");
    let (draft, shape) = import.push(name, Concat, &drafts, Vec::new())?;
    let others = inputs[0].layout.0[1..].iter().flatten();
    let below: u32 = others
        .filter(|part| part.is_channels())
        .map(|part| part.len() as u32)
        .product();
    let mut axes = inputs[0].layout.0.clone();
    let whole = Part::Channels {
        stride: below,
        len: shape.channels / below,
    };
    axes.remove(0);
    axes.insert(along, vec![whole]);
    Ok(Activation {
        draft,
        shape,
        layout: Layout(axes),
    })
}

/// A value for each index of an axis that channels make up; the axis has one position in each.
pub(super) fn pieces(
    import: &mut Import<'_>,
    x: &Activation,
    along: usize,
) -> Result<Vec<Activation>, Unsupported> {
    let size = x.layout.shape()[along];
    if size > MOST_PIECES {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "all channels, or an axis of at most 64 positions made of channels",
        });
    }
    (0..size)
        .map(|index| select(import, x, along, &[index]))
        .collect()
}

/// Most layers that a value is cut into.
const MOST_PIECES: usize = 64;

/// The sum of values of one shape and layout.
pub(super) fn total(import: &mut Import<'_>, all: &[Activation]) -> One {
    let [first, ..] = all else {
        return Err(Unsupported::Missing { index: 0 });
    };
    if all.len() == 1 {
        return Ok(first.clone());
    }
    let drafts: Vec<usize> = all.iter().map(|x| x.draft).collect();
    let name = import.numbered("add");
    let (draft, shape) = import.push(name, Add, &drafts, Vec::new())?;
    let layout = first.layout.clone();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// The largest value along an axis that channels make up: of two halves each time, which may overlap.
pub(super) fn maximum(import: &mut Import<'_>, x: &Activation, along: usize) -> One {
    let mut made = x.clone();
    loop {
        let size = made.layout.shape()[along];
        if size == 1 {
            return Ok(made);
        }
        let half = size.div_ceil(2);
        let (low, high): (Vec<usize>, Vec<usize>) =
            ((0..half).collect(), (size - half..size).collect());
        let a = select(import, &made, along, &low)?;
        let b = select(import, &made, along, &high)?;
        made = binary::two(import, Operation::Max, &a, &b)?;
    }
}

/// The values at some indices of an axis, all others as they are.
pub(super) fn select(
    import: &mut Import<'_>,
    x: &Activation,
    along: usize,
    indices: &[usize],
) -> One {
    let size = x.layout.shape()[along];
    let is_whole =
        indices.len() == size && indices.iter().enumerate().all(|(i, &index)| i == index);
    if is_whole {
        return Ok(x.clone());
    }
    match &x.layout.0[along][..] {
        [Part::Rows(_)] => return positions(import, x, 0, indices),
        [Part::Columns(_)] => return positions(import, x, 1, indices),
        parts if indices.is_empty() || parts.iter().any(|part| !part.is_channels()) => {
            return Err(Unsupported::Axes {
                shape: x.layout.shape(),
                wanted: "the channels, the rows or the columns, of which alone some are taken",
            });
        }
        _ => {}
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

/// The rows (`axis` 0) or columns (1) at some indices, which are equally far apart. So many as lie before the first and
/// behind the last are cut off from an image of any size.
pub(super) fn positions(
    import: &mut Import<'_>,
    x: &Activation,
    axis: usize,
    indices: &[usize],
) -> One {
    let size = [x.shape.height, x.shape.width][axis] as usize;
    let step = match indices {
        [first, second, ..] => second.checked_sub(*first),
        _ => Some(1),
    };
    let is_even =
        |step: &usize| *step > 0 && indices.windows(2).all(|pair| pair[1] == pair[0] + step);
    let Some((step, (&first, &last))) = step
        .filter(is_even)
        .zip(indices.first().zip(indices.last()))
    else {
        return Err(Unsupported::Other(
            "takes rows or columns in another order than that of the image",
        ));
    };
    let behind = size - 1 - last;
    // A step takes what is left over behind the last with it.
    let behind = if behind < step { 0 } else { behind };
    let cut = |n: usize| i32::try_from(n).map_err(|_| Unsupported::Operator);
    let mut around = [[0; 2]; 2];
    around[axis] = [-cut(first)?, -cut(behind)?];
    let mut made = padded(import, "crop", x, around, Edge::Constant { value: 0.0 })?;
    if step > 1 {
        let mut window = Window::square(1, 1, 0);
        window.stride[axis] = u32::try_from(step).map_err(|_| Unsupported::Operator)?;
        let layer = AvgPool {
            window,
            scale: 1.0,
            count_padding: false,
        };
        let name = import.numbered("subsample");
        let (draft, shape) = import.push(name, layer, &[made.draft], Vec::new())?;
        let layout = made.layout.resized(shape);
        made = Activation {
            draft,
            shape,
            layout,
        };
    }
    Ok(made)
}

pub(super) fn split(import: &mut Import<'_>, op: Op<'_>) -> Result<Vec<Activation>, Unsupported> {
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
    shape::to(import, &made, &shape)
}
