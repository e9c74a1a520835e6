//! Graphs of anyone's making: layers that several read, concatenations that must be copied, sums, windows that are not
//! square. Forward passes against plain loops, gradients against central differences in f64, GPU and `cpu` against f64.

use std::ops::ControlFlow;

use pixgrad::engine::compile::default_layers;
use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{View, from_quads, to_quads};
use pixgrad::engine::layer::{AvgPool, Concat, Conv, ConvTranspose, Lrn, Window};
use pixgrad::engine::methods::classify::{Size, classify};
use pixgrad::engine::methods::{DreamPreset, DreamSubject, Evolution, top_one};
use pixgrad::engine::net::{
    self, Architecture, Graph, GraphBuilder, NodeId, Padding, Pooling, Purpose,
};
use pixgrad::engine::objective::Content;
use pixgrad::engine::plan::{Iteration, Placed, Precision, Problem, Program};
use pixgrad::engine::schedule::{Executor, Loaded};
use pixgrad::{Network, Recipe};

use crate::common::{GPU, distance, noise, random, uniform};
use crate::networks::evaluate;
use crate::plain;

/// A graph with random weights, and the layers that the objective reads.
pub struct Case {
    name: &'static str,
    network: net::Network,
    layers: &'static [&'static str],
    /// Whether the image can be seen in bands.
    local: bool,
}

pub const SIZE: (u32, u32) = (22, 19);

fn view() -> View {
    View::new(1, SIZE.0, SIZE.1, 3)
}

pub fn case(
    name: &'static str,
    layers: &'static [&'static str],
    local: bool,
    make: impl FnOnce(&mut GraphBuilder, NodeId),
) -> Case {
    let mut graph = Graph::builder();
    let image = graph.input("image", 3);
    let x = graph.normalize("normalize", image, [2.0, 1.5, 1.0], [-1.0, 0.25, 0.0]);
    make(&mut graph, x);
    let graph = graph.build().unwrap_or_else(|e| panic!("{name}: {e}"));
    Case {
        name,
        network: net::Network::with_random_weights(name, graph, 3).expect("a network"),
        layers,
        local,
    }
}

/// A convolution that keeps the size, and its ReLU.
pub fn block(
    graph: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    channels: u32,
    kernel: u32,
) -> NodeId {
    let window = Window::square(kernel, 1, kernel / 2);
    let conv = graph.conv(&format!("{name}/conv"), x, name, channels, window);
    graph.alias(conv, [format!("{name}/pre")]);
    graph.relu(&format!("{name}/relu"), conv)
}

