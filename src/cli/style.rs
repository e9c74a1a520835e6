//! `pixgrad style`: a picture in the style of others.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::engine::image::{is_stdout, size_of};
use pixgrad::engine::methods::StyleLoss;
use pixgrad::engine::methods::options::{PaintOptions, StyleOptions};
use pixgrad::engine::net::{Padding, Pooling};
use pixgrad::terms::{LayerWeight, StyleKind, StyleName};
use pixgrad::{Picture, PreserveColor, Recipe};

use super::batch::{self, BatchArgs};
use super::checkpoint::CheckpointArgs;
use super::optimize::{OptimizeArgs, Plain, optimize_from};
use super::output::default_path;
use super::{Global, Usage};
use pixgrad::engine::methods::options::parse::{self, LongSide};

/// Long side of the result in pixels when nobody says, if the content has as many.
const SIZE: u32 = StyleOptions::SIZE;

/// Paint a picture in the style of one or several others
#[derive(Debug, Args)]
pub struct StyleArgs {
    /// The picture to paint
    #[arg(value_name = "CONTENT", required_unless_present_any = ["resume", "content_dir"])]
    content: Option<PathBuf>,

    /// The style pictures
    #[arg(value_name = "STYLE", required_unless_present_any = ["resume", "content_dir"])]
    pub styles: Vec<PathBuf>,

    /// Long side of the result in pixels, or native (the content's size) [default: 512, or the content's long side if
    /// that is smaller]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::long_side, allow_negative_numbers = true)]
    size: Option<LongSide>,

    /// Weight of the content term
    #[arg(long, value_name = "W", default_value = "1", value_parser = parse::weight, allow_negative_numbers = true)]
    content_weight: f64,

    /// Layers of the content term, each with an optional weight: relu4_2:1,relu5_1:0.5 [default: depends on the
    /// network]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', value_parser = parse::layer)]
    content_layers: Vec<LayerWeight>,

    /// Whether the content's colours are kept: off, luma (only the brightness is painted) or match (the style pictures
    /// are recoloured to the content's palette first)
    #[arg(long, value_name = "MODE", default_value = "off", value_parser = parse::preserve_color)]
    preserve_color: PreserveColor,

    #[command(flatten)]
    pub paint: PaintArgs,

    #[command(flatten)]
    optimize: OptimizeArgs,

    #[command(flatten)]
    checkpoints: CheckpointArgs,

    #[command(flatten)]
    batch: BatchArgs,
}

/// Options of `style` and `texture`.
#[derive(Debug, Args)]
pub struct PaintArgs {
    /// Weight of the style terms [default: 1]
    #[arg(long, value_name = "W", value_parser = parse::weight, allow_negative_numbers = true)]
    style_weight: Option<f64>,

    /// Weight of total variation, which smooths the image [default: 4]
    #[arg(long, value_name = "W", value_parser = parse::weight, allow_negative_numbers = true)]
    tv_weight: Option<f64>,

    /// How several styles are blended, one weight for each: 1,2 [default: equal weights]
    #[arg(
        long,
        value_name = "W,W",
        value_delimiter = ',',
        value_parser = parse::weight,
        allow_hyphen_values = true
    )]
    pub style_weights: Vec<f64>,

    /// Size of the style pictures relative to the result, one number for all or one for each: 1,0.5. Style pictures are
    /// never enlarged [default: 1]
    #[arg(long, value_name = "X,X", value_delimiter = ',', value_parser = parse::positive, allow_hyphen_values = true)]
    style_scale: Vec<f64>,

    /// Where in the result a style applies: a picture with the result's aspect ratio, white where it applies. Give one
    /// per style
    #[arg(long, value_name = "FILE")]
    style_mask: Vec<PathBuf>,

    /// Which part of a style picture is used: a picture with the same aspect ratio, white where it is used. Give one
    /// per style
    #[arg(long, value_name = "FILE")]
    style_source_mask: Vec<PathBuf>,

    /// What the network sees beyond the image's edges: zero, replicate (the edge values, in every convolution),
    /// replicate-first (the edge values, only in the first convolution that pads) or wrap (the opposite edge,
    /// everywhere) [default: zero]
    #[arg(long, value_name = "MODE", value_parser = parse::padding, conflicts_with = "tileable")]
    padding: Option<Padding>,

    /// Make a seamless tile: the same as --padding wrap
    #[arg(long)]
    tileable: bool,

    /// How the network pools: max, or average (scaled to keep the magnitude) [default: max]
    #[arg(long, value_name = "MODE", value_parser = parse::pooling)]
    pooling: Option<Pooling>,

    /// Layers of the style terms, each with an optional weight: relu1_1:0.5,relu2_1 [default: depends on the network]
    #[arg(long, value_name = "LAYERS", value_delimiter = ',', value_parser = parse::layer)]
    pub style_layers: Vec<LayerWeight>,

    #[arg(
        long,
        value_name = "NAMES",
        help = help_of_style_loss(),
        value_delimiter = ',',
        default_value = "gram",
        value_parser = parse::style_loss
    )]
    style_loss: Vec<StyleLoss>,
}

