//! `pixgrad dream`: a picture in which a network finds what it looks for.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use pixgrad::engine::image::{save_gif, size_of};
use pixgrad::engine::methods::options::DreamOptions;
use pixgrad::engine::methods::{DreamPreset, zoomed};
use pixgrad::terms::LayerWeight;
use pixgrad::{Image, MadeOf, Network};
use pixgrad::{Init, Recipe, Run};

use super::checkpoint::CheckpointArgs;
use super::claims::Claims;
use super::interrupt::Interrupt;
use super::optimize::{Findings, Method, OptimizeArgs, optimize_from};
use super::output::{default_path, numbered};
use super::picture::Output;
use super::{Global, Usage};
use pixgrad::engine::methods::options::parse::{self, LongSide};

/// DeepDream: amplify what a network sees in a picture
#[derive(Debug, Args)]
pub struct DreamArgs {
    /// The picture
    #[arg(value_name = "IMAGE", required_unless_present = "resume")]
    picture: Option<PathBuf>,

    /// Long side of the result in pixels, or native (the picture's size) [default: 512, or the picture's long side if
    /// that is smaller]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::long_side, allow_negative_numbers = true)]
    size: Option<LongSide>,

    /// The layer to amplify, or several with optional weights: fire6/concat,fire8/concat:0.5 [default: depends on the
    /// network]
    #[arg(
        short,
        long = "layer",
        visible_alias = "layers",
        value_name = "LAYERS",
        value_delimiter = ',',
        value_parser = parse::layer
    )]
    layers: Vec<LayerWeight>,

    /// Amplify only this channel of the layer
    #[arg(long, value_name = "C", conflicts_with = "guide")]
    channel: Option<u32>,

    /// Amplify what the layer sees in this picture
    #[arg(long, value_name = "IMAGE")]
    guide: Option<PathBuf>,

    /// The published version to follow: google, tf1-lapnorm, tf2 or plain
    #[arg(long, value_name = "NAME", default_value = "google")]
    preset: DreamPreset,

    /// Number of scales [default: the preset's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    octaves: Option<u32>,

    /// Ratio of the sizes of two successive scales [default: the preset's]
    #[arg(long, value_name = "X", value_parser = parse::positive)]
    octave_scale: Option<f64>,

    /// The largest random shift of the picture in pixels [default: the preset's]
    #[arg(long, value_name = "PIXELS")]
    jitter: Option<u32>,

    /// Add N frames, each zoomed a little further into the dream: writes OUTPUT-000001.png and so on, and OUTPUT.gif
    #[arg(long, value_name = "N", value_parser = parse::count)]
    zoom: Option<u64>,

    /// The part of each side that is cut off from one frame of the zoom to the next
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
        (None, Some(picture)) => (recipe(args, picture)?.into(), picture.as_path()),
        (None, None) => bail!(Usage("a picture is needed".into())),
    };
    let default = default_path(source);
    let output = args.optimize.picture.picture(default.clone())?;
    if output.is_stdout() && args.zoom.is_some() {
        bail!(Usage(
            "--zoom writes several files: not to standard output".into()
        ));
    }
    let mut dream = Dream {
        of: Vec::new(),
        zoom: args.zoom.unwrap_or(0),
        step: f64::from(args.zoom_step),
        output,
        global,
    };
    optimize_from(
        beginning,
        &args.checkpoints,
        &args.optimize,
        default,
        global,
        &mut dream,
    )
}

/// The recipe for a picture.
fn recipe(args: &DreamArgs, picture: &Path) -> anyhow::Result<Recipe> {
    let options = DreamOptions {
        size: args.size,
        layer: args.layers.clone(),
        channel: args.channel,
        guide: args.guide.as_deref().map(Into::into),
        preset: args.preset,
        octaves: args.octaves,
        octave_scale: args.octave_scale,
        jitter: args.jitter,
    };
    let recipe = options.recipe(picture.into(), size_of(picture)?);
    recipe.map_err(Usage::of)
}

struct Dream<'a> {
    /// The picture of the recipe.
    of: Vec<MadeOf>,
    zoom: u64,
    step: f64,
    output: Output,
    global: &'a Global,
}

impl Method for Dream<'_> {
    fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        Ok(DreamOptions::complete(recipe, network)?)
    }

    fn claim(&self, claims: &mut Claims) {
        if self.zoom > 0 {
            claims.writes("--zoom", &self.gif());
        }
    }

    fn findings(&mut self, run: &Run, picture: &Image) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        if self.zoom == 0 {
            return Ok(findings);
        }
        self.of = run.made(run.recipe(), None).provenance.pictures;
        let gif = self.gif();
        let mut count = 0;
        let frames = self.frames(run, picture)?.inspect(|_| count += 1);
        save_gif(&gif, frames, 100)?;
        findings.lines.push(format!(
            "{}: {} frames; each is also {} and so on",
            gif.display(),
            count,
            numbered(&self.output.path, 1).display()
        ));
        findings.fields.insert("gif".into(), path(&gif));
        findings.fields.insert("frames".into(), count.into());
        findings.stopped = Interrupt::listen(self.global.quiet)?.pressed();
        Ok(findings)
    }
}

fn path(path: &Path) -> serde_json::Value {
    path.display().to_string().into()
}

impl Dream<'_> {
    fn gif(&self) -> PathBuf {
        self.output.path.with_extension("gif")
    }

    /// The dream and the frames of the zoom into it, each dreamt on from the one before, enlarged. Each is made, and
    /// written under its number, when it is asked for.
    fn frames<'b>(
        &'b self,
        run: &'b Run,
        picture: &Image,
    ) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Image>> + 'b> {
        let interrupt = Interrupt::listen(self.global.quiet)?;
        let device = run.executor().device();
        let network = run.recipe().network(device)?;
        let mut last = picture.clone();
        let further = (1..=self.zoom)
            .take_while(move |_| !interrupt.pressed())
            .map(move |number| {
                last = self.frame(run.recipe(), &last, number, &network, interrupt)?;
                Ok(last.clone())
            });
        Ok(std::iter::once(Ok(picture.clone())).chain(further))
    }

    /// The frame of a number, dreamt from the one before.
    fn frame(
        &self,
        recipe: &Recipe,
        before: &Image,
        number: u64,
        network: &Network,
        interrupt: Interrupt,
    ) -> anyhow::Result<Image> {
        let mut recipe = recipe.clone();
        recipe.image.init = Init::Picture(zoomed(before, self.step)?.into());
        recipe.seed = recipe.seed.wrapping_add(number);
        let mut run = recipe.compile(network.device(), network)?;
        let _ = run.run(|_| {
            if interrupt.pressed() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        let image = run.image()?;
        // It starts from a picture in memory, so that no recipe file makes it again.
        let frame = self.output.numbered(number);
        frame.save(&image, network, self.of.clone(), self.global)?;
        Ok(image)
    }
}
