//! Files with changed bytes.

use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ::image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use pixgrad::engine::image::{self, SaveOptions};
use pixgrad::{Image, Network, Recipe};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::changes::{changed, changes};
use crate::doors;

/// Asks a property of so many cases. A case that fails is made smaller and printed. One that ends the whole process, as
/// too little memory does, cannot be: so each case lies in a file while it is tried, which `cargo xtask test robust`
/// prints.
pub fn ask<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value)) {
    let test = std::thread::current()
        .name()
        .unwrap_or("test")
        .replace("::", "-");
    let tried = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.tried"));
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let asked = TestRunner::new(config).run(&strategy, |value| {
        fs::write(&tried, format!("{value:?}")).expect("written");
        property(value);
        Ok(())
    });
    let _ = fs::remove_file(&tried);
    if let Err(error) = asked {
        panic!("{error}");
    }
}

pub fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn small_picture() -> Image {
    let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as f32 / 255.0;
    let rgb = (0..3 * 13 * 9).map(value).collect();
    let image = Image::new(13, 9, rgb).expect("an image");
    let alpha = (0..13 * 9).map(|i| value(i * 7 + 3)).collect();
    image.with_alpha(alpha).expect("an alpha channel")
}

/// A small picture in every format that is read.
fn pictures() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let own = ["a.png", "a.jpg", "a.webp", "a.tif"].map(|name| {
        let path = folder.path().join(name);
        let options = SaveOptions::default();
        let _ = image::save(&path, &small_picture(), options).expect("written");
        fs::read(path).expect("the file")
    });
    let pixels = RgbaImage::from_fn(13, 9, |x, y| Rgba([x as u8 * 19, y as u8 * 27, 77, 255]));
    let rgb = DynamicImage::ImageRgba8(pixels).to_rgb8();
    let others = [
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Qoi,
        ImageFormat::Tga,
        ImageFormat::Pnm,
    ];
    let others = others.map(|format| {
        let mut file = Cursor::new(Vec::new());
        let picture = DynamicImage::ImageRgb8(rgb.clone());
        picture.write_to(&mut file, format).expect("encoded");
        file.into_inner()
    });
    own.into_iter().chain(others).collect()
}

#[test]
fn pictures_are_read_or_refused() {
    let files = pictures();
    files.iter().for_each(|file| doors::picture(file));
    ask(12_000, (select(files), changes()), |(file, changes)| {
        doors::picture(&changed(&file, &changes));
    });
}

#[test]
fn onnx_files_are_read_or_refused() {
    let folder = root().join("kernels-tests/onnx/models");
    let entries = fs::read_dir(folder).expect("the models").flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let files: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a model"))
        .collect();
    ask(4000, (select(files), changes()), |(file, changes)| {
        doors::network(&changed(&file, &changes), "onnx");
    });
}

#[test]
fn weights_are_read_or_refused() {
    for name in ["vgg_start_zip.pth", "vgg_start_legacy.pth"] {
        let file = fs::read(root().join("kernels-tests/robust/corpus").join(name));
        let file = file.expect("a sample");
        doors::network(&file, "pth");
        ask(1000, changes(), |changes| {
            doors::network(&changed(&file, &changes), "pth")
        });
    }
    let file = fs::read(root().join("samples/models/squeezenet1_1.safetensors"));
    let file = file.expect("the weights");
    ask(100, changes(), |changes| {
        doors::network(&changed(&file, &changes), "safetensors")
    });
}

#[test]
fn checkpoints_are_gone_on_with_or_refused() {
    let folder = doors::folder();
    let device = doors::device();
    let network = Network::load(&device, "squeezenet1_1").expect("embedded");
    for optimizer in ["adam", "lbfgs"] {
        let path = folder.path().join("recipe.toml");
        let text = format!(
            "model = \"squeezenet1_1\"\n[image]\nsize = 24\n[optimizer]\nkind = \"{optimizer}\"\niterations = 4\n\
             average = {}\n[[term]]\nkind = \"content\"\ntarget = \"a.png\"\nlayers = [\"conv1\"]\n\
             [[term]]\nkind = \"tv\"\n",
            if optimizer == "adam" { 0.9 } else { 0.0 }
        );
        fs::write(&path, text).expect("written");
        let recipe = Recipe::read(&path).expect("a recipe");
        let mut run = recipe.compile(&device, &network).expect("a run");
        run.run_for(2, |_| ControlFlow::Continue(()))
            .expect("two iterations");
        let kept = folder.path().join("kept");
        run.save_checkpoint(&kept).expect("written");
        let file = fs::read(kept).expect("a checkpoint");
        ask(300, changes(), |changes| {
            doors::checkpoint(&changed(&file, &changes), folder.path(), &network);
        });
    }
}

#[test]
fn caches_of_search_are_used_or_made_anew() {
    let folder = doors::folder();
    let network = Network::load(&doors::device(), "squeezenet1_1").expect("embedded");
    let file = doors::search_cache(None, folder.path(), &network);
    ask(80, changes(), |changes| {
        doors::search_cache(Some(&changed(&file, &changes)), folder.path(), &network);
    });
}
