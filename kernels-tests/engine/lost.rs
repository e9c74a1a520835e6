//! What a host program is told when its device is gone or too small, and that it can go on with another.

use std::ops::ControlFlow;

use pixgrad::engine::device::{Device, DeviceOptions};
use pixgrad::{DeviceError, Error, Image, Network, Recipe, Run};

use crate::common::{open_gpu, sample};

fn recipe() -> Recipe {
    Recipe::style(
        sample("chelsea.png", 48, 32),
        [sample("starry_night.jpg", 32, 32)],
    )
    .iterations(4)
}

fn step(run: &mut Run) -> Result<(), Error> {
    run.run_for(1, |_| ControlFlow::Continue(())).map(|_| ())
}

/// All of a run.
fn painted(device: &Device) -> Result<Image, Error> {
    let network = Network::load(device, "squeezenet1_1")?;
    let mut run = recipe().compile(device, &network)?;
    run.run_for(2, |_| ControlFlow::Continue(()))?;
    run.image()
}

fn is_lost<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Device(DeviceError::Lost(_))))
}

#[test]
fn a_device_that_is_gone_is_told_by_every_call_and_another_takes_its_place() {
    let device = open_gpu();
    let network = Network::load(&device, "squeezenet1_1").expect("embedded");
    let mut run = recipe().compile(&device, &network).expect("a run");
    step(&mut run).expect("an iteration");
    device.gpu().expect("a GPU").device().destroy();
    assert!(is_lost(step(&mut run)));
    assert!(is_lost(step(&mut run)), "it stays gone");
    assert!(is_lost(run.image()), "its last iteration never ended");
    assert!(is_lost(pollster::block_on(run.checkpoint_async())));
    assert!(is_lost(recipe().compile(&device, &network)));
    assert!(is_lost(recipe().gradient(&network)));
    assert!(is_lost(painted(&device)));
    drop((run, network, device));
    painted(&open_gpu()).expect("another device");
}

#[test]
fn a_device_that_is_too_small_is_told_and_another_takes_its_place() {
    let open = |memory| {
        let options = DeviceOptions {
            device: Some("cpu".into()),
            memory,
            ..DeviceOptions::default()
        };
        Device::new(&options).expect("the processor")
    };
    for bytes in [1000, 3_000_000] {
        let error = painted(&open(Some(bytes))).expect_err("too little memory");
        let is_told = matches!(error, Error::Plan(_) | Error::TooLarge { .. });
        assert!(is_told, "{bytes}: {error:?}");
    }
    painted(&open(None)).expect("enough memory");
}
