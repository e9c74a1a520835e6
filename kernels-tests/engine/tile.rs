//! Tiles: everything that looks beyond an edge wraps around. Moving the image around moves the gradient around with it.

use std::ops::ControlFlow;

use pixgrad::engine::device::Device;
use pixgrad::engine::image::{Filter, Image, load, psnr};
use pixgrad::engine::kernels::{View, from_quads, to_quads};
use pixgrad::engine::net::{self, Architecture, NodeId, Padding, Pooling};
use pixgrad::engine::objective::{Gram, Tv};
use pixgrad::engine::plan::{Iteration, Placed, Problem};
use pixgrad::engine::schedule::Executor;
use pixgrad::terms;
use pixgrad::{FilterSpec, Init, OptimizerKind, Picture, TermKind, TermSpec};
use pixgrad::{Network, Recipe};

use crate::common::{GPU, distance, random, root, uniform};

/// An architecture with its convolutions, the layers of the Gram terms, the deepest one's stride and the image's size.
type Case = (
    Architecture,
    usize,
    &'static [&'static str],
    u32,
    (u32, u32),
);

const CASES: &[Case] = &[
    (
        Architecture::Vgg19,
        9,
        &["relu1_1", "relu3_1", "relu4_1"],
        8,
        (24, 40),
    ),
    (
        Architecture::SqueezeNet1_1,
        20,
        &["relu_conv1", "fire3/concat", "fire7/concat"],
        16,
        (32, 48),
    ),
    (Architecture::AlexNet, 5, &["relu1", "relu5"], 16, (32, 48)),
    (
        Architecture::GoogLeNetBvlc,
        21,
        &["conv2/3x3", "inception_3b/output", "inception_4a/1x1"],
        16,
        (32, 48),
    ),
];

/// d/dx of Gram terms and total variation at an image `[3,h,w]`.
fn gradient(
    case: &Case,
    (padding, pooling): (Padding, Pooling),
    device: &Device,
    image: &[f64],
) -> Vec<f64> {
    let (architecture, convs, layers, _, (h, w)) = *case;
    let graph = net::Network::random(architecture, 10, convs, 7).expect("a random network");
    let network = Network::new(device, graph).rewired(padding, pooling);
    let graph = network.graph();
    let mut terms = vec![Placed {
        node: NodeId(0),
        term: Box::new(Tv::new(3.0).wrapped(padding == Padding::Wrap)),
        group: 0,
        labels: None,
    }];
    for layer in layers {
        let node = graph.find(layer).expect("a layer");
        let channels = graph.node(node).channels;
        let padded = channels.next_multiple_of(4) as usize;
        let target = device.buffer_from("target", &vec![0.0; padded * padded]);
        terms.push(Placed {
            node,
            term: Box::new(Gram::new(target.expect("it fits"), channels, 1.0)),
            group: 1,
            labels: None,
        });
    }
    let view = View::new(1, h, w, 3);
    let plan = Iteration::new(&Problem::new(&network, view, &terms)).expect("a plan");
    let mut executor = Executor::new(device, plan).expect("an executor");
    let (input, output) = (executor.handles().image, executor.handles().gradient);
    device
        .upload_f64(executor.buffer(input.value), &to_quads(view, image))
        .expect("it fits");
    let _ = executor
        .run(1, &mut |_| ControlFlow::Continue(()))
        .expect("an iteration");
    let gradient = device
        .download_f64(executor.buffer(output.value))
        .expect("a gradient");
    from_quads(output.view, &gradient[..output.view.len()])
}

/// `[3,h,w]` moved around by dy rows and dx columns.
fn rolled(image: &[f64], (h, w): (u32, u32), (dy, dx): (u32, u32)) -> Vec<f64> {
    let (h, w, dy, dx) = (h as usize, w as usize, dy as usize, dx as usize);
    let from = |i: usize| {
        let (plane, row, col) = (i / (h * w), i / w % h, i % w);
        (plane * h + (row + h - dy) % h) * w + (col + w - dx) % w
    };
    (0..image.len()).map(|i| image[from(i)]).collect()
}

fn pixels((h, w): (u32, u32)) -> Vec<f64> {
    let noise = uniform(&mut random(3), (3 * h * w) as usize);
    noise.iter().map(|v| 0.5 + 0.5 * f64::from(*v)).collect()
}

