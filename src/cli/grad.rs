//! `pixgrad grad`: the gradient of a recipe's objective at its start image, nothing stepped.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::Recipe;
use pixgrad::engine::image::check_file;
use serde_json::json;

use super::claims::Claims;
use super::network::OpeningArgs;
use super::optimize::load_network;
use super::output::{Tensor, write_tensors};
use super::report::TermValue;
use super::{Global, terminal};
use pixgrad::engine::methods::options::parse::{self, Size};

/// Write the gradient of a recipe's objective at its start image, without taking a step
///
/// The file holds f32 tensors: `gradient` `[3,H,W]` with respect to the `[0,1]` image, `loss` [1], and `term.0` [1],
/// `term.1` [1] ..., the weighted value of every term of the recipe.
#[derive(Debug, Args)]
pub struct GradArgs {
    /// The recipe file. Relative paths in it start at its folder
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,

    /// Size of the image in pixels: its long side, or WIDTHxHEIGHT if no picture sets the aspect ratio [default: the
    /// recipe's]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::size, allow_negative_numbers = true)]
    size: Option<Size>,

    /// The network [default: the recipe's]
    #[arg(long, value_name = "NAME|FILE")]
    model: Option<String>,

    #[command(flatten)]
    opening: OpeningArgs,

    /// Seed of a random start image [default: the recipe's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

pub fn run(args: &GradArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut recipe = Recipe::read(&args.recipe)?;
    if let Some(size) = args.size {
        size.apply(&mut recipe.image);
    }
    if let Some(model) = &args.model {
        recipe.model.clone_from(model);
    }
    args.opening.apply(&mut recipe);
    recipe.seed = args.seed.unwrap_or(recipe.seed);
    let mut claims = Claims::of(&recipe);
    claims.reads(&args.recipe);
    claims.writes("--output", &args.output);
    claims.check()?;
    check_file(&args.output)?;

    let device = global.open()?;
    let (network, chosen) = load_network(&mut recipe, &device, global)?;
    let model = network.graph().name.clone();
    if chosen {
        global.note(format_args!("{model} (auto) on {}", device.info().name));
    }
    let report = recipe.gradient(&network)?;
    let (width, height) = (report.width, report.height);
    if !report.loss.is_finite() || report.gradient.iter().any(|g| !g.is_finite()) {
        bail!("the loss or its gradient is not a finite number: smaller weights help");
    }

    let scalar = |name: String, value| Tensor {
        name,
        shape: vec![1],
        values: std::slice::from_ref(value),
    };
    let shape = vec![3, height as usize, width as usize];
    let mut tensors = vec![Tensor {
        name: "gradient".into(),
        shape,
        values: &report.gradient,
    }];
    tensors.push(scalar("loss".into(), &report.loss));
    tensors.extend(
        report
            .terms
            .iter()
            .enumerate()
            .map(|(i, value)| scalar(format!("term.{i}"), value)),
    );
    write_tensors(&args.output, &tensors, &[("model", model.clone())])?;

    let terms: Vec<TermValue> = recipe
        .terms
        .iter()
        .zip(&report.terms)
        .map(|(term, value)| TermValue {
            kind: term.kind.name().to_string(),
            value: *value,
        })
        .collect();
    if global.json {
        terminal::print_json(&json!({
            "output": args.output,
            "width": width,
            "height": height,
            "model": model,
            "device": device.info(),
            "loss": report.loss,
            "terms": terms,
        }))?;
    } else {
        let terms: Vec<String> = terms
            .iter()
            .map(|t| format!("{} {:.6e}", t.kind, t.value))
            .collect();
        let loss = report.loss;
        let path = args.output.display();
        terminal::print(format_args!(
            "{path}: {width}x{height}, loss {loss:.6e} ({})",
            terms.join(", ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