fn cases() -> Vec<Case> {
    vec![
        case(
            "a branch read before and behind its concatenation",
            &["last/relu"],
            true,
            |g, x| {
                let a = block(g, "a", x, 8, 3);
                let b = block(g, "b", x, 4, 1);
                let early = block(g, "early", a, 4, 3);
                let joined = g.concat("joined", &[a, b]);
                let on = block(g, "on", joined, 12, 3);
                let late = block(g, "late", a, 8, 1);
                let sum = g.add("sum", &[on, joined]);
                let all = g.concat("all", &[sum, late, early]);
                block(g, "last", all, 5, 1);
            },
        ),
        case(
            "branches of 3, 6 and 5 channels",
            &["joined", "last/relu", "b/relu"],
            true,
            |g, x| {
                let a = block(g, "a", x, 3, 3);
                let b = block(g, "b", x, 6, 1);
                let c = block(g, "c", b, 5, 3);
                let joined = g.concat("joined", &[a, b, c]);
                block(g, "last", joined, 6, 3);
            },
        ),
        case(
            "a layer twice in a concatenation",
            &["joined", "last/relu"],
            true,
            |g, x| {
                let a = block(g, "a", x, 4, 3);
                let b = block(g, "b", a, 4, 1);
                let joined = g.concat("joined", &[a, b, a]);
                block(g, "last", joined, 7, 3);
            },
        ),
        case(
            "a layer twice in a sum",
            &["sum", "last/relu"],
            true,
            |g, x| {
                let a = block(g, "a", x, 6, 3);
                let b = block(g, "b", x, 6, 1);
                let sum = g.add("sum", &[a, b, a]);
                block(g, "last", sum, 7, 3);
            },
        ),
        case(
            "the image and its normalization joined",
            &["joined", "last/relu"],
            true,
            |g, x| {
                let image = NodeId(0);
                let a = block(g, "a", x, 8, 3);
                let joined = g.concat("joined", &[image, a, x]);
                block(g, "last", joined, 4, 3);
            },
        ),
        case(
            "a layer in two concatenations",
            &["first", "second", "a/relu"],
            true,
            |g, x| {
                let a = block(g, "a", x, 8, 3);
                let b = block(g, "b", x, 4, 1);
                let first = g.concat("first", &[a, b]);
                let on = block(g, "on", first, 8, 1);
                g.concat("second", &[on, a, b]);
            },
        ),
        case("a dense block", &["third", "pool"], true, |g, x| {
            let a = block(g, "a", x, 8, 3);
            let b = block(g, "b", a, 8, 3);
            let first = g.concat("first", &[a, b]);
            let c = block(g, "c", first, 8, 3);
            let second = g.concat("second", &[first, c]);
            let d = block(g, "d", second, 8, 3);
            let third = g.concat("third", &[second, d]);
            g.max_pool("pool", third, Window::square(2, 2, 0));
        }),
        case(
            "concatenations in a concatenation",
            &["outer", "left"],
            true,
            |g, x| {
                let branches: Vec<NodeId> =
                    ["a", "b", "c", "d"].map(|n| block(g, n, x, 4, 3)).into();
                let left = g.concat("left", &branches[..2]);
                let right = g.concat("right", &branches[2..]);
                let wide = g.push("outer", Concat, &[left, right, x]);
                block(g, "last", wide, 4, 1);
            },
        ),
        case(
            "a layer in a concatenation and beside it",
            &["outer", "other"],
            true,
            |g, x| {
                let [a, b, c] = ["a", "b", "c"].map(|n| block(g, n, x, 4, 3));
                let inner = g.concat("inner", &[a, b]);
                g.concat("outer", &[a, inner]);
                let after = g.concat("after", &[b, c]);
                g.concat("other", &[after, c]);
            },
        ),
        case(
            "a pool and its neighbour in one tensor",
            &["joined"],
            true,
            |g, x| {
                let a = block(g, "a", x, 8, 3);
                let pool = g.max_pool("pool", a, Window::square(2, 2, 0));
                let b = block(g, "b", pool, 8, 3);
                g.concat("joined", &[pool, b]);
            },
        ),
        case(
            "windows that are not square",
            &["sum", "mean", "last/relu"],
            true,
            |g, x| {
                let window = |kernel, stride, before, after| Window {
                    kernel,
                    stride,
                    before,
                    after,
                    ..Window::square(1, 1, 0)
                };
                let a = g.conv("a", x, "wa", 6, window([1, 7], [1, 1], [0, 3], [0, 3]));
                let b = g.conv("b", x, "wb", 6, window([5, 1], [1, 1], [1, 0], [3, 0]));
                let sum = g.add("sum", &[a, b]);
                let relu = g.relu("relu", sum);
                let down = window([3, 2], [2, 1], [0, 1], [1, 0]);
                let most = g.max_pool("most", relu, down);
                let mean = g.avg_pool("mean", relu, down, 1.5);
                let joined = g.concat("joined", &[most, mean]);
                let c = g.conv("c", joined, "wc", 5, window([3, 2], [2, 3], [1, 0], [1, 1]));
                let c = g.relu("c/relu", c);
                block(g, "last", c, 5, 3);
            },
        ),
        case(
            "groups, gaps in windows and padding that counts",
            &["last/relu", "mean", "most"],
            true,
            |g, x| {
                let conv = |g: &mut GraphBuilder, name: &str, x, channels, groups, window| {
                    let conv = Conv {
                        tensor: format!("{name}/w"),
                        in_channels: g.channels(x),
                        out_channels: channels,
                        window,
                        groups,
                        linear: false,
                    };
                    let conv = g.push(name, conv, &[x]);
                    g.relu(&format!("{name}/relu"), conv)
                };
                let same = Window::square(3, 1, 1);
                let gaps = Window {
                    dilation: [2, 3],
                    before: [2, 1],
                    after: [1, 3],
                    ..Window::square(3, 1, 0)
                };
                let a = conv(g, "a", x, 6, 3, same);
                let b = conv(g, "b", a, 6, 6, gaps);
                let c = conv(g, "c", b, 9, 3, Window::square(3, 2, 1));
                let d = conv(g, "d", c, 8, 1, gaps);
                let e = conv(g, "e", d, 8, 8, Window::square(5, 2, 2));
                let pool = AvgPool {
                    window: Window::square(3, 2, 1).ceil(),
                    scale: 1.5,
                    count_padding: true,
                };
                g.push("mean", pool, &[a]);
                g.max_pool("most", b, gaps);
                block(g, "last", e, 5, 1);
            },
        ),
        case(
            "transposed convolutions",
            &["last/relu", "up", "gaps"],
            false,
            |g, x| {
                let up = |g: &mut GraphBuilder, name: &str, x, channels, groups, window, more| {
                    let conv = ConvTranspose {
                        tensor: format!("{name}/w"),
                        in_channels: g.channels(x),
                        out_channels: channels,
                        window,
                        groups,
                        output_padding: more,
                    };
                    g.push(name, conv, &[x])
                };
                let down = Window {
                    stride: [2, 3],
                    ..Window::square(3, 1, 1)
                };
                let a = g.conv("a", x, "wa", 6, down);
                let a = g.relu("a/relu", a);
                let up1 = up(g, "up", a, 8, 1, Window::square(3, 2, 1), [1, 0]);
                let uneven = Window {
                    before: [1, 0],
                    after: [0, 2],
                    ..Window::square(4, 1, 0)
                };
                let b = up(g, "b", up1, 8, 8, uneven, [0, 0]);
                let b = g.relu("b/relu", b);
                let gaps = Window {
                    dilation: [2, 1],
                    stride: [1, 2],
                    ..Window::square(3, 1, 1)
                };
                let c = up(g, "gaps", b, 12, 4, gaps, [1, 1]);
                let d = up(g, "d", a, 12, 6, Window::square(2, 2, 0), [0, 0]);
                block(g, "e", d, 5, 3);
                block(g, "last", c, 5, 1);
            },
        ),
        case(
            "a sum of all positions",
            &["classes", "norm"],
            false,
            |g, x| {
                let a = block(g, "a", x, 10, 3);
                let lrn = Lrn {
                    size: 3,
                    alpha: 0.75,
                    beta: 0.75,
                    k: 1.0,
                };
                let norm = g.push("norm", lrn, &[a]);
                let joined = g.concat("joined", &[norm, a]);
                let means = g.adaptive_avg_pool("means", joined, [2, 3]);
                let scores = g.linear("scores", means, "scores.w", 7, [2, 3]);
                let mean = g.global_avg_pool("mean", norm);
                let more = g.linear("more", mean, "more.w", 7, [1, 1]);
                let sum = g.add("both", &[scores, more]);
                g.softmax("classes", sum);
            },
        ),
    ]
}

