//! `pixgrad run`: a recipe from a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixgrad::Recipe;

use super::Global;
use super::optimize::{OptimizeArgs, Plain, optimize};
use super::output::default_path;
use super::parse::{self, Size};

/// Run a recipe file
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The recipe; paths in it start at its folder
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,

    /// Size of the result in pixels: its long side, or WIDTHxHEIGHT where no picture gives it a shape
    /// [default: the recipe's]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::size, allow_negative_numbers = true)]
    size: Option<Size>,

    #[command(flatten)]
    optimize: OptimizeArgs,
}

pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut recipe = Recipe::read(&args.recipe)?;
    if let Some(size) = args.size {
        size.apply(&mut recipe.image);
    }
    let output = default_path(&args.recipe);
    optimize(recipe, &args.optimize, output, global, &mut Plain)
}