fn help_of_style_loss() -> String {
    let name = |loss: &StyleName| match loss.source {
        Some(source) => format!("{} ({source})", loss.name),
        None => loss.name.to_string(),
    };
    let names: Vec<_> = StyleKind::LOSSES.iter().map(name).collect();
    let (last, others) = names.split_last().expect("there are losses");
    format!(
        "The style loss: {} or {last}. Several are given with weights: gram:1,bn:0.5",
        others.join(", ")
    )
}

impl PaintArgs {
    /// What was asked for.
    pub fn options(&self) -> PaintOptions {
        PaintOptions {
            style_weight: self.style_weight,
            tv_weight: self.tv_weight,
            style_weights: self.style_weights.clone(),
            style_scale: self.style_scale.clone(),
            style_mask: pictures(&self.style_mask),
            style_source_mask: pictures(&self.style_source_mask),
            padding: self.padding,
            tileable: self.tileable,
            pooling: self.pooling,
            style_layers: self.style_layers.clone(),
            style_loss: self.style_loss.clone(),
        }
    }
}

pub fn pictures(paths: &[PathBuf]) -> Vec<Picture> {
    paths.iter().map(|path| path.as_path().into()).collect()
}

pub fn run(args: &StyleArgs, global: &Global) -> anyhow::Result<ExitCode> {
    if let (Some(folder), Some(output)) = (&args.batch.content_dir, &args.optimize.picture.output) {
        if args.optimize.watch.is_given() {
            bail!(Usage(
                "--serve shows the run of one picture: not with --content-dir".into()
            ));
        }
        if is_stdout(output) {
            bail!(Usage(
                "--content-dir writes several files: --output is their folder".into()
            ));
        }
        return paint_folder(args, folder, output, global);
    }
    let (beginning, named) = match (args.checkpoints.resumed()?, &args.content) {
        (Some(resumed), _) => resumed,
        (None, Some(content)) => {
            let size = size_of(content)?;
            let recipe = recipe(args, content.as_path().into(), size, &args.styles)?;
            (recipe.into(), content.as_path())
        }
        (None, None) => bail!(Usage("a content picture is needed".into())),
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

/// All pictures of a folder. There is no other content: all arguments are styles.
fn paint_folder(
    args: &StyleArgs,
    folder: &Path,
    output: &Path,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let styles: Vec<PathBuf> = args.content.iter().chain(&args.styles).cloned().collect();
    if styles.is_empty() {
        bail!(Usage("--content-dir needs at least one STYLE".into()));
    }
    let mut recipe = recipe(args, folder.into(), (SIZE, SIZE), &styles)?;
    args.optimize.apply(&mut recipe);
    let size = |content| LongSide::of(args.size, content, SIZE);
    batch::run(
        recipe,
        size,
        folder,
        args.batch.shard,
        output,
        &args.optimize.picture,
        global,
    )
}

/// The recipe for a content picture of a size in pixels.
fn recipe(
    args: &StyleArgs,
    content: Picture,
    size: (u32, u32),
    styles: &[PathBuf],
) -> anyhow::Result<Recipe> {
    let options = StyleOptions {
        size: args.size,
        content_weight: args.content_weight,
        content_layers: args.content_layers.clone(),
        preserve_color: args.preserve_color,
        paint: args.paint.options(),
    };
    let recipe = options.recipe(content, size, pictures(styles));
    recipe.map_err(Usage::of)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use pixgrad::TermKind;

    use super::*;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        args: StyleArgs,
    }

    fn parsed(line: &str) -> StyleArgs {
        let arguments = std::iter::once("test").chain(line.split_whitespace());
        <Only as clap::Parser>::try_parse_from(arguments)
            .expect(line)
            .args
    }

    #[test]
    fn the_help_tells_the_recipes_defaults() {
        let mut recipe = Recipe::style("a", ["b"]);
        let mut weight = |is: fn(&TermKind) -> bool| recipe.term_mut(is).expect("a term").weight;
        for (id, expected) in [
            (
                "style_weight",
                format!("[default: {}]", weight(TermKind::is_style)),
            ),
            (
                "tv_weight",
                format!(
                    "[default: {}]",
                    weight(|kind| matches!(kind, TermKind::Tv(_)))
                ),
            ),
            ("size", format!("[default: {SIZE},")),
        ] {
            let command = Only::command();
            let argument = command
                .get_arguments()
                .find(|a| a.get_id() == id)
                .expect(id);
            let help = argument.get_help().expect(id).to_string();
            assert!(help.contains(&expected), "{help}");
        }
        assert_eq!(parsed("a b").content_weight, weight(TermKind::is_spatial));
    }
}
