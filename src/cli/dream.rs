//! `pixgrad dream`: a picture in which a network finds what it looks for.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::image::{self, SaveOptions, save_gif, size_of};
use pixgrad::recipe::{
    DreamPreset, DreamSubject, Init, LayerWeight, MapSpec, Recipe, Run, default_dream_layers,
    zoomed,
};
use pixgrad::{Image, Network};

use super::checkpoint::{Beginning, CheckpointArgs};
use super::interrupt::Interrupt;
use super::optimize::{Findings, Method, OptimizeArgs, optimize_from};
use super::output::{default_path, numbered};
use super::parse::{self, LongSide};
use super::{Global, Usage};

/// Long side of the result in pixels when nobody says, if the picture has as many.
const SIZE: u32 = 512;

/// Let a network dream on a picture: more of whatever it sees there
#[derive(Debug, Args)]
pub struct DreamArgs {
    /// The picture
    #[arg(value_name = "IMAGE", required_unless_present = "resume")]
    picture: Option<PathBuf>,

    /// Long side of the result in pixels, or native [default: 512, or the picture's if that is less]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::long_side, allow_negative_numbers = true)]
    size: Option<LongSide>,

    /// The layer that dreams, or several with weights: fire6/concat,fire8/concat:0.5 [default: the network's usual one]
    #[arg(short, long = "layer", visible_alias = "layers", value_name = "LAYERS", value_delimiter = ',', value_parser = parse::layer)]
    layers: Vec<LayerWeight>,

    /// Only this channel of the layer
    #[arg(long, value_name = "C", conflicts_with = "guide")]
    channel: Option<u32>,

    /// Dream of what the layer sees in this picture
    #[arg(long, value_name = "IMAGE")]
    guide: Option<PathBuf>,

    /// The published version: google, tf1-lapnorm, tf2 or plain
    #[arg(long, value_name = "NAME", default_value = "google")]
    preset: DreamPreset,

    /// Number of scales [default: the preset's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    octaves: Option<u32>,

    /// A scale's size over that of the one before [default: the preset's]
    #[arg(long, value_name = "X", value_parser = parse::positive)]
    octave_scale: Option<f64>,

    /// The longest random shift of the picture in pixels [default: the preset's]
    #[arg(long, value_name = "PIXELS")]
    jitter: Option<u32>,

    /// Dream on, N times, each time a little further into the picture: OUTPUT-000001.png and so on, and OUTPUT.gif
    #[arg(long, value_name = "N", value_parser = parse::count)]
    zoom: Option<u64>,

    /// What goes out of sight from one frame of the zoom to the next, as a part of the side
    #[arg(long, value_name = "PART", default_value = "0.05", value_parser = parse::decay)]
    zoom_step: f32,

    #[command(flatten)]
    optimize: OptimizeArgs,

    #[command(flatten)]
    checkpoints: CheckpointArgs,
}

pub fn run(args: &DreamArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let (beginning, source) = match (args.checkpoints.resumed()?, &args.picture) {
        (Some(resumed), _) => resumed,
        (None, Some(picture)) => (Beginning::Recipe(recipe(args, picture)?), picture.as_path()),
        (None, None) => bail!(Usage("a picture is needed".into())),
    };
    let named = args.optimize.output.clone();
    let output = named.unwrap_or_else(|| default_path(source));
    let mut dream = Dream {
        zoom: args.zoom.unwrap_or(0),
        step: f64::from(args.zoom_step),
        output: output.clone(),
        quiet: global.quiet,
    };
    optimize_from(
        beginning,
        &args.checkpoints,
        &args.optimize,
        output,
        global,
        &mut dream,
    )
}

/// The recipe for a picture.
fn recipe(args: &DreamArgs, picture: &Path) -> anyhow::Result<Recipe> {
    let subject = match (&args.guide, args.channel) {
        (Some(guide), _) => DreamSubject::Guide(guide.as_path().into()),
        (None, Some(channel)) => DreamSubject::Channel(channel),
        (None, None) => DreamSubject::Layers,
    };
    let mut recipe = Recipe::dream(picture, args.layers.clone(), subject, args.preset);
    recipe.model = "squeezenet1_1".to_string();
    if args.octaves.is_some() {
        recipe.image.octaves = args.octaves;
    }
    if let Some(factor) = args.octave_scale {
        if factor <= 1.0 {
            bail!(Usage("--octave-scale must be greater than 1".into()));
        }
        recipe.image.scale_factor = factor;
    }
    if let Some(pixels) = args.jitter {
        recipe.image.transformation = vec![MapSpec::Jitter { pixels }];
        if pixels == 0 {
            recipe.image.transformation.clear();
        }
    }
    let (width, height) = size_of(picture)?;
    recipe.image.size = match args.size {
        Some(LongSide::Native) => None,
        Some(LongSide::Pixels(side)) => Some(side),
        None => Some(SIZE.min(width.max(height))),
    };
    Ok(recipe)
}

struct Dream {
    zoom: u64,
    step: f64,
    output: PathBuf,
    quiet: bool,
}

impl Method for Dream {
    fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        for term in recipe.terms.iter_mut().filter(|t| t.layers.is_empty()) {
            term.layers = default_dream_layers(network.graph())?;
        }
        Ok(())
    }

    fn findings(&mut self, run: &Run, picture: &Image) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        if self.zoom == 0 {
            return Ok(findings);
        }
        let frames = self.frames(run, picture)?;
        let gif = self.output.with_extension("gif");
        save_gif(&gif, &frames, 100)?;
        findings.lines.push(format!(
            "{}: {} frames; each is also {} and so on",
            gif.display(),
            frames.len(),
            numbered(&self.output, 1).display()
        ));
        findings.fields.insert("gif".into(), path(&gif));
        findings.fields.insert("frames".into(), frames.len().into());
        Ok(findings)
    }
}

fn path(path: &Path) -> serde_json::Value {
    path.display().to_string().into()
}

impl Dream {
    /// The dream and the frames of the zoom into it, each dreamt on from the one before, enlarged.
    fn frames(&self, run: &Run, picture: &Image) -> anyhow::Result<Vec<Image>> {
        let interrupt = Interrupt::listen(self.quiet)?;
        let device = run.executor().device();
        let network = run.recipe().network(device)?;
        let mut frames = vec![picture.clone()];
        for i in 1..=self.zoom {
            if interrupt.pressed() {
                break;
            }
            let mut recipe = run.recipe().clone();
            let start = zoomed(&frames[frames.len() - 1], self.step)?;
            recipe.image.init = Init::Picture(start.into());
            recipe.seed = recipe.seed.wrapping_add(i);
            let mut frame = recipe.compile(device, &network)?;
            let _ = frame.run(|_| {
                if interrupt.pressed() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            let image = frame.image()?;
            let _ = image::save(numbered(&self.output, i), &image, SaveOptions::default())?;
            frames.push(image);
        }
        Ok(frames)
    }
}
