//! DenseNets: Huang et al. 2016, "Densely connected convolutional networks", table 1, in torchvision's form.
//!
//! Names are torchvision's: `features.conv0`, `features.relu0`, `features.pool0`; in a layer
//! `features.denseblock2.denselayer3.norm1`, `.relu1`, `.conv1`, `.relu2` and `.conv2`, which is the layer's own
//! output; `features.denseblock2.denselayer3.concat` is what the next one reads, and `features.denseblock2` the block's
//! last. The batch normalizations `norm0` and `norm2` are part of the convolutions before them.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, EPSILON, Known, Norm, Stored};
use crate::layer::{ChannelAffine, Window};

pub(super) const DENSENET121: Known = Known {
    name: "densenet121",
    build: |graph, image, classes| build(graph, image, classes, [64, 32], [6, 12, 24, 16]),
    classes_tensor: "classifier.bias",
    defaults: Defaults {
        style: &[
            ("features.relu0", 1.0),
            ("features.transition1.relu", 1.0),
            ("features.transition2.relu", 1.0),
            ("features.transition3.relu", 1.0),
        ],
        content: &[("features.transition1.relu", 0.3)],
        dream: &[("features.transition2.relu", 1.0)],
    },
    stored: Stored {
        norm: Some(Norm {
            behind,
            epsilon: EPSILON,
            biased: false,
        }),
        ..Stored::plain("features.conv0.weight")
    },
    preprocessing: Preprocessing::TORCHVISION,
};

pub(super) const DENSENET161: Known = Known {
    name: "densenet161",
    build: |graph, image, classes| build(graph, image, classes, [96, 48], [6, 12, 36, 24]),
    ..DENSENET121
};

pub(super) const DENSENET169: Known = Known {
    name: "densenet169",
    build: |graph, image, classes| build(graph, image, classes, [64, 32], [6, 12, 32, 32]),
    ..DENSENET121
};

pub(super) const DENSENET201: Known = Known {
    name: "densenet201",
    build: |graph, image, classes| build(graph, image, classes, [64, 32], [6, 12, 48, 32]),
    ..DENSENET121
};

/// Of all convolutions only the first one and those in front of a layer's second are normalized behind.
fn behind(conv: &str) -> Option<String> {
    if conv == "features.conv0" {
        return Some("features.norm0".to_owned());
    }
    let layer = conv.strip_suffix(".conv1")?;
    Some(format!("{layer}.norm2"))
}

/// Channels of the first convolution and of each layer, and layers of each block.
fn build(
    graph: &mut GraphBuilder,
    image: NodeId,
    classes: u32,
    [first, growth]: [u32; 2],
    layers: [u32; 4],
) {
    let window = Window::square(7, 2, 3);
    let mut x = graph.conv("features.conv0", image, "features.conv0", first, window);
    graph.alias(x, ["features.norm0"]);
    x = graph.relu("features.relu0", x);
    x = graph.max_pool("features.pool0", x, Window::square(3, 2, 1));
    for (block, count) in (1..).zip(layers) {
        let name = format!("features.denseblock{block}");
        for layer in 1..=count {
            x = dense_layer(graph, x, &format!("{name}.denselayer{layer}"), growth);
        }
        graph.alias(x, [name]);
        if block < layers.len() {
            x = transition(graph, x, &format!("features.transition{block}"));
        }
    }
    x = norm_relu(graph, x, "features.norm5", "relu5");
    graph.alias(x, ["features.relu5"]);
    x = graph.global_avg_pool("avgpool", x);
    x = graph.linear("classifier", x, "classifier", classes, [1; 2]);
    super::finish(graph, x);
}

/// A batch normalization that no convolution is before, and a ReLU.
fn norm_relu(graph: &mut GraphBuilder, x: NodeId, norm: &str, relu: &str) -> NodeId {
    let affine = ChannelAffine {
        tensor: norm.to_owned(),
        channels: graph.channels(x),
        scale: true,
        bias: true,
    };
    let norm = graph.push(norm, affine, &[x]);
    graph.relu(relu, norm)
}

fn dense_layer(graph: &mut GraphBuilder, x: NodeId, name: &str, growth: u32) -> NodeId {
    let place = |part: &str| format!("{name}.{part}");
    let mut y = norm_relu(graph, x, &place("norm1"), &place("relu1"));
    let tensor = place("conv1");
    y = graph.conv(&tensor, y, &tensor, 4 * growth, Window::square(1, 1, 0));
    graph.alias(y, [place("norm2")]);
    y = graph.relu(&place("relu2"), y);
    let tensor = place("conv2");
    y = graph.conv(&tensor, y, &tensor, growth, Window::square(3, 1, 1));
    graph.alias(y, [name]);
    graph.concat(&place("concat"), &[x, y])
}

/// Half the channels and half the size.
fn transition(graph: &mut GraphBuilder, x: NodeId, name: &str) -> NodeId {
    let place = |part: &str| format!("{name}.{part}");
    let channels = graph.channels(x) / 2;
    let mut y = norm_relu(graph, x, &place("norm"), &place("relu"));
    let tensor = place("conv");
    y = graph.conv(&tensor, y, &tensor, channels, Window::square(1, 1, 0));
    y = graph.avg_pool(&place("pool"), y, Window::square(2, 2, 0), 1.0);
    graph.alias(y, [name]);
    y
}
