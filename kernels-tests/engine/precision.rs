//! Whole networks whose layers are stored in 16 bits, against the same in 32.
//!
//! A gradient through ReLUs and max pools jumps wherever a unit changes its sign, or a window its maximum. Rounding by
//! ε makes a part of about ε of them do so in every one of L layers, and the gradient moves by about √(L·ε), however
//! exact the sums are. One unit that switches may count more than all else in a single gradient, so that several starts
//! are looked at, and their median. What it means is told by a change that nobody minds: a picture's rounding to 8 bits
//! moves the gradient of the same network in f32 two to twenty times as far.

use std::ops::ControlFlow;

use pixgrad::engine::device::{Device, Kind, ValueId};
use pixgrad::engine::image::{Filter, Image};
use pixgrad::engine::kernels::View;
use pixgrad::engine::objective::Energy;
use pixgrad::engine::plan::{Iteration, Placed, Problem};
use pixgrad::engine::schedule::Executor;
use pixgrad::terms;
use pixgrad::terms::Class;
use pixgrad::{Init, TermSpec};
use pixgrad::{Network, Precision, Recipe};

use crate::common::{GPU, Output, distance, noise, root, same};

fn sample(name: &str) -> Image {
    let folder = root().join("samples/images");
    pixgrad::engine::image::load(folder.join(name)).expect("a sample")
}

/// One size, so that a gradient is that of the picture itself.
fn at(recipe: Recipe, size: u32) -> Recipe {
    recipe.size(size).min_size(size)
}

/// Pictures to start from.
const PICTURES: [&str; 5] = [
    "chelsea.png",
    "coffee.jpg",
    "astronaut.jpg",
    "rocket.jpg",
    "gravel.png",
];

/// What the methods do, from a picture and from noise, both number `start`: style and content, what a layer answers,
/// and a class, where there are classes.
fn methods(network: &Network, size: u32, start: usize) -> Vec<(&'static str, Recipe)> {
    let picture = sample(PICTURES[start])
        .resize(size, size * 2 / 3, Filter::Bicubic)
        .expect("a size");
    let style = Recipe::style(picture.clone(), [sample("starry_night.jpg")]);
    let mut methods = vec![
        (
            "style",
            style.clone().init(Init::Picture(picture.clone().into())),
        ),
        (
            "style from noise",
            style.init(Init::Picture(
                noise(size, size * 2 / 3, start as u64).into(),
            )),
        ),
    ];
    let graph = network.graph();
    let deepest = graph.nodes().iter().rev().find(|node| {
        let shape = graph.shape(graph.find(&node.name).expect("its own name"), size, size);
        shape.is_ok_and(|s| s.height * s.width > 1)
    });
    let layer = &deepest.expect("a layer").name;
    let seen = |term: TermSpec| {
        let mut recipe = Recipe::new().init(Init::Picture(picture.clone().into()));
        recipe.terms = vec![term];
        recipe
    };
    let energy = TermSpec::new(terms::Energy::at(layer)).weight(-1.0);
    methods.push(("energy", seen(energy)));
    let activation = TermSpec::new(terms::Activation::at(layer)).weight(-1.0);
    methods.push(("activation", seen(activation)));
    if graph.class_index("281").is_ok() {
        methods.push(("class", seen(TermSpec::cross_entropy([Class::Index(281)]))));
    }
    methods
        .into_iter()
        .map(|(name, recipe)| (name, at(recipe, size)))
        .collect()
}

fn gradient(recipe: &Recipe, network: &Network) -> (f32, Vec<f64>) {
    let report = recipe.gradient(network).expect("a gradient");
    assert!(
        report.gradient.iter().all(|v| v.is_finite()),
        "{network:?} {recipe:?}"
    );
    (
        report.loss,
        report.gradient.iter().map(|v| f64::from(*v)).collect(),
    )
}

/// The recipe at the same picture, each channel of each pixel rounded to 8 bits.
fn rounded(recipe: &Recipe) -> Recipe {
    let Init::Picture(picture) = &recipe.image.init else {
        panic!("a picture is the start");
    };
    let mut image = Image::clone(&picture.load().expect("in memory"));
    for v in &mut image.rgb {
        *v = (*v * 255.0).round() / 255.0;
    }
    recipe.clone().init(Init::Picture(image.into()))
}

