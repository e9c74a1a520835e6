//! Tuned kernels: the choice is the fastest of what was timed, it is kept and taken up again, it changes no result, and
//! a file that is not of this device is left aside with a warning.

use std::fs;
use std::path::Path;

use pixgrad::engine::device::Tuning;
use pixgrad::engine::methods::GradientReport;
use pixgrad::{Device, DeviceOptions, Image, Network, Recipe};
use serde_json::Value;

use crate::common::GPU;

fn device(tuning: Tuning, folder: &Path) -> Device {
    Device::new(&DeviceOptions {
        device: Some(GPU.info().index.to_string()),
        checked: true,
        tuning,
        tuning_folder: Some(folder.to_path_buf()),
        ..DeviceOptions::default()
    })
    .expect("the test adapter opens")
}

/// Two convolutions of 3×3 with padding, two of 1×1, and their way back.
fn recipe() -> Recipe {
    let picture = |seed: u32| {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761 + seed) >> 8) as f32 / (1 << 24) as f32;
        Image::new(40, 40, (0..4800).map(value).collect()).expect("a picture")
    };
    let mut recipe = Recipe::style(picture(1), [picture(2)])
        .size(40)
        .min_size(40);
    recipe.terms.retain(|term| term.kind.is_spatial());
    *recipe.terms[0].kind.layers_mut().expect("layers") = vec!["fire3/concat".into()];
    recipe.image.init = pixgrad::Init::Noise;
    recipe
}

fn gradient(device: &Device) -> GradientReport {
    let network = Network::load(device, "squeezenet1_1").expect("embedded");
    recipe().gradient(&network).expect("a gradient")
}

/// The kernels of an iteration.
fn kernels(device: &Device) -> Vec<String> {
    let network = Network::load(device, "squeezenet1_1").expect("embedded");
    let run = recipe().compile(device, &network).expect("it compiles");
    let calls = run.executor().program().recording.calls();
    calls.iter().map(|c| c.operation.shader().label()).collect()
}

fn read(folder: &Path) -> (std::path::PathBuf, Value) {
    let mut files = fs::read_dir(folder).expect("a folder");
    let file = files.next().expect("a file").expect("an entry").path();
    assert!(files.next().is_none(), "one device, one file");
    let text = fs::read_to_string(&file).expect("a text");
    (file, serde_json::from_str(&text).expect("JSON"))
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let error: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let norm: f64 = b.iter().map(|b| f64::from(*b).powi(2)).sum();
    (error / norm).sqrt()
}

#[test]
fn what_was_found_is_kept_and_taken_up_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = gradient(&device(Tuning::Off, folder.path()));
    assert!(
        fs::read_dir(folder.path())
            .expect("a folder")
            .next()
            .is_none()
    );

    let tuned = device(Tuning::Again, folder.path());
    let found = gradient(&tuned);
    assert!(distance(&found.gradient, &plain.gradient) < 1e-5);
    assert_eq!(tuned.take_warnings(), Vec::<String>::new());
    let (path, mut file) = read(folder.path());
    assert_eq!(file["device"], Value::from(GPU.info().name.clone()));
    let choices = file["choices"].as_object_mut().expect("choices");
    assert!(choices.len() >= 6, "{choices:?}");
    let mut tiles = 0;
    for choice in choices.values_mut() {
        let chosen = choice["kernel"].as_str().expect("a kernel");
        let times = choice["ms"].as_object().expect("times").clone();
        let least = times
            .values()
            .filter_map(Value::as_f64)
            .fold(f64::INFINITY, f64::min);
        assert!(times.len() >= 2);
        assert_eq!(times[chosen].as_f64(), Some(least), "{choice}");
        if let Some(tile) = times.keys().find(|label| label.starts_with("conv3x3_tile")) {
            choice["kernel"] = Value::from(tile.clone());
            tiles += 1;
        }
    }
    assert!(tiles >= 2, "two shapes, there and back");

    // What the file says is what runs, measured or not.
    fs::write(&path, file.to_string()).expect("written");
    let again = device(Tuning::Always, folder.path());
    let chosen = kernels(&again);
    assert!(
        chosen.iter().any(|k| k.starts_with("conv3x3_tile")),
        "{chosen:?}"
    );
    assert!(
        !chosen.iter().any(|k| k.starts_with("conv3x3+")),
        "{chosen:?}"
    );
    assert!(distance(&gradient(&again).gradient, &plain.gradient) < 1e-5);
    assert_eq!(read(folder.path()).1, file, "nothing new, nothing written");
    // On a software adapter only who asks for it gets tuned kernels.
    let auto = kernels(&device(Tuning::Auto, folder.path()));
    let tiled = auto.iter().any(|k| k.starts_with("conv3x3_tile"));
    assert_eq!(tiled, !GPU.info().is_software(), "{auto:?}");
}

#[test]
fn a_file_that_is_not_this_devices_is_left_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    kernels(&device(Tuning::Again, folder.path()));
    let (path, good) = read(folder.path());
    let with = |field: &str, value: Value| {
        let mut file = good.clone();
        file[field] = value;
        file.to_string()
    };
    for (content, why) in [
        (
            "{ \"format\": 1, ".to_string(),
            "it is no file of tuned kernels",
        ),
        (with("device", "Another".into()), "it is of Another"),
        (with("format", 7.into()), "its format is 7, not 1"),
    ] {
        fs::write(&path, &content).expect("written");
        let device = device(Tuning::Always, folder.path());
        kernels(&device);
        let warnings = device.take_warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].contains(why) && warnings[0].contains("replaced"),
            "{warnings:?}"
        );
        let (_, now) = read(folder.path());
        assert_eq!(now["device"], good["device"]);
        assert_eq!(
            now["choices"].as_object().map(serde_json::Map::len),
            good["choices"].as_object().map(serde_json::Map::len)
        );
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "no folder").expect("written");
    let device = device(Tuning::Again, &file);
    kernels(&device);
    let warnings = device.take_warnings();
    assert!(
        warnings.iter().any(|w| w.contains("could not be written")),
        "{warnings:?}"
    );
}