#[test]
fn the_gradient_at_a_rolled_image_is_the_rolled_gradient() {
    for case in CASES {
        let (architecture, .., stride, size) = *case;
        let image = pixels(size);
        let by = (stride, size.1 - stride);
        let moved = rolled(&image, size, by);
        for pooling in [Pooling::Max, Pooling::Average] {
            let off = |padding: Padding| {
                let at = |x: &[f64]| gradient(case, (padding, pooling), &Device::oracle(), x);
                distance(&at(&moved), &rolled(&at(&image), size, by))
            };
            let wrapped = off(Padding::Wrap);
            assert!(wrapped < 1e-12, "{architecture} {pooling:?}: {wrapped:.1e}");
            // As trained, and with the edge repeated, it is another one: the edges do not move along.
            for padding in [Padding::Zero, Padding::Replicate] {
                let plain = off(padding);
                assert!(plain > 1e-2, "{architecture} {padding:?}: {plain:.1e}");
            }
        }
        // Half a stride is not a whole number of positions of the deepest layer.
        let half = (stride / 2, 0);
        let at = |x: &[f64]| gradient(case, (Padding::Wrap, Pooling::Max), &Device::oracle(), x);
        let off = distance(
            &at(&rolled(&image, size, half)),
            &rolled(&at(&image), size, half),
        );
        assert!(off > 1e-3, "{architecture}: {off:.1e}");
    }
}

#[test]
fn devices_agree_on_every_padding_and_pooling() {
    for case in &CASES[..2] {
        for kind in [
            (Padding::Wrap, Pooling::Max),
            (Padding::Replicate, Pooling::Average),
        ] {
            let image = pixels(case.4);
            let expected = gradient(case, kind, &Device::oracle(), &image);
            for device in [&Device::cpu(), &*GPU] {
                let error = distance(&gradient(case, kind, device, &image), &expected);
                assert!(
                    error <= 1e-4,
                    "{} {kind:?} on {device:?}: {error:.1e}",
                    case.0
                );
            }
        }
    }
}

fn sample(name: &str, side: u32) -> Image {
    let path = root().join("samples/images").join(name);
    let image = load(path).expect("a sample");
    image
        .resize(side, side, Filter::Bicubic)
        .expect("a smaller one")
        .clamp()
}

/// Mean difference of pixels across the seam of a picture that is repeated, over that of neighbours within which stand
/// at the same place in the deepest layer's grid of 16 pixels: other places have other differences, whatever the
/// padding.
fn seam(image: &Image) -> f64 {
    let (w, h) = image.size();
    let step = |x: u32, y: u32, x2: u32, y2: u32| -> f64 {
        let pairs = image.pixel(x, y).into_iter().zip(image.pixel(x2, y2));
        pairs.map(|(a, b)| f64::from((a - b).abs())).sum()
    };
    let column = |x: u32| (0..h).map(|y| step(x, y, (x + 1) % w, y)).sum::<f64>();
    let row = |y: u32| (0..w).map(|x| step(x, y, x, (y + 1) % h)).sum::<f64>();
    let mean = |places: u32, at: &dyn Fn(u32) -> f64| {
        (1..places).map(|i| at(16 * i - 1)).sum::<f64>() / f64::from(places - 1)
    };
    (column(w - 1) + row(h - 1)) / (mean(w / 16, &column) + mean(h / 16, &row))
}

fn texture(padding: Padding) -> Recipe {
    let mut recipe =
        Recipe::texture([Picture::from(sample("gravel.png", 64))], 64, 64).iterations(40);
    recipe.image.min_size = Some(32);
    recipe.padding = padding;
    recipe
}

fn paint(recipe: &Recipe, device: &Device) -> Image {
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let mut run = recipe.compile(device, &network).expect("a valid recipe");
    let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
    run.image().expect("a picture")
}

#[test]
fn a_tileable_texture_has_no_seam() {
    let plain = seam(&paint(&texture(Padding::Zero), &Device::cpu()));
    let tile = seam(&paint(&texture(Padding::Wrap), &Device::cpu()));
    assert!(
        tile < 1.25 && plain > 1.6,
        "tile {tile}, as trained {plain}"
    );
}

