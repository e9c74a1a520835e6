//! SqueezeNet 1.0 and 1.1: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
//! and the authors' faster variant, in torchvision's form.
//!
//! `conv1` and `conv10` are before their ReLU, `relu_conv1` and `relu_conv10` after it. Inside a fire module
//! Caffe's convention holds, where the ReLU works in place: `fire2/squeeze1x1` (or `fire2/relu_squeeze1x1`) is
//! after the ReLU and `fire2/squeeze1x1_pre_relu` before it. `fire2/concat` joins the two expansions after
//! their ReLUs. Torchvision's `features.3.squeeze` is the convolution alone and
//! `features.3.squeeze_activation` its ReLU.

use super::super::Op;
use super::super::graph::{Graph, NodeId, window};

/// What follows the first convolution, in the order of torchvision's `features`, from index 2 on.
enum Stage {
    Pool,
    Fire { squeeze: u32, expand: u32 },
}

use Stage::Pool;

const fn fire(squeeze: u32, expand: u32) -> Stage {
    Stage::Fire { squeeze, expand }
}

pub(super) fn v1_0(classes: u32) -> Graph {
    let stages = [
        Pool,
        fire(16, 64),
        fire(16, 64),
        fire(32, 128),
        Pool,
        fire(32, 128),
        fire(48, 192),
        fire(48, 192),
        fire(64, 256),
        Pool,
        fire(64, 256),
    ];
    squeezenet(96, 7, &stages, classes)
}

pub(super) fn v1_1(classes: u32) -> Graph {
    let stages = [
        Pool,
        fire(16, 64),
        fire(16, 64),
        Pool,
        fire(32, 128),
        fire(32, 128),
        Pool,
        fire(48, 192),
        fire(48, 192),
        fire(64, 256),
        fire(64, 256),
    ];
    squeezenet(64, 3, &stages, classes)
}

fn squeezenet(channels: u32, kernel: u32, stages: &[Stage], classes: u32) -> Graph {
    let mut graph = Graph::new();
    let image = graph.normalized();
    let conv1 = graph.conv(image, "conv1", "features.0", channels, window(kernel, 2, 0));
    let mut x = graph.relu(conv1, "relu_conv1");
    graph.alias(x, ["features.1"]);

    // Caffe numbers pools after the layer before them, fire modules and conv1 in one sequence.
    let mut layer = 1;
    for (index, stage) in (2..).zip(stages) {
        let place: String = format!("features.{index}");
        match *stage {
            Pool => {
                x = graph.max_pool(x, &format!("pool{layer}"), window(3, 2, 0), true);
                graph.alias(x, [place]);
            }
            Stage::Fire { squeeze, expand } => {
                layer += 1;
                x = fire_module(
                    &mut graph,
                    x,
                    &format!("fire{layer}"),
                    &place,
                    squeeze,
                    expand,
                );
            }
        }
    }
    // Dropout, which does nothing here.
    graph.alias(x, ["classifier.0", "drop9"]);

    let conv10 = graph.conv(x, "conv10", "classifier.1", classes, window(1, 1, 0));
    let relu = graph.relu(conv10, "relu_conv10");
    graph.alias(relu, ["classifier.2"]);
    let pool10 = graph.map(relu, "pool10", Op::GlobalAvgPool);
    graph.alias(pool10, ["classifier.3"]);
    super::finish(graph, pool10)
}

fn fire_module(
    graph: &mut Graph,
    x: NodeId,
    name: &str,
    place: &str,
    squeeze: u32,
    expand: u32,
) -> NodeId {
    let mut conv_relu = |x, layer: &str, torch: &str, channels, kernel| {
        let conv = graph.conv(
            x,
            &format!("{name}/{layer}_pre_relu"),
            &format!("{place}.{torch}"),
            channels,
            window(kernel, 1, kernel / 2),
        );
        let relu = graph.relu(conv, &format!("{name}/{layer}"));
        let aliases = [
            format!("{name}/relu_{layer}"),
            format!("{place}.{torch}_activation"),
        ];
        graph.alias(relu, aliases);
        relu
    };
    let squeezed = conv_relu(x, "squeeze1x1", "squeeze", squeeze, 1);
    let narrow = conv_relu(squeezed, "expand1x1", "expand1x1", expand, 1);
    let wide = conv_relu(squeezed, "expand3x3", "expand3x3", expand, 3);
    let concat = graph.concat(&[narrow, wide], &format!("{name}/concat"));
    graph.alias(concat, [name, place]);
    concat
}
