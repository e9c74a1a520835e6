//! What can be wrong with a network, its weights file or a name in it.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use safetensors::SafeTensorError;

use super::arch::Architecture;
use super::onnx::{Obstacle, OnnxError};
use crate::layer::{LayerError, SizeError};

/// Why a network cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error(
        "there is no network `{name}`: embedded are {embedded}; installed are {installed}; \
         the path of a .safetensors, .onnx or .pth file works too{hint}"
    )]
    UnknownNetwork {
        name: String,
        embedded: String,
        installed: String,
        /// How to get it, if it can be downloaded; continues the message.
        hint: String,
    },
    #[error(
        "two networks are installed as `{name}`: {} and {}; remove one of them, or give the path of the other",
        .first.display(),
        .second.display()
    )]
    Ambiguous {
        name: String,
        first: PathBuf,
        second: PathBuf,
    },
    #[error(
        "the network `{name}` is not in this program, which was built without the feature `embed-{name}`; \
         the path of a .safetensors, .onnx or .pth file works too"
    )]
    NotEmbedded { name: String },
    #[error("there is no weights file {}", .path.display())]
    NoSuchFile { path: PathBuf },
    #[error("{} is a directory; a network is one file: .safetensors, .onnx or .pth", .path.display())]
    Directory { path: PathBuf },
    #[error("cannot read the weights file {}", .path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("the ONNX file of `{network}` {problem}")]
    Onnx {
        network: String,
        #[source]
        problem: Box<OnnxError>,
    },
    #[error("{network} cannot compute `{layer}`: {obstacle}")]
    Obstacle {
        network: String,
        layer: String,
        obstacle: Arc<Obstacle>,
    },
    #[error("{network} has no layer `{layer}`; its layers are: {layers}")]
    UnknownLayer {
        network: String,
        layer: String,
        layers: String,
    },
    #[error(
        "`{layer}` is a layer of {architecture}, but the weights of `{network}` end before it: its last layer \
         is `{last}`"
    )]
    LayerCutOff {
        network: String,
        architecture: Architecture,
        layer: String,
        last: String,
    },
    #[error(transparent)]
    ImageTooSmall(#[from] ImageTooSmall),
    #[error(transparent)]
    WrongImageSize(#[from] WrongImageSize),
    #[error(transparent)]
    UnevenImageSize(#[from] UnevenImageSize),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(
        "{values} of {all} activations of `{layer}` are not finite numbers: this picture, or a weight of `{network}`, \
         is too large for single precision"
    )]
    NotFinite {
        network: String,
        layer: String,
        /// Activations that are infinite or NaN.
        values: usize,
        /// Activations of the layer.
        all: usize,
    },
    #[error(
        "`{network}` has no {what} layers of its own, and none that knows places: name the layers"
    )]
    NoDefaultLayers { network: String, what: &'static str },
    #[error(
        "`{network}` has no classifier: its last layer is `{last}`; of the networks here these have one: {classifiers}. \
         Without one, style, texture, invert, dream, features, search and visualize --layer work"
    )]
    NoClassifier {
        network: String,
        last: String,
        /// The embedded and the installed networks that have one.
        classifiers: String,
    },
    #[error("`{network}` has {classes} classes, numbered from 0, so there is no class {class}")]
    ClassOutOfRange {
        network: String,
        class: usize,
        classes: u32,
    },
    #[error(transparent)]
    Labels(#[from] LabelsError),
    #[error("`{network}` has no class names; give the class as a number from 0 to {}", .classes - 1)]
    NoClassNames { network: String, classes: u32 },
    #[error("no class is called `{class}`; give one of the ImageNet names or a number")]
    UnknownClass { class: String },
    #[error("`{class}` may be any of the classes {matches}; give a whole name or a number")]
    AmbiguousClass { class: String, matches: String },
}

/// An image has no pixel left at a layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image of {width}x{height} pixels is too small for layer `{layer}`, which needs at least {minimum}x{minimum}"
)]
pub struct ImageTooSmall {
    /// The layer's name.
    pub layer: String,
    /// The image's height in pixels.
    pub height: u32,
    /// The image's width in pixels.
    pub width: u32,
    /// Side of the smallest square image that reaches the layer.
    pub minimum: u32,
}

