//! Layers that networks of other tools have beside convolutions, each within a small graph: gradients against central
//! differences in f64, GPU and `cpu` against f64 in both precisions, and in bands where they can be.

use pixgrad::engine::layer::{
    Binary, BinaryConstant, ChannelAffine, Coordinates, Edge, Function, GlobalMaxPool, GroupNorm,
    Interpolate, Layer, LayerNorm, Method, Operation, PRelu, Pad, Pointwise, Round, SelectChannels,
    Target, Window,
};

use crate::graphs::{Case, SIZE, block, case};

fn check(case: &Case) {
    case.gradient_is_a_central_difference();
    case.gpu_and_cpu_agree_with_the_oracle();
    case.bands_change_nothing();
}

/// A layer between two convolutions, of 6 channels.
fn between(name: &'static str, local: bool, layer: impl Layer) -> Case {
    case(name, &["layer", "last/relu"], local, |g, x| {
        let window = Window::square(3, 1, 1);
        let x = g.conv("first", x, "first.w", 6, window);
        let x = g.push("layer", layer, &[x]);
        block(g, "last", x, 5, 3);
    })
}

#[test]
fn functions() {
    let of = |name, function| between(name, true, Pointwise { function });
    check(&of(
        "softplus: never negative, not 0 at 0",
        Function::Softplus,
    ));
    check(&of("mish", Function::Mish));
    check(&of("gelu", Function::Gelu));
    check(&of(
        "clip",
        Function::Clip {
            low: -0.5,
            high: 0.75,
        },
    ));
}

#[test]
fn numbers_of_channels() {
    let prelu = PRelu {
        tensor: "slopes".to_owned(),
        channels: 6,
    };
    check(&between("slopes", true, prelu));
    let affine = |scale, bias| ChannelAffine {
        tensor: "affine".to_owned(),
        channels: 6,
        scale,
        bias,
    };
    check(&between("factors and summands", true, affine(true, true)));
    check(&between("summands", true, affine(false, true)));
}

#[test]
fn numbers_of_positions() {
    for operation in [
        Operation::Add,
        Operation::Sub,
        Operation::Mul,
        Operation::Max,
    ] {
        let constant = BinaryConstant {
            tensor: "constant".to_owned(),
            operation,
            channels: 6,
            size: Some([SIZE.0, SIZE.1]),
        };
        let bounds = BinaryConstant {
            size: None,
            ..constant.clone()
        };
        check(&between("a constant of each channel", true, bounds));
        let name = "a constant at each position";
        check(&case(name, &["layer", "last/relu"], false, |g, x| {
            // It fits no square image.
            g.trained_size([SIZE.0, SIZE.1]);
            let x = g.conv("first", x, "first.w", 6, Window::square(3, 1, 1));
            let x = g.push("layer", constant, &[x]);
            block(g, "last", x, 5, 3);
        }));
    }
}

#[test]
fn operations() {
    for operation in [
        Operation::Add,
        Operation::Sub,
        Operation::Mul,
        Operation::Min,
        Operation::Max,
    ] {
        check(&case("whole tensors", &["y", "last/relu"], true, |g, x| {
            let a = block(g, "a", x, 6, 3);
            let b = g.conv("b", x, "b.w", 6, Window::square(1, 1, 0));
            let y = g.push("y", Binary { operation }, &[a, b]);
            block(g, "last", y, 5, 3);
        }));
        check(&case("one channel", &["y", "last/relu"], true, |g, x| {
            let a = g.conv("a", x, "a.w", 1, Window::square(3, 1, 1));
            let b = g.conv("b", x, "b.w", 7, Window::square(1, 1, 0));
            let y = g.push("y", Binary { operation }, &[a, b]);
            block(g, "last", y, 5, 3);
        }));
    }
}