impl Case {
    fn objective(&self, network: &Network) -> Vec<Placed> {
        let device = network.device();
        let graph = network.graph();
        let mut rng = random(11);
        let place = |(group, layer): (usize, &&str)| {
            let node = graph.find(layer).expect("a layer");
            let shape = graph.shape(node, SIZE.0, SIZE.1).expect("a shape");
            let view = View::new(1, shape.height, shape.width, shape.channels);
            let target = to_quads(view, &uniform(&mut rng, view.elements()));
            let target = device.buffer_from("target", &target).expect("a buffer");
            Placed {
                node,
                term: Box::new(Content::new(target, view, 3.0)),
                group,
                labels: None,
            }
        };
        self.layers.iter().enumerate().map(place).collect()
    }

    fn executor(&self, network: &Network, bands: u32) -> Executor {
        let terms = self.objective(network);
        let problem = Problem {
            bands,
            ..Problem::new(network, view(), &terms)
        };
        let plan = Iteration::new(&problem).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        Executor::new(network.device(), plan).expect("an executor")
    }

    fn on(&self, device: &Device) -> Network {
        Network::new(device, self.network.clone())
    }

    pub fn gradient_is_a_central_difference(&self) {
        let mut executor = self.executor(&self.on(&Device::oracle()), 1);
        let image = image();
        let (_, gradient) = evaluate(&mut executor, &image);
        for seed in 0..2 {
            let direction = uniform(&mut random(90 + seed), view().elements());
            let direction: Vec<f64> = to_quads(view(), &direction)
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            // As for whole networks.
            let step = 1e-7;
            let mut at = |sign: f64| {
                let moved = image
                    .iter()
                    .zip(&direction)
                    .map(|(x, d)| x + sign * step * d);
                evaluate(&mut executor, &moved.collect::<Vec<_>>()).0
            };
            let measured = (at(1.0) - at(-1.0)) / (2.0 * step);
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let scale = norm(&gradient) * norm(&direction) / (direction.len() as f64).sqrt();
            assert!(
                (measured - analytic).abs() <= 1e-5 * scale.max(analytic.abs()),
                "{}: {analytic} should be {measured}",
                self.name
            );
        }
    }

