//! A recipe for many contents: each picture as by itself, and what they share made once.

use std::ops::ControlFlow;
use std::sync::Arc;

use pixgrad::engine::device::Device;
use pixgrad::{Image, Network, Recipe};
use pixgrad::{Picture, Series, TermKind};

use crate::common::{open_gpu, sample};

fn recipe(content: Arc<Image>) -> Recipe {
    let mut recipe = Recipe::style(content, [Picture::from(sample("starry_night.jpg", 60, 48))]);
    recipe.image.min_size = Some(34);
    recipe.iterations(2).size(48)
}

/// Two pictures of one size, one of another, then the first size again.
#[test]
fn each_picture_comes_out_as_by_itself() {
    let contents = [
        sample("chelsea.png", 48, 32),
        sample("rocket.jpg", 48, 32),
        sample("coffee.jpg", 40, 48),
        sample("gravel.png", 48, 32),
    ]
    .map(Arc::new);
    for device in [Device::cpu(), open_gpu()] {
        let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
        let recipe_of = |i: usize| recipe(Arc::clone(&contents[i]));
        let mut series = Series::new(&recipe_of(0), &network).expect("a valid recipe");
        for (i, content) in contents.iter().enumerate() {
            let before = device.gpu().map(|gpu| gpu.usage());
            let run = series
                .begin(Arc::clone(content), Some(48))
                .expect("a valid picture");
            if let (Some(gpu), Some(before), 1) = (device.gpu(), before, i) {
                let used = gpu.usage() - before;
                let slots = run.executor().program().layout.slots.len() as u64;
                assert_eq!(used.pipelines, 0);
                // Targets, parameters and read-back; what the network answers to the content takes a plan of its own.
                let targets = run.executor().program().recording.calls().len() as u64;
                assert!(used.buffers < slots + targets, "{used:?}, {slots} slots");
            }
            let _ = run.run(|_| ControlFlow::Continue(())).expect("a run");
            let found = run.image().expect("a picture");
            let mut alone = recipe_of(i)
                .compile(&device, &network)
                .expect("a valid recipe");
            let _ = alone.run(|_| ControlFlow::Continue(())).expect("a run");
            assert_eq!(
                found,
                alone.image().expect("a picture"),
                "{device:?}, picture {i}"
            );
        }
    }
}

#[test]
fn a_picture_that_fails_leaves_the_series_usable() {
    let device = Device::cpu();
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    let content = Arc::new(sample("chelsea.png", 48, 32));
    let mut series = Series::new(&recipe(Arc::clone(&content)), &network).expect("a recipe");
    let dot = Arc::new(Image::filled(1, 1, [0.5; 3]).expect("a picture"));
    let message = series.begin(dot, None).expect_err("one pixel").to_string();
    assert!(message.contains("too small"), "{message}");
    let run = series.begin(content, Some(48)).expect("a picture");
    assert_eq!(run.iterations(), 4);

    let mut texture = Recipe::texture([Picture::from(sample("gravel.png", 40, 40))], 40, 40);
    let message = Series::new(&texture, &network)
        .expect_err("no content")
        .to_string();
    assert!(message.contains("content picture"), "{message}");
    texture = recipe(Arc::new(sample("chelsea.png", 48, 32)));
    let style = texture.term_mut(TermKind::is_style).expect("a term");
    style.kind.style_mut().expect("a style").target = vec!["none.png".into()];
    assert!(
        Series::new(&texture, &network).is_err(),
        "a style that is not there"
    );
}

/// For the second picture of a series no style picture is looked at again, whatever the loss.
#[test]
fn statistics_of_every_loss_are_found_once() {
    let contents = [sample("chelsea.png", 48, 32), sample("rocket.jpg", 48, 32)].map(Arc::new);
    let device = open_gpu();
    let submissions = || device.gpu().expect("an adapter").usage().submissions;
    let network = Network::load(&device, "squeezenet1_1").expect("the embedded network");
    for loss in ["gram", "bn", "mmd-gaussian"] {
        let recipe_of = |content: &Arc<Image>| {
            let mut recipe =
                recipe(Arc::clone(content)).style_losses(&[loss.parse().expect("a loss")]);
            recipe.image.min_size = Some(48);
            recipe.iterations(1)
        };
        let mut series = Series::new(&recipe_of(&contents[0]), &network).expect("a valid recipe");
        let first = series
            .begin(Arc::clone(&contents[0]), Some(48))
            .expect("a picture");
        let _ = first.run(|_| ControlFlow::Continue(())).expect("a run");
        let before = submissions();
        let second = series
            .begin(Arc::clone(&contents[1]), Some(48))
            .expect("a picture");
        let in_series = submissions() - before;
        let _ = second.run(|_| ControlFlow::Continue(())).expect("a run");
        let found = second.image().expect("a picture");
        let before = submissions();
        let mut alone = recipe_of(&contents[1])
            .compile(&device, &network)
            .expect("a valid recipe");
        let by_itself = submissions() - before;
        let _ = alone.run(|_| ControlFlow::Continue(())).expect("a run");
        assert_eq!(found, alone.image().expect("a picture"), "{loss}");
        assert!(in_series < by_itself, "{loss}: {in_series} of {by_itself}");
    }
}
