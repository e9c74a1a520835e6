//! Networks: a graph of layers and its weights, read from a safetensors file. Nothing here touches a device.
//!
//! # Layer names
//!
//! A layer goes by all names that the field has for it; [`Network::find`] accepts each.
//!
//! | network | names |
//! |---|---|
//! | VGG | `conv4_2` (before its ReLU), `relu4_2` = `block4_conv2` (after it), `pool4`; `fc6`, `relu6`, `fc7`, `relu7`, `fc8` |
//! | AlexNet | `conv1` .. `conv5` (before their ReLUs), `relu1` .. `relu5`, `pool1`, `pool2`, `pool5`; `fc6` .. `fc8` |
//! | SqueezeNet | `conv1`, `relu_conv1`, `pool1`; `fire2/squeeze1x1`, `fire2/expand1x1`, `fire2/expand3x3` (after their ReLUs), `fire2/squeeze1x1_pre_relu`, `fire2/concat` = `fire2`; `conv10`, `relu_conv10`, `pool10` |
//! | GoogLeNet | `inception_4c/5x5_reduce` = `mixed4c_5x5_bottleneck` (after the ReLU), `.._pre_relu` of both, `inception_4c/output` = `mixed4c` = `inception4c`; `conv1/7x7_s2`, `pool1/norm1`, `pool5`, `loss3/classifier` |
//! | all | `input` (the `[0,1]` image), `data` (normalized); torchvision's `features.21`, `classifier.1`, `inception4c.branch3.0`; with a classifier `logits` and `prob` |
//!
//! Torchvision's names mean that module's own output: its convolutions are before their ReLUs, save for
//! GoogLeNet's, whose modules include it. Dropout is the identity, so that its name is one more of the layer
//! before it. A dotted name may be written with underscores, `features_21`.

mod arch;
mod error;
mod graph;
mod labels;
mod preprocessing;
mod random;
mod rewire;
mod store;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::BTreeMap;

pub use arch::Architecture;
pub use error::{NetError, WeightsError};
pub use graph::{Edge, Node, NodeId, Op, ReceptiveField, Shape};
pub use labels::imagenet_classes;
pub use preprocessing::Preprocessing;
pub use rewire::{Padding, Pooling};
pub use store::{embedded, installed, models_dir};

/// A convolution's numbers.
#[derive(Clone, Debug)]
pub struct ConvWeights {
    /// Prefix of its tensors in the weights file, e.g. `features.0`.
    pub name: String,
    pub out_channels: u32,
    pub in_channels: u32,
    /// Side of the square kernel.
    pub kernel: u32,
    /// `[out_channels, in_channels, kernel, kernel]`.
    pub weight: Vec<f32>,
    /// `[out_channels]`.
    pub bias: Vec<f32>,
}

/// A trained network, whole or cut behind one of its layers.
#[derive(Clone, Debug)]
pub struct Network {
    /// As it was asked for: an embedded or installed name, or the file's without its extension.
    pub name: String,
    pub architecture: Architecture,
    /// In topological order: the image, its normalization, the layers.
    pub nodes: Vec<Node>,
    /// What the nodes' [`Op::Conv`] refer to.
    pub convs: std::sync::Arc<[ConvWeights]>,
    pub preprocessing: Preprocessing,
    /// What the weights file says about itself, e.g. its `source` and `license`.
    pub metadata: BTreeMap<String, String>,
}

impl Network {
    /// Opens an embedded network (`squeezenet1_1`, `vgg19`), one installed in [`models_dir`], or the weights file
    /// at a path; in this order, so that a file that is called like an embedded network needs `./` before it.
    ///
    /// # Errors
    ///
    /// Says what is known where there is no such network, and what is wrong with its file otherwise.
    pub fn open(spec: &str) -> Result<Network, NetError> {
        store::open(spec, models_dir().as_deref())
    }

