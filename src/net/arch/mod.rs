//! The networks that pixgrad knows, one file per family. Each builds the graph of the whole network; a weights
//! file that ends early cuts it.

mod alexnet;
mod densenet;
mod googlenet;
mod inception;
mod mobilenet;
mod resnet;
mod squeezenet;
mod vgg;

use super::defaults::Defaults;
use super::{Graph, GraphBuilder, NodeId, Preprocessing};

/// All that is known of an architecture.
pub(super) struct Known {
    /// As in a weights file's metadata.
    pub name: &'static str,
    /// Adds all layers behind the normalized image, with a classifier for so many classes.
    build: fn(&mut GraphBuilder, NodeId, u32),
    /// The tensor whose length is the number of classes.
    pub classes_tensor: &'static str,
    /// The layers that methods look at.
    pub defaults: Defaults,
    /// How its tensors stand in a file.
    pub stored: Stored,
    /// What its published weights were trained to see.
    pub preprocessing: Preprocessing,
}

/// How the tensors of an architecture stand in a file as torchvision writes it.
pub(super) struct Stored {
    /// The weights of the first layer.
    pub first: &'static str,
    /// Where there are batch normalizations: what is known of them.
    pub norm: Option<Norm>,
    /// What the names of tensors begin with that only the training needs.
    pub unused: &'static [&'static str],
}

impl Stored {
    /// Parameters of layers and nothing else.
    const fn plain(first: &'static str) -> Self {
        Self {
            first,
            norm: None,
            unused: &[],
        }
    }
}

/// Batch normalizations (Ioffe & Szegedy 2015), each of which follows a convolution and becomes part of it.
pub(super) struct Norm {
    /// The normalization behind the convolution of that tensor: what its own tensors' names begin with.
    pub behind: fn(&str) -> Option<String>,
    /// What is added to the variance.
    pub epsilon: f64,
    /// Whether the convolution has a bias, too.
    pub biased: bool,
}

/// What torch adds to a variance by default.
const EPSILON: f64 = 1e-5;

/// A known network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    SqueezeNet1_0,
    SqueezeNet1_1,
    Vgg16,
    Vgg19,
    AlexNet,
    GoogLeNetBvlc,
    Vgg11,
    Vgg13,
    Vgg11Bn,
    Vgg13Bn,
    Vgg16Bn,
    Vgg19Bn,
    GoogLeNet,
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    WideResNet50,
    WideResNet101,
    ResNeXt50x32x4d,
    ResNeXt101x32x8d,
    ResNeXt101x64x4d,
    MobileNetV2,
    InceptionV3,
    DenseNet121,
    DenseNet161,
    DenseNet169,
    DenseNet201,
}

impl Architecture {
    /// All of them. Of those that a file may be the start of, an earlier one is taken.
    pub const ALL: [Architecture; 29] = [
        Architecture::SqueezeNet1_0,
        Architecture::SqueezeNet1_1,
        Architecture::Vgg16,
        Architecture::Vgg19,
        Architecture::AlexNet,
        Architecture::GoogLeNetBvlc,
        Architecture::Vgg11,
        Architecture::Vgg13,
        Architecture::Vgg11Bn,
        Architecture::Vgg13Bn,
        Architecture::Vgg16Bn,
        Architecture::Vgg19Bn,
        Architecture::GoogLeNet,
        Architecture::ResNet18,
        Architecture::ResNet34,
        Architecture::ResNet50,
        Architecture::ResNet101,
        Architecture::ResNet152,
        Architecture::WideResNet50,
        Architecture::WideResNet101,
        Architecture::ResNeXt50x32x4d,
        Architecture::ResNeXt101x32x8d,
        Architecture::ResNeXt101x64x4d,
        Architecture::MobileNetV2,
        Architecture::InceptionV3,
        Architecture::DenseNet121,
        Architecture::DenseNet161,
        Architecture::DenseNet169,
        Architecture::DenseNet201,
    ];

