//! Whole networks: the planned forward pass against plain loops, the planned gradient against central differences
//! in f64, and the GPU and `cpu` against f64.

use std::ops::ControlFlow;

use pixgrad::Network;
use pixgrad::engine::device::{Device, Kind};
use pixgrad::engine::kernels::{View, from_quads, to_quads};
use pixgrad::engine::net::{self, Architecture, NodeId};
use pixgrad::engine::objective::{Content, Gram, Tv};
use pixgrad::engine::plan::{Iteration, Placed, Problem, Program};
use pixgrad::engine::schedule::{Executor, Loaded};

use crate::common::{GPU, distance, random, root, uniform};
use crate::plain;

/// ‖a − b‖/‖b‖ allowed for a whole network's gradient in f32.
const TOLERANCE: f64 = 1e-4;

/// An architecture with the layers that an objective reads: content at one, Gram at the others, and the image's size.
struct Case {
    architecture: Architecture,
    convs: usize,
    content: &'static str,
    gram: &'static [&'static str],
    size: (u32, u32),
}

const CASES: &[Case] = &[
    Case {
        architecture: Architecture::SqueezeNet1_1,
        convs: 26,
        content: "logits",
        gram: &["relu_conv1", "fire2/concat", "fire4/expand3x3"],
        size: (39, 45),
    },
    Case {
        architecture: Architecture::SqueezeNet1_0,
        convs: 26,
        content: "prob",
        gram: &["fire3/squeeze1x1"],
        size: (41, 36),
    },
    Case {
        architecture: Architecture::Vgg19,
        convs: 9,
        content: "relu4_1",
        // conv2_1 is read before its ReLU, which is then a kernel of its own.
        gram: &["relu1_1", "conv2_1", "pool2"],
        size: (33, 28),
    },
    Case {
        architecture: Architecture::Vgg16,
        convs: 5,
        content: "relu3_1",
        gram: &["relu2_2"],
        size: (17, 24),
    },
    Case {
        architecture: Architecture::AlexNet,
        convs: 5,
        content: "relu5",
        gram: &["relu1", "pool2"],
        size: (67, 71),
    },
    Case {
        architecture: Architecture::GoogLeNetBvlc,
        convs: usize::MAX,
        content: "logits",
        gram: &["conv2/3x3", "inception_3a/output", "inception_4b/5x5"],
        size: (49, 40),
    },
];

impl Case {
    fn network(&self) -> net::Network {
        net::Network::random(self.architecture, 10, self.convs, 7).expect("a random network")
    }

    fn view(&self, n: u32) -> View {
        View::new(n, self.size.0, self.size.1, 3)
    }

    /// The objective on a device, with random targets of the layers' own magnitude.
    fn objective(&self, network: &Network) -> Vec<Placed> {
        let device = network.device();
        let graph = network.graph();
        let mut rng = random(11);
        let node = graph.find(self.content).expect("a layer");
        let shape = graph
            .shape(node, self.size.0, self.size.1)
            .expect("a shape");
        let view = View::new(1, shape.height, shape.width, shape.channels);
        let target = to_quads(view, &uniform(&mut rng, view.elements()));
        let target = device
            .buffer_from("content target", &target)
            .expect("a buffer");
        let mut terms = vec![
            Placed {
                node,
                term: Box::new(Content::new(target, view, 3.0)),
                group: 0,
                labels: None,
            },
            Placed {
                node: NodeId(0),
                term: Box::new(Tv::new(0.5)),
                group: 1,
                labels: None,
            },
        ];
        for layer in self.gram {
            let node = graph.find(layer).expect("a layer");
            let channels = graph.node(node).channels;
            let padded = channels.next_multiple_of(4) as usize;
            let mut gram = vec![0.0; padded * padded];
            for i in 0..channels as usize {
                for j in 0..=i {
                    let value = uniform(&mut rng, 1)[0];
                    gram[i * padded + j] = value;
                    gram[j * padded + i] = value;
                }
            }
            let target = device.buffer_from("gram target", &gram).expect("a buffer");
            terms.push(Placed {
                node,
                term: Box::new(Gram::new(target, channels, 2.0)),
                group: 2,
                labels: None,
            });
        }
        terms
    }