    pub fn gpu_and_cpu_agree_with_the_oracle(&self) {
        let (total, gradient) =
            evaluate(&mut self.executor(&self.on(&Device::oracle()), 1), &image());
        for device in [&Device::cpu(), &*GPU] {
            for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::F16, 2e-3)] {
                let network = self.on(device).with_precision(precision);
                let (loss, actual) = evaluate(&mut self.executor(&network, 1), &image());
                let error = distance(&actual, &gradient);
                assert!(
                    error <= tolerance,
                    "{} on {device:?} in {precision}: gradient off by {error:.2e}",
                    self.name
                );
                let error = (loss - total).abs() / total;
                assert!(
                    error <= 1e-5,
                    "{} on {device:?} in {precision}: loss off by {error:.2e}",
                    self.name
                );
            }
        }
    }

    pub fn bands_change_nothing(&self) {
        let network = self.on(&Device::oracle());
        if !self.local {
            let terms = self.objective(&network);
            let problem = Problem {
                bands: 3,
                ..Problem::new(&network, view(), &terms)
            };
            assert!(Iteration::new(&problem).is_err(), "{}", self.name);
            return;
        }
        let (total, gradient) = evaluate(&mut self.executor(&network, 1), &image());
        let (loss, banded) = evaluate(&mut self.executor(&network, 3), &image());
        let error = distance(&banded, &gradient);
        // Factors such as weight/n are rounded to f32 for the kernels.
        assert!(error <= 1e-6, "{}: off by {error:.1e}", self.name);
        assert!((loss - total).abs() <= 1e-6 * total, "{}", self.name);
    }
}

fn image() -> Vec<f64> {
    let pixels = uniform(&mut random(3), view().elements());
    let pixels: Vec<f64> = pixels.iter().map(|v| 0.5 + 0.5 * f64::from(*v)).collect();
    to_quads(view(), &pixels)
}

#[test]
fn forward_passes_are_the_layers_definitions() {
    for case in cases() {
        for (padding, pooling) in [
            (Padding::Zero, Pooling::Max),
            (Padding::Replicate, Pooling::Average),
            (Padding::Wrap, Pooling::Max),
        ] {
            let graph = case.network.rewired(padding, pooling);
            let wanted: Vec<NodeId> = graph.graph().ids().collect();
            let device = Device::oracle();
            // All layers at once; and the last alone, with as many fused and computed in place as there can be.
            for nodes in [&wanted[..], &wanted[wanted.len() - 1..]] {
                let network = Network::new(&device, graph.clone());
                let planned = Program::forward(&network, view(), nodes);
                let Ok((program, input, tensors)) = planned else {
                    // An odd size that is wrapped may leave branches of different sizes.
                    assert!(padding == Padding::Wrap, "{}: {planned:?}", case.name);
                    continue;
                };
                let mut loaded = Loaded::new(&device, program).expect("memory");
                let input = loaded.buffer(input.value);
                device.upload_f64(input, &image()).expect("the image fits");
                loaded.run_once().expect("a forward pass");
                for (node, tensor) in nodes.iter().zip(tensors) {
                    let pixels = from_quads(view(), &image());
                    let expected = plain::run(&graph, plain::image(SIZE, &pixels), *node);
                    let packed = device
                        .download_f64(loaded.buffer(tensor.value))
                        .expect("read back");
                    let error = distance(&from_quads(tensor.view, &packed), &expected.v);
                    let name = &graph.node(*node).name;
                    assert!(error < 1e-12, "{}, {name}: off by {error:.1e}", case.name);
                }
            }
        }
    }
}

