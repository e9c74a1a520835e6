//! Checkpoints in the engine: a run that goes on from one does what it would have done without.

use std::ops::ControlFlow;
use std::path::Path;

use pixgrad::engine::device::{Device, DeviceOptions};
use pixgrad::terms::Activation;
use pixgrad::{
    Checkpoint, FilterSpec, Init, MapSpec, OptimizerKind, Outcome, Recipe, Run, TermKind, TermSpec,
};
use pixgrad::{Image, Network};

use crate::common::{open_gpu, sample};

/// Two scales of 3 and 2 iterations.
fn style() -> Recipe {
    let mut recipe = Recipe::style(
        sample("chelsea.png", 48, 32),
        [sample("starry_night.jpg", 60, 48)],
    );
    recipe.image.size = Some(48);
    recipe.image.min_size = Some(33);
    recipe.optimizer.iterations = 2;
    recipe.optimizer.initial_iterations = Some(3);
    recipe
}

/// Runs at most that many iterations; their losses, of every image.
fn losses(run: &mut Run, most: u64) -> Vec<Vec<f32>> {
    let mut losses = Vec::new();
    let outcome = run.run_for(most, |p| {
        losses.push(p.images.clone());
        ControlFlow::Continue(())
    });
    assert_ne!(outcome.expect("a run"), Outcome::Stopped);
    losses
}

/// Stops a run after every number of iterations, and goes on in another.
fn goes_on(device: &Device, recipe: &Recipe, stops: impl Iterator<Item = u64>, path: &Path) {
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    let mut whole = recipe.compile(device, &network).expect("a valid recipe");
    let expected = losses(&mut whole, u64::MAX);
    let images: Vec<Image> = whole.images().expect("pictures");
    for stop in stops {
        let mut run = recipe.compile(device, &network).expect("a valid recipe");
        let mut found = losses(&mut run, stop);
        run.save_checkpoint(path).expect("a checkpoint");
        drop(run);
        let checkpoint = Checkpoint::read(path).expect("a checkpoint");
        let mut run = recipe
            .resume(device, &network, &checkpoint)
            .expect("the same run");
        assert_eq!(run.done(), stop);
        found.extend(losses(&mut run, u64::MAX));
        assert_eq!(found, expected, "{device:?}, after {stop}");
        assert_eq!(
            run.images().expect("pictures"),
            images,
            "{device:?}, after {stop}"
        );
    }
}

#[test]
fn a_run_goes_on_from_every_iteration() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let device = Device::cpu();
    let mut lbfgs = style();
    lbfgs.optimizer.kind = OptimizerKind::Lbfgs;
    lbfgs.optimizer.average = 0.0;
    lbfgs.optimizer.history = 2;
    for recipe in [style(), lbfgs] {
        goes_on(&device, &recipe, 0..=5, &path);
    }
}

/// Random draws, momentum, several images, detail carried over: all of a recipe's parts that remember something.
#[test]
fn what_a_recipe_remembers_is_in_its_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let mut recipe = Recipe::new().size(40).seed(3).iterations(3);
    recipe.image.batch = Some(2);
    recipe.image.init = Init::Noise;
    recipe.image.min_size = Some(28);
    recipe.image.transformation = vec![MapSpec::Jitter { pixels: 4 }];
    recipe.optimizer.kind = OptimizerKind::Gradient;
    let momentum = |decay| FilterSpec::Momentum { decay };
    recipe.filters = vec![momentum(0.5), momentum(0.9)];
    recipe.terms = vec![TermSpec::new(Activation::at("fire2/concat")).weight(-1.0)];
    goes_on(&Device::cpu(), &recipe, [2, 3, 4].into_iter(), &path);

    let mut tanh = recipe.clone();
    tanh.image.min_size = None;
    tanh.image.parameterisation = vec![MapSpec::Tanh {}];
    tanh.optimizer.kind = OptimizerKind::Adam;
    tanh.optimizer.average = 0.9;
    goes_on(&Device::cpu(), &tanh, [1].into_iter(), &path);
}

