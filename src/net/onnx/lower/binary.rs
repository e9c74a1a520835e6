//! Arithmetic of two values or more.

use super::{One, Op, affine, channels, ordered, parameter, pointwise};
use crate::layer::{Add, Binary, BinaryConstant, Function, Operation, Pointwise};
use crate::net::onnx::error::Unsupported;
use crate::net::onnx::import::{Activation, Import, Value};
use crate::net::onnx::layout::Layout;
use crate::net::onnx::tensor::Tensor;

/// Add, Sub, Mul, Div, Sum, Mean, Min and Max: of activations, and with constants.
pub(super) fn arithmetic(import: &mut Import<'_>, op: Op<'_>) -> One {
    let operator = op.node.operator();
    let operation = match operator {
        "Add" | "Sum" | "Mean" => Operation::Add,
        "Sub" => Operation::Sub,
        "Mul" => Operation::Mul,
        "Div" => Operation::Div,
        "Min" => Operation::Min,
        _ => Operation::Max,
    };
    if operation == Operation::Add
        && let Some(sum) = plain_sum(import, op)?
    {
        return mean(import, op, sum);
    }
    let mut inputs = op
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| (index, input.as_ref()));
    let (_, Some(first)) = inputs.next().ok_or(Unsupported::Missing { index: 0 })? else {
        return Err(Unsupported::Missing { index: 0 });
    };
    let mut result = (first.clone(), op.input_name(0));
    for (index, input) in inputs {
        let other = input.ok_or(Unsupported::Missing { index })?;
        let name = op.input_name(index);
        let made = match (&result.0, other) {
            (Value::Activation(a), Value::Activation(b)) => two(import, operation, a, b)?,
            (Value::Activation(x), Value::Constant(c)) => {
                with_constant(import, operation, x, result.1, c)?
            }
            (Value::Constant(c), Value::Activation(x)) => {
                constant_first(import, operation, c, x, name)?
            }
            _ => {
                return Err(Unsupported::Other(
                    "combines several constants with the image",
                ));
            }
        };
        result = (Value::Activation(made), "");
    }
    match result.0 {
        Value::Activation(made) => mean(import, op, made),
        _ => Err(Unsupported::Operator),
    }
}

/// What a Mean has more than a Sum.
fn mean(import: &mut Import<'_>, op: Op<'_>, sum: Activation) -> One {
    if op.node.operator() == "Mean" {
        return affine::uniform(import, &sum, "", 1.0 / op.inputs.len() as f64, 0.0);
    }
    Ok(sum)
}

/// The sum of activations of one shape and one layout, as one layer.
fn plain_sum(import: &mut Import<'_>, op: Op<'_>) -> Result<Option<Activation>, Unsupported> {
    let all: Option<Vec<&Activation>> = op
        .inputs
        .iter()
        .map(|input| match input {
            Some(Value::Activation(x)) => Some(x),
            _ => None,
        })
        .collect();
    let Some((first, rest)) = all.as_deref().and_then(<[_]>::split_first) else {
        return Ok(None);
    };
    let is_same = |x: &&Activation| x.shape == first.shape && x.layout == first.layout;
    if !rest.iter().all(is_same) {
        return Ok(None);
    }
    let all: Vec<Activation> = std::iter::once(first)
        .chain(rest)
        .map(|x| (*x).clone())
        .collect();
    channels::total(import, &all).map(Some)
}

