//! An image seen in bands of rows: the same gradient and the same values as when it is seen whole, in less memory.

use std::ops::ControlFlow;

use pixgrad::device::{Device, DeviceOptions};
use pixgrad::kernels::{View, pack};
use pixgrad::net::{self, Architecture, NodeId, Padding, Pooling};
use pixgrad::objective::{Content, Gram, Masked, Tv};
use pixgrad::plan::{Bands, Placed, Plan, Problem};
use pixgrad::schedule::Executor;
use pixgrad::{Error, Image, Network, Recipe};

use crate::common::{GPU, random, uniform};

/// An architecture cut at some convolution, with layers of different strides, and an image whose height no stride divides.
struct Case {
    architecture: Architecture,
    convs: usize,
    content: &'static str,
    gram: &'static [&'static str],
    size: (u32, u32),
    bands: &'static [u32],
    /// The last term, at the first Gram layer, is seen through a guide, and the network pads and pools otherwise.
    guided: bool,
}

const CASES: &[Case] = &[
    Case {
        architecture: Architecture::SqueezeNet1_1,
        convs: 17,
        content: "fire3/concat",
        gram: &["relu_conv1", "fire2/squeeze1x1", "fire5/concat"],
        size: (171, 36),
        bands: &[2, 3, 5],
        guided: false,
    },
    Case {
        architecture: Architecture::Vgg19,
        convs: 5,
        content: "relu3_1",
        gram: &["relu1_1", "relu2_1"],
        size: (70, 17),
        bands: &[2, 4],
        guided: false,
    },
    Case {
        architecture: Architecture::AlexNet,
        convs: 3,
        content: "relu3",
        gram: &["relu1", "pool2"],
        size: (199, 67),
        bands: &[3],
        guided: false,
    },
    // LRN, overlapping pools with ceil mode, concatenations of branches of different reach.
    Case {
        architecture: Architecture::GoogLeNetBvlc,
        convs: 15,
        content: "inception_3a/output",
        gram: &["conv2/3x3", "inception_3a/5x5"],
        size: (150, 33),
        bands: &[2, 6],
        guided: false,
    },
    Case {
        architecture: Architecture::Vgg19,
        convs: 5,
        content: "relu3_1",
        gram: &["relu2_1", "pool1"],
        size: (140, 9),
        bands: &[2, 3],
        guided: true,
    },
];

impl Case {
    fn objective(&self, network: &Network) -> Vec<Placed> {
        let (device, graph) = (network.device(), network.graph());
        let mut rng = random(5);
        let node = graph.find(self.content).expect("a layer");
        let shape = graph
            .shape(node, self.size.0, self.size.1)
            .expect("a shape");
        let view = View::new(1, shape.height, shape.width, shape.channels);
        let target = pack(view, &uniform(&mut rng, view.elements()));
        let target = device.buffer_from("content", &target).expect("a buffer");
        let placed = |node, term, group| Placed {
            node,
            term,
            group,
            labels: None,
        };
        let mut terms = vec![
            placed(node, Box::new(Content::new(target, view, 3.0)), 0),
            placed(NodeId(0), Box::new(Tv::new(0.5)), 1),
        ];
        for layer in self.gram {
            let node = graph.find(layer).expect("a layer");
            let channels = graph.node(node).channels;
            let side = channels.next_multiple_of(4) as usize;
            let target = device
                .buffer_from("gram", &vec![0.0; side * side])
                .expect("a buffer");
            terms.push(placed(node, Box::new(Gram::new(target, channels, 2.0)), 2));
        }
        // A second term at a layer that has one already.
        let again = graph.find(self.gram[0]).expect("a layer");
        let shape = graph
            .shape(again, self.size.0, self.size.1)
            .expect("a shape");
        let view = View::new(1, shape.height, shape.width, shape.channels);
        let target = device
            .buffer_from("content", &vec![0.0; view.len()])
            .expect("a buffer");
        let content = Box::new(Content::new(target, view, 0.7));
        if !self.guided {
            terms.push(placed(again, content, 3));
            return terms;
        }
        // Each band has its rows of the guide.
        let guide = uniform(&mut rng, (view.h * view.w) as usize);
        let guide = device.buffer_from("guide", &guide).expect("a buffer");
        terms.push(placed(again, Box::new(Masked::new(content, guide)), 3));
        terms
    }