/// On an adapter, too; and what is written is read back only then.
#[test]
fn a_run_on_an_adapter_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let device = open_gpu();
    goes_on(&device, &style(), [2, 4].into_iter(), &path);

    let gpu = device.gpu().expect("a GPU");
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let mut recipe = style();
    recipe.image.min_size = None;
    let mut run = recipe.compile(&device, &network).expect("a valid recipe");
    losses(&mut run, 1);
    let before = gpu.usage();
    run.save_checkpoint(&path).expect("a checkpoint");
    let state: usize = run.executor().persistent().map(|(_, b)| b.len()).sum();
    assert_eq!((gpu.usage() - before).bytes_read, state as u64 * 4);
    let before = gpu.usage();
    losses(&mut run, 2);
    let used = gpu.usage() - before;
    let slots = run.executor().handles().groups.len() as u64;
    assert_eq!((used.buffers, used.bind_groups, used.pipelines), (0, 0, 0));
    assert_eq!(used.bytes_read, 2 * slots * 4);
}

/// Another recipe, network or picture in memory is no continuation; nor is a recipe that nobody else can have.
#[test]
fn only_the_same_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let device = Device::new(&DeviceOptions {
        device: Some("cpu".to_string()),
        ..DeviceOptions::default()
    })
    .expect("the processor");
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let run = style().compile(&device, &network).expect("a valid recipe");
    run.save_checkpoint(&path).expect("a checkpoint");
    let checkpoint = Checkpoint::read(&path).expect("a checkpoint");
    assert_eq!(checkpoint.device(), "cpu");
    let refusal = |recipe: &Recipe, network: &Network| {
        let run = recipe.resume(&device, network, &checkpoint);
        run.err().map_or(String::new(), |e| e.to_string())
    };
    assert_eq!(refusal(&style(), &network), "");
    let other = style().seed(1);
    assert!(refusal(&other, &network).contains("another recipe"));
    let mut other = style();
    let term = other.term_mut(TermKind::is_style).expect("a term");
    term.kind.style_mut().expect("a style").target = vec![sample("gravel.png", 60, 48).into()];
    assert!(refusal(&other, &network).contains("a picture in memory is not"));
    let vgg = Network::load(&device, "vgg19").expect("the embedded network");
    let message = refusal(&style(), &vgg);
    assert!(
        message.contains("network `squeezenet1_1`") && message.contains("not `vgg19`"),
        "{message}"
    );
    let message = checkpoint.recipe().expect_err("in memory").to_string();
    assert!(message.contains("in the memory of a program"), "{message}");
}

/// Rewrites the recipe in a checkpoint's header.
fn rewrite(path: &Path, change: impl Fn(&str) -> String) {
    let bytes = std::fs::read(path).expect("a checkpoint");
    let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
    let recipe = &mut header["__metadata__"]["recipe"];
    let text = change(recipe.as_str().expect("a recipe"));
    assert_ne!(*recipe, text.as_str());
    *recipe = text.into();
    let mut header = serde_json::to_vec(&header).expect("JSON");
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    std::fs::write(path, [&length[..], &header, data].concat()).expect("written");
}

/// Earlier versions wrote the keys of a term in another order: `weight` before `relative`.
#[test]
fn a_recipe_in_another_order_is_the_same_recipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let mut run = style().compile(&device, &network).expect("a valid recipe");
    losses(&mut run, 2);
    run.save_checkpoint(&path).expect("a checkpoint");
    let resumed = || {
        let checkpoint = Checkpoint::read(&path).expect("a checkpoint");
        style().resume(&device, &network, &checkpoint)
    };
    rewrite(&path, |text| {
        text.replace(
            "relative = true\nweight = 1.0",
            "weight = 1.0\nrelative = true",
        )
    });
    let mut again = resumed().expect("the same recipe");
    assert_eq!(losses(&mut again, u64::MAX), losses(&mut run, u64::MAX));
    rewrite(&path, |text| text.replace("weight = 4.0", "weight = 5.0"));
    let message = resumed().expect_err("another weight").to_string();
    assert!(message.contains("another recipe"), "{message}");
    rewrite(&path, |text| text.replace("\"tv\"", "\"tvv\""));
    let message = resumed().expect_err("no such term").with_causes();
    assert!(
        message.contains("cannot be read") && message.contains("`tvv`"),
        "{message}"
    );
}
