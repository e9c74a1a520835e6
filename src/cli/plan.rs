//! `pixgrad plan`: which sizes fit a device, and how long they take.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixgrad::ScaleForecast;
use pixgrad::engine::methods::options::parse;
use pixgrad::{Error, Image, Precision, Recipe};
use serde_json::json;

use super::network::OpeningArgs;
use super::optimize::load_network;
use super::progress::duration;
use super::{Global, terminal};

/// Print which sizes fit the device, how much memory they need and how long they take. Nothing is painted
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A recipe file. Relative paths in it start at its folder [default: style transfer with the defaults of `style`]
    #[arg(value_name = "RECIPE.toml")]
    recipe: Option<PathBuf>,

    /// Long sides in pixels
    #[arg(
        short,
        long,
        value_name = "PIXELS,…",
        value_delimiter = ',',
        default_value = "512,1024,2048,4096",
        value_parser = parse::side
    )]
    sizes: Vec<u32>,

    /// The network: a name from `pixgrad models`, a .safetensors, .onnx or .pth file, or auto [default: the recipe's,
    /// else auto]
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,

    #[command(flatten)]
    opening: OpeningArgs,

    /// Number format of the values that the backward pass reads: f32, or f16 for less memory [default: the recipe's,
    /// else f32]
    #[arg(long, value_name = "FORMAT", value_parser = parse::precision)]
    precision: Option<Precision>,
}

/// What one size will be and take: its scales, or the largest size that fits where it does not.
struct Planned {
    size: u32,
    scales: Result<Vec<ScaleForecast>, Option<u32>>,
}

pub fn run(args: &PlanArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut recipe = match &args.recipe {
        Some(path) => Recipe::read(path)?,
        None => Recipe::style(square()?, [square()?]),
    };
    if let Some(model) = &args.model {
        recipe.model.clone_from(model);
    }
    args.opening.apply(&mut recipe);
    recipe.precision = args.precision.unwrap_or(recipe.precision);
    let device = global.open()?;
    let (network, _) = load_network(&mut recipe, &device, global)?;
    let mut planned = Vec::new();
    let smallest = args.sizes.iter().copied().min().unwrap_or(512);
    let pace = recipe.clone().size(smallest).pace(&network)?;
    for &size in &args.sizes {
        let scales = match recipe.clone().size(size).forecast(&network, &pace) {
            Ok(scales) => Ok(scales),
            Err(Error::TooLarge { largest, .. }) => Err(largest),
            Err(error) => return Err(error.into()),
        };
        planned.push(Planned { size, scales });
    }
    if global.json {
        let sizes: Vec<_> = planned
            .iter()
            .map(|p| match &p.scales {
                Ok(scales) => json!({ "size": p.size, "fits": true, "seconds": seconds(scales), "scales": scales }),
                Err(largest) => json!({ "size": p.size, "fits": false, "largest": largest }),
            })
            .collect();
        terminal::print_json(&json!({
            "model": network.graph().name,
            "device": device.info(),
            "memory_limit": device.memory_limit(),
            "measured_at": [pace.size.0, pace.size.1],
            "sizes": sizes,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let limit = device
        .memory_limit()
        .map_or("as much memory as there is".to_string(), |bytes| {
            format!("{} of memory", terminal::bytes(bytes))
        });
    terminal::print(format_args!(
        "{} on {}, {limit}; measured at {}x{}\n{}",
        network.graph().name,
        device.info().name,
        pace.size.0,
        pace.size.1,
        terminal::table(&table(&planned))
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A picture that stands for any: sizes are all that a plan asks of it.
fn square() -> anyhow::Result<Image> {
    Ok(Image::new(512, 512, vec![0.5; 512 * 512 * 3])?)
}

fn seconds(scales: &[ScaleForecast]) -> f64 {
    scales.iter().map(|s| s.seconds).sum()
}

fn table(planned: &[Planned]) -> Vec<Vec<String>> {
    let header = [
        "size",
        "fits",
        "memory",
        "bands",
        "GFLOP/iteration",
        "ms/iteration",
        "iterations",
        "time",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for Planned { size, scales } in planned {
        let Ok(scales) = scales else {
            let largest = scales.as_ref().err().copied().flatten();
            let why = largest.map_or("no".to_string(), |size| format!("no, up to {size}"));
            rows.push(vec![size.to_string(), why]);
            continue;
        };
        let Some(last) = scales.last() else { continue };
        let memory = scales.iter().map(|s| s.scale.peak_bytes).max().unwrap_or(0);
        let iterations: u64 = scales.iter().map(|s| s.scale.iterations).sum();
        let time = std::time::Duration::from_secs_f64(seconds(scales));
        rows.push(vec![
            format!("{}x{}", last.scale.width, last.scale.height),
            "yes".to_string(),
            terminal::bytes(memory),
            last.scale.bands.to_string(),
            format!("{:.1}", last.scale.cost.gflop),
            format!("{:.1}", last.iteration_ms),
            iterations.to_string(),
            duration(time),
        ]);
    }
    rows
}
