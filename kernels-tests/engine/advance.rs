//! A run slice by slice, and weights that change while it runs.

use std::ops::ControlFlow;

use pixgrad::engine::device::Device;
use pixgrad::{Network, Picture, Progress, Recipe, Run, RunError};

use crate::common::{open_gpu, sample};

fn recipe() -> Recipe {
    let content = Picture::from(sample("chelsea.png", 48, 32));
    let mut recipe = Recipe::style(content, [Picture::from(sample("starry_night.jpg", 60, 48))]);
    recipe.image.min_size = Some(34);
    recipe.iterations(4).size(48)
}

fn compiled(device: &Device) -> Run {
    let network = Network::load(device, "squeezenet1_1").expect("the embedded network");
    recipe().compile(device, &network).expect("a valid recipe")
}

/// Whatever the slices are, the picture and the losses are those of `Run::run`; and no picture is read from the middle
/// of an iteration.
#[test]
fn slices_add_up_to_the_run() {
    for device in [Device::cpu(), open_gpu()] {
        let mut expected = Vec::new();
        let mut whole = compiled(&device);
        let _ = whole
            .run(|progress| {
                expected.push(progress.loss);
                ControlFlow::Continue(())
            })
            .expect("a run");
        let mut run = compiled(&device);
        let mut losses = Vec::new();
        let mut keep = |steps: Vec<Progress>| losses.extend(steps.iter().map(|p| p.loss));
        let mut settled = 0;
        pollster::block_on(async {
            while !run.is_finished() {
                keep(run.advance().await.expect("a slice"));
                if !run.executor().is_at_rest() {
                    let refused = run.image_async().await.expect_err("half an iteration");
                    assert!(refused.to_string().contains("settle"), "{refused}");
                    settled += 1;
                    if settled % 2 == 0 {
                        keep(run.settle().await.expect("the rest of it"));
                        let _ = run.image_async().await.expect("a picture at rest");
                    }
                }
            }
        });
        assert_eq!(losses, expected, "{device:?}");
        assert_eq!(
            run.image().expect("a picture"),
            whole.image().expect("a picture")
        );
    }
}

/// A weight that is changed acts from the next iteration on, at this scale and at those to come, and nothing is
/// restarted.
#[test]
fn a_weight_changes_while_it_runs() {
    for device in [Device::cpu(), open_gpu()] {
        let all = |run: &mut Run, most: u64| {
            let mut terms = Vec::new();
            let _ = run
                .run_for(most, |progress| {
                    terms.push(progress.terms.clone());
                    ControlFlow::Continue(())
                })
                .expect("a run");
            terms
        };
        let expected = all(&mut compiled(&device), u64::MAX);
        let mut run = compiled(&device);
        assert_eq!(all(&mut run, 2), expected[..2]);
        run.set_term_weight(0, 10.0).expect("content has a dial");
        run.set_term_weight(2, 0.0).expect("tv has a dial");
        let changed = all(&mut run, u64::MAX);
        assert_eq!(changed.len() + 2, expected.len(), "nothing is restarted");
        // The image is still the same one at the first iteration with the new weights.
        let [content, style, tv] = changed[0][..] else {
            panic!("three terms")
        };
        assert!((content / expected[2][0] - 10.0).abs() < 1e-4, "{device:?}");
        assert!((style / expected[2][1] - 1.0).abs() < 1e-4 && tv == 0.0);
        assert!(
            changed.iter().all(|terms| terms[2] == 0.0),
            "also at the next scale"
        );
        assert_eq!(run.recipe().terms[0].weight, 10.0);
        let refused = run.set_term_weight(3, 1.0).expect_err("no such term");
        assert!(matches!(
            refused,
            pixgrad::Error::Run(RunError::FixedWeight { term: 3 })
        ));
        assert!(run.set_term_weight(0, f64::NAN).is_err());
    }
}

/// A host program that encodes the iterations itself sees a new weight, too, and cannot begin in the middle of one.
#[test]
fn a_weight_changes_in_a_hosts_command_encoder() {
    let gpu = open_gpu();
    let single = || {
        let mut recipe = recipe();
        recipe.image.min_size = None;
        let network = Network::load(&gpu, "squeezenet1_1").expect("the embedded network");
        recipe.compile(&gpu, &network).expect("a valid recipe")
    };
    let host = gpu.gpu().expect("a GPU");
    let encoded = |run: &mut Run, iterations: u64| {
        let mut encoder = host.device().create_command_encoder(&Default::default());
        run.encode(&mut encoder, iterations).expect("encoded");
        host.queue().submit([encoder.finish()]);
    };
    let painted = |weight: f64, by_host: bool| {
        let mut run = single();
        for iterations in [2, 1] {
            if by_host {
                encoded(&mut run, iterations);
            } else {
                let _ = run
                    .run_for(iterations, |_| ControlFlow::Continue(()))
                    .expect("a run");
            }
            run.set_term_weight(0, weight).expect("content has a dial");
        }
        run.image().expect("a picture")
    };
    let changed = painted(1000.0, false);
    assert_ne!(changed, painted(1.0, false), "the weight matters");
    assert_eq!(painted(1000.0, true), changed);

    let mut run = single();
    while run.executor().is_at_rest() && !run.is_finished() {
        let _ = pollster::block_on(run.advance()).expect("a slice");
    }
    if !run.executor().is_at_rest() {
        let mut encoder = host.device().create_command_encoder(&Default::default());
        let refused = run.encode(&mut encoder, 1).expect_err("half an iteration");
        assert!(matches!(refused, pixgrad::Error::Run(RunError::InMotion)));
    }
}