/// A layer is for images of another size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image of {width}x{height} pixels does not fit layer `{layer}`, which takes one of {}x{}",
    .required[1],
    .required[0]
)]
pub struct WrongImageSize {
    /// The layer's name.
    pub layer: String,
    /// The image's height in pixels.
    pub height: u32,
    /// The image's width in pixels.
    pub width: u32,
    /// Height and width of an image that fits.
    pub required: [u32; 2],
}

/// A layer joins others of different resolutions, and their sizes agree for some image sizes only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image of {width}x{height} pixels does not fit layer `{joint}`, which joins layers of different resolutions: \
     there they are {}x{} and {}x{}; {} {}",
    .sizes[0][1],
    .sizes[0][0],
    .sizes[1][1],
    .sizes[1][0],
    .fitting.iter().map(|[height, width]| format!("{width}x{height}")).collect::<Vec<_>>().join(" and "),
    if .fitting.len() == 1 { "fits" } else { "fit" }
)]
pub struct UnevenImageSize {
    /// The layer that joins the others: the one that was asked for, or one before it.
    pub joint: String,
    /// The image's height in pixels.
    pub height: u32,
    /// The image's width in pixels.
    pub width: u32,
    /// Heights and widths of two layers that are joined.
    pub sizes: [[u32; 2]; 2],
    /// Heights and widths of images that fit, at least one: the next smaller and the next larger.
    pub fitting: Vec<[u32; 2]>,
}

/// What is wrong with a graph, and at which of its layers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("layer `{layer}` {problem}")]
pub struct GraphError {
    /// The layer's name.
    pub layer: String,
    /// What is wrong with it.
    pub problem: GraphProblem,
}

/// What can be wrong with a layer of a graph. Each message continues "layer `x` ...".
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GraphProblem {
    #[error("is missing: a network has one, the image")]
    Empty,
    #[error(
        "reads {}, which does not come before it",
        .later.as_ref().map_or_else(|| format!("node {place}"), |name| format!("`{name}`"))
    )]
    UnknownInput {
        place: usize,
        /// The node's name, if there is such a node: the graph would have a cycle.
        later: Option<String>,
    },
    #[error("of kind {kind} has {found} inputs where it takes {}", count(.expected))]
    Inputs {
        kind: &'static str,
        expected: RangeInclusive<usize>,
        found: usize,
    },
    #[error("{0}")]
    Layer(LayerError),
    #[error("is called `{name}` like layer `{other}`")]
    Name { name: String, other: String },
    #[error(
        "has the parameter `{parameter}` of shape {shape:?}, which layer `{other}` has with shape {expected:?}"
    )]
    Shared {
        parameter: String,
        shape: Vec<usize>,
        other: String,
        expected: Vec<usize>,
    },
    #[error("has no output for an image of {}x{} pixels: {error}", .image[1], .image[0])]
    Size {
        error: SizeError,
        /// Height and width.
        image: [u32; 2],
    },
    #[error("is one of {count} inputs; a network has one, the image")]
    Images { count: usize },
    #[error("has {channels} channels; an image has 3")]
    ImageChannels { channels: u32 },
    #[error("needs the parameter `{parameter}` of shape {expected:?}, which is not there")]
    MissingParameter {
        parameter: String,
        expected: Vec<usize>,
    },
    #[error(
        "needs the parameter `{parameter}` with shape {expected:?}, but has it with shape {found:?}"
    )]
    ParameterShape {
        parameter: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error(
        "has the parameter `{parameter}` with {found} values where its shape {shape:?} says otherwise"
    )]
    ParameterValues {
        parameter: String,
        shape: Vec<usize>,
        found: usize,
    },
}

/// A number of inputs, for people.
fn count(range: &RangeInclusive<usize>) -> String {
    match (*range.start(), *range.end()) {
        (least, most) if least == most => least.to_string(),
        (least, usize::MAX) => format!("{least} or more"),
        (least, most) => format!("{least} to {most}"),
    }
}