/// Squeeze and excitation (Hu et al. 2018), a quotient by a mean over everything, and one number for all.
#[test]
fn gates() {
    let sigmoid = Pointwise {
        function: Function::Sigmoid,
    };
    check(&case("a gate", &["gated", "last/relu"], false, |g, x| {
        let x = block(g, "a", x, 10, 3);
        let mean = g.global_avg_pool("mean", x);
        let small = g.linear("small", mean, "small.w", 3, [1, 1]);
        let small = g.relu("small/relu", small);
        let gate = g.linear("large", small, "large.w", 10, [1, 1]);
        let gate = g.push("gate", sigmoid, &[gate]);
        let operation = Operation::Mul;
        let x = g.push("gated", Binary { operation }, &[x, gate]);
        block(g, "last", x, 5, 3);
    }));
    check(&case("a quotient", &["y"], false, |g, x| {
        let x = g.conv("a", x, "a.w", 6, Window::square(3, 1, 1));
        let positive = g.push("sigmoid", sigmoid, &[x]);
        let mean = g.global_avg_pool("mean", positive);
        let operation = Operation::Div;
        g.push("y", Binary { operation }, &[x, mean]);
    }));
    check(&case("one number", &["y"], false, |g, x| {
        let x = g.conv("a", x, "a.w", 6, Window::square(3, 1, 1));
        let mean = g.global_avg_pool("mean", x);
        let one = g.linear("one", mean, "one.w", 1, [1, 1]);
        let operation = Operation::Sub;
        g.push("y", Binary { operation }, &[one, x]);
    }));
}

/// What a gate made of all positions is multiplied with keeps its places, but sees all of the image.
#[test]
fn gated_layers_know_places() {
    use pixgrad::engine::net::Graph;
    let mut g = Graph::builder();
    let image = g.input("image", 3);
    let mean = g.global_avg_pool("mean", image);
    let operation = Operation::Mul;
    let gated = g.push("gated", Binary { operation }, &[mean, image]);
    let graph = g.build().expect("a graph");
    assert!(graph.is_behind_global(mean));
    assert!(!graph.is_behind_global(gated));
    assert!(!graph.is_local(gated));
    assert_eq!(graph.receptive_field(gated), None);
    let shape = graph.shape(gated, 5, 7).expect("a shape");
    assert_eq!((shape.channels, shape.height, shape.width), (3, 5, 7));
}

#[test]
fn channels() {
    let of = |name, channels: &[u32]| {
        let channels = channels.to_vec();
        between(name, true, SelectChannels { channels })
    };
    check(&of("a slice", &[2, 3, 4]));
    check(&of("a shuffle", &[0, 3, 1, 4, 2, 5]));
    check(&of("repetitions", &[5, 0, 5, 5, 1, 1, 0]));
}

#[test]
fn borders() {
    for (edge, local) in [
        (Edge::Reflect, false),
        (Edge::Constant { value: -0.5 }, true),
        (Edge::Constant { value: 0.0 }, true),
    ] {
        let pad = Pad {
            before: [2, 1],
            after: [1, 3],
            edge,
        };
        check(&between("a border", local, pad));
    }
}

#[test]
fn maxima() {
    check(&case("a maximum", &["most", "classes"], false, |g, x| {
        let x = g.conv("a", x, "a.w", 10, Window::square(3, 1, 1));
        let most = g.push("most", GlobalMaxPool, &[x]);
        g.linear("classes", most, "classes.w", 7, [1, 1]);
    }));
}

#[test]
fn normalizations() {
    for tensor in [None, Some("norm".to_owned())] {
        for groups in [1, 3, 6] {
            let norm = GroupNorm {
                tensor: tensor.clone(),
                channels: 6,
                groups,
                epsilon: 1e-3,
            };
            check(&between("groups", false, norm));
        }
        let norm = LayerNorm {
            tensor,
            channels: 6,
            epsilon: 1e-3,
        };
        check(&between("feature vectors", true, norm));
    }
}

#[test]
fn sizes() {
    let of = |name, method, coordinates, target| {
        let layer = Interpolate {
            method,
            coordinates,
            target,
        };
        between(name, false, layer)
    };
    let nearest = Method::Nearest {
        round: Round::Floor,
    };
    let twice = Target::Scale([2.0; 2]);
    check(&of("twice", nearest, Coordinates::Asymmetric, twice));
    let linear = Method::Linear;
    check(&of("linearly", linear, Coordinates::HalfPixel, twice));
    let size = Target::Size([17, 31]);
    check(&of("another size", linear, Coordinates::AlignCorners, size));
    let smaller = Target::Scale([0.5, 0.3]);
    check(&of(
        "smaller",
        linear,
        Coordinates::PytorchHalfPixel,
        smaller,
    ));
}
