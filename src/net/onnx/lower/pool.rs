//! What sums up windows.

use super::conv::{size, window};
use super::pointwise::{powers, root};
use super::reduce::Reduction;
use super::{One, Op, as_image, elementwise, image};
use crate::layer::{AvgPool, GlobalAvgPool, GlobalMaxPool, Layer, MaxPool, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::layout::Part;
use crate::net::onnx::node::unsupported;

/// The node's window over `x`.
fn pooling(op: Op<'_>, x: &Activation) -> Result<Window, Unsupported> {
    let kernel = op.node.pair("kernel_shape")?;
    let kernel = kernel.ok_or_else(|| unsupported("kernel_shape", "none", "two numbers"))?;
    let window = window(op.node, kernel, size(x))?;
    Ok(Window {
        ceil: op.node.int("ceil_mode").unwrap_or(0) != 0,
        ..window
    })
}

/// The maximum of windows.
pub(super) fn max(import: &mut Import<'_>, op: Op<'_>) -> One {
    op.node.only("storage_order", 0)?;
    let x = image(import, op.activation(0)?)?;
    let window = pooling(op, &x)?;
    let name = import.numbered("max_pool");
    Ok(as_image(import.push(
        name,
        MaxPool { window },
        &[x.draft],
        Vec::new(),
    )?))
}

pub(super) fn average(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let window = pooling(op, &x)?;
    if window.dilation != [1; 2] {
        return Err(unsupported(
            "dilations",
            format!("{:?}", window.dilation),
            "1",
        ));
    }
    let layer = AvgPool {
        window,
        scale: 1.0,
        count_padding: op.node.int("count_include_pad").unwrap_or(0) != 0 && window.is_padded(),
    };
    let name = import.numbered("avg_pool");
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        Vec::new(),
    )?))
}

/// `(sum |x|^p)^(1/p)` over windows padded by zeros, or over all positions.
pub(super) fn lp(import: &mut Import<'_>, op: Op<'_>) -> One {
    let p = match (op.node.int("p"), op.node.float("p")) {
        (Some(p), _) => p as f32,
        // Opset 1 of GlobalLpPool.
        (None, p) => p.unwrap_or(2.0),
    };
    if p.is_nan() || p < 1.0 {
        return Err(unsupported("p", p, "1 or more"));
    }
    let powers = powers(import, op.activation(0)?, p)?;
    let sums = if op.node.operator() == "GlobalLpPool" {
        image(import, &powers)?;
        of_positions(import, &powers, Over::all(Reduction::Sum))?
    } else {
        sum(import, op, &powers)?
    };
    root(import, &sums, p)
}

/// The sum over the node's windows.
fn sum(import: &mut Import<'_>, op: Op<'_>, x: &Activation) -> One {
    let x = image(import, x)?;
    let window = pooling(op, &x)?;
    if window.dilation != [1; 2] || window.ceil && window.is_padded() {
        return Err(Unsupported::Other(
            "has a dilation, or padding and rounds up, which is not supported",
        ));
    }
    let layer = AvgPool {
        window,
        scale: window.taps() as f32,
        count_padding: window.is_padded(),
    };
    let name = import.numbered("lp_pool");
    Ok(as_image(import.push(
        name,
        layer,
        &[x.draft],
        Vec::new(),
    )?))
}

/// The mean or the maximum of all positions: `[N, C, 1, 1]`.
pub(super) fn global(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    if !x.layout.is_image() {
        image(import, x)?;
    }
    let reduction = match op.node.operator() {
        "GlobalMaxPool" => Reduction::Max,
        _ => Reduction::Mean,
    };
    of_positions(import, x, Over::all(reduction))
}

/// What is made of all rows, of all columns, or of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    pub rows_and_columns: [bool; 2],
    pub reduction: Reduction,
}

impl Over {
    fn all(reduction: Reduction) -> Self {
        Self {
            rows_and_columns: [true; 2],
            reduction,
        }
    }
}

/// The axes of rows and columns have one position then.
pub(super) fn of_positions(import: &mut Import<'_>, x: &Activation, over: Over) -> One {
    let Over {
        rows_and_columns,
        reduction,
    } = over;
    let mut made = if reduction != Reduction::Max {
        let sum = reduction == Reduction::Sum;
        let layer = GlobalAvgPool {
            over: rows_and_columns,
            sum,
        };
        elementwise(import, layer.kind(), x, layer)?
    } else if rows_and_columns == [true; 2] {
        elementwise(import, "global_max_pool", x, GlobalMaxPool)?
    } else {
        return Err(Unsupported::Axes {
            shape: x.layout.shape(),
            wanted: "both rows and columns, over which the maximum is taken",
        });
    };
    for parts in &mut made.layout.0 {
        parts.retain(|part| match part {
            Part::Channels { .. } => true,
            Part::Rows(_) => !rows_and_columns[0],
            Part::Columns(_) => !rows_and_columns[1],
        });
    }
    Ok(made)
}