/// What is wrong with a file of class names.
#[derive(Debug)]
pub struct LabelsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: LabelsProblem,
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the labels file {} {}",
            self.path.display(),
            self.problem
        )
    }
}

impl Error for LabelsError {
    /// The problem is part of the message, so its cause is the next one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What can be wrong with a file of class names. Each message continues "the labels file x ...".
#[derive(Debug, thiserror::Error)]
pub enum LabelsProblem {
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("is not text in UTF-8")]
    Encoding,
    #[error("begins like JSON and is none")]
    Json(#[source] serde_json::Error),
    #[error(
        "is JSON of another kind than a list of names or an object like \
         {{\"0\": \"tench\"}} or {{\"0\": [\"n01440764\", \"tench\"]}}: see `{found}`"
    )]
    Shape { found: String },
    #[error("has no name in line {line}")]
    NoName { line: usize },
    #[error("names class {class} twice")]
    Twice { class: usize },
    #[error("has {found} names where `{network}` has {classes} classes")]
    Count {
        found: usize,
        network: String,
        classes: u32,
    },
    #[error("names class {class}, but no class {missing}; classes are counted from 0")]
    Missing { class: usize, missing: usize },
    #[error("is of no use to `{network}`, which has no classifier")]
    NoClassifier { network: String },
}

/// What is wrong with a weights file, and whose it is.
#[derive(Debug)]
pub struct WeightsError {
    /// The network's name.
    pub network: String,
    /// What is wrong with its file.
    pub problem: WeightsProblem,
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the weights file of `{}` {}", self.network, self.problem)
    }
}

impl Error for WeightsError {
    /// The problem is part of the message, so its cause is the next one.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What can be wrong with the contents of a weights file. Each message continues "the weights file of `x` ...".
#[derive(Debug, thiserror::Error)]
pub enum WeightsProblem {
    #[error("is empty")]
    Empty,
    #[error("is not a safetensors file: it has only {bytes} bytes")]
    TooShort { bytes: u64 },
    #[error("is not a safetensors file: it does not start with the length of a header")]
    NoHeader,
    #[error("is not a safetensors file")]
    BadHeader { source: SafeTensorError },
    #[error(
        "is not a safetensors file: it has {found} bytes where its header describes {expected}"
    )]
    TooLong { expected: u64, found: u64 },
    #[error(
        "is truncated: it has {found} bytes where its header asks for {expected}{}",
        .tensor.as_ref().map(|name| format!("; `{name}` is the first tensor that is cut")).unwrap_or_default()
    )]
    Truncated {
        expected: u64,
        found: u64,
        /// The first tensor that is not all there, unless the header itself is cut.
        tensor: Option<String>,
    },
    #[error("names the unknown architecture `{named}`; known are {known}")]
    UnknownArchitecture { named: String, known: String },
    #[error(
        "does not name its architecture in its metadata, and its tensors ({examples}) belong to none of {known}"
    )]
    UnrecognizedTensors { examples: String, known: String },
    #[error(
        "does not name its architecture in its metadata, and its tensors could be the start of any of \
         {candidates}"
    )]
    AmbiguousArchitecture { candidates: String },
    #[error("says that it is {named}, but its tensors are those of {found}")]
    WrongArchitecture {
        named: Architecture,
        found: Architecture,
    },
    #[error("lacks the tensor `{tensor}`: {architecture} needs it with shape {expected:?}")]
    MissingTensor {
        architecture: Architecture,
        tensor: String,
        expected: Vec<usize>,
    },
    #[error(
        "holds the tensor `{tensor}` of shape {found:?}, which {architecture} does not have{}",
        if .tensor.contains(".bn.") { " (fold its batch normalization into the convolutions)" } else { "" }
    )]
    ExtraTensor {
        architecture: Architecture,
        tensor: String,
        found: Vec<usize>,
    },
    #[error(
        "holds the tensor `{tensor}` with shape {found:?} where {architecture} has {expected:?}"
    )]
    WrongShape {
        architecture: Architecture,
        tensor: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
    #[error("is not a file of PyTorch's that can be read")]
    Pytorch {
        /// What the reader says.
        source: Box<dyn Error + Send + Sync>,
    },
    #[error(
        "wants the function {wanted} called, which could do anything: a file of weights has no use for it. Nothing \
         was executed"
    )]
    Code { wanted: String },
    #[error(
        "holds a state dict, which says what its tensors are called ({examples}), but not what is computed with them, \
         and they belong to none of {known}. Export the network with its graph, in Python: \
         torch.onnx.export(model.eval(), torch.zeros(1, 3, 224, 224), \"model.onnx\")"
    )]
    StateDict { examples: String, known: String },
    #[error(
        "says that the tensor `{tensor}` has {bytes} bytes, more than the whole file, which has {file}"
    )]
    TooMuch {
        tensor: String,
        bytes: u64,
        file: u64,
    },
    #[error("breaks off or is damaged: the values of the tensor `{tensor}` cannot be read")]
    Values {
        tensor: String,
        source: std::io::Error,
    },
    #[error("holds the tensor `{tensor}` as {found}, expected F32, F16 or BF16")]
    WrongDtype { tensor: String, found: String },
    #[error("has a value that is not finite: element {index} of the tensor `{tensor}` is {value}")]
    NotFinite {
        tensor: String,
        index: usize,
        /// As text, because a NaN equals nothing.
        value: String,
    },
    #[error(
        "has a value that is too large for single precision to compute with: element {index} of the tensor `{tensor}` is \
         {value:e}; at most 1e30 is taken"
    )]
    TooLarge {
        tensor: String,
        index: usize,
        value: f32,
    },
    #[error("has the {key} `{found}` in its metadata: `{weight}` is no weight")]
    DefaultWeight {
        key: &'static str,
        found: String,
        weight: String,
    },
    #[error("has the {key} `{found}` in its metadata: there is no layer `{layer}`")]
    DefaultLayer {
        key: &'static str,
        found: String,
        layer: String,
    },
    #[error(
        "has the preprocessing `{found}` in its metadata, which {problem}; expected like `{expected}`"
    )]
    Preprocessing {
        found: String,
        problem: PreprocessingProblem,
        expected: &'static str,
    },
}

