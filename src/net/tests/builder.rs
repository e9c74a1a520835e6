//! Graphs of anyone's making: what the builder refuses, the parameters that a network takes, the layers that a method
//! finds in it.

use crate::layer::{
    Binary, Conv, Coordinates, Function, Input, Interpolate, Lrn, Method, Operation, Pointwise,
    Relu, Round, Target, Window,
};
use crate::net::*;

/// What is wrong with a graph that `make` puts together behind an image of 3 channels and a convolution `conv` to 8.
fn refused(make: impl FnOnce(&mut GraphBuilder, NodeId, NodeId) -> NodeId) -> String {
    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    let conv = graph.conv("conv", image, "conv", 8, Window::square(3, 1, 1));
    make(&mut graph, image, conv);
    graph.build().unwrap_err().to_string()
}

#[test]
fn a_graph_that_is_wrong_names_the_layer() {
    let window = Window::square;
    let cases: [(String, &[&str]); 16] = [
        (
            refused(|g, _, _| g.relu("a", NodeId(9))),
            &["`a`", "node 9"],
        ),
        (
            refused(|g, _, _| {
                g.relu("a", NodeId(3));
                g.relu("b", NodeId(2))
            }),
            &["`a`", "`b`", "come before"],
        ),
        (
            refused(|g, _, _| g.relu("a", NodeId(2))),
            &["`a` reads `a`"],
        ),
        (
            refused(|g, image, conv| g.push("a", Relu, &[image, conv])),
            &["`a`", "relu", "2 inputs", "takes 1"],
        ),
        (
            refused(|g, _, _| g.concat("a", &[])),
            &["`a`", "0 inputs", "1 or more"],
        ),
        (
            refused(|g, image, conv| g.add("a", &[conv, image])),
            &["`a`", "3 channels", "8"],
        ),
        (
            refused(|g, image, _| {
                let conv = Conv {
                    tensor: "t".to_owned(),
                    in_channels: 4,
                    out_channels: 2,
                    window: window(1, 1, 0),
                    groups: 1,
                    linear: false,
                };
                g.push("a", conv, &[image])
            }),
            &["`a`", "4 channels", "has 3"],
        ),
        (
            refused(|g, image, conv| {
                let narrow = g.max_pool("narrow", image, window(2, 1, 0));
                g.concat("a", &[conv, narrow])
            }),
            &["`a`", "different sizes"],
        ),
        (
            refused(|g, _, conv| g.relu("conv", conv)),
            &["`conv` is called `conv`"],
        ),
        (
            refused(|g, _, conv| {
                let relu = g.relu("a", conv);
                g.alias(relu, ["image"]);
                relu
            }),
            &["`a` is called `image`"],
        ),
        (
            refused(|g, image, _| g.conv("a", image, "conv.", 8, window(3, 0, 1))),
            &["`a`", "stride of 0"],
        ),
        (
            refused(|g, image, _| g.conv("a", image, "t", 8, window(3, 1, 3))),
            &["`a`", "padding of 3"],
        ),
        (
            refused(|g, image, _| g.max_pool("a", image, window(17, 1, 0))),
            &["`a`", "17x17", "256"],
        ),
        (
            refused(|g, _, conv| {
                let lrn = Lrn {
                    size: 4,
                    alpha: 1.0,
                    beta: 1.0,
                    k: 1.0,
                };
                g.push("a", lrn, &[conv])
            }),
            &["`a`", "odd"],
        ),
        (
            refused(|g, _, conv| {
                let other = g.conv("a", conv, "t", 8, window(3, 1, 1));
                g.conv("b", other, "t", 8, window(1, 1, 0))
            }),
            &["`b`", "`t.weight`", "`a`", "[8, 8, 3, 3]"],
        ),
        (
            refused(|g, _, conv| g.normalize("a", conv, [1.0; 3], [0.0; 3])),
            &["`a`", "has 8"],
        ),
    ];
    for (message, parts) in cases {
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    }
    assert!(Graph::builder().build().is_err());
}

#[test]
fn a_network_is_a_graph_of_one_image_with_all_its_parameters() {
    let make = |channels: u32, more: bool| {
        let mut graph = Graph::builder();
        let image = graph.push("image", Input { channels }, &[]);
        if more {
            graph.input("guide", 3);
        }
        graph.conv("conv", image, "features.0", 2, Window::square(1, 1, 0));
        graph.build().unwrap()
    };
    let parameter = |name: &str, shape: &[usize], count| Parameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        values: vec![0.5; count],
    };
    let weight = || parameter("features.0.weight", &[2, 3, 1, 1], 6);
    let bias = || parameter("features.0.bias", &[2], 2);
    let other = || parameter("other", &[1], 1);
    let network = Network::new("mine", make(3, false), vec![bias(), other(), weight()]).unwrap();
    assert_eq!(network.architecture, None);
    assert_eq!(network.preprocessing.mean, [0.0; 3]);
    let names: Vec<&str> = network
        .parameters()
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(names, ["features.0.weight", "features.0.bias"]);
    let turned = parameter("features.0.weight", &[3, 2, 1, 1], 6);
    let short = parameter("features.0.bias", &[2], 1);
    for (graph, parameters, parts) in [
        (
            make(3, false),
            vec![weight()],
            &["`conv`", "`features.0.bias`", "not there"][..],
        ),
        (
            make(3, false),
            vec![turned, bias()],
            &["`conv`", "[3, 2, 1, 1]"],
        ),
        (
            make(3, false),
            vec![weight(), short],
            &["`conv`", "1 values"],
        ),
        (
            make(3, true),
            vec![weight(), bias()],
            &["`guide`", "2 inputs"],
        ),
        (
            make(4, false),
            vec![weight(), bias()],
            &["`image`", "4 channels"],
        ),
    ] {
        let message = Network::new("mine", graph, parameters)
            .unwrap_err()
            .to_string();
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    }
}

