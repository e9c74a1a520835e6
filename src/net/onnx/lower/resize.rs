//! Other sizes: Resize and Pad.

use super::binary::with_constant;
use super::channels::select;
use super::conv::size;
use super::{One, Op, as_image, image, ordered};
use crate::layer::{Coordinates, Edge, Interpolate, Method, Operation, Pad, Round, Target};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::Role;
use crate::net::onnx::node::{axis, unsupported};
use crate::net::onnx::tensor::Tensor;

pub(super) fn resize(import: &mut Import<'_>, op: Op<'_>) -> One {
    let node = op.node;
    let x = image(import, op.activation(0)?)?;
    let is_upsample = node.operator() == "Upsample";
    let method = node.word("mode", "nearest");
    let mode = node.word("coordinate_transformation_mode", "half_pixel");
    // Opset 10 and Upsample know one way only.
    let is_old = is_upsample || node.opset < 11;
    let coordinates = match if is_old { "asymmetric" } else { mode } {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => {
            return Err(unsupported(
                "coordinate_transformation_mode",
                other,
                "half_pixel, pytorch_half_pixel, align_corners or asymmetric",
            ));
        }
    };
    let rounding = if is_old {
        "floor"
    } else {
        node.word("nearest_mode", "round_prefer_floor")
    };
    let method = match method {
        "nearest" => Method::Nearest {
            round: match rounding {
                "round_prefer_floor" => Round::PreferFloor,
                "round_prefer_ceil" => Round::PreferCeil,
                "floor" => Round::Floor,
                "ceil" => Round::Ceil,
                other => return Err(unsupported("nearest_mode", other, "a way to round")),
            },
        },
        "linear" | "bilinear" => Method::Linear,
        other => return Err(unsupported("mode", other, "nearest or linear")),
    };
    node.only("antialias", 0)?;
    let given = |tensor: Option<&Tensor>| tensor.filter(|tensor| tensor.len() > 0).cloned();
    let scales = match node.floats("scales") {
        Some(scales) => Some(scales.to_vec()),
        None => {
            let input = if is_old { 1 } else { 2 };
            given(op.constant(input)?).map(|tensor| tensor.to_f32().to_vec())
        }
    };
    let sizes = if is_old {
        None
    } else {
        given(op.constant(3)?).map(|tensor| tensor.to_i64().to_vec())
    };
    let from = size(&x);
    let target = match (sizes, scales) {
        (Some(sizes), _) => {
            let [h, w] = of_positions(op, &sizes, from.map(i64::from))?;
            let to = [h, w].map(|n| u32::try_from(n).ok().filter(|&n| n > 0 && n < 1 << 16));
            let [Some(h), Some(w)] = to else {
                return Err(unsupported(
                    "sizes",
                    format!("{sizes:?}"),
                    "sizes from 1 to 65535",
                ));
            };
            // A whole multiple is a scale: it was computed from the shape of the image, or could have been.
            let is_whole = h.is_multiple_of(from[0]) && w.is_multiple_of(from[1]);
            if is_whole {
                Target::Scale([h / from[0], w / from[1]].map(|n| n as f32))
            } else {
                Target::Size([h, w])
            }
        }
        (None, Some(scales)) => Target::Scale(of_positions(op, &scales, [1.0; 2])?),
        (None, None) => return Err(Unsupported::Missing { index: 2 }),
    };
    if target == Target::Scale([1.0; 2]) {
        return Ok(x);
    }
    let layer = Interpolate {
        method,
        coordinates,
        target,
    };
    let name = import.numbered("resize");
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        Vec::new(),
    )?))
}

/// The numbers for rows and columns of a list for all axes, or for those that the node names.
fn of_positions<T: Copy + PartialEq>(
    op: Op<'_>,
    numbers: &[T],
    unchanged: [T; 2],
) -> Result<[T; 2], Unsupported> {
    let wrong = || Unsupported::Other("has sizes for other axes than rows and columns");
    if let Some(listed) = op.node.ints("axes") {
        let mut both = unchanged;
        for (&number, &value) in listed.iter().zip(numbers) {
            let axis = axis(number, 4)?;
            *both.get_mut(axis.wrapping_sub(2)).ok_or_else(wrong)? = value;
        }
        return Ok(both);
    }
    match numbers {
        &[_, _, h, w] => Ok([h, w]),
        _ => Err(wrong()),
    }
}