/// From no start is the gradient in 16 bits farther from that in 32 than 2·10⁻³, a fifth of what was asked for, nor
/// than a tenth of how far the rounded picture's is; the objective has three digits of its own.
fn check(network: &Network, starts: &[usize], size: u32) {
    let per_start: Vec<_> = starts.iter().map(|s| methods(network, size, *s)).collect();
    for (method, (name, _)) in per_start[0].iter().enumerate() {
        let what = format!("{name} by {network:?}");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for methods in &per_start {
            let recipe = &methods[method].1;
            let mut half = recipe.clone();
            half.precision = Precision::F16;
            let (loss, exact) = gradient(recipe, network);
            let (half_loss, half) = gradient(&half, network);
            let (_, of_rounded) = gradient(&rounded(recipe), network);
            ours.push(distance(&half, &exact));
            theirs.push(distance(&of_rounded, &exact));
            let loss = (half_loss - loss).abs() / loss.abs();
            assert!(loss <= 1e-3, "{what}: the objective is off by {loss:.1e}");
            assert_ne!(half, exact, "{what}: nothing was stored otherwise");
        }
        ours.sort_by(f64::total_cmp);
        theirs.sort_by(f64::total_cmp);
        let (median, farthest) = (ours[ours.len() / 2], ours[ours.len() - 1]);
        let of_rounded = theirs[theirs.len() / 2];
        println!(
            "{what}: median {median:.1e}, most {farthest:.1e}; of a picture in 8 bits {of_rounded:.1e}"
        );
        assert!(farthest <= 2e-3, "{what}: {ours:?}");
        assert!(farthest <= 0.1 * of_rounded, "{what}: {ours:?}, {theirs:?}");
    }
}

#[test]
fn gradients_of_the_embedded_networks() {
    for model in ["squeezenet1_1", "vgg19"] {
        // Larger pictures are smoother, and more of a pool's windows near a tie.
        for (device, size) in [(&*GPU, 64), (&Device::cpu(), 64), (&Device::cpu(), 192)] {
            let network = Network::load(device, model).expect("embedded");
            check(&network, &[0, 1, 2, 3, 4], size);
        }
    }
}

/// The real networks beside the repository, where they are.
#[test]
fn gradients_of_whole_networks() {
    let folder = root().join("../shared/weights");
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
        check(&network, &[0, 1, 2], 128);
    }
}

/// However large or small a loss is weighted, its gradient has the same digits: there is no scale to be chosen.
#[test]
fn no_weight_is_too_large_or_too_small() {
    let network = Network::load(&GPU, "squeezenet1_1").expect("embedded");
    let gradient = |weight: f64| {
        let mut recipe = at(Recipe::style(noise(48, 40, 3), [noise(40, 48, 3)]), 48);
        recipe.precision = Precision::F16;
        recipe.image.init = Init::Noise;
        recipe.terms.retain(|term| term.kind.is_style());
        recipe.terms[0].weight = weight;
        let gradient = recipe.gradient(&network).expect("a gradient").gradient;
        let wide = gradient.iter().map(|v| f64::from(*v) / weight);
        Output::Reals(wide.collect())
    };
    let one = gradient(1.0);
    for weight in [1e-20, 1e-9, 1e9, terms::MAX_WEIGHT] {
        same(&gradient(weight), &one, 1e-3).unwrap_or_else(|why| panic!("{weight:e}: {why}"));
    }
}

/// Calls and values of an objective of these layers.
fn planned(network: &Network, layers: &[&str]) -> Iteration {
    let image = View::new(1, 64, 64, 3);
    let graph = network.graph();
    let term = |name: &&str| {
        let node = graph.find(name).expect("a layer");
        let shape = graph.shape(node, 64, 64).expect("a shape");
        let view = View::new(1, shape.height, shape.width, shape.channels);
        Placed {
            node,
            term: Box::new(Energy::new(network.device(), view, 1.0).expect("a term")),
            group: 0,
            labels: None,
        }
    };
    let terms: Vec<Placed> = layers.iter().map(term).collect();
    Iteration::new(&Problem::new(network, image, &terms)).expect("a plan")
}

fn kinds(plan: &Iteration, label: &str) -> Vec<Kind> {
    let touched = plan
        .program
        .recording
        .values()
        .iter()
        .zip(&plan.program.layout.places);
    let of_it = touched.filter(|(value, place)| value.label == label && place.is_some());
    of_it.map(|(value, _)| value.kind).collect()
}

fn calls(plan: &Iteration, label: &str) -> usize {
    let calls = plan.program.recording.calls().iter();
    calls.filter(|call| call.label == label).count()
}

