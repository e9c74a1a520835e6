//! Networks: a graph of layers and its weights, read from a file of safetensors or of PyTorch's, or made by anyone with
//! a [`GraphBuilder`].
//! Nothing here touches a device.
//!
//! # Layer names
//!
//! A layer goes by all names that the field has for it; [`Network::find`] accepts each.
//!
//! - VGG: `conv4_2` (before its ReLU), `relu4_2` = `block4_conv2` (after it), `pool4`; `fc6`, `relu6`, `fc7`, `relu7`,
//!   `fc8`.
//! - AlexNet: `conv1` .. `conv5` (before their ReLUs), `relu1` .. `relu5`, `pool1`, `pool2`, `pool5`; `fc6` .. `fc8`.
//! - SqueezeNet: `conv1`, `relu_conv1`, `pool1`; `fire2/squeeze1x1`, `fire2/expand1x1`, `fire2/expand3x3` (after their
//!   ReLUs), `fire2/squeeze1x1_pre_relu`, `fire2/concat` = `fire2`; `conv10`, `relu_conv10`, `pool10`.
//! - GoogLeNet: `inception_4c/5x5_reduce` = `mixed4c_5x5_bottleneck` (after the ReLU), `.._pre_relu` of both,
//!   `inception_4c/output` = `mixed4c` = `inception4c`; `conv1/7x7_s2`, `pool1/norm1`, `pool5`, `loss3/classifier`.
//! - ResNet: torchvision's; `layer2.0` is a block after its ReLU, `layer2.0.conv1` is before one, `layer2` = `layer2.3`
//!   the last block of a stage.
//! - All: `input` (the `[0,1]` image), `data` (normalized); torchvision's `features.21`, `classifier.1`,
//!   `inception4c.branch3.0`; with a classifier `logits` and `prob`.
//!
//! Torchvision's names mean that module's own output: its convolutions are before their ReLUs, save for
//! GoogLeNet's, whose modules include it. Dropout is the identity, so that its name is one more of the layer
//! before it. A dotted name may be written with underscores, `features_21`.

mod arch;
mod builder;
mod catalogue;
mod defaults;
mod embedded;
mod error;
mod graph;
mod known;
mod labels;
mod onnx;
mod parameters;
mod preprocessing;
mod pytorch;
mod random;
mod rewire;
mod store;
mod stored;
#[cfg(test)]
mod tests;
mod weights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use crate::layer::{ReceptiveField, Shape};
pub use arch::Architecture;
pub use builder::GraphBuilder;
pub use catalogue::{CatalogueEntry, CatalogueError, CatalogueProblem, catalogue};
pub use defaults::{Purpose, WeightedLayers};
pub use error::{
    GraphError, GraphProblem, ImageTooSmall, LabelsError, LabelsProblem, NetError,
    PreprocessingError, PreprocessingProblem, UnevenImageSize, WeightsError, WeightsProblem,
    WrongImageSize,
};
pub use graph::{Graph, Node, NodeId};
pub use known::hash as sha256;
pub use labels::imagenet_classes;
pub use onnx::{Obstacle, OnnxError, TensorProblem, Unsupported};
pub use parameters::{Parameter, Parameters};
pub use preprocessing::{ChannelOrder, Preprocessing, PreprocessingSource};
pub use rewire::{Padding, Pooling};
pub use store::{
    Installed, embedded, file_format, find_installed, installed, installed_files, installed_path,
    is_file, is_name, models_dir, onnx_data_files, open_file_as, outline,
};
pub use weights::Outline;

use crate::layer::{Pad, Softmax};

/// How the file of a network is to be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// What the image becomes before the first layer sees it, whatever the file says; absent: what the file says, what
    /// is known of it, or else what torchvision's networks were trained with.
    pub preprocessing: Option<Preprocessing>,
    /// A file of the classes' names: one per line, each perhaps after its class's number and a colon, or JSON, a list
    /// or an object by numbers. Absent: ImageNet's for a network of 1000 classes, none for others.
    pub labels: Option<PathBuf>,
}

