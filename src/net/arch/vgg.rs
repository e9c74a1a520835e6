//! VGG-16 and VGG-19: configurations D and E of Simonyan & Zisserman 2014, "Very deep convolutional networks
//! for large-scale image recognition", table 1, without batch normalization.
//!
//! `convB_I` is before its ReLU, `reluB_I` after it, `poolB` ends block B. Keras' `blockB_convI` includes the
//! ReLU, so that it is `reluB_I`; likewise `fc1` and `fc2` are `relu6` and `relu7`.

use super::super::{GraphBuilder, NodeId};
use super::{Defaults, Known};
use crate::layer::Window;

pub(super) const VGG16: Known = Known {
    name: "vgg16",
    build: |graph, image, classes| build(graph, image, classes, [2, 2, 3, 3, 3]),
    ..VGG19
};

pub(super) const VGG19: Known = Known {
    name: "vgg19",
    build: |graph, image, classes| build(graph, image, classes, [2, 2, 4, 4, 4]),
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
};

/// `convolutions` per block.
fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32, convolutions: [u32; 5]) {
    let mut x = image;
    // Torchvision counts convolutions, ReLUs and pools in one sequence.
    let mut places = (0..).map(|index: u32| format!("features.{index}"));
    let mut place = || places.next().expect("endless");
    let channels = [64, 128, 256, 512, 512];
    for (block, (count, channels)) in (1..).zip(convolutions.into_iter().zip(channels)) {
        for i in 1..=count {
            let name = format!("conv{block}_{i}");
            x = graph.conv(&name, x, &place(), channels, Window::square(3, 1, 1));
            x = graph.relu(&format!("relu{block}_{i}"), x);
            graph.alias(x, [place(), format!("block{block}_conv{i}")]);
        }
        x = graph.max_pool(&format!("pool{block}"), x, Window::square(2, 2, 0));
        graph.alias(x, [place(), format!("block{block}_pool")]);
    }
    x = graph.adaptive_avg_pool("avgpool", x, [7; 2]);
    super::linear_head(graph, x, 7, [0, 3, 6], classes);
}
