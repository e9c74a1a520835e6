//! `pixgrad texture`: a new texture like a sample.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use pixgrad::engine::methods::options::TextureOptions;

use super::checkpoint::{Beginning, CheckpointArgs};
use super::optimize::{OptimizeArgs, Plain, optimize_from};
use super::output::default_path;
use super::style::{PaintArgs, pictures};
use super::{Global, Usage, texture_sheet};
use pixgrad::engine::methods::options::parse::{self, Size};

/// Make a new texture like one or several samples
#[derive(Debug, Args)]
pub struct TextureArgs {
    /// The sample pictures
    #[arg(value_name = "STYLE", required_unless_present = "resume")]
    styles: Vec<PathBuf>,

    /// Size of the result in pixels: the side of a square, or WIDTHxHEIGHT
    #[arg(
        short,
        long,
        value_name = "PIXELS",
        default_value = "256",
        value_parser = parse::size,
        allow_negative_numbers = true
    )]
    size: Size,

    /// Make a sheet instead of one texture: the sample, then textures of the first style layer, of the first two, … up
    /// to all
    #[arg(long, conflicts_with_all = ["checkpoint", "resume"])]
    sheet: bool,

    #[command(flatten)]
    paint: PaintArgs,

    #[command(flatten)]
    optimize: OptimizeArgs,

    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &TextureArgs, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some((beginning, path)) = args.checkpoints.resumed()? {
        return paint(args, beginning, path, global);
    }
    let options = TextureOptions {
        size: args.size,
        paint: args.paint.options(),
    };
    let recipe = options.recipe(pictures(&args.styles), args.optimize.init.as_ref());
    let recipe = recipe.map_err(Usage::of)?;
    if args.sheet {
        let layers = &args.paint.style_layers;
        let default = default_path(&args.styles[0]);
        let output = args.optimize.picture.picture(default)?;
        return texture_sheet::run(
            recipe,
            &args.styles[0],
            layers,
            &args.optimize,
            &output,
            global,
        );
    }
    paint(args, recipe.into(), &args.styles[0], global)
}

fn paint(
    args: &TextureArgs,
    beginning: Beginning,
    named: &Path,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    optimize_from(
        beginning,
        &args.checkpoints,
        &args.optimize,
        default_path(named),
        global,
        &mut Plain,
    )
}