/// A trained network, whole or cut behind one of its layers.
#[derive(Clone, Debug)]
pub struct Network {
    /// As it was asked for: an embedded or installed name, or the file's without its extension.
    pub name: String,
    /// One of those known here, if it is.
    pub architecture: Option<Architecture>,
    graph: Graph,
    /// Which node is the image.
    input: NodeId,
    parameters: Arc<Parameters>,
    /// What the image becomes before the first layer sees it.
    pub preprocessing: Preprocessing,
    /// Where that is known from.
    pub preprocessing_source: PreprocessingSource,
    /// The classes' names, where they are not ImageNet's.
    labels: Option<Arc<[String]>>,
    /// What the weights file says about itself, e.g. its `source` and `license`.
    pub metadata: BTreeMap<String, String>,
    /// Why some names of the file are no layers.
    obstacles: Arc<BTreeMap<String, Arc<Obstacle>>>,
}

impl Network {
    /// Opens an embedded network (`squeezenet1_1`, `vgg19`), one installed in [`models_dir`], or the weights file
    /// at a path; in this order, so that a file that is called like an embedded network needs `./` before it.
    ///
    /// # Errors
    ///
    /// Says what is known where there is no such network, and what is wrong with its file otherwise.
    pub fn open(spec: &str) -> Result<Network, NetError> {
        Self::open_with(spec, &Opening::default())
    }

    /// As [`Network::open`], with what the file does not say itself.
    ///
    /// # Errors
    ///
    /// As [`Network::open`]; and [`NetError::Labels`] where the file of names cannot be read or has not as many as the
    /// network has classes.
    pub fn open_with(spec: &str, opening: &Opening) -> Result<Network, NetError> {
        store::open(spec, models_dir().as_deref())?.opened(opening)
    }

    /// What is asked for beside the file.
    fn opened(self, opening: &Opening) -> Result<Network, NetError> {
        let mut network = match opening.preprocessing {
            Some(asked) => self.with_preprocessing(asked, PreprocessingSource::Asked)?,
            None => self,
        };
        if let Some(path) = &opening.labels {
            network.labels = Some(network.read_labels(path)?.into());
        }
        Ok(network)
    }

    fn read_labels(&self, path: &Path) -> Result<Vec<String>, LabelsError> {
        let names = labels::read(path)?;
        let problem = match self.classes() {
            Some(classes) if classes as usize == names.len() => return Ok(names),
            Some(classes) => LabelsProblem::Count {
                found: names.len(),
                network: self.name.clone(),
                classes,
            },
            None => LabelsProblem::NoClassifier {
                network: self.name.clone(),
            },
        };
        let path = path.to_owned();
        Err(LabelsError { path, problem })
    }

    /// The same layers and weights behind another preprocessing of the image. A layer that normalizes the image is put
    /// behind it, unless there is one; the order of the channels is turned in the first layer's weights or, where that
    /// cannot be, by a layer of its own.
    ///
    /// # Errors
    ///
    /// None but those of [`Network::new`].
    pub fn with_preprocessing(
        self,
        preprocessing: Preprocessing,
        source: PreprocessingSource,
    ) -> Result<Network, NetError> {
        let parameters =
            Arc::try_unwrap(self.parameters).unwrap_or_else(|shared| (*shared).clone());
        let order = self.preprocessing.order;
        let (graph, parameters) =
            preprocessing.put_into(self.graph, self.input, parameters.into_vec(), order);
        Ok(Network {
            architecture: self.architecture,
            preprocessing,
            preprocessing_source: source,
            labels: self.labels,
            metadata: self.metadata,
            obstacles: self.obstacles,
            ..Self::new(&self.name, graph, parameters)?
        })
    }

