//! What can be wrong with an ONNX file, and what stands in the way of a layer.

use std::path::PathBuf;
use std::sync::Arc;

/// Why a file is no network. Each message continues "the ONNX file of `x` ...".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    #[error("is empty")]
    Empty,
    #[error("is damaged or no ONNX file")]
    NotOnnx { source: prost::DecodeError },
    #[error("has no graph")]
    NoGraph,
    #[error("is of opset {found}; opsets 7 and later are read: export it anew")]
    Opset { found: i64 },
    #[error("has {found} nodes, which is more than {most}")]
    TooManyNodes { found: usize, most: usize },
    #[error("computes {found} numbers from its constants, which is more than {most}")]
    TooManyConstants { found: usize, most: usize },
    #[error("has the tensor `{name}`, which {problem}")]
    Tensor {
        name: String,
        #[source]
        problem: TensorProblem,
    },
    #[error("has two values called `{name}`")]
    TwoValues { name: String },
    #[error(
        "has the node `{node}` ({operator}), which reads `{value}`: no node before it makes such a value{}",
        if *.later { ", but one after it (the graph has a cycle or is out of order)" } else { "" }
    )]
    UnknownValue {
        node: String,
        operator: String,
        value: String,
        /// Whether a node behind makes it.
        later: bool,
    },
    #[error(
        "has no input that is an image: {found}; an image has 4 axes: [N, 3, H, W] or [N, H, W, 3]"
    )]
    NoImage {
        /// The inputs that it has.
        found: String,
    },
    #[error("has the input `{name}` of {channels} channels; an image has 3, or 1 where it is grey")]
    ImageChannels { name: String, channels: i64 },
    #[error("has the input `{name}` of shape {dims:?}, which is no image's")]
    ImageDims { name: String, dims: Vec<i64> },
    #[error("has no layer that can be computed: {first}")]
    NothingReached { first: Arc<Obstacle> },
}

/// What can be wrong with a constant. Each message continues "the tensor `x`, which ...".
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    #[error("has the shape {dims:?}, which cannot be")]
    Dims { dims: Vec<i64> },
    #[error("is of {found}, which are not read: expected floats or integers of 8 bits or more")]
    Kind { found: String },
    #[error("holds {found} numbers where its shape {dims:?} asks for {expected}")]
    Count {
        dims: Vec<i64>,
        expected: usize,
        found: usize,
    },
    #[error("has element {index} that is not a number")]
    NotFinite { index: usize },
    #[error("is in another file, but does not say in which")]
    NoLocation,
    #[error("says `{found}` where the {key} in another file should be a number")]
    NotANumber { key: &'static str, found: String },
    #[error("says that it has {found} bytes in another file where its shape asks for {expected}")]
    Length { expected: u64, found: u64 },
    #[error("is in `{location}`, which is not in the folder of the ONNX file")]
    Outside { location: String },
    #[error("is in {}, which cannot be read", .path.display())]
    Unreadable {
        path: PathBuf,
        source: Arc<std::io::Error>,
    },
    #[error("ends at byte {expected} of {}, which has {found}", .path.display())]
    Short {
        path: PathBuf,
        expected: u64,
        found: u64,
    },
}

/// A node that is not understood: what lies behind it cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the node `{node}` ({operator}) {why}{}",
    .deepest.as_ref().map(|layer| format!("; the last layer before it is `{layer}`")).unwrap_or_default()
)]
pub struct Obstacle {
    /// The name of the node, or of its first output where it has none.
    pub node: String,
    /// Its operator: `NonMaxSuppression`.
    pub operator: String,
    /// What is not understood, to follow the node's name.
    pub why: Unsupported,
    /// The deepest layer that it reads and that can be computed.
    pub deepest: Option<String>,
}

/// Why a node is not understood. Each message continues "the node `x` (Y) ...".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    #[error("has an operator that is not supported")]
    Operator,
    #[error("belongs to `{domain}`; only the operators of ONNX itself are supported")]
    Domain { domain: String },
    #[error("lacks its input {index}")]
    Missing { index: usize },
    #[error("has an input {index} that is computed from the image; it must be a constant")]
    NotConstant { index: usize },
    #[error("has the option {option} = {found}, which is not supported{expected}")]
    Option {
        option: &'static str,
        found: String,
        /// What is, with what leads to it, or nothing.
        expected: String,
    },
    #[error("reads a value of shape {shape:?}, whose axes are not those of {wanted}")]
    Axes {
        shape: Vec<usize>,
        wanted: &'static str,
    },
    #[error("cannot give a value of shape {shape:?} the shape {wanted:?}")]
    Shape { shape: Vec<usize>, wanted: Vec<i64> },
    #[error("combines shapes {first:?} and {other:?}, which do not go together")]
    Broadcast {
        first: Vec<usize>,
        other: Vec<usize>,
    },
    #[error("has a constant that differs from position to position")]
    Positions,
    #[error("has a constant of shape {shape:?}, which does not fit: {wanted}")]
    Constant {
        shape: Vec<usize>,
        wanted: &'static str,
    },
    #[error("reads an input of the network that is not the image")]
    OtherInput,
    #[error("{0}")]
    Layer(#[from] crate::layer::LayerError),
    #[error("{0}")]
    Other(&'static str),
}
