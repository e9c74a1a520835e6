//! `pixgrad run`: a recipe from a file.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::Recipe;

use super::checkpoint::{Beginning, CheckpointArgs};
use super::optimize::{OptimizeArgs, Plain, optimize_from};
use super::output::default_path;
use super::parse::{self, Size};
use super::{Global, Usage};

/// Run a recipe file
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The recipe file. Relative paths in it start at its folder
    #[arg(value_name = "RECIPE.toml", required_unless_present = "resume")]
    recipe: Option<PathBuf>,

    /// Size of the result in pixels: its long side, or WIDTHxHEIGHT if no picture sets the aspect ratio [default: the
    /// recipe's]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::size, allow_negative_numbers = true)]
    size: Option<Size>,

    #[command(flatten)]
    optimize: OptimizeArgs,

    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &RunArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let (beginning, named) = match (args.checkpoints.resumed()?, &args.recipe) {
        (Some(resumed), _) => resumed,
        (None, Some(path)) => {
            let mut recipe = Recipe::read(path)?;
            if let Some(size) = args.size {
                size.apply(&mut recipe.image);
            }
            (Beginning::Recipe(recipe), path.as_path())
        }
        (None, None) => bail!(Usage("a recipe is needed".into())),
    };
    optimize_from(
        beginning,
        &args.checkpoints,
        &args.optimize,
        default_path(named),
        global,
        &mut Plain,
    )
}