/// Two activations, each broadcast to the other.
pub(super) fn two(
    import: &mut Import<'_>,
    operation: Operation,
    a: &Activation,
    b: &Activation,
) -> One {
    if operation == Operation::Mul
        && let Some(function) = gate(import, a, b)
    {
        return function;
    }
    let (a, b) = if a.layout == b.layout {
        (a.clone(), b.clone())
    } else {
        (ordered(import, a)?, ordered(import, b)?)
    };
    let fails = || Unsupported::Broadcast {
        first: a.layout.shape(),
        other: b.layout.shape(),
    };
    let rank = a.layout.rank().max(b.layout.rank());
    let padded = |layout: &Layout| {
        let lacks = rank - layout.rank();
        let mut axes = vec![vec![]; lacks];
        axes.extend(layout.0.iter().cloned());
        axes
    };
    let axes = padded(&a.layout)
        .into_iter()
        .zip(padded(&b.layout))
        .map(|(a, b)| {
            if a == b || b.is_empty() {
                Some(a)
            } else if a.is_empty() {
                Some(b)
            } else {
                None
            }
        });
    let layout = Layout(axes.collect::<Option<_>>().ok_or_else(fails)?);
    let is_same = a.shape == b.shape && operation == Operation::Add;
    let (name, inputs) = (import.numbered(operation.name()), [a.draft, b.draft]);
    let (draft, shape) = if is_same {
        import.push(name, Add, &inputs, Vec::new())?
    } else {
        import.push(name, Binary { operation }, &inputs, Vec::new())?
    };
    // Each axis of the layer must be in the layout once.
    let count: usize = layout.shape().iter().product();
    let elements = u64::from(shape.channels) * u64::from(shape.height) * u64::from(shape.width);
    if count as u64 != elements {
        return Err(fails());
    }
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// A product of `x` and a function of `x` that has a name of its own: `x * sigmoid(x)` is SiLU.
fn gate(import: &mut Import<'_>, a: &Activation, b: &Activation) -> Option<One> {
    let function = |x: &Activation, gate: &Activation| {
        if x.layout != gate.layout {
            return None;
        }
        let draft = &import.drafts[gate.draft];
        let Pointwise { function } = *draft.layer.of_kind()?;
        let of = *draft.inputs.first()?;
        match function {
            Function::Sigmoid if of == x.draft => Some(Function::Silu),
            Function::HardSigmoid { alpha, beta }
                if of == x.draft && (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 =>
            {
                Some(Function::HardSwish)
            }
            Function::Tanh => {
                let before = &import.drafts[of];
                let is_softplus = matches!(
                    before.layer.of_kind(),
                    Some(Pointwise {
                        function: Function::Softplus
                    })
                );
                (is_softplus && before.inputs == [x.draft]).then_some(Function::Mish)
            }
            _ => None,
        }
    };
    let (x, function) = match (function(a, b), function(b, a)) {
        (Some(function), _) => (a, function),
        (None, Some(function)) => (b, function),
        (None, None) => return None,
    };
    let x = x.clone();
    Some(pointwise::apply(import, &x, function))
}

/// An activation and a constant behind it.
pub(super) fn with_constant(
    import: &mut Import<'_>,
    operation: Operation,
    x: &Activation,
    value: &str,
    constant: &Tensor,
) -> One {
    let (numbers, layout) = match affine::per_channel(x, constant) {
        Err(Unsupported::Positions) => return positional(import, operation, x, constant),
        of_channels => of_channels?,
    };
    let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
    let all = |number: f64| vec![number; numbers.len()];
    let made = match operation {
        Operation::Add => affine::affine(import, x, value, &all(1.0), &numbers),
        Operation::Sub => {
            let negative: Vec<f64> = numbers.iter().map(|n| -n).collect();
            affine::affine(import, x, value, &all(1.0), &negative)
        }
        Operation::Mul => affine::affine(import, x, value, &numbers, &all(0.0)),
        Operation::Div if numbers.contains(&0.0) => Err(Unsupported::Other("divides by 0")),
        Operation::Div => {
            let inverse: Vec<f64> = numbers.iter().map(|n| 1.0 / n).collect();
            affine::affine(import, x, value, &inverse, &all(0.0))
        }
        Operation::Min | Operation::Max if numbers.iter().any(|&n| n != numbers[0]) => {
            let bounds = numbers.iter().map(|&n| n as f32).collect();
            stored(import, operation, x, bounds, None)
        }
        Operation::Min => pointwise::clipped(import, x, f32::MIN, numbers[0] as f32),
        Operation::Max => pointwise::clipped(import, x, numbers[0] as f32, f32::MAX),
    };
    Ok(Activation { layout, ..made? })
}

/// An activation and a constant behind it that differs from position to position.
pub(super) fn positional(
    import: &mut Import<'_>,
    operation: Operation,
    x: &Activation,
    constant: &Tensor,
) -> One {
    let (numbers, layout) = affine::per_position(x, constant)?;
    if operation == Operation::Div && numbers.contains(&0.0) {
        return Err(Unsupported::Other("divides by 0"));
    }
    let size = Some([x.shape.height, x.shape.width]);
    let made = stored(import, operation, x, numbers, size)?;
    Ok(Activation { layout, ..made })
}

/// An activation and numbers behind it, `[C, h, w]` of a size or `[C, 1, 1]`.
fn stored(
    import: &mut Import<'_>,
    operation: Operation,
    x: &Activation,
    numbers: Vec<f32>,
    size: Option<[u32; 2]>,
) -> One {
    let name = import.numbered(operation.name());
    let channels = x.shape.channels;
    let layer = BinaryConstant {
        tensor: format!("{name}.constant"),
        operation,
        channels,
        size,
    };
    let [height, width] = size.unwrap_or([1, 1]);
    let shape = [channels, height, width].map(|n| n as usize).to_vec();
    let numbers = parameter(&name, "constant", shape, numbers);
    let (draft, shape) = import.push(name, layer, &[x.draft], vec![numbers])?;
    let layout = x.layout.clone();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// A constant and an activation behind it.
fn constant_first(
    import: &mut Import<'_>,
    operation: Operation,
    constant: &Tensor,
    x: &Activation,
    value: &str,
) -> One {
    match operation {
        Operation::Sub => {
            let (numbers, layout) = match affine::per_channel(x, constant) {
                Err(Unsupported::Positions) => {
                    let negative = affine::uniform(import, x, value, -1.0, 0.0)?;
                    return positional(import, Operation::Add, &negative, constant);
                }
                of_channels => of_channels?,
            };
            let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
            let made = affine::affine(import, x, value, &vec![-1.0; numbers.len()], &numbers)?;
            Ok(Activation { layout, ..made })
        }
        Operation::Div => {
            let inverse = pointwise::apply(import, x, Function::Reciprocal)?;
            with_constant(import, Operation::Mul, &inverse, "", constant)
        }
        // The others do not mind the order.
        _ => with_constant(import, operation, x, value, constant),
    }
}

/// `x^p` with one constant p.
pub(super) fn power(import: &mut Import<'_>, op: Op<'_>) -> One {
    let x = op.activation(0)?;
    let exponent = op.needed(1)?;
    let scalar = exponent.scalar().ok_or_else(|| Unsupported::Constant {
        shape: exponent.shape.clone(),
        wanted: "one number",
    })?;
    let function = match scalar {
        1.0 => return Ok(x.clone()),
        2.0 => Function::Square,
        0.5 => Function::Sqrt,
        -1.0 => Function::Reciprocal,
        p => Function::Power(p),
    };
    pointwise::apply(import, x, function)
}
