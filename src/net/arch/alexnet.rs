//! AlexNet in torchvision's form: one column of "One weird trick for parallelizing convolutional neural
//! networks" (Krizhevsky 2014), without the response normalization of Krizhevsky et al. 2012.
//!
//! `convN` is before its ReLU, `reluN` after it; pools are `pool1`, `pool2` and `pool5`.

use super::super::Op;
use super::super::graph::{Graph, Window, window};

struct Block {
    number: u32,
    /// The convolution's place in torchvision's `features`; its ReLU and pool follow it.
    index: u32,
    channels: u32,
    window: Window,
    pool: bool,
}

const fn block(number: u32, index: u32, channels: u32, window: Window, pool: bool) -> Block {
    Block {
        number,
        index,
        channels,
        window,
        pool,
    }
}

const BLOCKS: [Block; 5] = [
    block(1, 0, 64, window(11, 4, 2), true),
    block(2, 3, 192, window(5, 1, 2), true),
    block(3, 6, 384, window(3, 1, 1), false),
    block(4, 8, 256, window(3, 1, 1), false),
    block(5, 10, 256, window(3, 1, 1), true),
];

pub(super) fn alexnet(classes: u32) -> Graph {
    let mut graph = Graph::new();
    let mut x = graph.normalized();
    for block in BLOCKS {
        let n = block.number;
        let place = |offset| format!("features.{}", block.index + offset);
        x = graph.conv(
            x,
            &format!("conv{n}"),
            &place(0),
            block.channels,
            block.window,
        );
        x = graph.relu(x, &format!("relu{n}"));
        graph.alias(x, [place(1)]);
        if block.pool {
            x = graph.max_pool(x, &format!("pool{n}"), window(3, 2, 0), false);
            graph.alias(x, [place(2)]);
        }
    }
    x = graph.map(x, "avgpool", Op::AdaptiveAvgPool { out: 6 });
    // The dropout before the first linear layer, which does nothing here.
    graph.alias(x, ["classifier.0"]);
    super::linear_head(graph, x, 6, [1, 4, 6], classes)
}