    /// Every term's value, and the gradient.
    fn evaluate(&self, device: &Device, bands: u32) -> (Vec<f64>, Vec<f64>) {
        let graph = net::Network::random(self.architecture, 10, self.convs, 7);
        let mut network = Network::new(device, graph.expect("a random network"));
        if self.guided {
            network = network.rewired(Padding::Replicate, Pooling::Average);
        }
        let terms = self.objective(&network);
        let view = View::new(1, self.size.0, self.size.1, 3);
        let problem = Problem {
            bands,
            ..Problem::new(&network, view, &terms)
        };
        let plan = Plan::new(&problem).expect("a plan");
        let mut executor = Executor::new(device, plan).expect("an executor");
        let image = pack(view, &uniform(&mut random(3), view.elements()));
        device
            .upload(executor.buffer(executor.plan().image.value), &image)
            .expect("the image fits");
        let mut losses = Vec::new();
        let _ = executor
            .run(1, &mut |step| {
                losses = step.losses.iter().map(|l| f64::from(*l)).collect();
                ControlFlow::Continue(())
            })
            .expect("an iteration");
        let gradient = executor.plan().gradient;
        let values = device.download_f64(executor.buffer(gradient.value));
        // Its slot may be longer.
        let values = values.expect("a gradient")[..gradient.view.len()].to_vec();
        (losses, values)
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let error: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    let norm: f64 = b.iter().map(|b| b * b).sum();
    (error / norm).sqrt()
}

/// In f64 the two differ by the order of sums, and by the f32 in which kernels take their factors; in f32 by no more than
/// either does from f64.
#[test]
fn bands_change_nothing() {
    for case in CASES {
        let (whole_losses, whole) = case.evaluate(&Device::oracle(), 1);
        for &bands in case.bands {
            let (losses, gradient) = case.evaluate(&Device::oracle(), bands);
            let name = format!("{} in {bands} bands", case.architecture);
            let error = distance(&gradient, &whole);
            assert!(error <= 1e-7, "{name}: gradient off by {error:.2e}");
            let error = distance(&losses, &whole_losses);
            assert!(error <= 1e-6, "{name}: {losses:?}, not {whole_losses:?}");
        }
        for device in [&Device::cpu(), &*GPU] {
            let bands = case.bands[0];
            let (_, gradient) = case.evaluate(device, bands);
            let error = distance(&gradient, &whole);
            assert!(
                error <= 1e-4,
                "{} in {bands} bands on {device:?}: gradient off by {error:.2e}",
                case.architecture
            );
        }
    }
}

#[test]
fn what_cannot_be_cut_is_said() {
    let graph = net::Network::random(Architecture::SqueezeNet1_1, 10, 26, 7);
    let graph = graph.expect("a random network");
    let image = View::new(1, 128, 64, 3);
    let cut = |layer: &str, count| {
        let node = graph.find(layer).expect("a layer");
        Bands::new(&graph, &[node], image, count)
    };
    assert_eq!(cut("fire2/concat", 4).map(|b| b.len()).ok(), Some(4));
    assert_eq!(cut("logits", 1).map(|b| b.len()).ok(), Some(1));
    match cut("logits", 2) {
        Err(Error::Plan(message)) => assert!(message.contains("sees the whole image"), "{message}"),
        other => panic!("{other:?}"),
    }
    // Never more bands than the deepest layer has rows.
    assert!(cut("fire9/concat", 100).map_or(true, |b| b.len() <= 8));
}

fn picture(width: u32, height: u32, seed: u64) -> Image {
    let values = uniform(&mut random(seed), (width * height * 3) as usize);
    let rgb = values.iter().map(|v| v.abs().min(1.0)).collect();
    Image::new(width, height, rgb).expect("an image")
}

/// With less memory than it needs whole, a picture is painted in bands: the very picture, within the limit, and what the
/// plan says is what is taken.
#[test]
fn a_limit_on_memory_is_kept() {
    let limited = |memory| {
        let options = DeviceOptions {
            device: Some("cpu".to_string()),
            memory,
            ..Default::default()
        };
        Device::new(&options).expect("the processor")
    };
    let paint = |device: &Device| {
        let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
        let recipe = Recipe::style(picture(256, 320, 1), [picture(200, 160, 2)])
            .size(320)
            .min_size(226)
            .iterations(2);
        let mut run = recipe.compile(device, &network).expect("a plan");
        let peak = run.plan().iter().map(|s| s.peak_bytes).max();
        let bands: Vec<u32> = run.plan().iter().map(|s| s.bands).collect();
        let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
        let image = run.image().expect("a picture");
        (image, bands, peak.unwrap_or(0), device.allocated().1)
    };
    let (whole, bands, peak, _) = paint(&limited(None));
    assert_eq!(bands, [1, 1]);
    let limit = peak * 9 / 10;
    let (image, bands, peak, allocated) = paint(&limited(Some(limit)));
    assert!(bands[1] > 1, "{bands:?}");
    assert!(
        peak <= limit && allocated <= limit,
        "{peak}, {allocated} of {limit}"
    );
    let ratio = allocated as f64 / peak as f64;
    assert!(
        (0.95..=1.05).contains(&ratio),
        "{allocated} of {peak} bytes"
    );
    let db = pixgrad::image::psnr(&image, &whole).expect("equal sizes");
    assert!(db >= 60.0, "{db} dB");
    // And where no number of bands fits, the size that does is named.
    let device = limited(Some(12 << 20));
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let recipe = Recipe::style(picture(600, 600, 1), [picture(64, 64, 2)]).size(600);
    match recipe.dry_run(&network) {
        Err(Error::TooLarge {
            largest: Some(side),
            ..
        }) => assert!((32..600).contains(&side), "{side}"),
        other => panic!("{other:?}"),
    }
}

/// The top of a tile sees its bottom, which no band has.
#[test]
fn a_tile_is_seen_whole() {
    let case = &CASES[1];
    let graph = net::Network::random(case.architecture, 10, case.convs, 7);
    let network = Network::new(&Device::cpu(), graph.expect("a random network"));
    let network = network.rewired(Padding::Wrap, Pooling::Max);
    let nodes = [network.graph().find("relu2_1").expect("a layer")];
    let cut = |count| Bands::new(network.graph(), &nodes, View::new(1, 64, 16, 3), count);
    assert!(cut(1).is_ok());
    let why = cut(2).expect_err("refused").to_string();
    assert!(why.contains("beyond its edges"), "{why}");
}
