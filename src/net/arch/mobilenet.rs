//! MobileNetV2: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks", table 2, in
//! torchvision's form.
//!
//! Names are torchvision's: `features.0` is the first convolution after its ReLU6, `features.4` an inverted residual.
//! In it, `features.4.conv.0` is the expansion and `features.4.conv.1` the depthwise convolution, after their ReLU6,
//! `features.4.conv.2` the linear bottleneck; `features.4.conv.0.0` and `features.4.conv.1.0` are before the ReLU6. A
//! batch normalization is part of the convolution before it. Keras' names are there, too: `block_3_expand_relu`.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, EPSILON, Known, Norm, Stored};
use crate::layer::{Function, Pointwise, Window};

pub(super) const V2: Known = Known {
    name: "mobilenet_v2",
    build,
    classes_tensor: "classifier.1.bias",
    defaults: Defaults {
        style: &[
            ("features.0", 1.0),
            ("features.2.conv.0", 1.0),
            ("features.4.conv.0", 1.0),
            ("features.7.conv.0", 1.0),
            ("features.14.conv.0", 1.0),
        ],
        content: &[("features.7.conv.0", 0.3)],
        dream: &[("features.14.conv.0", 1.0)],
    },
    stored: Stored {
        norm: Some(Norm {
            behind,
            epsilon: EPSILON,
            biased: false,
        }),
        ..Stored::plain("features.0.0.weight")
    },
    preprocessing: Preprocessing::TORCHVISION,
};

/// In torchvision's sequences the batch normalization stands behind its convolution.
fn behind(conv: &str) -> Option<String> {
    let (sequence, index) = conv.rsplit_once('.')?;
    let index: u32 = index
        .parse()
        .ok()
        .filter(|_| sequence.starts_with("features."))?;
    Some(format!("{sequence}.{}", index + 1))
}

/// Expansion, channels, number and first stride of the blocks, row by row of the paper's table.
const ROWS: [[u32; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32) {
    let first = Window::square(3, 2, 1);
    let mut x = conv_relu6(graph, image, "features.0", 32, first, 1);
    graph.alias(x, ["Conv1_relu"]);
    let mut index = 1;
    for [expansion, channels, count, stride] in ROWS {
        for block in 0..count {
            let stride = if block == 0 { stride } else { 1 };
            x = inverted_residual(graph, x, index, expansion, channels, stride);
            index += 1;
        }
    }
    let last = format!("features.{index}");
    x = conv_relu6(graph, x, &last, 1280, Window::square(1, 1, 0), 1);
    graph.alias(x, ["features", "Conv_1_relu", "out_relu"]);
    x = graph.global_avg_pool("avgpool", x);
    // Dropout, which does nothing here.
    graph.alias(x, ["classifier.0"]);
    x = graph.linear("classifier.1", x, "classifier.1", classes, [1; 2]);
    graph.alias(x, ["classifier"]);
    super::finish(graph, x);
}

/// A convolution, its batch normalization and `min(max(x, 0), 6)`, in a sequence of that name.
fn conv_relu6(
    graph: &mut GraphBuilder,
    x: NodeId,
    name: &str,
    channels: u32,
    window: Window,
    groups: u32,
) -> NodeId {
    let tensor = format!("{name}.0");
    let conv = graph.grouped_conv(&tensor, x, &tensor, channels, window, groups);
    graph.alias(conv, [format!("{name}.1")]);
    let function = Function::Clip {
        low: 0.0,
        high: 6.0,
    };
    let relu = graph.push(name, Pointwise { function }, &[conv]);
    graph.alias(relu, [format!("{name}.2")]);
    relu
}

fn inverted_residual(
    graph: &mut GraphBuilder,
    x: NodeId,
    index: u32,
    expansion: u32,
    channels: u32,
    stride: u32,
) -> NodeId {
    let name = format!("features.{index}");
    let keras = match index {
        1 => "expanded_conv".to_owned(),
        _ => format!("block_{}", index - 1),
    };
    let wide = graph.channels(x) * expansion;
    let mut places = (0..).map(|place: u32| format!("{name}.conv.{place}"));
    let mut place = || places.next().expect("endless");
    let mut y = x;
    if expansion != 1 {
        y = conv_relu6(graph, y, &place(), wide, Window::square(1, 1, 0), 1);
        graph.alias(y, [format!("{keras}_expand_relu")]);
    }
    // Each channel by itself.
    y = conv_relu6(graph, y, &place(), wide, Window::square(3, stride, 1), wide);
    graph.alias(y, [format!("{keras}_depthwise_relu")]);
    let tensor = place();
    y = graph.conv(&tensor, y, &tensor, channels, Window::square(1, 1, 0));
    graph.alias(
        y,
        [place(), format!("{name}.conv"), format!("{keras}_project")],
    );
    if stride == 1 && graph.channels(x) == channels {
        y = graph.add(&name, &[x, y]);
        graph.alias(y, [format!("{keras}_add")]);
    } else {
        graph.alias(y, [name]);
    }
    y
}
