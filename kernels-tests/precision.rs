//! Whole networks whose layers are stored in 16 bits, against the same in 32.

use std::ops::ControlFlow;
use std::path::Path;

use pixgrad::device::{Device, Kind};
use pixgrad::image::Image;
use pixgrad::plan::Plan;
use pixgrad::recipe::{Init, TermKind, TermSpec};
use pixgrad::{Network, Precision, Recipe};

use crate::common::{GPU, Output, random, same, uniform};

/// ‖a − b‖/‖b‖ allowed for a whole network's gradient: a hundredth.
const TOLERANCE: f64 = 1e-2;

fn sample(name: &str) -> Image {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/images");
    pixgrad::image::load(folder.join(name)).expect("a sample")
}

fn noise(width: u32, height: u32) -> Image {
    let values = uniform(&mut random(3), (width * height * 3) as usize);
    let rgb = values.iter().map(|v| v.abs().min(1.0)).collect();
    Image::new(width, height, rgb).expect("an image")
}

/// One size, so that a gradient is that of the picture itself.
fn at(recipe: Recipe, size: u32) -> Recipe {
    recipe.size(size).min_size(size)
}

/// What the methods do at a layer: style and content, what a layer answers, and a class, where there are classes.
fn methods(network: &Network, size: u32) -> Vec<(&'static str, Recipe)> {
    let picture = sample("chelsea.png");
    let style = Recipe::style(picture.clone(), [sample("starry_night.jpg")]);
    let mut from_noise = style.clone();
    from_noise.image.init = Init::Noise;
    let mut methods = vec![("style", at(style, size)), ("style from noise", at(from_noise, size))];
    let graph = network.graph();
    let deepest = graph.nodes.iter().rev().find(|node| {
        let shape = graph.shape(graph.find(&node.name).expect("its own name"), size, size);
        shape.is_ok_and(|s| s.height * s.width > 1)
    });
    let layer = &deepest.expect("a layer").name;
    for (name, kind) in [("energy", TermKind::Energy), ("activation", TermKind::Activation)] {
        let mut recipe = Recipe::new().init(Init::Picture(picture.clone().into()));
        recipe.terms = vec![TermSpec::at(kind, layer).weight(-1.0)];
        methods.push((name, at(recipe, size)));
    }
    if graph.class_index("281").is_ok() {
        let mut recipe = Recipe::new().init(Init::Picture(picture.into()));
        let class = pixgrad::recipe::Class::Index(281);
        recipe.terms = vec![TermSpec {
            class: vec![class],
            ..TermSpec::new(TermKind::CrossEntropy)
        }];
        methods.push(("class", at(recipe, size)));
    }
    methods
}

/// How far the gradient in 16 bits is from that in 32, both on `device`.
fn check(device: &Device, network: &Network, name: &str, recipe: &Recipe) {
    let what = format!("{name} by {network:?}");
    let mut half = recipe.clone();
    half.precision = Precision::F16;
    let exact = recipe.gradient(network).unwrap_or_else(|e| panic!("{what}: {e}"));
    let rounded = half.gradient(network).unwrap_or_else(|e| panic!("{what}: {e}"));
    let wide = |v: &[f32]| Output::Reals(v.iter().map(|v| f64::from(*v)).collect());
    assert!(rounded.gradient.iter().all(|v| v.is_finite()), "{what}");
    same(&wide(&rounded.gradient), &wide(&exact.gradient), TOLERANCE)
        .unwrap_or_else(|why| panic!("{what} on {device:?}: {why}"));
    let loss = (rounded.loss - exact.loss).abs() / exact.loss.abs();
    assert!(loss <= 1e-3, "{what}: {} for {}", rounded.loss, exact.loss);
    assert_ne!(rounded.gradient, exact.gradient, "{what}: nothing was stored otherwise");
}

#[test]
fn gradients_of_the_embedded_networks() {
    for model in ["squeezenet1_1", "vgg19"] {
        for device in [&*GPU, &Device::cpu()] {
            let network = Network::load(device, model).expect("embedded");
            for (name, recipe) in methods(&network, 64) {
                check(device, &network, name, &recipe);
            }
        }
    }
}

/// The real networks beside the repository, where they are.
#[test]
fn gradients_of_whole_networks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/weights");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("no {} here: the embedded networks only", folder.display());
        return;
    };
    let device = Device::cpu();
    for file in files {
        let path = file.expect("a file").path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let network = Network::load(&device, &path.display().to_string()).expect("a network");
        for (name, recipe) in methods(&network, 128) {
            check(&device, &network, name, &recipe);
        }
    }
}

/// However large or small a loss is weighted, its gradient has the same digits: there is no scale to be chosen.
#[test]
fn no_weight_is_too_large_or_too_small() {
    let network = Network::load(&GPU, "squeezenet1_1").expect("embedded");
    let gradient = |weight: f64| {
        let mut recipe = at(Recipe::style(noise(48, 40), [noise(40, 48)]), 48);
        recipe.precision = Precision::F16;
        recipe.image.init = Init::Noise;
        recipe.terms.retain(|term| term.kind.is_style());
        recipe.terms[0].weight = weight;
        let gradient = recipe.gradient(&network).expect("a gradient").gradient;
        let wide = gradient.iter().map(|v| f64::from(*v) / weight);
        Output::Reals(wide.collect())
    };
    let one = gradient(1.0);
    for weight in [1e-20, 1e-9, 1e9, 1e20] {
        same(&gradient(weight), &one, 1e-3).unwrap_or_else(|why| panic!("{weight:e}: {why}"));
    }
}

/// All that is large is stored in 16 bits, what is kept from one iteration to the next is not.
#[test]
fn a_plan_is_made_of_packed_layers() {
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded");
    let half = network.stored(Precision::F16);
    let node = half.graph().find("fire5/concat").expect("a layer");
    let image = pixgrad::kernels::View::new(1, 64, 64, 3);
    let (plan, _) = Plan::forward(&half, image, &[node]).expect("a plan");
    let kinds = |kind: Kind| plan.layout.slots.iter().filter(|(k, _)| *k == kind).count();
    // The image, the layer that is read back, and the ring of losses.
    assert_eq!(kinds(Kind::Real), 3);
    assert!(kinds(Kind::Packed) >= 2);
}

/// Runs end where those in 32 bits do.
#[test]
fn runs_in_sixteen_bits() {
    for device in [&*GPU, &Device::cpu()] {
        let network = Network::load(device, "squeezenet1_1").expect("embedded");
        let run = |precision| {
            let mut recipe = at(Recipe::style(sample("chelsea.png"), [noise(64, 64)]), 64);
            recipe.precision = precision;
            recipe.optimizer.iterations = 12;
            let mut run = recipe.compile(device, &network).expect("a valid recipe");
            let mut last = 0.0;
            let _ = run
                .run(|p| {
                    last = p.loss;
                    ControlFlow::Continue(())
                })
                .expect("it runs");
            (last, run.image().expect("an image"))
        };
        let (loss, image) = run(Precision::F32);
        let (half_loss, half) = run(Precision::F16);
        assert!((half_loss - loss).abs() <= 0.01 * loss, "{half_loss} {loss}");
        let mse = image.rgb.iter().zip(&half.rgb).map(|(a, b)| (a - b).powi(2)).sum::<f32>()
            / image.rgb.len() as f32;
        assert!(mse < 1e-4, "{mse} on {device:?}");
    }
}
