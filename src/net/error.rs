//! What can be wrong with a network, its weights file or a name in it.

use std::path::PathBuf;

use super::arch::Architecture;

/// Why a network cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error(
        "there is no network `{name}`: embedded are {embedded}; installed are {installed}; \
         the path of a .safetensors file works too"
    )]
    UnknownNetwork {
        name: String,
        embedded: String,
        installed: String,
    },
    #[error(
        "the network `{name}` is not in this program, which was built without the feature `embed-{name}`; \
         the path of a .safetensors file works too"
    )]
    NotEmbedded { name: String },
    #[error("there is no weights file {}", .path.display())]
    NoSuchFile { path: PathBuf },
    #[error("{} is a directory; a network is one .safetensors file", .path.display())]
    Directory { path: PathBuf },
    #[error("cannot read the weights file {}: {error}", .path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the weights file of `{network}` {problem}")]
    Weights {
        network: String,
        problem: WeightsError,
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
    #[error(
        "an image of {width}x{height} pixels is too small for layer `{layer}`, which needs at least \
         {minimum}x{minimum}"
    )]
    ImageTooSmall {
        layer: String,
        height: u32,
        width: u32,
        /// Side of the smallest square image that reaches the layer.
        minimum: u32,
    },
    #[error(
        "`{network}` has no classifier: its last layer is `{last}`; of the networks here these have one: {classifiers}"
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
    #[error("`{network}` has no class names; give the class as a number from 0 to {}", .classes - 1)]
    NoClassNames { network: String, classes: u32 },
    #[error("no class is called `{class}`; give one of the ImageNet names or a number")]
    UnknownClass { class: String },
    #[error("`{class}` may be any of the classes {matches}; give a whole name or a number")]
    AmbiguousClass { class: String, matches: String },
}

/// What is wrong with the contents of a weights file. Each message continues "the weights file of `x` ...".
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    #[error("is empty")]
    Empty,
    #[error("is not a safetensors file: {reason}")]
    NotSafetensors { reason: String },
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
        "has the preprocessing `{found}` in its metadata, which {reason}; expected like `{expected}`"
    )]
    Preprocessing {
        found: String,
        reason: String,
        expected: &'static str,
    },
}