pub(super) fn pad(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let rank = x.layout.rank();
    let pads = match op.node.ints("pads").or(op.node.ints("paddings")) {
        Some(pads) => pads.to_vec(),
        None => op.needed(1)?.to_i64().to_vec(),
    };
    let at: Vec<usize> = match op.constant(3)? {
        None => (0..rank).collect(),
        Some(listed) => {
            let all: Result<Vec<usize>, _> =
                listed.to_i64().iter().map(|&n| axis(n, rank)).collect();
            all?
        }
    };
    let wrong = || {
        unsupported(
            "pads",
            format!("{pads:?}"),
            "numbers from -65535 to 65535, two for each axis",
        )
    };
    if pads.len() != 2 * at.len() {
        return Err(wrong());
    }
    let mut sides = vec![[0, 0]; rank];
    for (i, &axis) in at.iter().enumerate() {
        let side = |number: i64| {
            let fits = (-65535..=65535).contains(&number);
            fits.then_some(number as i32).ok_or_else(wrong)
        };
        sides[axis] = [side(pads[i])?, side(pads[at.len() + i])?];
    }
    if sides.iter().all(|side| *side == [0, 0]) {
        return Ok(x.clone());
    }
    let mut x = ordered(import, x)?;
    let value = op.number("value", 2)?.unwrap_or(0.0);
    let mode = op.node.word("mode", "constant");
    let edge = match mode {
        "constant" => Edge::Constant { value },
        "edge" => Edge::Replicate,
        "reflect" => Edge::Reflect,
        "wrap" => Edge::Wrap,
        other => {
            return Err(unsupported(
                "mode",
                other,
                "constant, edge, reflect or wrap",
            ));
        }
    };
    let mut around = [[0; 2]; 2];
    for (axis, side) in sides.into_iter().enumerate() {
        if side == [0, 0] {
            continue;
        }
        match x.layout.role(axis) {
            Some(Role::Rows) => around[0] = side,
            Some(Role::Columns) => around[1] = side,
            Some(Role::Channels) if mode == "constant" => {
                x = padded_channels(import, &x, axis, side, value)?;
            }
            Some(Role::Channels) => {
                return Err(unsupported(
                    "mode",
                    mode,
                    "constant, where it pads channels",
                ));
            }
            None => {
                return Err(Unsupported::Axes {
                    shape: x.layout.shape(),
                    wanted: "rows, columns and channels, which alone are padded",
                });
            }
        }
    }
    // What is negative is cut off. A border of one number does so itself.
    if mode != "constant" && around.iter().flatten().any(|&n| n < 0) {
        let cut = around.map(|sides| sides.map(|n| n.min(0)));
        x = padded(import, "crop", &x, cut, Edge::Constant { value: 0.0 })?;
        around = around.map(|sides| sides.map(|n| n.max(0)));
    }
    padded(import, "pad", &x, around, edge)
}

/// Rows before and behind, and columns; negative numbers cut off.
pub(super) fn padded(
    import: &mut Import<'_>,
    kind: &'static str,
    x: &Activation,
    around: [[i32; 2]; 2],
    edge: Edge,
) -> One {
    if around == [[0; 2]; 2] {
        return Ok(x.clone());
    }
    let layer = Pad {
        before: around.map(|[before, _]| before),
        after: around.map(|[_, after]| after),
        edge,
    };
    let name = import.numbered(kind);
    let (draft, shape) = import.push(name, layer, &[x.draft], Vec::new())?;
    let layout = x.layout.resized(shape);
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// Channels of one number before and behind those of `x` along an axis; negative numbers cut off.
fn padded_channels(
    import: &mut Import<'_>,
    x: &Activation,
    axis: usize,
    [before, after]: [i32; 2],
    number: f32,
) -> One {
    let size = x.layout.shape()[axis];
    let places = -i64::from(before)..size as i64 + i64::from(after);
    let inside = |place: i64| usize::try_from(place).ok().filter(|&at| at < size);
    let from: Vec<Option<usize>> = places.map(inside).collect();
    // A new channel is the first one times 0 and the number.
    let indices: Vec<usize> = from.iter().map(|at| at.unwrap_or(0)).collect();
    let x = select(import, x, axis, &indices)?;
    let mut shape = vec![1; x.layout.rank()];
    shape[axis] = indices.len();
    let of_each = |old: f32, new: f32| {
        let values = from.iter().map(|at| if at.is_some() { old } else { new });
        Tensor::floats(shape.clone(), values.collect())
    };
    let x = with_constant(import, Operation::Mul, &x, "", &of_each(1.0, 0.0))?;
    with_constant(import, Operation::Add, &x, "", &of_each(0.0, number))
}
