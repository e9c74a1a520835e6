//! What layers a node becomes, one file per family of operators.

mod affine;
mod binary;
mod channels;
mod conv;
mod depth;
mod linear;
mod norm;
mod pointwise;
mod pool;
mod reduce;
mod resize;
mod shape;

use super::error::Unsupported;
use super::import::{Activation, Import, Value};
use super::node::Node;
use super::shapes;
use super::tensor::Tensor;
use crate::layer::{Layer, SelectChannels, Shape};
use crate::net::Parameter;

/// A node that makes layers or layouts of its outputs.
type Lowered = Result<Vec<Value>, Unsupported>;

/// One output.
type One = Result<Activation, Unsupported>;

/// A node at hand: its inputs and its options.
#[derive(Clone, Copy)]
struct Op<'a> {
    node: Node<'a>,
    inputs: &'a [Option<Value>],
}

impl<'a> Op<'a> {
    /// An input that is computed from the image.
    fn activation(&self, index: usize) -> Result<&'a Activation, Unsupported> {
        match self.inputs.get(index).and_then(Option::as_ref) {
            Some(Value::Activation(x)) => Ok(x),
            Some(Value::Repeated(..)) => Err(Unsupported::Other(
                "reads a value that was expanded over rows or columns, which only arithmetic does",
            )),
            Some(_) => Err(Unsupported::Other(
                "reads a constant where the image should come in",
            )),
            None => Err(Unsupported::Missing { index }),
        }
    }

    /// An input that is a constant, if it is there.
    fn constant(&self, index: usize) -> Result<Option<&'a Tensor>, Unsupported> {
        match self.inputs.get(index).and_then(Option::as_ref) {
            None => Ok(None),
            Some(Value::Constant(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(Unsupported::NotConstant { index }),
        }
    }

    /// An input that must be a constant.
    fn needed(&self, index: usize) -> Result<&'a Tensor, Unsupported> {
        self.constant(index)?.ok_or(Unsupported::Missing { index })
    }

    /// The name of an input.
    fn input_name(&self, index: usize) -> &'a str {
        self.node.message.inputs.get(index).map_or("", |name| name)
    }

    /// Numbers that are an option in old opsets and an input in new ones.
    fn numbers(&self, option: &str, input: usize) -> Result<Option<Vec<i64>>, Unsupported> {
        if let Some(ints) = self.node.ints(option) {
            return Ok(Some(ints.to_vec()));
        }
        Ok(self.constant(input)?.map(|tensor| tensor.to_i64().to_vec()))
    }

    /// A number that is an option in old opsets and an input in new ones.
    fn number(&self, option: &str, input: usize) -> Result<Option<f32>, Unsupported> {
        if let Some(float) = self.node.float(option) {
            return Ok(Some(float));
        }
        let given = self.constant(input)?.filter(|tensor| tensor.len() > 0);
        let scalar = |tensor: &Tensor| {
            tensor.scalar().ok_or_else(|| Unsupported::Constant {
                shape: tensor.shape.clone(),
                wanted: "one number",
            })
        };
        given.map(scalar).transpose()
    }
}

/// The outputs of a node that reads the image.
///
/// # Errors
/// What is not understood of it.
pub(super) fn lower(import: &mut Import<'_>, node: Node<'_>, inputs: &[Option<Value>]) -> Lowered {
    let op = Op { node, inputs };
    if inputs
        .iter()
        .flatten()
        .any(|input| matches!(input, Value::Repeated(..)))
        && is_of_elements(node.operator())
    {
        return repeated(import, op);
    }
    let one = match node.operator() {
        "Conv" => conv::conv(import, op),
        "ConvTranspose" => conv::transposed(import, op),
        "Gemm" => linear::gemm(import, op),
        "MatMul" => linear::matmul(import, op),
        "MaxPool" => pool::max(import, op),
        "AveragePool" => pool::average(import, op),
        "LpPool" | "GlobalLpPool" => pool::lp(import, op),
        "GlobalAveragePool" | "GlobalMaxPool" => pool::global(import, op),
        "BatchNormalization" => norm::batch(import, op),
        "InstanceNormalization" => norm::instance(import, op),
        "GroupNormalization" => norm::group(import, op),
        "LayerNormalization" => norm::layer(import, op),
        "LRN" => norm::local_response(import, op),
        "Softmax" | "LogSoftmax" => norm::softmax(import, op),
        "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Min" | "Max" | "Mean" => {
            binary::arithmetic(import, op)
        }
        "Pow" => binary::power(import, op),
        "Concat" => channels::concat(import, op),
        "Split" => {
            let parts = channels::split(import, op)?;
            return Ok(parts.into_iter().map(Value::Activation).collect());
        }
        "Expand" => return shape::expand(op),
        "Slice" => channels::slice(import, op),
        "Gather" => channels::gather(import, op),
        "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" => reduce::reduce(import, op),
        "LpNormalization" => reduce::normalize(import, op),
        "DepthToSpace" => depth::to_space(import, op),
        "SpaceToDepth" => depth::of_space(import, op),
        "Resize" | "Upsample" => resize::resize(import, op),
        "Pad" => resize::pad(import, op),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" => shape::view(import, op),
        "Identity" | "Dropout" | "Cast" | "CastLike" => Ok(op.activation(0)?.clone()),
        _ => pointwise::pointwise(import, op),
    };
    Ok(vec![Value::Activation(one?)])
}

