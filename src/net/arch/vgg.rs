//! VGG-11, 13, 16 and 19: configurations A, B, D and E of Simonyan & Zisserman 2014, "Very deep convolutional networks
//! for large-scale image recognition", table 1, without and with batch normalization.
//!
//! `convB_I` is before its ReLU, `reluB_I` after it, `poolB` ends block B. Keras' `blockB_convI` includes the
//! ReLU, so that it is `reluB_I`; likewise `fc1` and `fc2` are `relu6` and `relu7`. A batch normalization is part of
//! the convolution before it, so that torchvision's name of either is `convB_I`.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, EPSILON, Known, Norm, Stored};
use crate::layer::Window;

const A: [u32; 5] = [1, 1, 2, 2, 2];
const B: [u32; 5] = [2, 2, 2, 2, 2];
const D: [u32; 5] = [2, 2, 3, 3, 3];
const E: [u32; 5] = [2, 2, 4, 4, 4];

pub(super) const VGG11: Known = Known {
    name: "vgg11",
    build: |graph, image, classes| build(graph, image, classes, A, false),
    ..VGG19
};

pub(super) const VGG13: Known = Known {
    name: "vgg13",
    build: |graph, image, classes| build(graph, image, classes, B, false),
    ..VGG19
};

pub(super) const VGG16: Known = Known {
    name: "vgg16",
    build: |graph, image, classes| build(graph, image, classes, D, false),
    ..VGG19
};

pub(super) const VGG19: Known = Known {
    name: "vgg19",
    build: |graph, image, classes| build(graph, image, classes, E, false),
    classes_tensor: "classifier.6.bias",
    defaults: Defaults {
        style: &[
            ("relu1_1", 4.0),
            ("relu2_1", 1.0),
            ("relu3_1", 1.0),
            ("relu4_1", 2.0),
        ],
        content: &[("relu4_1", 0.25)],
        dream: &[("relu4_1", 1.0)],
    },
    stored: Stored::plain("features.0.weight"),
    preprocessing: Preprocessing::TORCHVISION,
};

pub(super) const VGG11_BN: Known = Known {
    name: "vgg11_bn",
    build: |graph, image, classes| build(graph, image, classes, A, true),
    ..VGG19_BN
};

pub(super) const VGG13_BN: Known = Known {
    name: "vgg13_bn",
    build: |graph, image, classes| build(graph, image, classes, B, true),
    ..VGG19_BN
};

pub(super) const VGG16_BN: Known = Known {
    name: "vgg16_bn",
    build: |graph, image, classes| build(graph, image, classes, D, true),
    ..VGG19_BN
};

pub(super) const VGG19_BN: Known = Known {
    name: "vgg19_bn",
    build: |graph, image, classes| build(graph, image, classes, E, true),
    stored: Stored {
        norm: Some(Norm {
            behind: next_feature,
            epsilon: EPSILON,
            biased: true,
        }),
        ..Stored::plain("features.0.weight")
    },
    ..VGG19
};

/// In torchvision's sequence the batch normalization stands behind its convolution.
fn next_feature(conv: &str) -> Option<String> {
    let index: u32 = conv.strip_prefix("features.")?.parse().ok()?;
    Some(format!("features.{}", index + 1))
}

/// `convolutions` per block.
fn build(
    graph: &mut GraphBuilder,
    image: NodeId,
    classes: u32,
    convolutions: [u32; 5],
    normalized: bool,
) {
    let mut x = image;
    // Torchvision counts convolutions, batch normalizations, ReLUs and pools in one sequence.
    let mut places = (0..).map(|index: u32| format!("features.{index}"));
    let mut place = || places.next().expect("endless");
    let channels = [64, 128, 256, 512, 512];
    for (block, (count, channels)) in (1..).zip(convolutions.into_iter().zip(channels)) {
        for i in 1..=count {
            let name = format!("conv{block}_{i}");
            x = graph.conv(&name, x, &place(), channels, Window::square(3, 1, 1));
            if normalized {
                graph.alias(x, [place()]);
            }
            x = graph.relu(&format!("relu{block}_{i}"), x);
            graph.alias(x, [place(), format!("block{block}_conv{i}")]);
        }
        x = graph.max_pool(&format!("pool{block}"), x, Window::square(2, 2, 0));
        graph.alias(x, [place(), format!("block{block}_pool")]);
    }
    x = graph.adaptive_avg_pool("avgpool", x, [7; 2]);
    super::linear_head(graph, x, 7, [0, 3, 6], classes);
}