/// Total variation with an exponent and a Laplacian pyramid see a tile: moved around by pixels of all levels it is
/// painted likewise.
#[test]
fn a_tile_moved_around_is_smoothed_likewise() {
    let (w, h) = (48, 32);
    let start = pixels((h, w));
    let smoothed = |planes: &[f64], padding: Padding| -> Vec<f64> {
        let plane = (w * h) as usize;
        let rgb = (0..plane).flat_map(|i| [0, 1, 2].map(|c| planes[c * plane + i] as f32));
        let image = Image::new(w, h, rgb.collect()).expect("a picture");
        let mut recipe = texture(padding);
        recipe.terms = vec![TermSpec::new(terms::Tv { beta: Some(1.5) }).weight(4.0)];
        recipe.filters = vec![FilterSpec::Laplacian { levels: 3 }];
        recipe.image.init = Init::Picture(image.into());
        (recipe.image.width, recipe.image.height) = (None, None);
        recipe.image.min_size = None;
        recipe.optimizer.kind = OptimizerKind::Gradient;
        recipe.optimizer.iterations = 2;
        recipe.optimizer.initial_iterations = None;
        let image = paint(&recipe, &Device::cpu());
        (0..3)
            .flat_map(|c| image.rgb.iter().skip(c).step_by(3).map(|v| f64::from(*v)))
            .collect()
    };
    let off = |padding: Padding| {
        let moved = smoothed(&rolled(&start, (h, w), (16, 8)), padding);
        distance(&moved, &rolled(&smoothed(&start, padding), (h, w), (16, 8)))
    };
    let (tile, plain) = (off(Padding::Wrap), off(Padding::Zero));
    assert!(
        tile < 1e-5 && plain > 1e-3,
        "tile {tile:.1e}, as trained {plain:.1e}"
    );
}

#[test]
fn gpu_and_cpu_paint_the_same_tile() {
    let mut recipe = texture(Padding::Wrap);
    recipe.image.width = Some(48);
    recipe.image.height = Some(32);
    recipe.optimizer.iterations = 6;
    recipe.optimizer.initial_iterations = None;
    let [a, b] = [&Device::cpu(), &*GPU].map(|device| paint(&recipe, device));
    let db = psnr(&a, &b).expect("equal sizes");
    assert!(db >= 45.0, "{db} dB");
}

#[test]
fn sizes_are_multiples_of_the_deepest_stride() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let mut recipe = texture(Padding::Wrap);
    recipe.image.width = Some(70);
    recipe.image.height = Some(41);
    let run = recipe.compile(&device, &network).expect("a valid recipe");
    let sizes: Vec<_> = run.plan().iter().map(|s| (s.width, s.height)).collect();
    assert_eq!(sizes, [(32, 16), (48, 32), (64, 48)]);
    let notes = run.notes();
    assert_eq!(notes.len(), 1);
    for word in ["64x48", "70x41", "multiples of 16"] {
        assert!(notes[0].contains(word), "{notes:?}");
    }
    // The layers read decide.
    let term = recipe.term_mut(TermKind::is_style).expect("a style");
    *term.kind.layers_mut().expect("layers") = vec!["fire3/concat".into()];
    let run = recipe.compile(&device, &network).expect("a valid recipe");
    let last = run.plan().last().map(|s| (s.width, s.height));
    assert_eq!(last, Some((72, 40)), "a stride of 4 of conv1 and pool1");
    recipe.padding = Padding::Zero;
    let run = recipe.compile(&device, &network).expect("a valid recipe");
    assert!(run.notes().is_empty());
    assert_eq!(
        run.plan().last().map(|s| (s.width, s.height)),
        Some((70, 41))
    );
}

/// A start that is a tile, and a scale that only resizes it: it stays one.
#[test]
fn a_tile_handed_to_the_next_scale_is_a_tile() {
    let wave = |side: u32| {
        let value = |i: u32| 0.5 + 0.4 * (std::f32::consts::TAU * i as f32 / side as f32).sin();
        let rgb = (0..side * side).flat_map(|i| [value(i % side), value(i / side), 0.5]);
        Image::new(side, side, rgb.collect()).expect("a picture")
    };
    let mut recipe = texture(Padding::Wrap);
    recipe.image.width = None;
    recipe.image.height = None;
    recipe.image.init = Init::Picture(wave(64).into());
    recipe.optimizer.iterations = 0;
    recipe.optimizer.initial_iterations = Some(0);
    let tile = paint(&recipe, &Device::cpu());
    assert_eq!(tile.size(), (64, 64));
    let db = psnr(&tile, &wave(64)).expect("equal sizes");
    let edge = |image: &Image| image.pixel(0, 20)[0];
    assert!(
        db > 45.0 && (edge(&tile) - edge(&wave(64))).abs() < 5e-3,
        "{db} dB"
    );
}