#[test]
fn gradients_are_central_differences() {
    for case in cases() {
        case.gradient_is_a_central_difference();
    }
}

#[test]
fn gpu_and_cpu_agree_with_the_oracle() {
    for case in cases() {
        case.gpu_and_cpu_agree_with_the_oracle();
    }
}

/// The receptive fields of sums and concatenations, of windows that are not square: bands see what they need and no
/// less.
#[test]
fn bands_change_nothing() {
    for case in cases() {
        case.bands_change_nothing();
    }
}

/// The branches of the known networks are computed in their place: their concatenations cost nothing.
#[test]
fn what_can_be_joined_in_place_is_not_copied() {
    let copies = |network: &net::Network, layer: &str| {
        let network = Network::new(&Device::cpu(), network.clone());
        let node = network.graph().find(layer).expect("a layer");
        let (program, ..) =
            Program::forward(&network, View::new(1, 64, 64, 3), &[node]).expect("a program");
        let calls = program.recording.calls().iter();
        calls
            .filter(|call| format!("{:?}", call.operation).starts_with("CopyChannels"))
            .count()
    };
    for (architecture, layer) in [
        (Architecture::SqueezeNet1_1, "fire5/concat"),
        (Architecture::GoogLeNetBvlc, "inception_4a/output"),
    ] {
        let network = net::Network::random(architecture, 10, 30, 1).expect("a network");
        assert_eq!(copies(&network, layer), 0, "{architecture}");
    }
    let joined = case("joined", &[], true, |g, x| {
        let branches = ["a", "b", "c", "d"].map(|n| block(g, n, x, 4, 3));
        let left = g.concat("left", &branches[..2]);
        let right = g.concat("right", &branches[2..]);
        g.concat("outer", &[left, right]);
    });
    assert_eq!(copies(&joined.network, "outer"), 0);
}

/// No method asks what architecture a network is of: the layers of a style and of a dream are found by rules.
#[test]
fn methods_run_on_a_network_of_anyones() {
    let network = case("two blocks", &[], true, |g, x| {
        let a = block(g, "a", x, 8, 3);
        let pool = g.max_pool("pool", a, Window::square(2, 2, 0));
        block(g, "b", pool, 8, 3);
    })
    .network;
    let network = Network::new(&Device::cpu(), network);
    let style = Recipe::style(noise(24, 20, 1), [noise(20, 24, 2)]).size(24);
    let layers = default_layers(network.graph(), Purpose::Dream).expect("a layer to dream of");
    let dream = Recipe::dream(
        noise(24, 20, 3),
        layers,
        DreamSubject::Layers,
        DreamPreset::Google,
    );
    for recipe in [style, dream] {
        let mut run = recipe
            .iterations(2)
            .compile(network.device(), &network)
            .expect("it compiles");
        run.run(|_| ControlFlow::Continue(())).expect("it runs");
        let image = run.image().expect("an image");
        assert!(image.rgb.iter().all(|value| value.is_finite()));
    }
}

/// A classifier is a softmax at the end, whatever it is called, of one score for each class.
#[test]
fn a_classifier_of_anyones() {
    let network = case("classifier", &[], true, |g, x| {
        // What has the usual name is something else.
        let a = block(g, "prob", x, 8, 3);
        let scores = g.conv("scores", a, "scores", 4, Window::square(6, 1, 0));
        g.softmax("classes", scores);
    })
    .network;
    let network = Network::new(&Device::cpu(), network);
    let found = classify(&network, &noise(6, 6, 1), Size::Native, 4).expect("classes");
    assert_eq!(found.len(), 4);
    let sum: f32 = found.iter().map(|score| score.probability).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert!(found.is_sorted_by(|a, b| a.logit >= b.logit && a.probability >= b.probability));

    let several = [
        classify(&network, &noise(9, 7, 1), Size::Native, 4).expect_err("four positions"),
        top_one(&network, &[noise(9, 7, 1)]).expect_err("four positions"),
        Evolution::new(8)
            .dry_run(&network)
            .expect_err("nine positions"),
    ];
    for error in several {
        let message = error.to_string();
        assert!(message.contains("one score for each class"), "{message}");
    }
}