/// Operators that make each element of their outputs of one element of each input.
fn is_of_elements(operator: &str) -> bool {
    let arithmetic = ["Add", "Sub", "Mul", "Div", "Sum", "Min", "Max", "Mean"];
    let functions = [
        "Identity",
        "Dropout",
        "Cast",
        "Relu",
        "Clip",
        "Sigmoid",
        "HardSigmoid",
        "Tanh",
        "Neg",
        "Exp",
    ];
    arithmetic.contains(&operator) || functions.contains(&operator)
}

/// What an operator of elements makes of values that were repeated: what it makes of them as they were before. That is
/// the file's value where another input has all positions; else it is to be repeated in its turn.
fn repeated(import: &mut Import<'_>, op: Op<'_>) -> Lowered {
    let mut shape = vec![];
    let mut before = Vec::with_capacity(op.inputs.len());
    for input in op.inputs {
        let (value, own) = match input.clone() {
            Some(Value::Repeated(x, shape)) => (Some(Value::Activation(x)), Some(shape)),
            Some(Value::Activation(x)) => {
                let shape = x.layout.shape();
                (Some(Value::Activation(x)), Some(shape))
            }
            Some(Value::Constant(x)) => {
                let shape = x.shape.clone();
                (Some(Value::Constant(x)), Some(shape))
            }
            other => (other, None),
        };
        shape = shapes::broadcast(&shape, &own.unwrap_or_default())?;
        before.push(value);
    }
    let made = lower(import, op.node, &before)?;
    let again = |value| match value {
        Value::Activation(x) if x.layout.shape() != shape => Value::Repeated(x, shape.clone()),
        value => value,
    };
    Ok(made.into_iter().map(again).collect())
}

/// Adds a layer of the channels, rows and columns of `x` in its own order, whatever its layout: it stays as it is.
fn elementwise(
    import: &mut Import<'_>,
    kind: &'static str,
    x: &Activation,
    layer: impl Layer,
) -> One {
    let name = import.numbered(kind);
    let (draft, shape) = import.push(name, layer, &[x.draft], Vec::new())?;
    let layout = x.layout.clone();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// The same values with the layer's channels in the value's order.
fn ordered(import: &mut Import<'_>, x: &Activation) -> One {
    let Some(channels) = x.layout.order() else {
        return Ok(x.clone());
    };
    let name = import.numbered("select");
    let (draft, shape) = import.push(name, SelectChannels { channels }, &[x.draft], Vec::new())?;
    let layout = x.layout.ordered();
    Ok(Activation {
        draft,
        shape,
        layout,
    })
}

/// `[N, C, H, W]` with the channels in the layer's order. Channels that lie within rows or columns become positions.
fn image(import: &mut Import<'_>, x: &Activation) -> One {
    if x.layout.is_image() {
        return ordered(import, x);
    }
    let blocks = x.layout.blocks().ok_or_else(|| Unsupported::Axes {
        shape: x.layout.shape(),
        wanted: "an image: [N, C, H, W]",
    })?;
    depth::channels_to_blocks(import, x, blocks)
}

/// A parameter of a layer.
fn parameter(layer: &str, suffix: &str, shape: Vec<usize>, values: Vec<f32>) -> Parameter {
    Parameter {
        name: format!("{layer}.{suffix}"),
        shape,
        values,
    }
}

/// A list of so many numbers, or an error that says what the constant should be.
fn list(tensor: &Tensor, length: u32, wanted: &'static str) -> Result<Vec<f32>, Unsupported> {
    let values = tensor.to_f32();
    if values.len() == length as usize {
        return Ok(values.to_vec());
    }
    Err(Unsupported::Constant {
        shape: tensor.shape.clone(),
        wanted,
    })
}

/// An activation of a layer that was just added, with the axes of an image.
fn as_image((draft, shape): (usize, Shape)) -> Activation {
    Activation::image(draft, shape)
}
