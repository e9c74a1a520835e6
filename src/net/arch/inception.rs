//! Inception v3: Szegedy et al. 2015, "Rethinking the Inception architecture for computer vision", in torchvision's
//! form. The auxiliary classifier serves training only and is left out.
//!
//! Names are torchvision's: `Conv2d_2b_3x3` and `Mixed_6b.branch7x7_2` are after their ReLU, `.._pre_relu` before it,
//! `Mixed_6b` joins the branches. Keras counts these modules: `mixed0` is `Mixed_5b`, `mixed4` is `Mixed_6b`. A batch
//! normalization is part of the convolution before it.

use super::super::{GraphBuilder, NodeId, Preprocessing};
use super::{Defaults, Known, Norm, Stored};
use crate::layer::{AvgPool, Window};

pub(super) const V3: Known = Known {
    name: "inception_v3",
    build,
    classes_tensor: "fc.bias",
    defaults: Defaults {
        style: &[
            ("Conv2d_1a_3x3", 1.0),
            ("Conv2d_2b_3x3", 1.0),
            ("Conv2d_4a_3x3", 1.0),
            ("Mixed_5b", 1.0),
            ("Mixed_6b", 1.0),
        ],
        content: &[("Mixed_5b", 0.3)],
        dream: &[("Mixed_6b", 1.0)],
    },
    stored: Stored {
        first: "Conv2d_1a_3x3.conv.weight",
        norm: Some(Norm {
            behind: |conv| Some(format!("{}.bn", conv.strip_suffix(".conv")?)),
            epsilon: 1e-3,
            biased: false,
        }),
        unused: &["AuxLogits."],
    },
    // Torchvision's module turns ImageNet's mean and deviation into this before its first layer (`transform_input`).
    preprocessing: Preprocessing::MINUS_ONE_ONE,
};

/// A window of `[h, w]` with as much padding as keeps the size.
const fn same(kernel: [u32; 2]) -> Window {
    let pad = [kernel[0] / 2, kernel[1] / 2];
    Window {
        kernel,
        before: pad,
        after: pad,
        ..Window::square(1, 1, 0)
    }
}

const ONE: Window = Window::square(1, 1, 0);
const THREE: Window = same([3; 2]);
/// Halves the size.
const HALVE: Window = Window::square(3, 2, 0);
const FLAT: Window = same([1, 7]);
const TALL: Window = same([7, 1]);