    pub(super) fn known(self) -> &'static Known {
        match self {
            Architecture::SqueezeNet1_0 => &squeezenet::V1_0,
            Architecture::SqueezeNet1_1 => &squeezenet::V1_1,
            Architecture::Vgg16 => &vgg::VGG16,
            Architecture::Vgg19 => &vgg::VGG19,
            Architecture::AlexNet => &alexnet::ALEXNET,
            Architecture::GoogLeNetBvlc => &googlenet::BVLC,
            Architecture::Vgg11 => &vgg::VGG11,
            Architecture::Vgg13 => &vgg::VGG13,
            Architecture::Vgg11Bn => &vgg::VGG11_BN,
            Architecture::Vgg13Bn => &vgg::VGG13_BN,
            Architecture::Vgg16Bn => &vgg::VGG16_BN,
            Architecture::Vgg19Bn => &vgg::VGG19_BN,
            Architecture::GoogLeNet => &googlenet::TORCHVISION,
            Architecture::ResNet18 => &resnet::RESNET18,
            Architecture::ResNet34 => &resnet::RESNET34,
            Architecture::ResNet50 => &resnet::RESNET50,
            Architecture::ResNet101 => &resnet::RESNET101,
            Architecture::ResNet152 => &resnet::RESNET152,
            Architecture::WideResNet50 => &resnet::WIDE_RESNET50_2,
            Architecture::WideResNet101 => &resnet::WIDE_RESNET101_2,
            Architecture::ResNeXt50x32x4d => &resnet::RESNEXT50_32X4D,
            Architecture::ResNeXt101x32x8d => &resnet::RESNEXT101_32X8D,
            Architecture::ResNeXt101x64x4d => &resnet::RESNEXT101_64X4D,
            Architecture::MobileNetV2 => &mobilenet::V2,
            Architecture::InceptionV3 => &inception::V3,
            Architecture::DenseNet121 => &densenet::DENSENET121,
            Architecture::DenseNet161 => &densenet::DENSENET161,
            Architecture::DenseNet169 => &densenet::DENSENET169,
            Architecture::DenseNet201 => &densenet::DENSENET201,
        }
    }

    /// As in a weights file's metadata, e.g. `squeezenet1_1`.
    pub fn name(self) -> &'static str {
        self.known().name
    }

    pub fn from_name(name: &str) -> Option<Architecture> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Architecture::name).join(", ")
    }

    /// The whole network with a classifier for `classes` classes. What its `normalize` does is known only with the
    /// weights; here it is the identity.
    pub fn graph(self, classes: u32) -> Graph {
        let mut graph = Graph::builder();
        let image = graph.input("input", 3);
        let normalized = graph.normalize("normalize", image, [1.0; 3], [0.0; 3]);
        // Caffe's data blob holds the preprocessed image.
        graph.alias(normalized, ["data"]);
        (self.known().build)(&mut graph, normalized, classes);
        graph.build().expect("a known network is right")
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What ends every classifier: `logits` becomes the scores' name, and `prob` is their softmax.
fn finish(graph: &mut GraphBuilder, scores: NodeId) {
    graph.alias(scores, ["logits"]);
    graph.softmax("prob", scores);
}

/// The three linear layers of VGG and AlexNet, as convolutions, on [_, size, size]. `places` are their indices
/// in torchvision's `classifier`; a ReLU and, before or after it, a dropout stand in between. Keras has the
/// ReLU inside its `fc1` and `fc2`.
fn linear_head(
    graph: &mut GraphBuilder,
    features: NodeId,
    size: u32,
    places: [u32; 3],
    classes: u32,
) {
    let place = |index: u32| format!("classifier.{index}");
    let hidden = [
        (6, places[0], places[1], size),
        (7, places[1], places[2], 1),
    ];
    let mut x = features;
    for (layer, index, next, kernel) in hidden {
        x = graph.linear(&format!("fc{layer}"), x, &place(index), 4096, [kernel; 2]);
        x = graph.relu(&format!("relu{layer}"), x);
        graph.alias(x, (index + 1..next).map(place));
        graph.alias(x, [format!("drop{layer}"), format!("fc{}", layer - 5)]);
    }
    let scores = graph.linear("fc8", x, &place(places[2]), classes, [1; 2]);
    finish(graph, scores);
}