    fn executor(&self, device: &Device, n: u32) -> Executor {
        let network = Network::new(device, self.network());
        let terms = self.objective(&network);
        let plan = Iteration::new(&Problem::new(&network, self.view(n), &terms)).expect("a plan");
        Executor::new(device, plan).expect("an executor")
    }

    fn image(&self, n: u32) -> Vec<f64> {
        let view = self.view(n);
        let image: Vec<f64> = uniform(&mut random(3), view.elements())
            .iter()
            .map(|v| 0.5 + 0.5 * f64::from(*v))
            .collect();
        to_quads(view, &image)
    }
}

/// The total at an image, and the gradient there in the engine's layout.
pub fn evaluate(executor: &mut Executor, image: &[f64]) -> (f64, Vec<f64>) {
    let device = executor.device().clone();
    let (input, output, ring) = (
        executor.handles().image,
        executor.handles().gradient,
        executor.handles().ring,
    );
    let slots = executor.handles().groups.len();
    device
        .upload_f64(executor.buffer(input.value), image)
        .expect("the image fits");
    let row = executor.done() as usize % 64 * slots;
    let _ = executor
        .run(1, &mut |_| ControlFlow::Continue(()))
        .expect("an iteration");
    let losses = device.download_f64(executor.buffer(ring)).expect("losses");
    let gradient = device
        .download_f64(executor.buffer(output.value))
        .expect("a gradient");
    (
        losses[row..row + slots].iter().sum(),
        gradient[..output.view.len()].to_vec(),
    )
}

#[test]
fn gradients_are_central_differences() {
    for case in CASES {
        let mut executor = case.executor(&Device::oracle(), 1);
        let image = case.image(1);
        let (_, gradient) = evaluate(&mut executor, &image);
        for seed in 0..2 {
            let direction = uniform(&mut random(90 + seed), case.view(1).elements());
            let direction: Vec<f64> = to_quads(case.view(1), &direction)
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            // Small enough that hardly a ReLU or a maximum changes sides, large enough for the 16 digits of f64.
            let step = 1e-7;
            let moved = |sign: f64| {
                image
                    .iter()
                    .zip(&direction)
                    .map(|(x, d)| x + sign * step * d)
                    .collect::<Vec<_>>()
            };
            let (up, down) = (
                evaluate(&mut executor, &moved(1.0)).0,
                evaluate(&mut executor, &moved(-1.0)).0,
            );
            let measured = (up - down) / (2.0 * step);
            let analytic: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let scale = gradient.iter().map(|g| g * g).sum::<f64>().sqrt()
                * direction.iter().map(|d| d * d).sum::<f64>().sqrt()
                / (direction.len() as f64).sqrt();
            assert!(
                (measured - analytic).abs() <= 1e-5 * scale.max(analytic.abs()),
                "{}: {analytic} should be {measured}",
                case.architecture
            );
        }
    }
}

#[test]
fn gpu_and_cpu_agree_with_the_oracle() {
    for case in CASES {
        let n = if case.architecture == Architecture::SqueezeNet1_1 {
            2
        } else {
            1
        };
        let image = case.image(n);
        let (total, gradient) = evaluate(&mut case.executor(&Device::oracle(), n), &image);
        for device in [&Device::cpu(), &*GPU] {
            let (loss, actual) = evaluate(&mut case.executor(device, n), &image);
            let error = distance(&actual, &gradient);
            assert!(
                error <= TOLERANCE,
                "{} on {device:?}: gradient off by {error:.2e}",
                case.architecture
            );
            let error = (loss - total).abs() / total;
            assert!(
                error <= 1e-5,
                "{} on {device:?}: loss off by {error:.2e}",
                case.architecture
            );
        }
    }
}

/// The images of a batch do not see each other: gradients of a batch of two are those of each alone.
#[test]
fn a_batch_is_its_images() {
    let case = &CASES[0];
    let image = case.image(2);
    let both = evaluate(&mut case.executor(&Device::oracle(), 2), &image).1;
    let half = image.len() / 2;
    for (i, part) in image.chunks(half).enumerate() {
        let alone = evaluate(&mut case.executor(&Device::oracle(), 1), part).1;
        // Not bit for bit: factors such as weight/n are rounded to f32 for the kernels.
        assert!(distance(&both[i * half..(i + 1) * half], &alone) < 1e-7);
    }
}

