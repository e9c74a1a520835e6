//! The ends of what can be asked for: sizes that no kernel can count, layers that need no kernel at all.

use std::ops::ControlFlow;

use pixgrad::device::Device;
use pixgrad::image::Image;
use pixgrad::kernels::MAX_SIDE;
use pixgrad::net::NetError;
use pixgrad::recipe::{Init, LayerWeight, Picture, TermKind, TermSpec, features};
use pixgrad::{Error, Network, Recipe};

use crate::common::{GPU, random, uniform};

fn noise(width: u32, height: u32, seed: u64) -> Image {
    let values = uniform(&mut random(seed), (width * height * 3) as usize);
    let rgb = values.iter().map(|v| v.abs().min(1.0)).collect();
    Image::new(width, height, rgb).expect("an image")
}

fn squeezenet(device: &Device) -> Network {
    Network::load(device, "squeezenet1_1").expect("the embedded network")
}

#[test]
fn a_layer_with_more_elements_than_a_kernel_counts_is_refused() {
    let device = Device::cpu();
    let network = Network::load(&device, "vgg19").expect("the embedded network");
    let picture = Picture::from(noise(32, 32, 3));
    let recipe = Recipe::style(picture.clone(), [picture]).size(MAX_SIDE);
    match recipe.dry_run(&device, &network) {
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
            Err(Error::Plan(message)) => assert!(message.contains("65535"), "{message}"),
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
