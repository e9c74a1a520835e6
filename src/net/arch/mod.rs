//! The networks that pixgrad knows, one file per family. Each builds the graph of the whole network; a weights
//! file that ends early cuts it.

mod alexnet;
mod googlenet;
mod squeezenet;
mod vgg;

use super::graph::{Graph, NodeId};

/// A known network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    SqueezeNet1_0,
    SqueezeNet1_1,
    Vgg16,
    Vgg19,
    AlexNet,
    GoogLeNetBvlc,
}

impl Architecture {
    pub const ALL: [Architecture; 6] = [
        Architecture::SqueezeNet1_0,
        Architecture::SqueezeNet1_1,
        Architecture::Vgg16,
        Architecture::Vgg19,
        Architecture::AlexNet,
        Architecture::GoogLeNetBvlc,
    ];

    /// As in a weights file's metadata, e.g. `squeezenet1_1`.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::SqueezeNet1_0 => "squeezenet1_0",
            Architecture::SqueezeNet1_1 => "squeezenet1_1",
            Architecture::Vgg16 => "vgg16",
            Architecture::Vgg19 => "vgg19",
            Architecture::AlexNet => "alexnet",
            Architecture::GoogLeNetBvlc => "googlenet_bvlc",
        }
    }

    pub fn from_name(name: &str) -> Option<Architecture> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Architecture::name).join(", ")
    }

    /// The whole network with a classifier for `classes` classes.
    pub(super) fn graph(self, classes: u32) -> Graph {
        match self {
            Architecture::SqueezeNet1_0 => squeezenet::v1_0(classes),
            Architecture::SqueezeNet1_1 => squeezenet::v1_1(classes),
            Architecture::Vgg16 => vgg::vgg16(classes),
            Architecture::Vgg19 => vgg::vgg19(classes),
            Architecture::AlexNet => alexnet::alexnet(classes),
            Architecture::GoogLeNetBvlc => googlenet::bvlc(classes),
        }
    }

    /// The tensor whose length is the number of classes.
    pub(super) fn classes_tensor(self) -> &'static str {
        match self {
            Architecture::SqueezeNet1_0 | Architecture::SqueezeNet1_1 => "classifier.1.bias",
            Architecture::Vgg16 | Architecture::Vgg19 | Architecture::AlexNet => {
                "classifier.6.bias"
            }
            Architecture::GoogLeNetBvlc => "fc.bias",
        }
    }
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What ends every classifier: `logits` becomes the scores' name, and `prob` is their softmax.
fn finish(mut graph: Graph, scores: NodeId) -> Graph {
    graph.alias(scores, ["logits"]);
    graph.map(scores, "prob", super::Op::Softmax);
    graph
}

/// The three linear layers of VGG and AlexNet, as convolutions, on [_, size, size]. `places` are their indices
/// in torchvision's `classifier`; a ReLU and, before or after it, a dropout stand in between. Keras has the
/// ReLU inside its `fc1` and `fc2`.
fn linear_head(
    mut graph: Graph,
    features: NodeId,
    size: u32,
    places: [u32; 3],
    classes: u32,
) -> Graph {
    let place = |index: u32| format!("classifier.{index}");
    let hidden = [
        (6, places[0], places[1], size),
        (7, places[1], places[2], 1),
    ];
    let mut x = features;
    for (layer, index, next, kernel) in hidden {
        x = graph.linear(x, &format!("fc{layer}"), &place(index), 4096, kernel);
        x = graph.relu(x, &format!("relu{layer}"));
        graph.alias(x, (index + 1..next).map(place));
        graph.alias(x, [format!("drop{layer}"), format!("fc{}", layer - 5)]);
    }
    let scores = graph.linear(x, "fc8", &place(places[2]), classes, 1);
    finish(graph, scores)
}
