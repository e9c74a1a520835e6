//! The ends of what can be asked for: sizes that no kernel can count, layers that need no kernel at all.

use std::ops::ControlFlow;

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::MAX_SIDE;
use pixgrad::engine::methods::features;
use pixgrad::engine::net::{Architecture, NetError};
use pixgrad::terms::LayerWeight;
use pixgrad::{Error, Network, PlanError, Precision, Recipe};
use pixgrad::{Init, Picture, TermKind, TermSpec};

use crate::common::{GPU, noise};

fn squeezenet(device: &Device) -> Network {
    Network::load(device, "squeezenet1_1").expect("the embedded network")
}

#[test]
fn a_layer_with_more_elements_than_a_kernel_counts_is_refused() {
    let device = Device::cpu();
    let network = Network::load(&device, "vgg19").expect("the embedded network");
    let picture = Picture::from(noise(32, 32, 3));
    let recipe = Recipe::style(picture.clone(), [picture]).size(MAX_SIDE);
    match recipe.dry_run(&network) {
        Err(Error::TooLarge {
            largest: Some(side),
            ..
        }) => assert!(side < MAX_SIDE),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sides_beyond_a_grid_are_refused() {
    let tall = noise(1, MAX_SIDE + 1, 4);
    for device in [&Device::cpu(), &*GPU] {
        match features(&squeezenet(device), &tall, &["data".to_string()]) {
            Err(Error::Plan(error @ PlanError::ImageTooLong { .. })) => {
                let message = error.to_string();
                assert!(message.contains("65535"), "{message}");
            }
            other => panic!("{device:?}: {:?}", other.map(|f| f.len())),
        }
        let highest = noise(1, MAX_SIDE, 4);
        let answer = features(&squeezenet(device), &highest, &["data".to_string()]);
        assert_eq!(answer.expect("a layer")[0].values.len(), 3 * 65_535);
    }
    // What is too small keeps its own message.
    let tiny = features(
        &squeezenet(&Device::cpu()),
        &noise(1, 1, 5),
        &["pool1".to_string()],
    );
    assert!(matches!(
        tiny,
        Err(Error::Net(NetError::ImageTooSmall { .. }))
    ));
}

#[test]
fn the_image_is_a_layer_too() {
    let picture = noise(7, 5, 1);
    for device in [&Device::cpu(), &*GPU] {
        let network = squeezenet(device);
        let answer = &features(&network, &picture, &["input".to_string()]).expect("a layer")[0];
        for (i, value) in answer.values.iter().enumerate() {
            let (channel, pixel) = (i / 35, i % 35);
            assert_eq!(*value, picture.rgb[pixel * 3 + channel], "{device:?}: {i}");
        }

        let term = TermSpec::content(picture.clone()).layers(["input"]);
        let mut recipe = Recipe::new().init(Init::Picture(noise(7, 5, 2).into()));
        recipe.terms = vec![term];
        let report = recipe.gradient(&network).expect("a gradient");
        let difference = noise(7, 5, 2).rgb[0] - picture.rgb[0];
        assert!(
            (report.gradient[0] - 2.0 * difference / 105.0).abs() <= 1e-7,
            "{device:?}: {} for {difference}",
            report.gradient[0]
        );
    }
}

/// VGG-19 up to relu5_1 with the layers of Gatys et al.: activations, gradients, weights, targets, image and optimizer.
/// What is only pooled is nowhere in memory.
#[test]
fn vgg19_needs_little_memory() {
    let graph = pixgrad::engine::net::Network::random(Architecture::Vgg19, 10, 13, 1);
    let network = Network::new(&Device::cpu(), graph.expect("a random network"));
    let mut recipe = Recipe::style(noise(64, 64, 7), [noise(64, 64, 8)]);
    recipe.image.min_size = None;
    for term in &mut recipe.terms {
        let names: &[&str] = match term.kind {
            TermKind::Content(_) => &["relu4_2"],
            TermKind::Style(_) => &["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
            _ => continue,
        };
        let layers = names.iter().map(|name| LayerWeight::from(*name));
        *term.kind.layers_mut().expect("layers") = layers.collect();
    }
    for (side, precision, most) in [
        (1024, Precision::F32, 850),
        (2048, Precision::F32, 3100),
        (1024, Precision::F16, 550),
        (2048, Precision::F16, 2000),
    ] {
        recipe.precision = precision;
        let reports = recipe.clone().size(side).dry_run(&network).expect("a plan");
        let report = &reports[0];
        assert_eq!((report.width, report.height), (side, side));
        let mebibytes = report.peak_bytes >> 20;
        println!("{precision:?} at {side}²: {mebibytes} MiB");
        assert!(
            mebibytes <= most,
            "{mebibytes} MiB at {side}² in {precision:?}"
        );
    }
}

/// The step is annealed over the scale's own iterations, also where the coarsest scale has none.
#[test]
fn a_scale_without_iterations_leaves_the_next_one_its_steps() {
    let device = Device::cpu();
    let network = squeezenet(&device);
    let last = |scales: bool| {
        let mut recipe = Recipe::new().init(Init::Picture(noise(12, 12, 6).into()));
        recipe.terms = vec![TermSpec::tv()];
        recipe.image.min_size = scales.then_some(8);
        recipe.optimizer.final_step = 0.0;
        recipe.optimizer.iterations = 20;
        recipe.optimizer.initial_iterations = scales.then_some(0);
        let mut run = recipe.compile(&device, &network).expect("a valid recipe");
        let mut losses = Vec::new();
        let _ = run
            .run(|p| {
                losses.push(p.loss);
                ControlFlow::Continue(())
            })
            .expect("a run");
        losses[19] / losses[0]
    };
    let (one, two) = (last(false), last(true));
    assert!(one < 0.5 && two < 0.5, "{one} {two}");
}
