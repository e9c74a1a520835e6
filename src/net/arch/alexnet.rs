//! AlexNet in torchvision's form: one column of "One weird trick for parallelizing convolutional neural
//! networks" (Krizhevsky 2014), without the response normalization of Krizhevsky et al. 2012.
//!
//! `convN` is before its ReLU, `reluN` after it; pools are `pool1`, `pool2` and `pool5`.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, Known, Stored};
use crate::layer::Window;

pub(super) const ALEXNET: Known = Known {
    name: "alexnet",
    build,
    classes_tensor: "classifier.6.bias",
    defaults: Defaults {
        style: &[
            ("relu1", 1.0),
            ("relu2", 1.0),
            ("relu3", 1.0),
            ("relu4", 1.0),
        ],
        content: &[("relu4", 0.3)],
        dream: &[("relu5", 1.0)],
    },
    stored: Stored::plain("features.0.weight"),
    preprocessing: Preprocessing::TORCHVISION,
};

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
    block(1, 0, 64, Window::square(11, 4, 2), true),
    block(2, 3, 192, Window::square(5, 1, 2), true),
    block(3, 6, 384, Window::square(3, 1, 1), false),
    block(4, 8, 256, Window::square(3, 1, 1), false),
    block(5, 10, 256, Window::square(3, 1, 1), true),
];

fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32) {
    let mut x = image;
    for block in BLOCKS {
        let n = block.number;
        let place = |offset| format!("features.{}", block.index + offset);
        let name = format!("conv{n}");
        x = graph.conv(&name, x, &place(0), block.channels, block.window);
        x = graph.relu(&format!("relu{n}"), x);
        graph.alias(x, [place(1)]);
        if block.pool {
            x = graph.max_pool(&format!("pool{n}"), x, Window::square(3, 2, 0));
            graph.alias(x, [place(2)]);
        }
    }
    x = graph.adaptive_avg_pool("avgpool", x, [6; 2]);
    // The dropout before the first linear layer, which does nothing here.
    graph.alias(x, ["classifier.0"]);
    super::linear_head(graph, x, 6, [1, 4, 6], classes);
}