    /// Reads a weights file from memory: safetensors in f32, f16 or bf16, under torchvision's tensor names. The
    /// network is cut where the tensors end. The metadata `architecture` and `preprocessing` are optional.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`], naming the tensor with what was expected and found.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Network, NetError> {
        let read = weights::read(bytes).map_err(|problem| NetError::Weights {
            network: name.to_owned(),
            problem,
        })?;
        Ok(Network {
            name: name.to_owned(),
            architecture: read.architecture,
            nodes: read.graph.nodes,
            convs: read.convs.into(),
            preprocessing: read.preprocessing,
            metadata: read.metadata,
        })
    }

    /// The node of that id. Panics on another network's.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// All nodes, the image first.
    pub fn layers(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The layer of that name; see the module's table.
    ///
    /// # Errors
    ///
    /// Lists the network's layers where it has none of that name, or says that the weights end before it.
    pub fn find(&self, layer: &str) -> Result<NodeId, NetError> {
        let place = |nodes: &[Node]| nodes.iter().position(|node| node.answers_to(layer));
        if let Some(index) = place(&self.nodes) {
            return Ok(NodeId(index));
        }
        let network = self.name.clone();
        let layer = layer.to_owned();
        // Names do not depend on the number of classes.
        Err(if place(&self.architecture.graph(1).nodes).is_some() {
            NetError::LayerCutOff {
                network,
                architecture: self.architecture,
                layer,
                last: self.last().name.clone(),
            }
        } else {
            let layers = self.layers().filter(|n| !matches!(n.op, Op::Pad { .. }));
            let layers: Vec<&str> = layers.map(|node| node.name.as_str()).collect();
            NetError::UnknownLayer {
                network,
                layer,
                layers: layers.join(", "),
            }
        })
    }

    /// Every node's output size for an image of `height`×`width` pixels; none where the image is too small for
    /// the node. [`Network::shape`] makes an error of that.
    pub fn shapes(&self, height: u32, width: u32) -> Vec<Option<Shape>> {
        graph::shapes(&self.nodes, height, width)
    }

    /// One node's output size for an image of `height`×`width` pixels.
    ///
    /// # Errors
    ///
    /// [`NetError::ImageTooSmall`], with the least size that would do.
    pub fn shape(&self, id: NodeId, height: u32, width: u32) -> Result<Shape, NetError> {
        graph::shape(&self.nodes, id, height, width)
    }

    /// Whether no unit of the node is ever negative: a ReLU, and what only pools, pads, joins or divides (local response
    /// normalization) such ones.
    pub fn is_rectified(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match node.op {
            Op::Relu | Op::Softmax => true,
            Op::Input | Op::Normalize { .. } | Op::Conv { .. } => false,
            Op::AvgPool { scale, .. } if scale < 0.0 => false,
            Op::Lrn { alpha, k, .. } if alpha < 0.0 || k < 0.0 => false,
            Op::MaxPool { .. }
            | Op::AvgPool { .. }
            | Op::Pad { .. }
            | Op::AdaptiveAvgPool { .. }
            | Op::GlobalAvgPool
            | Op::Lrn { .. }
            | Op::Concat => node.inputs.iter().all(|input| self.is_rectified(*input)),
        }
    }

    /// Which pixels a unit of the node sees; none behind a global pool, where each sees them all. Behind an
    /// adaptive pool it is that at the size the network was trained at.
    pub fn receptive_field(&self, id: NodeId) -> Option<ReceptiveField> {
        graph::receptive_field(&self.nodes, id)
    }

    /// Whether the network goes all the way to its classes.
    pub fn has_classifier(&self) -> bool {
        self.last().op == Op::Softmax
    }

    /// How many classes the network tells apart, if it has its classifier.
    pub fn classes(&self) -> Option<u32> {
        self.has_classifier().then(|| self.last().channels)
    }

    /// The scores before the softmax, `[classes, 1, 1]`.
    ///
    /// # Errors
    ///
    /// [`NetError::NoClassifier`] on a network that is cut before them.
    pub fn logits(&self) -> Result<NodeId, NetError> {
        self.require_classifier()?;
        self.find("logits")
    }

    /// The classes' names, in the order of the scores: ImageNet's for a network of 1000 classes.
    pub fn class_names(&self) -> Option<&'static [&'static str]> {
        let names = imagenet_classes();
        (self.classes()? as usize == names.len()).then_some(names)
    }

    /// The class that `class` means: a number counted from 0, a name, or part of only one name.
    ///
    /// # Errors
    ///
    /// Unknown, ambiguous (with what it may be) or out of range; or the network has no classifier.
    pub fn class_index(&self, class: &str) -> Result<usize, NetError> {
        let classes = self.require_classifier()?;
        let network = || self.name.clone();
        if let Ok(index) = class.trim().parse::<usize>() {
            if index < classes as usize {
                return Ok(index);
            }
            return Err(NetError::ClassOutOfRange {
                network: network(),
                class: index,
                classes,
            });
        }
        let names = self.class_names().ok_or_else(|| NetError::NoClassNames {
            network: network(),
            classes,
        })?;
        labels::find(names, class)
    }

    fn require_classifier(&self) -> Result<u32, NetError> {
        self.classes().ok_or_else(|| NetError::NoClassifier {
            network: self.name.clone(),
            last: self.last().name.clone(),
            classifiers: store::classifiers(models_dir().as_deref()).join(", "),
        })
    }

    fn last(&self) -> &Node {
        self.nodes.last().expect("the image is always there")
    }
}
