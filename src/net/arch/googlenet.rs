//! GoogLeNet: Szegedy et al. 2014, "Going deeper with convolutions". The two auxiliary classifiers serve training only
//! and are left out.
//!
//! As trained by BVLC for Caffe it has a true 5×5 branch, local response normalization, pools rounded up and no batch
//! normalization. Torchvision's, from TensorFlow, has batch normalization, which is part of the convolution before it,
//! no response normalization, a last pool of 2×2, and 3×3 convolutions in the branch that is called 5×5 all the same.
//!
//! Caffe's ReLU works in place, so that `inception_4c/5x5_reduce` is after it and
//! `inception_4c/5x5_reduce_pre_relu` before it; so too for Lucid's `mixed4c_5x5_bottleneck` and
//! `mixed4c_5x5_bottleneck_pre_relu`. Torchvision's `inception4c.branch3.0` is after the ReLU,
//! `inception4c.branch3.0.conv` the convolution alone; its `conv1`, `conv2` and `conv3` are after the ReLU.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, Known, Norm, Stored};
use crate::layer::{Lrn, Window};

pub(super) const BVLC: Known = Known {
    name: "googlenet_bvlc",
    build: |graph, image, classes| build(graph, image, classes, Variant::Bvlc),
    classes_tensor: "fc.bias",
    defaults: Defaults {
        style: &[
            ("conv1/7x7_s2", 1.0),
            ("conv2/3x3", 1.0),
            ("inception_3a/output", 1.0),
            ("inception_3b/output", 1.0),
            ("inception_4a/output", 1.0),
        ],
        content: &[("inception_3b/output", 0.3)],
        dream: &[("inception_4c/output", 1.0)],
    },
    stored: Stored::plain("conv1.conv.weight"),
    preprocessing: Preprocessing::TORCHVISION,
};

pub(super) const TORCHVISION: Known = Known {
    name: "googlenet",
    build: |graph, image, classes| build(graph, image, classes, Variant::Torchvision),
    stored: Stored {
        first: "conv1.conv.weight",
        norm: Some(Norm {
            behind: |conv| Some(format!("{}.bn", conv.strip_suffix(".conv")?)),
            epsilon: 1e-3,
            biased: false,
        }),
        unused: &["aux1.", "aux2."],
    },
    // Torchvision's module turns ImageNet's mean and deviation into this before its first layer (`transform_input`).
    preprocessing: Preprocessing::MINUS_ONE_ONE,
    ..BVLC
};

#[derive(Clone, Copy, PartialEq)]
enum Variant {
    Bvlc,
    Torchvision,
}

/// Channels of an inception module's convolutions, in the columns of the paper's table 1.
struct Inception {
    name: &'static str,
    conv1x1: u32,
    reduce3x3: u32,
    conv3x3: u32,
    reduce5x5: u32,
    conv5x5: u32,
    pool_proj: u32,
}

const fn inception(
    name: &'static str,
    [conv1x1, reduce3x3, conv3x3, reduce5x5, conv5x5, pool_proj]: [u32; 6],
) -> Inception {
    Inception {
        name,
        conv1x1,
        reduce3x3,
        conv3x3,
        reduce5x5,
        conv5x5,
        pool_proj,
    }
}

const STAGE_3: &[Inception] = &[
    inception("3a", [64, 96, 128, 16, 32, 32]),
    inception("3b", [128, 128, 192, 32, 96, 64]),
];
const STAGE_4: &[Inception] = &[
    inception("4a", [192, 96, 208, 16, 48, 64]),
    inception("4b", [160, 112, 224, 24, 64, 64]),
    inception("4c", [128, 128, 256, 24, 64, 64]),
    inception("4d", [112, 144, 288, 32, 64, 64]),
    inception("4e", [256, 160, 320, 32, 128, 128]),
];
const STAGE_5: &[Inception] = &[
    inception("5a", [256, 160, 320, 32, 128, 128]),
    inception("5b", [384, 192, 384, 48, 128, 128]),
];

/// Caffe divides alpha by the window's size, as the operation does.
const LRN: Lrn = Lrn {
    size: 5,
    alpha: 1e-4,
    beta: 0.75,
    k: 1.0,
};

fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32, variant: Variant) {
    let is_bvlc = variant == Variant::Bvlc;
    let mut x = image;
    x = stem(graph, x, ["conv1/7x7_s2", "conv1", "conv2d0"], 64, 7);
    graph.alias(x, ["conv1/relu_7x7"]);
    x = pool(graph, x, 1, variant);
    if is_bvlc {
        x = graph.push("pool1/norm1", LRN, &[x]);
        graph.alias(x, ["norm1", "localresponsenorm0"]);
    }
    x = stem(graph, x, ["conv2/3x3_reduce", "conv2", "conv2d1"], 64, 1);
    graph.alias(x, ["conv2/relu_3x3_reduce"]);
    x = stem(graph, x, ["conv2/3x3", "conv3", "conv2d2"], 192, 3);
    graph.alias(x, ["conv2/relu_3x3"]);
    if is_bvlc {
        x = graph.push("conv2/norm2", LRN, &[x]);
        graph.alias(x, ["norm2", "localresponsenorm1"]);
    }

    for (number, stage) in (2..).zip([STAGE_3, STAGE_4, STAGE_5]) {
        x = pool(graph, x, number, variant);
        for module in stage {
            x = inception_module(graph, x, module, variant);
        }
    }

    // 7×7 windows at the training size: all of it.
    x = graph.global_avg_pool("pool5/7x7_s1", x);
    graph.alias(
        x,
        [
            "pool5",
            "avgpool",
            "dropout",
            "pool5/drop_7x7_s1",
            "avgpool0",
        ],
    );
    x = graph.linear("loss3/classifier", x, "fc", classes, [1; 2]);
    super::finish(graph, x);
}

/// A convolution and its ReLU before the first module, under Caffe's, torchvision's and Lucid's names. Only
/// the 7×7 has a stride.
fn stem(
    graph: &mut GraphBuilder,
    x: NodeId,
    names: [&str; 3],
    channels: u32,
    kernel: u32,
) -> NodeId {
    let [caffe, torch, lucid] = names;
    let window = Window::square(kernel, if kernel == 7 { 2 } else { 1 }, kernel / 2);
    let tensor = format!("{torch}.conv");
    let conv = graph.conv(&format!("{caffe}_pre_relu"), x, &tensor, channels, window);
    graph.alias(conv, [format!("{lucid}_pre_relu")]);
    let relu = graph.relu(caffe, conv);
    graph.alias(relu, [torch, lucid]);
    relu
}

fn pool(graph: &mut GraphBuilder, x: NodeId, number: u32, variant: Variant) -> NodeId {
    let name = format!("pool{number}/3x3_s2");
    let side = if number == 4 && variant == Variant::Torchvision {
        2
    } else {
        3
    };
    let pool = graph.max_pool(&name, x, Window::square(side, 2, 0).ceil());
    graph.alias(pool, [format!("pool{number}"), format!("maxpool{number}")]);
    pool
}

fn inception_module(
    graph: &mut GraphBuilder,
    x: NodeId,
    module: &Inception,
    variant: Variant,
) -> NodeId {
    let name = module.name;
    let [caffe, lucid, torch] = ["inception_", "mixed", "inception"].map(|s| format!("{s}{name}"));
    let branch = |graph: &mut GraphBuilder, x, names: [&str; 3], channels, kernel| {
        let [in_caffe, in_lucid, in_torch] = names;
        let conv = graph.conv(
            &format!("{caffe}/{in_caffe}_pre_relu"),
            x,
            &format!("{torch}.{in_torch}.conv"),
            channels,
            Window::square(kernel, 1, kernel / 2),
        );
        graph.alias(conv, [format!("{lucid}_{in_lucid}_pre_relu")]);
        let relu = graph.relu(&format!("{caffe}/{in_caffe}"), conv);
        let aliases = [
            format!("{caffe}/relu_{in_caffe}"),
            format!("{lucid}_{in_lucid}"),
            format!("{torch}.{in_torch}"),
        ];
        graph.alias(relu, aliases);
        // A branch of several layers is named like its last one too.
        if let Some(branch) = in_torch.strip_suffix(".1") {
            graph.alias(relu, [format!("{torch}.{branch}")]);
        }
        relu
    };

    let one = branch(graph, x, ["1x1", "1x1", "branch1"], module.conv1x1, 1);
    let names = ["3x3_reduce", "3x3_bottleneck", "branch2.0"];
    let reduced = branch(graph, x, names, module.reduce3x3, 1);
    let names = ["3x3", "3x3", "branch2.1"];
    let three = branch(graph, reduced, names, module.conv3x3, 3);
    let names = ["5x5_reduce", "5x5_bottleneck", "branch3.0"];
    let reduced = branch(graph, x, names, module.reduce5x5, 1);
    let names = ["5x5", "5x5", "branch3.1"];
    let side = if variant == Variant::Bvlc { 5 } else { 3 };
    let five = branch(graph, reduced, names, module.conv5x5, side);
    let pooled = graph.max_pool(&format!("{caffe}/pool"), x, Window::square(3, 1, 1).ceil());
    graph.alias(
        pooled,
        [format!("{lucid}_pool"), format!("{torch}.branch4.0")],
    );
    let names = ["pool_proj", "pool_reduce", "branch4.1"];
    let projected = branch(graph, pooled, names, module.pool_proj, 1);

    let output = graph.concat(&format!("{caffe}/output"), &[one, three, five, projected]);
    graph.alias(output, [caffe, lucid, torch]);
    output
}
