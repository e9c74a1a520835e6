//! Functions of single numbers.

use super::{One, Op, elementwise};
use crate::layer::{Function, PRelu, Pointwise, Relu};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import};
use crate::net::onnx::lower::{affine, parameter};

/// `f(x)` for each number of the input.
pub(super) fn pointwise(import: &mut Import<'_>, op: Op<'_>) -> One {
    let node = op.node;
    let option = |name: &str, default: f32| node.float(name).unwrap_or(default);
    let function = match node.operator() {
        "Relu" => return relu(import, op.activation(0)?),
        "PRelu" => return prelu(import, op),
        "Clip" => return clip(import, op),
        "Neg" => {
            let x = op.activation(0)?;
            return affine::uniform(import, x, op.input_name(0), -1.0, 0.0);
        }
        "Sigmoid" => Function::Sigmoid,
        "Tanh" => Function::Tanh,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Abs" => Function::Abs,
        "Sqrt" => Function::Sqrt,
        "Reciprocal" => Function::Reciprocal,
        "Erf" => Function::Erf,
        "LeakyRelu" => Function::LeakyRelu(option("alpha", 0.01)),
        "Elu" => Function::Elu(option("alpha", 1.0)),
        "Celu" => Function::Celu(option("alpha", 1.0)),
        "Selu" => Function::Selu {
            // As Klambauer et al. 2017 (section 2) give them, rounded to f32 by ONNX.
            alpha: option("alpha", 1.673_263_2),
            gamma: option("gamma", 1.050_701),
        },
        "HardSigmoid" => Function::HardSigmoid {
            alpha: option("alpha", 0.2),
            beta: option("beta", 0.5),
        },
        "HardSwish" => Function::HardSwish,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Mish" => Function::Mish,
        "Swish" if option("alpha", 1.0) == 1.0 => Function::Silu,
        "Gelu" if node.word("approximate", "none") == "tanh" => Function::GeluTanh,
        "Gelu" => Function::Gelu,
        _ => return Err(Unsupported::Operator),
    };
    apply(import, op.activation(0)?, function)
}

/// A function's layer.
pub(super) fn apply(import: &mut Import<'_>, x: &Activation, function: Function) -> One {
    elementwise(import, function.name(), x, Pointwise { function })
}

/// `|x|^p`.
pub(super) fn powers(import: &mut Import<'_>, x: &Activation, p: f32) -> One {
    if p == 2.0 {
        return apply(import, x, Function::Square);
    }
    let sizes = apply(import, x, Function::Abs)?;
    if p == 1.0 {
        return Ok(sizes);
    }
    apply(import, &sizes, Function::Power(p))
}

/// `x^(1/p)` of sums of [`powers`].
pub(super) fn root(import: &mut Import<'_>, x: &Activation, p: f32) -> One {
    match p {
        1.0 => Ok(x.clone()),
        2.0 => apply(import, x, Function::Sqrt),
        p => apply(import, x, Function::Power(1.0 / p)),
    }
}

pub(super) fn relu(import: &mut Import<'_>, x: &Activation) -> One {
    elementwise(import, "relu", x, Relu)
}

fn clip(import: &mut Import<'_>, op: Op<'_>) -> One {
    let low = op.number("min", 1)?.unwrap_or(f32::MIN);
    let high = op.number("max", 2)?.unwrap_or(f32::MAX);
    clipped(import, op.activation(0)?, low, high)
}

/// What is between two numbers, which may be infinite.
pub(super) fn clipped(import: &mut Import<'_>, x: &Activation, low: f32, high: f32) -> One {
    let (low, high) = (low.max(f32::MIN), high.min(f32::MAX));
    match (low, high) {
        (0.0, f32::MAX) => relu(import, x),
        (f32::MIN, f32::MAX) => Ok(x.clone()),
        _ => apply(import, x, Function::Clip { low, high }),
    }
}

fn prelu(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let (slopes, layout) = affine::per_channel(x, op.needed(1)?)?;
    let channels = x.shape.channels;
    let tensor = import.numbered("prelu");
    let slope = parameter(&tensor, "slope", vec![channels as usize], slopes);
    let name = tensor.clone();
    let layer = PRelu { tensor, channels };
    let (draft, shape) = import.push(name, layer, &[x.draft], vec![slope])?;
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}
