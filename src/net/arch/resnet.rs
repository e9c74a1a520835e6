//! ResNets: He et al. 2015, "Deep residual learning for image recognition", table 1, in torchvision's form, whose
//! bottlenecks have their stride in the 3×3 convolution; wide ones (Zagoruyko & Komodakis 2016), whose bottlenecks are
//! twice as wide; and ResNeXts (Xie et al. 2016, "Aggregated residual transformations for deep neural networks"), whose
//! 3×3 convolutions are in groups.
//!
//! Names are torchvision's: `conv1`, `relu`, `maxpool`; `layer2.0` is the first block of the second stage, after its
//! ReLU, and `layer2` the stage's last. In a block, `layer2.0.conv1` is before the ReLU `layer2.0.relu1`,
//! `layer2.0.downsample` is the shortcut, and `layer2.0.add` the sum before the last ReLU. A batch normalization is
//! part of the convolution before it, so that `layer2.0.bn1` is `layer2.0.conv1`. Caffe's names of blocks are there,
//! too: `res3a` is `layer2.0`.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, EPSILON, Known, Norm, Stored};
use crate::layer::Window;

/// What tells the networks of this family apart.
struct Depth {
    /// Blocks of each stage.
    blocks: [u32; 4],
    /// Whether a block has three convolutions, the outer ones 1×1, in place of two.
    bottleneck: bool,
    /// Channels of the 3×3 convolutions of a bottleneck, in the first stage.
    width: u32,
    /// Groups of these convolutions.
    groups: u32,
}

const SMALL: [u32; 4] = [2, 2, 2, 2];
const MEDIUM: [u32; 4] = [3, 4, 6, 3];
const LARGE: [u32; 4] = [3, 4, 23, 3];
const HUGE: [u32; 4] = [3, 8, 36, 3];

const fn basic(blocks: [u32; 4]) -> Depth {
    Depth {
        blocks,
        bottleneck: false,
        width: 64,
        groups: 1,
    }
}

const fn bottleneck(blocks: [u32; 4], width: u32) -> Depth {
    Depth {
        blocks,
        bottleneck: true,
        width,
        groups: 1,
    }
}

/// `groups` of each so many channels.
const fn grouped(blocks: [u32; 4], groups: u32, channels: u32) -> Depth {
    Depth {
        blocks,
        bottleneck: true,
        width: groups * channels,
        groups,
    }
}

pub(super) const RESNET18: Known = Known {
    name: "resnet18",
    build: |graph, image, classes| build(graph, image, classes, &basic(SMALL)),
    classes_tensor: "fc.bias",
    defaults: Defaults {
        style: &[
            ("relu", 1.0),
            ("layer1", 1.0),
            ("layer2", 1.0),
            ("layer3", 1.0),
        ],
        content: &[("layer2", 0.3)],
        dream: &[("layer3", 1.0)],
    },
    stored: Stored {
        norm: Some(Norm {
            behind,
            epsilon: EPSILON,
            biased: false,
        }),
        ..Stored::plain("conv1.weight")
    },
    preprocessing: Preprocessing::TORCHVISION,
};

pub(super) const RESNET34: Known = Known {
    name: "resnet34",
    build: |graph, image, classes| build(graph, image, classes, &basic(MEDIUM)),
    ..RESNET18
};

pub(super) const RESNET50: Known = Known {
    name: "resnet50",
    build: |graph, image, classes| build(graph, image, classes, &bottleneck(MEDIUM, 64)),
    ..RESNET18
};

pub(super) const RESNET101: Known = Known {
    name: "resnet101",
    build: |graph, image, classes| build(graph, image, classes, &bottleneck(LARGE, 64)),
    ..RESNET18
};

pub(super) const RESNET152: Known = Known {
    name: "resnet152",
    build: |graph, image, classes| build(graph, image, classes, &bottleneck(HUGE, 64)),
    ..RESNET18
};

pub(super) const WIDE_RESNET50_2: Known = Known {
    name: "wide_resnet50_2",
    build: |graph, image, classes| build(graph, image, classes, &bottleneck(MEDIUM, 128)),
    ..RESNET18
};

pub(super) const WIDE_RESNET101_2: Known = Known {
    name: "wide_resnet101_2",
    build: |graph, image, classes| build(graph, image, classes, &bottleneck(LARGE, 128)),
    ..RESNET18
};

