//! An image seen in bands of rows: the same gradient and the same values as when it is seen whole, in less memory.

use std::ops::ControlFlow;

use pixgrad::engine::device::{Buffer, Device, DeviceOptions};
use pixgrad::engine::kernels::{VectorKernel, View, to_quads};
use pixgrad::engine::net::{self, Architecture, NodeId, Padding, Pooling};
use pixgrad::engine::objective::{
    Activation, ChannelStatistics, Content, Direction, Energy, Gram, Guide, Masked, Mmd, MmdTarget,
    Selection, Term, Tv, VectorSet, Wasserstein,
};
use pixgrad::engine::plan::{Bands, Iteration, Placed, Problem};
use pixgrad::engine::schedule::Executor;
use pixgrad::{Error, Image, Network, PlanError, Precision, Recipe};

use crate::common::{GPU, distance, random, uniform};

/// An architecture cut at some convolution, with layers of different strides, and an image whose height no stride
/// divides.
struct Case {
    architecture: Architecture,
    convs: usize,
    content: &'static str,
    gram: &'static [&'static str],
    size: (u32, u32),
    bands: &'static [u32],
    /// The last term, at the first Gram layer, is seen through a mask, and the network pads and pools otherwise.
    masked: bool,
}

const CASES: &[Case] = &[
    Case {
        architecture: Architecture::SqueezeNet1_1,
        convs: 17,
        content: "fire3/concat",
        gram: &["relu_conv1", "fire2/squeeze1x1", "fire5/concat"],
        size: (171, 36),
        bands: &[2, 3, 5],
        masked: false,
    },
    Case {
        architecture: Architecture::Vgg19,
        convs: 5,
        content: "relu3_1",
        gram: &["relu1_1", "relu2_1"],
        size: (70, 17),
        bands: &[2, 4],
        masked: false,
    },
    Case {
        architecture: Architecture::AlexNet,
        convs: 3,
        content: "relu3",
        gram: &["relu1", "pool2"],
        size: (199, 67),
        bands: &[3],
        masked: false,
    },
    // LRN, overlapping pools with ceil mode, concatenations of branches of different reach.
    Case {
        architecture: Architecture::GoogLeNetBvlc,
        convs: 15,
        content: "inception_3a/output",
        gram: &["conv2/3x3", "inception_3a/5x5"],
        size: (150, 33),
        bands: &[2, 6],
        masked: false,
    },
    Case {
        architecture: Architecture::Vgg19,
        convs: 5,
        content: "relu3_1",
        gram: &["relu2_1", "pool1"],
        size: (140, 9),
        bands: &[2, 3],
        masked: true,
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
        let target = to_quads(view, &uniform(&mut rng, view.elements()));
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
        if !self.masked {
            terms.push(placed(again, content, 3));
            return terms;
        }
        // Each band has its rows of the mask.
        let mask = uniform(&mut rng, (view.h * view.w) as usize);
        let mask = device.buffer_from("mask", &mask).expect("a buffer");
        terms.push(placed(again, Box::new(Masked::new(content, mask)), 3));
        terms
    }

    fn network(&self, device: &Device) -> Network {
        let graph = net::Network::random(self.architecture, 10, self.convs, 7);
        let network = Network::new(device, graph.expect("a random network"));
        if self.masked {
            network.rewired(Padding::Replicate, Pooling::Average)
        } else {
            network
        }
    }

    /// Every term's value, and the gradient.
    fn evaluate(&self, device: &Device, bands: u32) -> (Vec<f64>, Vec<f64>) {
        let network = self.network(device);
        let terms = self.objective(&network);
        let len = View::new(1, self.size.0, self.size.1, 3).elements();
        evaluate(
            &network,
            self.size,
            &terms,
            bands,
            &uniform(&mut random(3), len),
        )
        .expect("a plan")
    }
}

/// Every term's value at an image of `size` (height, width), `[3,H,W]`, and the gradient.
fn evaluate(
    network: &Network,
    size: (u32, u32),
    terms: &[Placed],
    bands: u32,
    image: &[f32],
) -> Result<(Vec<f64>, Vec<f64>), Error> {
    let device = network.device();
    let view = View::new(1, size.0, size.1, 3);
    let problem = Problem {
        bands,
        ..Problem::new(network, view, terms)
    };
    let mut executor = Executor::new(device, Iteration::new(&problem)?)?;
    let image = to_quads(view, image);
    device.upload(executor.buffer(executor.handles().image.value), &image)?;
    let mut losses = Vec::new();
    let _ = executor.run(1, &mut |step| {
        losses = step.losses.iter().map(|l| f64::from(*l)).collect();
        ControlFlow::Continue(())
    })?;
    let gradient = executor.handles().gradient;
    let values = device.download_f64(executor.buffer(gradient.value))?;
    // Its slot may be longer.
    Ok((losses, values[..gradient.view.len()].to_vec()))
}

/// In f64 the two differ by the order of sums, and by the f32 in which kernels take their factors; in f32 by no more
/// than either does from f64.
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

