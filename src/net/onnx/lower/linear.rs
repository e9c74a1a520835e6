//! Products with constant matrices.

use super::{One, Op, list, parameter};
use crate::layer::{Conv, Shape, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::{Layout, Part};
use crate::net::onnx::tensor::Tensor;

/// `alpha * x * B + beta * C` of `[N, K]` with a matrix `B` of `[K, M]`.
pub(super) fn gemm(import: &mut Import<'_>, op: Op<'_>) -> One {
    op.node.only("transA", 0)?;
    let x = op.activation(0)?;
    let matrix = op.needed(1)?;
    let option = |name: &str| op.node.float(name).unwrap_or(1.0);
    let (alpha, beta) = (option("alpha"), option("beta"));
    let is_transposed = op.node.int("transB").unwrap_or(0) != 0;
    let (rows, columns) = sizes(matrix)?;
    let out = if is_transposed { rows } else { columns };
    let bias = match op.constant(2)? {
        None => vec![0.0; out],
        Some(bias) if bias.len() == 1 => vec![beta * bias.to_f32()[0]; out],
        Some(bias) => {
            let bias = list(bias, out as u32, "one number for each output")?;
            bias.into_iter().map(|b| beta * b).collect()
        }
    };
    if x.layout.rank() != 2 {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "a list: [N, K]",
        });
    }
    product(import, x, matrix, is_transposed, alpha, bias)
}

/// `x * B` over the last axis of x.
pub(super) fn matmul(import: &mut Import<'_>, op: Op<'_>) -> One {
    let (x, matrix) = (op.activation(0)?, op.needed(1)?);
    let (_, out) = sizes(matrix)?;
    product(import, x, matrix, false, 1.0, vec![0.0; out])
}

/// Rows and columns of a matrix; leading axes of one position are passed over.
fn sizes(matrix: &Tensor) -> Result<(usize, usize), Unsupported> {
    match matrix.shape[..] {
        [ref outer @ .., rows, columns]
            if outer.iter().all(|&n| n == 1) && rows > 0 && columns > 0 =>
        {
            Ok((rows, columns))
        }
        _ => Err(Unsupported::Constant {
            shape: matrix.shape.clone(),
            wanted: "one matrix",
        }),
    }
}

/// The last axis of `x` multiplied by a matrix: a convolution of 1×1 where that axis is the channels, and one over the
/// whole image where it is channels, rows and columns.
fn product(
    import: &mut Import<'_>,
    x: &Activation,
    matrix: &Tensor,
    is_transposed: bool,
    alpha: f32,
    bias: Vec<f32>,
) -> One {
    let (rows, columns) = sizes(matrix)?;
    let (out, inputs) = if is_transposed {
        (rows, columns)
    } else {
        (columns, rows)
    };
    let axes = || Unsupported::Axes {
        shape: x.layout.shape(),
        wanted: "channels last, or of all that is multiplied",
    };
    let last = x.layout.rank().checked_sub(1).ok_or_else(axes)?;
    if x.layout.shape()[last] != inputs {
        return Err(Unsupported::Broadcast {
            first: x.layout.shape(),
            other: matrix.shape.clone(),
        });
    }
    let parts = &x.layout.0[last];
    let elsewhere = x.layout.0[..last].iter().flatten();
    if elsewhere.clone().any(|part| part.is_channels()) {
        return Err(axes());
    }
    // Of rows and columns either all are multiplied, or none.
    let Shape {
        channels,
        height,
        width,
    } = x.shape;
    let is_whole = parts.iter().any(|part| !part.is_channels());
    if is_whole && elsewhere.clone().next().is_some() {
        return Err(axes());
    }
    let is_flat = !is_whole && [height, width] == [1, 1];
    let [h, w] = if is_whole { [height, width] } else { [1, 1] };
    let (c, h_len, w_len) = (channels as usize, h as usize, w as usize);
    // Where each weight of the convolution, [out, c, h, w], stands in the matrix.
    let mut places = vec![0; c * h_len * w_len];
    for (index, place) in elements(parts, h_len * w_len, w_len)
        .into_iter()
        .enumerate()
    {
        places[place] = index;
    }
    let values = matrix.to_f32();
    let at = |row: usize, input: usize| {
        let place = if is_transposed {
            row * inputs + input
        } else {
            input * out + row
        };
        alpha * values[place]
    };
    let weights = (0..out).flat_map(|row| places.iter().map(move |&input| (row, input)));
    let weights = weights.map(|(row, input)| at(row, input)).collect();
    let linear = is_whole || is_flat;
    let tensor = import.numbered(if linear { "linear" } else { "conv" });
    let shape = if linear {
        vec![out, inputs]
    } else {
        vec![out, c, 1, 1]
    };
    let parameters = vec![
        parameter(&tensor, "weight", shape, weights),
        parameter(&tensor, "bias", vec![out], bias),
    ];
    let name = tensor.clone();
    let layer = Conv {
        tensor,
        in_channels: channels,
        out_channels: out as u32,
        window: Window {
            kernel: [h, w],
            ..Window::square(1, 1, 0)
        },
        groups: 1,
        linear,
    };
    let (draft, shape) = import.push(name, layer, &[x.draft], parameters)?;
    let mut layout = Layout(x.layout.0.clone());
    layout.0[last].clear();
    let layout = layout.with_channels(last, shape.channels);
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// The place in `[C, H, W]` of each element of an axis, for `area` positions in rows of `width`.
fn elements(parts: &[Part], area: usize, width: usize) -> Vec<usize> {
    parts.iter().fold(vec![0], |places, part| {
        let step = match *part {
            Part::Channels { stride, .. } => stride as usize * area,
            Part::Rows(_) => width,
            Part::Columns(_) => 1,
        };
        let all = places
            .iter()
            .flat_map(|&place| (0..part.len()).map(move |i| place + i * step));
        all.collect()
    })
}