pub(super) const RESNEXT50_32X4D: Known = Known {
    name: "resnext50_32x4d",
    build: |graph, image, classes| build(graph, image, classes, &grouped(MEDIUM, 32, 4)),
    ..RESNET18
};

pub(super) const RESNEXT101_32X8D: Known = Known {
    name: "resnext101_32x8d",
    build: |graph, image, classes| build(graph, image, classes, &grouped(LARGE, 32, 8)),
    ..RESNET18
};

pub(super) const RESNEXT101_64X4D: Known = Known {
    name: "resnext101_64x4d",
    build: |graph, image, classes| build(graph, image, classes, &grouped(LARGE, 64, 4)),
    ..RESNET18
};

/// `bn1` stands behind `conv1`, and `downsample.1` behind `downsample.0`.
fn behind(conv: &str) -> Option<String> {
    if let Some(shortcut) = conv.strip_suffix("downsample.0") {
        return Some(format!("{shortcut}downsample.1"));
    }
    let (block, number) = conv.rsplit_once("conv")?;
    Some(format!("{block}bn{number}"))
}

fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32, depth: &Depth) {
    let mut x = graph.conv("conv1", image, "conv1", 64, Window::square(7, 2, 3));
    graph.alias(x, ["bn1"]);
    x = graph.relu("relu", x);
    graph.alias(x, ["relu1", "conv1_relu"]);
    x = graph.max_pool("maxpool", x, Window::square(3, 2, 1));
    graph.alias(x, ["pool1"]);
    for (stage, count) in (1..).zip(depth.blocks) {
        for block in 0..count {
            x = residual(graph, x, stage, block, depth);
            graph.alias(x, [caffe(stage, block, count)]);
        }
        graph.alias(x, [format!("layer{stage}")]);
    }
    // 7×7 positions at the training size: all of them.
    x = graph.global_avg_pool("avgpool", x);
    graph.alias(x, ["pool5"]);
    x = graph.linear("fc", x, "fc", classes, [1; 2]);
    super::finish(graph, x);
}

/// What Caffe's files call a block: letters, or numbers where a stage has many.
fn caffe(stage: u32, block: u32, count: u32) -> String {
    let stage = stage + 1;
    let letter = ["a", "b", "c", "d", "e", "f"].get(block as usize);
    match letter {
        Some(letter) if count <= 6 || block == 0 => format!("res{stage}{letter}"),
        _ => format!("res{stage}b{block}"),
    }
}

fn residual(graph: &mut GraphBuilder, x: NodeId, stage: u32, block: u32, depth: &Depth) -> NodeId {
    let name = format!("layer{stage}.{block}");
    let channels = 64 << (stage - 1);
    let stride = if stage > 1 && block == 0 { 2 } else { 1 };
    // Channels, side of the window, stride and groups of each convolution.
    let convs = if depth.bottleneck {
        let width = depth.width << (stage - 1);
        vec![
            (width, 1, 1, 1),
            (width, 3, stride, depth.groups),
            (4 * channels, 1, 1, 1),
        ]
    } else {
        vec![(channels, 3, stride, 1), (channels, 3, 1, 1)]
    };
    let out = convs.last().map_or(channels, |(channels, ..)| *channels);
    let mut y = x;
    for (number, &(channels, side, stride, groups)) in (1..).zip(&convs) {
        let tensor = format!("{name}.conv{number}");
        let window = Window::square(side, stride, side / 2);
        y = graph.grouped_conv(&tensor, y, &tensor, channels, window, groups);
        graph.alias(y, [format!("{name}.bn{number}")]);
        if number < convs.len() {
            y = graph.relu(&format!("{name}.relu{number}"), y);
        }
    }
    let shortcut = if graph.channels(x) == out && stride == 1 {
        x
    } else {
        let tensor = format!("{name}.downsample.0");
        let window = Window::square(1, stride, 0);
        let shortcut = graph.conv(&format!("{name}.downsample"), x, &tensor, out, window);
        graph.alias(shortcut, [format!("{name}.downsample.1")]);
        shortcut
    };
    let sum = graph.add(&format!("{name}.add"), &[y, shortcut]);
    let relu = graph.relu(&name, sum);
    graph.alias(relu, [format!("{name}.relu{}", convs.len())]);
    relu
}