    /// Reads a weights file from memory: safetensors in f32, f16 or bf16, or what `torch.save` writes of a state dict,
    /// under torchvision's tensor names. Batch normalizations become part of the convolutions before them. The
    /// network is cut where the tensors end. The metadata `architecture` and `preprocessing` are optional; see
    /// [`Preprocessing`] for how the latter is written.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`], naming the tensor with what was expected and found.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Network, NetError> {
        Self::of_weights(name, weights::from_bytes(bytes), || None)
    }

    /// Of what was read of a file. `known` looks for its preprocessing where the file does not say it.
    fn of_weights(
        name: &str,
        read: Result<weights::Weights, WeightsProblem>,
        known: impl FnOnce() -> Option<known::Trained>,
    ) -> Result<Network, NetError> {
        let read = read.map_err(|problem| WeightsError {
            network: name.to_owned(),
            problem,
        })?;
        let usual = read.architecture.known().preprocessing;
        let (preprocessing, source) = match (read.preprocessing, known) {
            (Some(said), _) => (said, PreprocessingSource::File),
            (None, known) => match known() {
                Some(known::Trained::AsUsual) => (usual, PreprocessingSource::KnownFile),
                Some(known::Trained::Caffe) => {
                    (Preprocessing::CAFFE, PreprocessingSource::KnownFile)
                }
                None => (usual, PreprocessingSource::Assumed),
            },
        };
        let mut network = Network::new(name, read.graph, read.parameters)?
            .with_preprocessing(preprocessing, source)?;
        network.architecture = Some(read.architecture);
        network.metadata = read.metadata;
        Ok(network)
    }

    /// Reads an ONNX file from memory. `folder` is where the files are that hold its numbers, if it has any. Its
    /// `preprocessing` and its default layers may stand in its metadata, as in a weights file.
    ///
    /// # Errors
    ///
    /// [`NetError::Onnx`] where the file is damaged or none of its layers can be computed. What cannot be computed of
    /// an otherwise good file is an error of [`Network::find`].
    pub fn from_onnx(name: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Network, NetError> {
        let onnx::Onnx {
            graph,
            parameters,
            metadata,
            obstacles,
        } = onnx::read(name, bytes, folder)?;
        let wrong = |problem| WeightsError {
            network: name.to_owned(),
            problem,
        };
        let said = metadata.get("preprocessing");
        let said = said
            .map(|text| Preprocessing::parse(text))
            .transpose()
            .map_err(wrong)?;
        let (preprocessing, source) = match said {
            Some(said) => (said, PreprocessingSource::File),
            None => (Preprocessing::TORCHVISION, PreprocessingSource::Assumed),
        };
        for purpose in Purpose::ALL {
            defaults::named(purpose, &metadata, &graph).map_err(wrong)?;
        }
        let mut network =
            Network::new(name, graph, parameters)?.with_preprocessing(preprocessing, source)?;
        network.metadata = metadata;
        network.obstacles = Arc::new(obstacles);
        Ok(network)
    }

    /// A network of anyone's making: a graph with one input of 3 channels, the image, and a value for each of its
    /// parameters. Its preprocessing is what its first [`Normalize`](crate::layer::Normalize) does.
    ///
    /// # Errors
    ///
    /// [`NetError::Graph`] names the layer that lacks a parameter or has one of another shape, or the input that is no
    /// image.
    pub fn new(name: &str, graph: Graph, parameters: Vec<Parameter>) -> Result<Network, NetError> {
        let inputs: Vec<NodeId> = graph.inputs().collect();
        let wrong = |id: NodeId, problem| GraphError {
            layer: graph.node(id).name.clone(),
            problem,
        };
        let Some(&input) = inputs.first() else {
            return Err(GraphError {
                layer: "input".to_owned(),
                problem: GraphProblem::Empty,
            }
            .into());
        };
        if let Some(second) = inputs.get(1) {
            let count = inputs.len();
            return Err(wrong(*second, GraphProblem::Images { count }).into());
        }
        let channels = graph.node(input).channels;
        if channels != 3 {
            return Err(wrong(input, GraphProblem::ImageChannels { channels }).into());
        }
        Ok(Network {
            name: name.to_owned(),
            architecture: None,
            input,
            parameters: Arc::new(Parameters::new(&graph, parameters)?),
            preprocessing: Preprocessing::of(&graph),
            preprocessing_source: PreprocessingSource::File,
            labels: None,
            graph,
            metadata: BTreeMap::new(),
            obstacles: Arc::default(),
        })
    }

    /// The layers and what they read.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What the layers have learned.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The node that is the image.
    pub fn input(&self) -> NodeId {
        self.input
    }

    /// The node of that id. Panics on another network's.
    pub fn node(&self, id: NodeId) -> &Node {
        self.graph.node(id)
    }

    /// All nodes, each after those that it reads.
    pub fn nodes(&self) -> &[Node] {
        self.graph.nodes()
    }

    /// All nodes, each after those that it reads.
    pub fn layers(&self) -> impl Iterator<Item = &Node> {
        self.nodes().iter()
    }

    /// The layer of that name; see the module's table.
    ///
    /// # Errors
    ///
    /// Lists the network's layers where it has none of that name, or says that the weights end before it.
    pub fn find(&self, layer: &str) -> Result<NodeId, NetError> {
        if let Some(id) = self.graph.find(layer) {
            return Ok(id);
        }
        let network = self.name.clone();
        if let Some(obstacle) = self.obstacles.get(layer) {
            return Err(NetError::Obstacle {
                network,
                layer: layer.to_owned(),
                obstacle: Arc::clone(obstacle),
            });
        }
        let layer = layer.to_owned();
        // Names do not depend on the number of classes.
        let cut_off = |known: &Architecture| known.graph(1).find(&layer).is_some();
        Err(match self.architecture.filter(cut_off) {
            Some(architecture) => NetError::LayerCutOff {
                network,
                architecture,
                layer,
                last: self.last().name.clone(),
            },
            None => {
                let layers = self.layers().filter(|node| !node.is::<Pad>());
                let layers: Vec<&str> = layers.map(|node| node.name.as_str()).collect();
                NetError::UnknownLayer {
                    network,
                    layer,
                    layers: layers.join(", "),
                }
            }
        })
    }

    /// Every node's output size for an image of `height`×`width` pixels; none where the image is too small for
    /// the node. [`Network::shape`] makes an error of that.
    pub fn shapes(&self, height: u32, width: u32) -> Vec<Option<Shape>> {
        self.graph.shapes(height, width)
    }

    /// One node's output size for an image of `height`×`width` pixels.
    ///
    /// # Errors
    ///
    /// As [`Graph::shape`].
    pub fn shape(&self, id: NodeId, height: u32, width: u32) -> Result<Shape, NetError> {
        self.graph.shape(id, height, width)
    }

    /// As [`Graph::is_rectified`].
    pub fn is_rectified(&self, id: NodeId) -> bool {
        self.graph.is_rectified(id)
    }

    /// As [`Graph::receptive_field`].
    pub fn receptive_field(&self, id: NodeId) -> Option<[ReceptiveField; 2]> {
        self.graph.receptive_field(id)
    }

    /// What of its ONNX file is not understood, each node once: layers behind these cannot be computed.
    pub fn obstacles(&self) -> Vec<&Obstacle> {
        let mut found: Vec<&Arc<Obstacle>> = Vec::new();
        for obstacle in self.obstacles.values() {
            if found.iter().all(|known| !Arc::ptr_eq(known, obstacle)) {
                found.push(obstacle);
            }
        }
        found.into_iter().map(Arc::as_ref).collect()
    }

    /// Whether the network goes all the way to its classes.
    pub fn has_classifier(&self) -> bool {
        self.last().is::<Softmax>()
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
        Ok(self.last().inputs[0])
    }

    /// The softmax of [`Network::logits`], whatever it is called.
    ///
    /// # Errors
    ///
    /// As [`Network::logits`].
    pub fn probabilities(&self) -> Result<NodeId, NetError> {
        self.require_classifier()?;
        Ok(NodeId(self.nodes().len() - 1))
    }

    /// The classes' names, in the order of the scores: those of the file that was asked for, else ImageNet's for a
    /// network of 1000 classes.
    pub fn class_names(&self) -> Option<Vec<&str>> {
        let classes = self.classes()? as usize;
        let names = match &self.labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => imagenet_classes().to_vec(),
        };
        (classes == names.len()).then_some(names)
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
        labels::find(&names, class)
    }

    fn require_classifier(&self) -> Result<u32, NetError> {
        self.classes().ok_or_else(|| NetError::NoClassifier {
            network: self.name.clone(),
            last: self.deepest().name.clone(),
            classifiers: store::classifiers(models_dir().as_deref()).join(", "),
        })
    }

    /// The last node that is more than a name of the file.
    fn deepest(&self) -> &Node {
        let mut nodes = self.nodes().iter().rev();
        nodes
            .find(|node| !node.is_aside)
            .unwrap_or_else(|| self.last())
    }

    fn last(&self) -> &Node {
        self.nodes().last().expect("the image is always there")
    }
}
