//! What sums up windows.

use super::conv::{size, window};
use super::pointwise::apply;
use super::{One, Op, as_image, elementwise, image};
use crate::layer::{AvgPool, Function, GlobalAvgPool, GlobalMaxPool, MaxPool, Window};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
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

/// `(sum |x|^p)^(1/p)` over windows, padded by zeros.
pub(super) fn lp(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = image(import, op.activation(0)?)?;
    let window = pooling(op, &x)?;
    if window.dilation != [1; 2] || window.ceil && window.is_padded() {
        return Err(Unsupported::Other(
            "has a dilation, or padding and rounds up, which is not supported",
        ));
    }
    let p = op.node.int("p").unwrap_or(2);
    if p < 1 {
        return Err(unsupported("p", p, "1 or more"));
    }
    let p = p as f32;
    let powers = match p {
        2.0 => apply(import, &x, Function::Square)?,
        1.0 => apply(import, &x, Function::Abs)?,
        p => {
            let sizes = apply(import, &x, Function::Abs)?;
            apply(import, &sizes, Function::Power(p))?
        }
    };
    let layer = AvgPool {
        window,
        scale: window.taps() as f32,
        count_padding: window.is_padded(),
    };
    let name = import.numbered("lp_pool");
    let sums = as_image(import.push(name, layer, &[powers.draft], Vec::new())?);
    match p {
        1.0 => Ok(sums),
        2.0 => apply(import, &sums, Function::Sqrt),
        p => apply(import, &sums, Function::Power(1.0 / p)),
    }
}

/// The mean or the maximum of all positions: `[N, C, 1, 1]`.
pub(super) fn global(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    if !x.layout.is_image() {
        image(import, x)?;
    }
    let made = of_all_positions(import, x, op.node.operator() == "GlobalMaxPool")?;
    Ok(made)
}

/// The mean or the maximum of all positions; the axes of rows and columns have one position then.
pub(super) fn of_all_positions(import: &mut Import<'_>, x: &Activation, is_max: bool) -> One {
    let mut made = if is_max {
        elementwise(import, "global_max_pool", x, GlobalMaxPool)?
    } else {
        elementwise(import, "global_avg_pool", x, GlobalAvgPool)?
    };
    for parts in &mut made.layout.0 {
        parts.retain(|part| part.is_channels());
    }
    Ok(made)
}