/// Two blocks with a pool between them and a classifier behind them: no architecture, no metadata.
#[test]
fn a_network_of_anyones_has_layers_to_look_at() {
    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    let mut x = graph.normalize("normalize", image, [2.0; 3], [-1.0, -0.5, 0.0]);
    for block in 1..=2 {
        for i in 1..=2 {
            let name = format!("conv{block}_{i}");
            x = graph.conv(&name, x, &name, 8, Window::square(3, 1, 1));
            x = graph.relu(&format!("relu{block}_{i}"), x);
        }
        x = graph.max_pool(&format!("pool{block}"), x, Window::square(2, 2, 0));
    }
    let mean = graph.global_avg_pool("mean", x);
    let scores = graph.linear("scores", mean, "scores", 10, [1; 2]);
    graph.softmax("classes", scores);
    let network = Network::with_random_weights("mine", graph.build().unwrap(), 1).unwrap();
    let layers = |purpose| network.default_layers(purpose).unwrap();
    let named = |layer: &str, weight| (layer.to_owned(), weight);
    assert_eq!(
        layers(Purpose::Style),
        [named("relu1_2", 1.0), named("relu2_2", 1.0)]
    );
    assert_eq!(layers(Purpose::Content), [named("relu1_2", 0.3)]);
    assert_eq!(layers(Purpose::Dream), [named("relu1_2", 1.0)]);
    assert_eq!(network.logits().unwrap(), scores);
    assert_eq!(network.classes(), Some(10));
    assert_eq!(network.preprocessing.mean, [0.5, 0.25, 0.0]);
    assert_eq!(network.preprocessing.std, [0.5; 3]);

    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    graph.conv("conv", image, "conv", 8, Window::square(3, 1, 1));
    let network = Network::with_random_weights("mine", graph.build().unwrap(), 1).unwrap();
    // Where nothing is rectified any layer will do.
    let layers = network.default_layers(Purpose::Style).unwrap();
    assert_eq!(layers, [named("conv", 1.0)]);

    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    graph.global_avg_pool("mean", image);
    let network = Network::with_random_weights("mine", graph.build().unwrap(), 1).unwrap();
    let message = network
        .default_layers(Purpose::Style)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`mine`") && message.contains("style"),
        "{message}"
    );
}

/// Squeeze and excitation: channels are multiplied with numbers that are made of all positions.
#[test]
fn layers_behind_a_gate_are_looked_at() {
    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    let conv = graph.conv("conv1", image, "conv1", 8, Window::square(3, 1, 1));
    let relu = graph.relu("relu1", conv);
    let mean = graph.global_avg_pool("mean", relu);
    let gate = graph.linear("gate", mean, "gate", 8, [1; 2]);
    let operation = Operation::Mul;
    let gated = graph.push("gated", Binary { operation }, &[relu, gate]);
    let conv = graph.conv("conv2", gated, "conv2", 8, Window::square(3, 2, 1));
    let function = Function::Silu;
    graph.push("silu2", Pointwise { function }, &[conv]);
    let network = Network::with_random_weights("mine", graph.build().unwrap(), 1).unwrap();
    let layers = network.default_layers(Purpose::Style).unwrap();
    let named = |layer: &str| (layer.to_owned(), 1.0);
    assert_eq!(layers, [named("relu1"), named("silu2")]);
    // A unit behind the gate sees the whole image, but lies where its convolutions put it.
    let silu2 = network.find("silu2").unwrap();
    assert_eq!(network.receptive_field(silu2), None);
    let places = network.graph().places();
    assert_eq!(places[silu2.0].map(|[rows, _]| rows.stride), Some(2));
    assert_eq!(places[network.find("gate").unwrap().0], None);
}

/// A feature pyramid: a coarse layer is enlarged twofold and joined with a finer one, which fits even sides only.
#[test]
fn a_pyramid_says_which_sizes_fit_and_is_no_default() {
    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    let fine = graph.relu("fine", image);
    let coarse = graph.max_pool("pool", fine, Window::square(3, 2, 1));
    let coarse = graph.relu("coarse", coarse);
    let larger = Interpolate {
        method: Method::Nearest {
            round: Round::Floor,
        },
        coordinates: Coordinates::Asymmetric,
        target: Target::Scale([2.0; 2]),
    };
    let larger = graph.push("larger", larger, &[coarse]);
    let joined = graph.concat("joined", &[larger, fine]);
    let last = graph.relu("last", joined);
    let network = Network::with_random_weights("mine", graph.build().unwrap(), 1).unwrap();
    let shape = network.shape(last, 20, 32).unwrap();
    assert_eq!((shape.height, shape.width), (20, 32));
    for (height, width, fitting) in [
        (21, 32, "32x20 and 32x22 fit"),
        (20, 31, "30x20 and 32x20 fit"),
        (1, 1, "2x2 fits"),
    ] {
        let error = network.shape(last, height, width).unwrap_err();
        assert!(matches!(error, NetError::UnevenImageSize(_)), "{error}");
        let message = error.to_string();
        assert!(message.contains("`joined`"), "{message}");
        assert!(message.ends_with(fitting), "{message}");
    }
    let layers = network.default_layers(Purpose::Style).unwrap();
    let named = |layer: &str| (layer.to_owned(), 1.0);
    assert_eq!(layers, [named("fine"), named("coarse")]);
}
