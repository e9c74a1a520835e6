//! VGG-16 and VGG-19: configurations D and E of Simonyan & Zisserman 2014, "Very deep convolutional networks
//! for large-scale image recognition", table 1, without batch normalization.
//!
//! `convB_I` is before its ReLU, `reluB_I` after it, `poolB` ends block B. Keras' `blockB_convI` includes the
//! ReLU, so that it is `reluB_I`; likewise `fc1` and `fc2` are `relu6` and `relu7`.

use super::super::Op;
use super::super::graph::{Graph, window};

pub(super) fn vgg16(classes: u32) -> Graph {
    vgg([2, 2, 3, 3, 3], classes)
}

pub(super) fn vgg19(classes: u32) -> Graph {
    vgg([2, 2, 4, 4, 4], classes)
}

/// `convolutions` per block.
fn vgg(convolutions: [u32; 5], classes: u32) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.normalized();
    // Torchvision counts convolutions, ReLUs and pools in one sequence.
    let mut places = (0..).map(|index: u32| format!("features.{index}"));
    let mut place = || places.next().expect("endless");
    let channels = [64, 128, 256, 512, 512];
    for (block, (count, channels)) in (1..).zip(convolutions.into_iter().zip(channels)) {
        for i in 1..=count {
            let name = format!("conv{block}_{i}");
            x = graph.conv(x, &name, &place(), channels, window(3, 1, 1));
            x = graph.relu(x, &format!("relu{block}_{i}"));
            graph.alias(x, [place(), format!("block{block}_conv{i}")]);
        }
        x = graph.max_pool(x, &format!("pool{block}"), window(2, 2, 0), false);
        graph.alias(x, [place(), format!("block{block}_pool")]);
    }
    x = graph.map(x, "avgpool", Op::AdaptiveAvgPool { out: 7 });
    super::linear_head(graph, x, 7, [0, 3, 6], classes)
}
