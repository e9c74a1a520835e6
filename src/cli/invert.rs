//! `pixgrad invert`: what a layer still knows of a picture.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use pixgrad::engine::device::DeviceInfo;
use pixgrad::engine::image::{self, Filter, psnr, sheet};
use pixgrad::engine::methods::features;
use pixgrad::engine::methods::options::InvertOptions;
use pixgrad::{Image, MadeOf, Network};
use serde::Serialize;

use super::checkpoint::Keeper;
use super::claims::Claims;
use super::interrupt::Interrupt;
use super::optimize::{OptimizeArgs, Plain, iterate, save_recipe};
use super::output::default_path;
use super::picture::Output;
use super::report::report_recipes;
use super::{Global, Usage, network, terminal};
use pixgrad::engine::methods::options::parse::{self, LongSide};

/// Reconstruct a picture from a layer's activations
#[derive(Debug, Args)]
pub struct InvertArgs {
    /// The picture
    #[arg(value_name = "IMAGE")]
    picture: PathBuf,

    /// The layer, or several: then the result is a sheet of the picture and a reconstruction from each layer
    #[arg(
        short,
        long = "layer",
        visible_alias = "layers",
        value_name = "LAYERS",
        value_delimiter = ',',
        required = true,
        value_parser = parse::layer_name
    )]
    layers: Vec<String>,

    /// Long side of the result in pixels, or native (the picture's size) [default: 160, or the picture's long side if
    /// that is smaller]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::long_side, allow_negative_numbers = true)]
    size: Option<LongSide>,

    /// λ_V, the weight of total variation [default: 1, 10 or 100, depending on the layer's depth]
    #[arg(long, value_name = "W", value_parser = parse::weight, allow_negative_numbers = true)]
    tv_weight: Option<f64>,

    /// β, the exponent of total variation
    #[arg(long, value_name = "B", default_value = "2", value_parser = parse::positive)]
    beta: f64,

    /// α, the exponent of the norm
    #[arg(long, value_name = "A", default_value = "6", value_parser = parse::positive)]
    alpha: f64,

    #[command(flatten)]
    optimize: OptimizeArgs,
}

/// How well one layer's reconstruction came out.
#[derive(Debug, Serialize)]
struct Reconstruction {
    layer: String,
    /// ‖Φ−Φ₀‖²/‖Φ₀‖².
    error: f64,
    /// Peak signal-to-noise ratio to the picture, in dB.
    psnr: f64,
    iterations: u64,
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
    layers: Vec<Reconstruction>,
    stopped: bool,
}

pub fn run(args: &InvertArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let options = &args.optimize;
    if args.layers.len() > 1 && (options.trace.is_some() || options.save_recipe.is_some()) {
        bail!(Usage(
            "--trace and --save-recipe are of one run: give one layer".into()
        ));
    }
    let output = options.picture.picture(default_path(&args.picture))?;
    let mut claims = Claims::default();
    claims.reads_content(&args.picture);
    options.opening.claim(options.model.as_deref(), &mut claims);
    options.check_outputs(&output, claims, global)?;
    let picture = image::load(&args.picture)?;
    let size = of_layer(args, &args.layers[0]).size_of(picture.size());
    let original = scaled(picture, size)?;
    let device = global.open()?;
    let model = options.model.as_deref().unwrap_or("squeezenet1_1");
    let network = network::load(&device, model, &options.opening, global)?;
    let recipes = args
        .layers
        .iter()
        .map(|layer| {
            let picture = args.picture.as_path().into();
            of_layer(args, layer).complete(picture, size, &network)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if let [recipe] = &recipes[..] {
        global.beside(save_recipe(recipe, options));
    }
    if options.dry_run {
        return report_recipes(&device, &network, &recipes, global);
    }

    let interrupt = Interrupt::listen(global.quiet)?;
    let (mut pictures, mut found) = (vec![original.clone()], Vec::new());
    let mut stopped = false;
    let mut only = None;
    for (recipe, layer) in recipes.iter().zip(&args.layers) {
        if interrupt.pressed() {
            break;
        }
        global.note(format_args!(
            "{layer} of {} on {}",
            network.graph().name,
            device.info().name
        ));
        let mut run = recipe.compile(&device, &network)?;
        let journal = iterate(
            &mut run,
            options,
            &output,
            &mut Keeper::default(),
            global,
            &mut Plain,
        )?;
        stopped |= journal.stopped;
        if let Some(path) = &options.trace {
            global.beside(journal.write_trace(path, &device, recipe));
        }
        let picture = run.image()?;
        found.push(Reconstruction {
            layer: layer.clone(),
            error: error(&network, &picture, &original, layer)?,
            psnr: psnr(&picture, &original)?,
            iterations: run.done(),
        });
        pictures.push(picture);
        if args.layers.len() == 1 {
            only = Some((run, recipe));
        }
    }
    let result = match &pictures[..] {
        [_, only] => only.clone(),
        all => sheet(all, all.len(), 8, [1.0; 3])?,
    };
    match &only {
        Some((run, recipe)) => output.save_run(&result, run, recipe, None, global)?,
        None => {
            let of = vec![MadeOf::new(&args.picture, &original)];
            output.save(&result, &network, of, global)?;
        }
    }
    let report = Report {
        output: &output.path,
        width: result.width,
        height: result.height,
        model: &network.graph().name,
        device: device.info(),
        seconds: begin.elapsed().as_secs_f64(),
        layers: found,
        stopped,
    };
    print(&report, &output, global)?;
    Ok(if stopped {
        ExitCode::from(Interrupt::EXIT_CODE)
    } else {
        ExitCode::SUCCESS
    })
}

fn print(report: &Report<'_>, output: &Output, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return terminal::print_json(report);
    }
    let header = ["layer", "normalised error", "PSNR (dB)", "iterations"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(report.layers.iter().map(|r| {
        vec![
            r.layer.clone(),
            format!("{:.4}", r.error),
            format!("{:.2}", r.psnr),
            r.iterations.to_string(),
        ]
    }));
    output.report(format_args!(
        "{}: {}x{}, {:.1} s on {}\n{}",
        report.output.display(),
        report.width,
        report.height,
        report.seconds,
        report.device.name,
        terminal::table(&rows)
    ))?;
    Ok(())
}

/// What is asked for one layer.
fn of_layer(args: &InvertArgs, layer: &str) -> InvertOptions {
    InvertOptions {
        layer: layer.to_string(),
        size: args.size,
        tv_weight: args.tv_weight,
        beta: args.beta,
        alpha: args.alpha,
        optimize: args.optimize.options(),
    }
}

/// The picture at a size.
fn scaled(picture: Image, (width, height): (u32, u32)) -> anyhow::Result<Image> {
    if picture.size() == (width, height) {
        return Ok(picture);
    }
    Ok(picture.resize(width, height, Filter::Bicubic)?.clamp())
}

/// ‖Φ−Φ₀‖²/‖Φ₀‖² of a layer.
fn error(network: &Network, a: &Image, b: &Image, layer: &str) -> anyhow::Result<f64> {
    let layers = [layer.to_string()];
    let values =
        |image| Ok::<_, anyhow::Error>(features(network, image, &layers)?.remove(0).values);
    let (a, b) = (values(a)?, values(b)?);
    let square = |v: f64| v * v;
    let difference: f64 = a
        .iter()
        .zip(&b)
        .map(|(a, b)| square(f64::from(a - b)))
        .sum();
    let norm: f64 = b.iter().map(|v| square(f64::from(*v))).sum();
    Ok(difference / norm.max(f64::MIN_POSITIVE))
}
