//! `pixgrad texture`: a new texture like a sample.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::{Init, Recipe};

use super::checkpoint::{Beginning, CheckpointArgs};
use super::optimize::{OptimizeArgs, Plain, optimize_from};
use super::output::default_path;
use super::parse::{self, Size};
use super::style::PaintArgs;
use super::{Global, Usage, texture_sheet};

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
    let (width, height) = match args.size {
        Size::Long(side) => (side, side),
        Size::Exact(width, height) => (width, height),
    };
    if matches!(args.optimize.init, Some(Init::Content)) {
        bail!(Usage(
            "a texture has no content to start from: --init takes noise, gray, stats or a path"
                .into(),
        ));
    }
    let mut recipe = Recipe::texture(args.styles.iter().map(PathBuf::as_path), width, height);
    args.paint.apply(&mut recipe, args.styles.len())?;
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