/// A preprocessing that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the preprocessing `{found}` {}; expected torchvision, caffe, zero-one, minus-one-one, or numbers like \
     `mean=0.485/0.456/0.406,std=0.229/0.224/0.225,scale=1,order=rgb`, of which each part may be absent",
    named(.problem)
)]
pub struct PreprocessingError {
    /// As it was given.
    pub found: String,
    /// What is wrong with it.
    pub problem: PreprocessingProblem,
}

/// Whoever gives no name of a preprocessing need not know how files begin.
fn named(problem: &PreprocessingProblem) -> String {
    match problem {
        PreprocessingProblem::Start => {
            "is none of torchvision, caffe, zero-one and minus-one-one, and has no number"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// What can be wrong with a preprocessing. Each message continues "the preprocessing `x`, which ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreprocessingProblem {
    #[error("does not start with `RGB/255`")]
    Start,
    #[error("lacks a closing parenthesis")]
    Parenthesis,
    #[error("has `{found}` where three numbers should be")]
    NotNumbers { found: String },
    #[error("has {found} numbers where three should be")]
    Count { found: usize },
    #[error("has a standard deviation that is not positive")]
    Deviation,
    #[error("has `{found}` where it cannot be understood")]
    Rest { found: String },
    #[error("has the part `{found}`, which is none of mean=, std=, scale= and order=")]
    Part { found: String },
    #[error("has the part `{part}` twice")]
    Twice { part: String },
    #[error("has the order `{found}`, which is neither rgb nor bgr")]
    Order { found: String },
    #[error("has a scale that is not positive")]
    Scale,
    #[error(
        "multiplies or shifts pixels by more than 1e6 or less than 1e-6; usual networks take values up to 255"
    )]
    Range,
}