/// In 16 bits, too: what is added up in bands is rounded once more for each, and no sign is lost.
#[test]
fn bands_change_nothing_in_sixteen_bits() {
    for case in CASES {
        for device in [&Device::cpu(), &*GPU] {
            let network = case.network(device).with_precision(Precision::F16);
            let terms = case.objective(&network);
            let len = View::new(1, case.size.0, case.size.1, 3).elements();
            let image = uniform(&mut random(3), len);
            let at = |bands| evaluate(&network, case.size, &terms, bands, &image).expect("a plan");
            let (_, whole) = at(1);
            for &bands in case.bands {
                let (_, gradient) = at(bands);
                let error = distance(&gradient, &whole);
                let name = format!("{} in {bands} bands on {device:?}", case.architecture);
                assert!(error <= 1e-3, "{name}: gradient off by {error:.2e}");
            }
        }
    }
}

/// Makes a term of a layer of a shape.
type Make = fn(&Device, View) -> Box<dyn Term>;

/// Numbers for a target: between 0.2 and 1.
fn goal(len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| 0.6 + 0.4 * (i as f64 * 0.7).sin())
        .collect()
}

/// Means and variances of a target: [2, C⁺].
fn moments(layer: View) -> Vec<f32> {
    let mut half: Vec<f32> = goal(layer.c as usize).iter().map(|v| *v as f32).collect();
    half.resize(layer.padded(), 0.0);
    [half.clone(), half].concat()
}

fn upload(device: &Device, values: &[f32]) -> Buffer {
    device.buffer_from("target", values).expect("a buffer")
}

/// Terms beside `gram` and `content` that are made of sums over positions.
const SUMS: [(&str, Make); 9] = [
    ("bn", |device, layer| {
        let goal = moments(layer);
        Box::new(ChannelStatistics::bn(upload(device, &goal), 2.0))
    }),
    ("bn through a mask", |device, layer| {
        let goal = moments(layer);
        let mut mask = uniform(&mut random(6), (layer.h * layer.w) as usize);
        let mean = mask.iter().map(|g| g * g).sum::<f32>() / mask.len() as f32;
        mask.iter_mut().for_each(|g| *g /= mean.sqrt());
        let term = ChannelStatistics::bn(upload(device, &goal), 2.0);
        Box::new(term.through(Some(upload(device, &mask).into())))
    }),
    ("mmd linear", |device, layer| {
        let goal = moments(layer);
        Box::new(ChannelStatistics::linear(upload(device, &goal), 2.0))
    }),
    ("wasserstein", |device, layer| {
        // Of a diagonal target the factor is known.
        let (c, side) = (layer.c as usize, layer.padded());
        let mut factor = vec![0.0; side * side];
        for (i, variance) in goal(c).into_iter().enumerate() {
            factor[i * side + i] = variance.sqrt() as f32;
        }
        let means: Vec<f32> = (0..side).map(|i| if i < c { 0.3 } else { 0.0 }).collect();
        let (means, factor) = (upload(device, &means), upload(device, &factor));
        Box::new(Wasserstein::new(means, factor, layer.c, 2.0))
    }),
    ("energy", |device, layer| {
        Box::new(Energy::new(device, layer, 0.5).expect("a term"))
    }),
    ("activation of a channel", |device, layer| {
        let channel = Selection::upload(device, layer, &[Selection::channel(layer, 1)]);
        Box::new(Activation::new(channel.expect("a selection"), true, -1.5))
    }),
    // All bands but one have nothing of it.
    ("activation of a unit", |device, layer| {
        let (row, column) = Selection::center(layer);
        let unit = Selection {
            channels: 0..layer.c,
            ..Selection::unit(0, row, column)
        };
        let unit = Selection::upload(device, layer, &[unit]);
        Box::new(Activation::new(unit.expect("a selection"), false, -1.5))
    }),
    ("direction", |device, layer| {
        let vector = uniform(&mut random(1), layer.c as usize);
        Box::new(Direction::new(device, layer, &vector, 2.0, -3.0).expect("a term"))
    }),
    ("guide", |device, layer| {
        let view = View::new(1, 5, 7, layer.c);
        let target = uniform(&mut random(2), view.elements());
        Box::new(Guide::new(
            upload(device, &to_quads(view, &target)),
            view,
            -0.25,
        ))
    }),
];

