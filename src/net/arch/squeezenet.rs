//! SqueezeNet 1.0 and 1.1: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
//! and the authors' faster variant, in torchvision's form.
//!
//! `conv1` and `conv10` are before their ReLU, `relu_conv1` and `relu_conv10` after it. Inside a fire module
//! Caffe's convention holds, where the ReLU works in place: `fire2/squeeze1x1` (or `fire2/relu_squeeze1x1`) is
//! after the ReLU and `fire2/squeeze1x1_pre_relu` before it. `fire2/concat` joins the two expansions after
//! their ReLUs. Torchvision's `features.3.squeeze` is the convolution alone and
//! `features.3.squeeze_activation` its ReLU.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, Known, Stored};
use crate::layer::Window;

/// What follows the first convolution, in the order of torchvision's `features`, from index 2 on.
enum Stage {
    Pool,
    Fire { squeeze: u32, expand: u32 },
}

use Stage::Pool;

const fn fire(squeeze: u32, expand: u32) -> Stage {
    Stage::Fire { squeeze, expand }
}

pub(super) const V1_0: Known = Known {
    name: "squeezenet1_0",
    build: |graph, image, classes| {
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
        build(graph, image, classes, (96, 7), &stages);
    },
    ..V1_1
};

pub(super) const V1_1: Known = Known {
    name: "squeezenet1_1",
    build: |graph, image, classes| {
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
        build(graph, image, classes, (64, 3), &stages);
    },
    classes_tensor: "classifier.1.bias",
    defaults: Defaults {
        style: &[
            ("relu_conv1", 0.2),
            ("fire2/concat", 0.2),
            ("fire3/concat", 0.2),
            ("fire4/concat", 0.2),
            ("fire5/concat", 0.2),
            ("fire7/concat", 0.2),
        ],
        content: &[("fire3/concat", 0.08)],
        dream: &[("fire6/concat", 1.0)],
    },
    stored: Stored::plain("features.0.weight"),
    preprocessing: Preprocessing::TORCHVISION,
};

/// `first` are the channels and the window's side of the first convolution.
fn build(
    graph: &mut GraphBuilder,
    image: NodeId,
    classes: u32,
    first: (u32, u32),
    stages: &[Stage],
) {
    let (channels, kernel) = first;
    let window = Window::square(kernel, 2, 0);
    let conv1 = graph.conv("conv1", image, "features.0", channels, window);
    let mut x = graph.relu("relu_conv1", conv1);
    graph.alias(x, ["features.1"]);

    // Caffe numbers pools after the layer before them, fire modules and conv1 in one sequence.
    let mut layer = 1;
    for (index, stage) in (2..).zip(stages) {
        let place: String = format!("features.{index}");
        match *stage {
            Pool => {
                let window = Window::square(3, 2, 0).ceil();
                x = graph.max_pool(&format!("pool{layer}"), x, window);
                graph.alias(x, [place]);
            }
            Stage::Fire { squeeze, expand } => {
                layer += 1;
                let name = format!("fire{layer}");
                x = fire_module(graph, x, &name, &place, squeeze, expand);
            }
        }
    }
    // Dropout, which does nothing here.
    graph.alias(x, ["classifier.0", "drop9"]);

    let window = Window::square(1, 1, 0);
    let conv10 = graph.conv("conv10", x, "classifier.1", classes, window);
    let relu = graph.relu("relu_conv10", conv10);
    graph.alias(relu, ["classifier.2"]);
    let pool10 = graph.global_avg_pool("pool10", relu);
    graph.alias(pool10, ["classifier.3"]);
    super::finish(graph, pool10);
}

fn fire_module(
    graph: &mut GraphBuilder,
    x: NodeId,
    name: &str,
    place: &str,
    squeeze: u32,
    expand: u32,
) -> NodeId {
    let mut conv_relu = |x, layer: &str, torch: &str, channels, kernel| {
        let conv = graph.conv(
            &format!("{name}/{layer}_pre_relu"),
            x,
            &format!("{place}.{torch}"),
            channels,
            Window::square(kernel, 1, kernel / 2),
        );
        let relu = graph.relu(&format!("{name}/{layer}"), conv);
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
    let concat = graph.concat(&format!("{name}/concat"), &[narrow, wide]);
    graph.alias(concat, [name, place]);
    concat
}