/// The forward pass is in f32; what the backward pass reads is not.
#[test]
fn what_is_kept_is_packed() {
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("embedded");
    let layers = ["fire2/concat", "fire3/concat", "fire5/concat"];
    let (whole, half) = (
        planned(&network, &layers),
        planned(&network.with_precision(Precision::F16), &layers),
    );
    assert_eq!(kinds(&half, "relu_conv1"), [Kind::Real]);
    assert_eq!(kinds(&half, "fire2/concat"), [Kind::Real, Kind::Rectified]);
    assert_eq!(calls(&half, "store fire2/concat"), 1);
    // Nobody reads the last one in between.
    assert_eq!(kinds(&half, "fire5/concat"), [Kind::Rectified]);
    assert_eq!(kinds(&half, "gradient fire3/concat"), [Kind::Packed]);
    assert_eq!(kinds(&half, "gradient pool1"), [Kind::Packed]);
    let weights = |plan: &Iteration| {
        let of_conv = plan
            .program
            .recording
            .values()
            .iter()
            .filter(|v| v.label == "conv1");
        of_conv.map(|v| v.kind).collect::<Vec<_>>()
    };
    assert!(weights(&half).contains(&Kind::Half) && !weights(&whole).contains(&Kind::Half));
    assert_eq!(kinds(&whole, "fire2/concat"), [Kind::Real]);
    assert_eq!(calls(&whole, "store fire2/concat"), 0);
    let bytes = |plan: &Iteration| plan.program.cost().buffer_bytes;
    assert!(
        bytes(&half) < bytes(&whole),
        "{} {}",
        bytes(&half),
        bytes(&whole)
    );
}

/// `bench` holds every call against the `cpu` device, also where a call writes a part of a value, and no number is in
/// the rest.
#[test]
fn what_others_left_does_not_count() {
    let network = Network::load(&GPU, "squeezenet1_1").expect("embedded");
    let plan = planned(&network.with_precision(Precision::F16), &["fire5/concat"]);
    let mut executor = Executor::new(&GPU, plan).expect("memory");
    let values = executor.program().recording.values().iter();
    let last = values.clone().position(|v| v.label == "fire5/concat");
    let last = executor.buffer(ValueId(last.expect("a value") as u32));
    assert_eq!(last.kind(), Kind::Rectified);
    let nothing = vec![f32::NAN; last.len()];
    GPU.upload(last, &nothing).expect("it fits");
    let deviations = executor.check_calls(&Device::cpu(), |_| true);
    for (i, deviation) in deviations.expect("they run").into_iter().enumerate() {
        let (call, deviation) = (
            &executor.program().recording.calls()[i],
            deviation.expect("all"),
        );
        assert!(deviation.reals <= 1e-4, "{}: {deviation:?}", call.label);
    }
}

/// A layer as large as the picture, made of the picture alone, is made twice and not kept.
#[test]
fn the_largest_layer_is_made_again() {
    let network = Network::load(&Device::cpu(), "vgg19").expect("embedded");
    let layers = ["relu1_1", "relu2_1"];
    let half = planned(&network.with_precision(Precision::F16), &layers);
    assert_eq!(kinds(&half, "relu1_1"), [Kind::Real]);
    assert_eq!(kinds(&half, "conv1_1 again"), [Kind::Rectified]);
    assert_eq!(
        (calls(&half, "conv1_1"), calls(&half, "store relu1_1")),
        (2, 0)
    );
    let whole = planned(&network, &layers);
    assert_eq!(calls(&whole, "conv1_1"), 1);
}

/// A run ends where one in 32 bits does, nearer than if its start had been rounded to 8 bits.
#[test]
fn runs_in_sixteen_bits() {
    for device in [&*GPU, &Device::cpu()] {
        let network = Network::load(device, "squeezenet1_1").expect("embedded");
        let run = |recipe: &Recipe| {
            let mut run = recipe.compile(device, &network).expect("a valid recipe");
            let mut last = 0.0;
            let _ = run
                .run(|p| {
                    last = p.loss;
                    ControlFlow::Continue(())
                })
                .expect("it runs");
            let image = run.image().expect("an image").rgb;
            (last, image.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        let (_, recipe) = methods(&network, 64, 0).swap_remove(0);
        let recipe = recipe.iterations(12);
        let mut half = recipe.clone();
        half.precision = Precision::F16;
        let (loss, image) = run(&recipe);
        let (half_loss, half) = run(&half);
        let (_, of_rounded) = run(&rounded(&recipe));
        assert!(
            (half_loss - loss).abs() <= 0.01 * loss,
            "{half_loss} {loss}"
        );
        let (ours, theirs) = (distance(&half, &image), distance(&of_rounded, &image));
        println!("{device:?}: {ours:.1e}; from a picture in 8 bits {theirs:.1e}");
        assert!(ours <= theirs, "{ours:.1e} {theirs:.1e} on {device:?}");
    }
}
