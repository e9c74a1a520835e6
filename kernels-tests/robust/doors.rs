//! The doors through which files come in. Each takes bytes and panics only where the program is wrong.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use pixgrad::engine::image;
use pixgrad::engine::methods::features;
use pixgrad::engine::methods::search::{Query, search};
use pixgrad::{Checkpoint, Device, DeviceOptions, Error, Image, Made, Network, Recipe};
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

/// A folder with the pictures `a.png`, 24×20, and `b.png`, 20×20.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, (width, height)) in [("a.png", (24, 20)), ("b.png", (20, 20))] {
        let value = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as f32 / 255.0;
        let rgb = (0..3 * width * height).map(value).collect();
        let image = Image::new(width, height, rgb).expect("an image");
        image.save(folder.path().join(name)).expect("written");
    }
    folder
}

/// The processor with little memory, so that nothing takes long: what would need more is refused.
pub fn device() -> Device {
    let options = DeviceOptions {
        device: Some("cpu".into()),
        memory: Some(500_000_000),
        ..DeviceOptions::default()
    };
    Device::new(&options).expect("a processor")
}

fn finite(image: &Image) {
    image.check().expect("finite pixels");
}

/// A picture file.
pub fn picture(bytes: &[u8]) {
    if let Ok(loaded) = image::decode("picture", bytes) {
        finite(&loaded.image);
    }
    let _ = Made::of(Path::new("picture"), bytes);
}

/// A weights file with that extension.
pub fn network(bytes: &[u8], extension: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network").with_extension(extension);
    fs::write(&path, bytes).expect("written");
    let device = device();
    let Ok(network) = Network::load(&device, &path.to_string_lossy()) else {
        return;
    };
    // What the last layers make of a small picture.
    let graph = network.graph();
    let names: Vec<String> = graph.layers().map(|node| node.name.clone()).collect();
    let image = Image::filled(32, 32, [0.2, 0.5, 0.8]).expect("an image");
    for name in names.iter().rev().take(2) {
        if let Ok(found) = features(&network, &image, std::slice::from_ref(name)) {
            assert!(found.iter().flat_map(|f| &f.values).all(|v| v.is_finite()));
        }
    }
}

/// A recipe file whose pictures are those of [`folder`]. Says what came of it: a picture, or why there is none.
pub fn recipe(text: &str, folder: &Path, network: &Network) -> Result<Image, String> {
    let path = folder.join("recipe.toml");
    fs::write(&path, text).expect("written");
    let recipe = Recipe::read(&path).map_err(|error| error.with_causes())?;
    run(&recipe, network)
}

/// As [`recipe`], of those that take no longer than a moment.
#[allow(dead_code)]
pub fn short_recipe(text: &str, folder: &Path, network: &Network) -> Result<Image, String> {
    let path = folder.join("recipe.toml");
    fs::write(&path, text).expect("written");
    let recipe = Recipe::read(&path).map_err(|error| error.with_causes())?;
    let (image, optimizer) = (&recipe.image, &recipe.optimizer);
    let sides = [image.size, image.width, image.height, image.min_size];
    let is_short = optimizer.iterations <= 3
        && optimizer.initial_iterations.is_none_or(|n| n <= 3)
        && sides.iter().flatten().all(|side| *side <= 64)
        && image.batch.is_none_or(|n| n <= 4)
        && image.octaves.is_none_or(|n| n <= 4);
    if is_short {
        run(&recipe, network)
    } else {
        Err("it would take long".into())
    }
}

fn run(recipe: &Recipe, network: &Network) -> Result<Image, String> {
    let said = |error: Error| error.with_causes();
    let mut run = recipe.compile(network.device(), network).map_err(said)?;
    let mut diverged = false;
    let _ = run
        .run(|progress| {
            diverged |= !progress.loss.is_finite();
            if diverged {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .map_err(said)?;
    if diverged {
        return Err("the loss is not a finite number".into());
    }
    let image = run.image().map_err(said)?;
    finite(&image);
    Ok(image)
}

/// A checkpoint, as it is and with a checksum that is right, so that what is behind it is looked at, too.
pub fn checkpoint(bytes: &[u8], folder: &Path, network: &Network) {
    let mut sealed = bytes[..bytes.len().saturating_sub(16)].to_vec();
    sealed.extend(xxh3_128(&sealed).to_le_bytes());
    for bytes in [bytes, &sealed] {
        let path = folder.join("checkpoint");
        fs::write(&path, bytes).expect("written");
        let Ok(checkpoint) = Checkpoint::read(&path) else {
            continue;
        };
        let Ok(recipe) = checkpoint.recipe() else {
            continue;
        };
        if let Ok(mut run) = recipe.resume(network.device(), network, &checkpoint) {
            let _ = run.run_for(2, |_| ControlFlow::Continue(()));
            if let Ok(image) = run.image() {
                finite(&image);
            }
        }
    }
}

/// What `search` keeps of a folder's pictures. `None`: nothing.
pub fn search_cache(bytes: Option<&[u8]>, folder: &Path, network: &Network) -> Vec<u8> {
    let hidden = || {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut paths = entries.map(|entry| entry.path());
        paths.find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with('.')
        })
    };
    if let (Some(bytes), Some(path)) = (bytes, hidden()) {
        fs::write(path, bytes).expect("written");
    }
    let query = [Query::Unit {
        channel: 0,
        pool: Default::default(),
    }];
    let found = search(network, folder, "conv10", &query, 2, None, &mut |_| ());
    let found = found.expect("the pictures can be read");
    for hit in &found.queries[0].top {
        assert!(hit.score.is_finite() && hit.class.is_some_and(|class| class < 1000));
    }
    hidden().map_or_else(Vec::new, |path| fs::read(path).expect("the cache"))
}
