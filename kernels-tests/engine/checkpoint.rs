//! Checkpoints in the engine: a run that goes on from one does what it would have done without.

use std::ops::ControlFlow;
use std::path::Path;

use pixgrad::engine::device::{Device, DeviceOptions};
use pixgrad::terms::Activation;
use pixgrad::{
    Checkpoint, FilterSpec, Init, MapSpec, OptimizerKind, Outcome, Recipe, Run, TermKind, TermSpec,
};
use pixgrad::{Image, Network};
use xxhash_rust::xxh3::xxh3_128;

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
    let state: usize = run
        .executor()
        .persistent()
        .map(|kept| kept.buffer.len())
        .sum();
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
    write_sealed(path, &header, data);
}

/// Writes header and data with a checksum that is right.
fn write_sealed(path: &Path, header: &serde_json::Value, data: &[u8]) {
    let mut header = serde_json::to_vec(header).expect("JSON");
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    let data = &data[..data.len() - 16];
    let mut bytes = [&length[..], &header, data].concat();
    bytes.extend(xxh3_128(&bytes).to_le_bytes());
    std::fs::write(path, bytes).expect("written");
}

/// A run of L-BFGS with a checkpoint after two iterations.
fn lbfgs(network: &Network, path: &Path) -> Recipe {
    let mut recipe = style();
    recipe.optimizer.kind = OptimizerKind::Lbfgs;
    recipe.optimizer.average = 0.0;
    let compiled = recipe.compile(network.device(), network);
    let mut run = compiled.expect("a valid recipe");
    losses(&mut run, 2);
    run.save_checkpoint(path).expect("a checkpoint");
    recipe
}

/// Wherever a byte of the file is another one, the file is refused.
#[test]
fn an_altered_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("the embedded network");
    lbfgs(&network, &path);
    let whole = std::fs::read(&path).expect("a checkpoint");
    for at in (0..whole.len())
        .step_by(whole.len() / 97)
        .chain([whole.len() - 1])
    {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        std::fs::write(&path, altered).expect("written");
        assert!(Checkpoint::read(&path).is_err(), "byte {at}");
    }
    std::fs::write(&path, whole).expect("written");
    Checkpoint::read(&path).expect("as it was");
}

/// What kernels index by is checked, whatever the checksum says: the status of L-BFGS, the next slot of its ring, and
/// the pairs in it. A file of pixgrad 0.1 has no checksum, and goes on.
#[test]
fn indices_of_a_checkpoint_are_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c");
    let network = Network::load(&Device::cpu(), "squeezenet1_1").expect("the embedded network");
    let recipe = lbfgs(&network, &path);
    let whole = std::fs::read(&path).expect("a checkpoint");
    let (length, rest) = whole.split_first_chunk::<8>().expect("a length");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: serde_json::Value = serde_json::from_slice(header).expect("a header");
    let begin = header["lbfgs words"]["data_offsets"][0]
        .as_u64()
        .expect("words") as usize;
    let resume = || {
        let checkpoint = Checkpoint::read(&path).expect("a checkpoint");
        recipe.resume(network.device(), &network, &checkpoint)
    };
    for (word, value) in [(0, 3_u32), (1, 1000), (2, u32::MAX)] {
        let mut data = data.to_vec();
        data[begin + 4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        write_sealed(&path, &header, &data);
        let message = resume().expect_err("an index out of range").to_string();
        let expected = format!("`lbfgs words` holds {value} where numbers below");
        assert!(message.contains(&expected), "{message}");
    }

    header.as_object_mut().expect("tensors").remove("checksum");
    let header = serde_json::to_vec(&header).expect("JSON");
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], &header, &data[..data.len() - 16]].concat();
    std::fs::write(&path, bytes).expect("written");
    resume().expect("a run of an older version");
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