/// The same image twice gives the same bits, on every device.
#[test]
fn results_are_reproducible() {
    let case = &CASES[0];
    for device in [&Device::cpu(), &*GPU] {
        let run = || evaluate(&mut case.executor(device, 1), &case.image(1)).1;
        assert_eq!(run(), run(), "{device:?}");
    }
}

/// As trained, and otherwise.
const WIRINGS: [(net::Padding, net::Pooling); 5] = [
    (net::Padding::Zero, net::Pooling::Max),
    (net::Padding::Replicate, net::Pooling::Max),
    (net::Padding::ReplicateFirst, net::Pooling::Max),
    (net::Padding::Wrap, net::Pooling::Max),
    (net::Padding::Wrap, net::Pooling::Average),
];

#[test]
fn forward_passes_are_the_layers_definitions() {
    for ((architecture, convs, layers, size), (padding, pooling)) in [
        (
            Architecture::SqueezeNet1_1,
            26,
            &["relu_conv1", "pool1", "fire3/concat", "prob"][..],
            (35, 40),
        ),
        (
            Architecture::GoogLeNetBvlc,
            9,
            &["conv2/3x3", "inception_3a/output"][..],
            (33, 30),
        ),
        (Architecture::Vgg19, 3, &["conv2_1", "pool1"][..], (10, 12)),
    ]
    .into_iter()
    .flat_map(|case| WIRINGS.map(|wiring| (case, wiring)))
    {
        let graph = net::Network::random(architecture, 10, convs, 5).expect("a random network");
        let graph = graph.rewired(padding, pooling);
        let view = View::new(1, size.0, size.1, 3);
        let pixels: Vec<f64> = uniform(&mut random(8), view.elements())
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        let device = Device::oracle();
        let network = Network::new(&device, graph.clone());
        let nodes: Vec<NodeId> = layers
            .iter()
            .map(|l| graph.find(l).expect("a layer"))
            .collect();
        let (program, image, tensors) =
            Program::forward(&network, view, &nodes).expect("a forward pass");
        let mut loaded = Loaded::new(&device, program).expect("memory");
        let input = loaded.buffer(image.value).clone();
        assert_eq!(input.kind(), Kind::Real);
        device
            .upload_f64(&input, &to_quads(view, &pixels))
            .expect("the image fits");
        loaded.run_once().expect("a forward pass");
        for ((layer, node), tensor) in layers.iter().zip(&nodes).zip(tensors) {
            let image = plain::image(size, &pixels);
            let expected = plain::run(&graph, image, *node);
            let packed = device
                .download_f64(loaded.buffer(tensor.value))
                .expect("read back");
            let error = distance(&from_quads(tensor.view, &packed), &expected.v);
            assert!(error < 1e-12, "{architecture} {layer}: off by {error:.1e}");
            assert_eq!(expected.v.len(), tensor.view.elements());
        }
    }
}

/// The embedded f16 network says what the f32 file that it was made of says, and what the sample shows.
#[test]
fn the_embedded_network_agrees_with_its_f32_file() {
    use pixgrad::engine::methods::classify::{Size, classify};
    let device = Device::cpu();
    let cat = root().join("samples/images/chelsea.png");
    let cat = pixgrad::engine::image::load(cat).expect("a sample");
    let scores = |spec: &str| {
        let network = Network::load(&device, spec).expect("a network");
        let mut scores = classify(&network, &cat, Size::Crop224, 1000).expect("a classifier");
        scores.sort_by_key(|score| score.class);
        scores
    };
    let embedded = scores("squeezenet1_1");
    let sum: f32 = embedded.iter().map(|s| s.probability).sum();
    assert!((sum - 1.0).abs() < 1e-4);
    for (class, probability) in [(285, 0.50), (281, 0.26), (282, 0.23)] {
        let found = embedded[class].probability;
        assert!(
            (found - probability).abs() <= 2e-2,
            "{}: {found}",
            embedded[class].label
        );
    }
    let file = root().join("../shared/weights/squeezenet1_1.safetensors");
    let name = file.display().to_string();
    if !file.exists() {
        eprintln!("no {name} here: the embedded network is held against the published scores only");
        return;
    }
    for (a, b) in embedded.iter().zip(scores(&name)) {
        assert!((a.probability - b.probability).abs() <= 2e-2, "{}", a.label);
    }
}