/// Each of them alone, of an image that is dark above and bright below, so that no band is like another.
#[test]
fn bands_change_no_sum_over_positions() {
    for (case, layer) in [(&CASES[0], "fire2/squeeze1x1"), (&CASES[1], "relu1_1")] {
        let (h, w) = case.size;
        let mut image = uniform(&mut random(4), (3 * h * w) as usize);
        for (i, value) in image.iter_mut().enumerate() {
            *value *= ((i as u32 / w % h) as f32 / h as f32).powi(2);
        }
        for (term, make) in SUMS {
            let at = |device: &Device, bands: u32| {
                let network = case.network(device);
                let node = network.graph().find(layer).expect("a layer");
                let shape = network.graph().shape(node, h, w).expect("a shape");
                let view = View::new(1, shape.height, shape.width, shape.channels);
                let placed = Placed {
                    node,
                    term: make(device, view),
                    group: 0,
                    labels: None,
                };
                evaluate(&network, case.size, &[placed], bands, &image).expect("a plan")
            };
            let (loss, whole) = at(&Device::oracle(), 1);
            for (device, of_value, of_gradient) in [
                (&Device::oracle(), 1e-6, 1e-7),
                (&Device::cpu(), 1e-5, 1e-4),
                (&*GPU, 1e-5, 1e-4),
            ] {
                for &bands in case.bands {
                    let (got, gradient) = at(device, bands);
                    let name = format!("{term} at {layer} in {bands} bands on {device:?}");
                    let error = distance(&gradient, &whole);
                    assert!(error <= of_gradient, "{name}: gradient off by {error:.2e}");
                    let error = distance(&got, &loss);
                    assert!(error <= of_value, "{name}: {got:?}, not {loss:?}");
                }
            }
        }
    }
}

/// What needs all positions at once is told so, and a size that does not fit tells why it is not cut.
#[test]
fn a_term_of_pairs_of_positions_is_refused() {
    let case = &CASES[1];
    let network = case.network(&Device::cpu());
    let node = network.graph().find("relu1_1").expect("a layer");
    let view = View::new(1, case.size.0, case.size.1, 64);
    let set = VectorSet::new(64, &[(9, 1.0)]);
    let vectors = upload(network.device(), &uniform(&mut random(1), set.view.len()));
    let target = MmdTarget {
        kernel: VectorKernel::Gaussian(0.5f64.into()),
        set,
        vectors: vectors.into(),
        similarity: 1.0f64.into(),
    };
    let term = Mmd::new(network.device(), view, target, 0, 1.0).expect("a term");
    let placed = Placed {
        node,
        term: Box::new(term),
        group: 0,
        labels: None,
    };
    let image = vec![0.0; 3 * (case.size.0 * case.size.1) as usize];
    match evaluate(&network, case.size, &[placed], 2, &image) {
        Err(Error::Plan(error @ PlanError::WholeLayer { .. })) => {
            let message = error.to_string();
            assert!(
                message.contains("`relu1_1` cannot be computed in bands: `mmd`"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }

    let network = Network::load(&limited(Some(12 << 20)), "squeezenet1_1").expect("a network");
    let losses = ["mmd-gaussian".parse().expect("a loss")];
    let recipe = Recipe::style(picture(600, 600, 1), [picture(64, 64, 2)]).style_losses(&losses);
    let why = recipe
        .size(400)
        .dry_run(&network)
        .expect_err("too large")
        .to_string();
    assert!(why.contains("cannot be computed in bands"), "{why}");
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
        // The layer's own name: `logits` is another one for it.
        Err(Error::Plan(PlanError::WholeImage { layer })) => assert_eq!(layer, "pool10"),
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

fn limited(memory: Option<u64>) -> Device {
    let options = DeviceOptions {
        device: Some("cpu".to_string()),
        memory,
        ..Default::default()
    };
    Device::new(&options).expect("the processor")
}

/// With less memory than it needs whole, a picture is painted in bands: the very picture, within the limit, and what
/// the plan says is what is taken.
#[test]
fn a_limit_on_memory_is_kept() {
    for loss in ["gram", "bn", "mmd-linear", "wasserstein"] {
        a_limit_is_kept_with(loss);
    }
    // And where no number of bands fits, the size that does is named.
    let network =
        Network::load(&limited(Some(12 << 20)), "squeezenet1_1").expect("the embedded network");
    let recipe = Recipe::style(picture(600, 600, 1), [picture(64, 64, 2)]).size(600);
    match recipe.dry_run(&network) {
        Err(Error::TooLarge {
            largest: Some(side),
            ..
        }) => assert!((32..600).contains(&side), "{side}"),
        other => panic!("{other:?}"),
    }
}

fn a_limit_is_kept_with(loss: &str) {
    let losses = [loss.parse().expect("a style loss")];
    let paint = |device: &Device| {
        let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
        let mut recipe = Recipe::style(picture(256, 320, 1), [picture(200, 160, 2)])
            .style_losses(&losses)
            .size(320)
            .min_size(226)
            .iterations(2);
        if loss != "gram" {
            // They keep less of the default layers, the deepest of which sees half of this picture: nothing to be
            // saved.
            let layers = ["relu_conv1", "fire2/concat", "fire3/concat"];
            let styles = recipe.terms.iter_mut();
            for style in styles.filter_map(|term| term.kind.style_mut()) {
                style.layers = layers.map(Into::into).to_vec();
            }
        }
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
    assert!(bands[1] > 1, "{loss}: {bands:?}");
    assert!(
        peak <= limit && allocated <= limit,
        "{loss}: {peak}, {allocated} of {limit}"
    );
    let ratio = allocated as f64 / peak as f64;
    assert!(
        (0.95..=1.05).contains(&ratio),
        "{allocated} of {peak} bytes"
    );
    let db = pixgrad::engine::image::psnr(&image, &whole).expect("equal sizes");
    assert!(db >= 60.0, "{loss}: {db} dB");
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
