//! `pixgrad texture --sheet`: textures of ever more layers beside each other.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use pixgrad::Recipe;
use pixgrad::engine::device::DeviceInfo;
use pixgrad::engine::image::{self, Filter, sheet, size_for_long_side};
use pixgrad::engine::methods::texture_sheet_layers;
use pixgrad::terms::LayerWeight;
use pixgrad::{Image, MadeOf, Network};
use serde::Serialize;

use super::checkpoint::Keeper;
use super::claims::Claims;
use super::interrupt::Interrupt;
use super::optimize::{OptimizeArgs, Plain, iterate, load_network};
use super::picture::Output;
use super::report::report_recipes;
use super::{Global, Usage, terminal};

/// One texture of the sheet.
#[derive(Debug, Serialize)]
struct Texture {
    /// The layers it is made of.
    layers: Vec<String>,
    iterations: u64,
    stopped: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    output: &'a PathBuf,
    width: u32,
    height: u32,
    model: &'a str,
    device: &'a DeviceInfo,
    seconds: f64,
    textures: Vec<Texture>,
    stopped: bool,
}

/// The sample, then a texture of layer 1, of layers 1 and 2, and so on up to all of `layers`, or of the network's usual
/// ones.
pub fn run(
    mut recipe: Recipe,
    sample: &PathBuf,
    layers: &[LayerWeight],
    options: &OptimizeArgs,
    output: &Output,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    if options.trace.is_some() || options.save_recipe.is_some() {
        bail!(Usage(
            "--trace and --save-recipe are of one run: not with --sheet".into()
        ));
    }
    options.apply(&mut recipe);
    options.check_outputs(output, Claims::of(&recipe), global)?;
    let original = image::load(sample)?;
    let device = global.open()?;
    let (network, _) = load_network(&mut recipe, &device, global)?;
    let layers = if layers.is_empty() {
        texture_sheet_layers(network.graph())?
    } else {
        layers.to_vec()
    };
    let recipes: Vec<Recipe> = (1..=layers.len())
        .map(|count| with_layers(&recipe, &layers[..count]))
        .collect();
    if options.dry_run {
        return report_recipes(&device, &network, &recipes, global);
    }

    let interrupt = Interrupt::listen(global.quiet)?;
    let (mut pictures, mut made) = (Vec::new(), Vec::new());
    for (recipe, count) in recipes.iter().zip(1..) {
        if interrupt.pressed() {
            break;
        }
        let names: Vec<String> = layers[..count].iter().map(|l| l.layer.clone()).collect();
        global.note(format_args!(
            "{} of {} on {}",
            names.join(", "),
            network.graph().name,
            device.info().name
        ));
        let picture = one(recipe, &network, &mut made, names, options, output, global)?;
        pictures.push(picture);
    }
    let first = pictures.first().unwrap_or(&original);
    let mut all = vec![fitted(&original, first)?];
    all.extend(pictures);
    let result = sheet(&all, all.len(), 8, [1.0; 3])?;
    let of = vec![MadeOf::new(sample, &original)];
    output.save(&result, &network, of, global)?;
    let stopped = made.iter().any(|t| t.stopped) || made.len() < layers.len();
    let report = Report {
        output: &output.path,
        width: result.width,
        height: result.height,
        model: &network.graph().name,
        device: device.info(),
        seconds: begin.elapsed().as_secs_f64(),
        textures: made,
        stopped,
    };
    if global.json {
        terminal::print_json(&report)?;
    } else {
        output.report(format_args!(
            "{}: {} textures, {}x{}, {:.1} s on {}",
            output.path.display(),
            report.textures.len(),
            result.width,
            result.height,
            report.seconds,
            report.device.name
        ))?;
    }
    Ok(if stopped {
        ExitCode::from(Interrupt::EXIT_CODE)
    } else {
        ExitCode::SUCCESS
    })
}

fn with_layers(recipe: &Recipe, layers: &[LayerWeight]) -> Recipe {
    let mut recipe = recipe.clone();
    for style in recipe.terms.iter_mut().filter_map(|t| t.kind.style_mut()) {
        style.layers = layers.to_vec();
    }
    recipe
}

/// Makes one texture.
fn one(
    recipe: &Recipe,
    network: &Network,
    made: &mut Vec<Texture>,
    layers: Vec<String>,
    options: &OptimizeArgs,
    output: &Output,
    global: &Global,
) -> anyhow::Result<Image> {
    let mut run = recipe.compile(network.device(), network)?;
    let journal = iterate(
        &mut run,
        options,
        output,
        &mut Keeper::default(),
        global,
        &mut Plain,
    )?;
    made.push(Texture {
        layers,
        iterations: run.done(),
        stopped: journal.stopped,
    });
    Ok(run.image()?)
}

/// The sample within the size of a texture.
fn fitted(sample: &Image, texture: &Image) -> anyhow::Result<Image> {
    let (width, height) = sample.size();
    let long = texture.width.max(texture.height).min(width.max(height));
    let (w, h) = size_for_long_side(width, height, long);
    if (w, h) == (width, height) {
        return Ok(sample.clone());
    }
    Ok(sample.resize(w, h, Filter::Bicubic)?.clamp())
}