/// The convolutions of a branch: what follows the module's name, channels and window.
type Branch<'a> = &'a [(&'a str, u32, Window)];

fn build(graph: &mut GraphBuilder, image: NodeId, classes: u32) {
    let mut x = image;
    x = conv(graph, x, "Conv2d_1a_3x3", 32, HALVE);
    x = conv(graph, x, "Conv2d_2a_3x3", 32, Window::square(3, 1, 0));
    x = conv(graph, x, "Conv2d_2b_3x3", 64, THREE);
    x = graph.max_pool("maxpool1", x, HALVE);
    x = conv(graph, x, "Conv2d_3b_1x1", 80, ONE);
    x = conv(graph, x, "Conv2d_4a_3x3", 192, Window::square(3, 1, 0));
    x = graph.max_pool("maxpool2", x, HALVE);
    for (letter, pooled) in [("b", 32), ("c", 64), ("d", 64)] {
        x = module_a(graph, x, &format!("Mixed_5{letter}"), pooled);
    }
    x = module_b(graph, x, "Mixed_6a");
    for (letter, channels) in [("b", 128), ("c", 160), ("d", 160), ("e", 192)] {
        x = module_c(graph, x, &format!("Mixed_6{letter}"), channels);
    }
    x = module_d(graph, x, "Mixed_7a");
    for letter in ["b", "c"] {
        x = module_e(graph, x, &format!("Mixed_7{letter}"));
    }
    x = graph.global_avg_pool("avgpool", x);
    // Dropout, which does nothing here.
    graph.alias(x, ["dropout"]);
    x = graph.linear("fc", x, "fc", classes, [1; 2]);
    super::finish(graph, x);
}

fn conv(graph: &mut GraphBuilder, x: NodeId, name: &str, channels: u32, window: Window) -> NodeId {
    let tensor = format!("{name}.conv");
    let conv = graph.conv(&format!("{name}_pre_relu"), x, &tensor, channels, window);
    graph.alias(conv, [format!("{name}.bn")]);
    graph.relu(name, conv)
}

fn branch(graph: &mut GraphBuilder, mut x: NodeId, module: &str, convs: Branch<'_>) -> NodeId {
    for (name, channels, window) in convs {
        x = conv(graph, x, &format!("{module}.{name}"), *channels, *window);
    }
    x
}

/// Means of 3×3 windows, the padding counted, and a convolution.
fn pooled(graph: &mut GraphBuilder, x: NodeId, module: &str, channels: u32) -> NodeId {
    let pool = AvgPool {
        window: THREE,
        scale: 1.0,
        count_padding: true,
    };
    let pool = graph.push(&format!("{module}.pool"), pool, &[x]);
    branch(graph, pool, module, &[("branch_pool", channels, ONE)])
}

fn join(graph: &mut GraphBuilder, module: &str, branches: &[NodeId]) -> NodeId {
    let order = [
        "5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c",
    ];
    let joined = graph.concat(module, branches);
    let number = order.iter().position(|place| module.ends_with(place));
    graph.alias(joined, number.map(|number| format!("mixed{number}")));
    joined
}

/// Figure 5 of the paper.
fn module_a(graph: &mut GraphBuilder, x: NodeId, name: &str, pool: u32) -> NodeId {
    let one = branch(graph, x, name, &[("branch1x1", 64, ONE)]);
    let five = [("branch5x5_1", 48, ONE), ("branch5x5_2", 64, same([5; 2]))];
    let five = branch(graph, x, name, &five);
    let three = [
        ("branch3x3dbl_1", 64, ONE),
        ("branch3x3dbl_2", 96, THREE),
        ("branch3x3dbl_3", 96, THREE),
    ];
    let three = branch(graph, x, name, &three);
    let pool = pooled(graph, x, name, pool);
    join(graph, name, &[one, five, three, pool])
}

fn module_b(graph: &mut GraphBuilder, x: NodeId, name: &str) -> NodeId {
    let three = branch(graph, x, name, &[("branch3x3", 384, HALVE)]);
    let double = [
        ("branch3x3dbl_1", 64, ONE),
        ("branch3x3dbl_2", 96, THREE),
        ("branch3x3dbl_3", 96, HALVE),
    ];
    let double = branch(graph, x, name, &double);
    let pool = graph.max_pool(&format!("{name}.pool"), x, HALVE);
    join(graph, name, &[three, double, pool])
}

/// Figure 6.
fn module_c(graph: &mut GraphBuilder, x: NodeId, name: &str, channels: u32) -> NodeId {
    let one = branch(graph, x, name, &[("branch1x1", 192, ONE)]);
    let seven = [
        ("branch7x7_1", channels, ONE),
        ("branch7x7_2", channels, FLAT),
        ("branch7x7_3", 192, TALL),
    ];
    let seven = branch(graph, x, name, &seven);
    let double = [
        ("branch7x7dbl_1", channels, ONE),
        ("branch7x7dbl_2", channels, TALL),
        ("branch7x7dbl_3", channels, FLAT),
        ("branch7x7dbl_4", channels, TALL),
        ("branch7x7dbl_5", 192, FLAT),
    ];
    let double = branch(graph, x, name, &double);
    let pool = pooled(graph, x, name, 192);
    join(graph, name, &[one, seven, double, pool])
}

fn module_d(graph: &mut GraphBuilder, x: NodeId, name: &str) -> NodeId {
    let three = [("branch3x3_1", 192, ONE), ("branch3x3_2", 320, HALVE)];
    let three = branch(graph, x, name, &three);
    let seven = [
        ("branch7x7x3_1", 192, ONE),
        ("branch7x7x3_2", 192, FLAT),
        ("branch7x7x3_3", 192, TALL),
        ("branch7x7x3_4", 192, HALVE),
    ];
    let seven = branch(graph, x, name, &seven);
    let pool = graph.max_pool(&format!("{name}.pool"), x, HALVE);
    join(graph, name, &[three, seven, pool])
}

/// Figure 7.
fn module_e(graph: &mut GraphBuilder, x: NodeId, name: &str) -> NodeId {
    let (flat, tall) = (same([1, 3]), same([3, 1]));
    let one = branch(graph, x, name, &[("branch1x1", 320, ONE)]);
    let three = branch(graph, x, name, &[("branch3x3_1", 384, ONE)]);
    let three = [
        branch(graph, three, name, &[("branch3x3_2a", 384, flat)]),
        branch(graph, three, name, &[("branch3x3_2b", 384, tall)]),
    ];
    let three = graph.concat(&format!("{name}.branch3x3"), &three);
    let start = [("branch3x3dbl_1", 448, ONE), ("branch3x3dbl_2", 384, THREE)];
    let double = branch(graph, x, name, &start);
    let double = [
        branch(graph, double, name, &[("branch3x3dbl_3a", 384, flat)]),
        branch(graph, double, name, &[("branch3x3dbl_3b", 384, tall)]),
    ];
    let double = graph.concat(&format!("{name}.branch3x3dbl"), &double);
    let pool = pooled(graph, x, name, 192);
    join(graph, name, &[one, three, double, pool])
}
