//! `pixgrad visualize`: what activates a class, a channel, a unit or a direction most.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use pixgrad::engine::methods::classify::{Size, classify};
use pixgrad::engine::methods::{
    Canvas, Subject, VisualizePreset, activations_of, joined, stretched,
};
use pixgrad::terms::{Class, Position};
use pixgrad::{Finish, Image, Network};
use pixgrad::{Progress, ProjectionSpec, Recipe, Run, TermKind};
use serde_json::json;

use super::network::{USUAL_SIDE, fit};
use super::optimize::{Findings, Method, OptimizeArgs, optimize};
use super::parse;
use super::{Global, Usage};

/// Find the picture that maximizes a class score, a channel, a unit or a direction
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true))]
pub struct VisualizeArgs {
    /// Classes, by number or name: 285,"tiger cat". Each gets a picture
    #[arg(long, value_name = "CLASSES", value_delimiter = ',', group = "subject")]
    class: Vec<Class>,

    /// A channel of a layer, or one unit of it: fire8/concat:37, fire8/concat:37:center or fire8/concat:37:5,7 (row and
    /// column). A layer alone means all its channels
    #[arg(long, value_name = "LAYER[:CHANNEL[:UNIT]]", group = "subject", value_parser = unit)]
    unit: Option<Unit>,

    /// A random direction in the space of a layer's channels, given by a seed, or several: 1,2,3. Needs --layer
    #[arg(
        long,
        value_name = "SEEDS",
        value_delimiter = ',',
        group = "subject",
        requires = "layer"
    )]
    direction: Vec<u64>,

    /// The layer of --direction
    #[arg(short, long, value_name = "LAYER", requires = "direction")]
    layer: Option<String>,

    /// The regularization, which keeps the picture from becoming noise: lucid, erhan, yosinski1, yosinski2, yosinski3
    /// or yosinski4
    #[arg(long, value_name = "NAME", default_value = "lucid")]
    preset: VisualizePreset,

    /// Side of the square picture in pixels [default: 224, or what the network needs]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::side)]
    size: Option<u32>,

    /// receptive-field: make the picture as large as the receptive field of --unit
    #[arg(long, value_name = "NAME", value_parser = ["receptive-field"], conflicts_with = "size")]
    canvas: Option<String>,

    /// Optimize N pictures at once, each from different noise, and write them as a sheet
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    restarts: Option<u32>,

    #[command(flatten)]
    optimize: OptimizeArgs,
}

/// `LAYER`, `LAYER:CHANNEL` or `LAYER:CHANNEL:POSITION`.
#[derive(Debug, Clone)]
struct Unit {
    layer: String,
    channels: Vec<u32>,
    position: Option<Position>,
}

fn unit(text: &str) -> Result<Unit, String> {
    let wrong = || {
        "write LAYER, LAYER:CHANNEL, LAYER:CHANNEL:ROW,COLUMN or LAYER:CHANNEL:center".to_string()
    };
    let mut parts = text.split(':');
    let layer = parse::layer_name(parts.next().unwrap_or_default())?;
    let channels = match parts.next() {
        None => Vec::new(),
        Some(list) => list
            .split(',')
            .map(|c| c.trim().parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?,
    };
    let position = parts
        .next()
        .map(|p| p.parse().map_err(|_| wrong()))
        .transpose()?;
    if parts.next().is_some() {
        return Err(wrong());
    }
    Ok(Unit {
        layer,
        channels,
        position,
    })
}

pub fn run(args: &VisualizeArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let subject = match (&args.unit, &args.layer) {
        (Some(unit), _) => Subject::Channels {
            layer: unit.layer.clone(),
            channels: unit.channels.clone(),
            unit: unit.position,
        },
        (None, Some(layer)) => Subject::Directions {
            layer: layer.clone(),
            seeds: args.direction.clone(),
        },
        (None, None) => Subject::Classes(args.class.clone()),
    };
    if args.canvas.is_some() && args.unit.is_none() {
        bail!(Usage("--canvas receptive-field is for --unit".into()));
    }
    let subjects = args
        .class
        .len()
        .max(args.direction.len())
        .max(args.unit.as_ref().map_or(1, |u| u.channels.len()));
    if subjects > 1 && args.restarts.is_some() {
        bail!(Usage(
            "--restarts makes several pictures of one subject: name one".into()
        ));
    }
    let mut recipe = Recipe::visualize(subject, args.preset, args.size.unwrap_or(USUAL_SIDE));
    recipe.model = "squeezenet1_1".to_string();
    recipe.image.batch = args.restarts;
    let mut visualize = Visualize {
        args,
        most: Vec::new(),
        pictures: Vec::new(),
        network: None,
        crop: None,
        mean: [0.5; 3],
        contrast: Vec::new(),
    };
    let output = PathBuf::from("visualize-pixgrad.png");
    optimize(recipe, &args.optimize, output, global, &mut visualize)
}

struct Visualize<'a> {
    args: &'a VisualizeArgs,
    /// For each picture the most that the objective has been, as an activation.
    most: Vec<f32>,
    /// The pictures as they are saved, before they are cropped and joined.
    pictures: Vec<Image>,
    network: Option<Network>,
    crop: Option<Canvas>,
    /// The networks' mean colour.
    mean: [f32; 3],
    /// By how much the contrast of each picture was enlarged.
    contrast: Vec<f32>,
}

impl Method for Visualize<'_> {
    fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        self.mean = network.graph().preprocessing.mean.map(|v| v as f32);
        self.network = Some(network.clone());
        if self.args.size.is_none() {
            let graph = network.graph();
            let layer = match (&self.args.unit, &self.args.layer) {
                (Some(unit), _) => graph.find(&unit.layer)?,
                (None, Some(layer)) => graph.find(layer)?,
                (None, None) => graph.logits()?,
            };
            let larger = fit(recipe, network, layer);
            // One preset keeps the norm of the picture, and steps by a part of it.
            for projection in &mut recipe.projections {
                if let ProjectionSpec::Norm { radius, .. } = projection {
                    *radius *= larger;
                    if !self.args.optimize.has_step_size() {
                        recipe.optimizer.step_size *= larger;
                    }
                }
            }
        }
        let (Some(_), Some(unit)) = (&self.args.canvas, &self.args.unit) else {
            return Ok(());
        };
        let graph = network.graph();
        let Some([rows, columns]) = graph.receptive_field(graph.find(&unit.layer)?) else {
            bail!(Usage(format!(
                "`{}` sees the whole picture: its receptive field has no size",
                unit.layer
            )));
        };
        if rows != columns {
            bail!(Usage(format!(
                "`{}` does not see a square: its receptive field has no canvas",
                unit.layer
            )));
        }
        let canvas = Canvas::of(rows);
        recipe.image.size = Some(canvas.side);
        for term in &mut recipe.terms {
            if let TermKind::Activation(activation) = &mut term.kind {
                activation.unit = Some(Position::At(canvas.unit, canvas.unit));
            }
        }
        self.crop = Some(canvas);
        Ok(())
    }

    fn observe(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.most.resize(progress.images.len(), f32::NEG_INFINITY);
        for (most, loss) in self.most.iter_mut().zip(&progress.images) {
            // The weight is −1.
            *most = most.max(-loss);
        }
        ControlFlow::Continue(())
    }

    fn picture(&mut self, run: &Run) -> anyhow::Result<Image> {
        let mut images = run.images()?;
        if self.args.preset.is_faint() {
            for image in &mut images {
                let (picture, factor) = stretched(image, self.mean);
                self.contrast.push(factor);
                *image = picture;
            }
        }
        self.pictures = images
            .iter()
            .map(|image| Image::from_rgb8(image.width, image.height, &image.to_rgb8()))
            .collect::<Result<_, _>>()?;
        Ok(joined(images, self.crop.map(|canvas| canvas.size))?)
    }

    fn finish(&self) -> Option<Finish> {
        Some(Finish {
            stretch: self.args.preset.is_faint(),
            crop: self.crop.map(|canvas| canvas.size),
        })
    }

    fn findings(&mut self, run: &Run, _: &Image) -> anyhow::Result<Findings> {
        let mut findings = Findings::default();
        let dead = self.most.iter().filter(|most| **most == 0.0).count();
        if dead > 0 && self.args.unit.is_some() {
            findings.lines.push(format!(
                "{dead} of {}: the unit was never activated, and so its gradient was 0: it is dead for this start; another \
                 --seed or --restarts may wake it",
                self.most.len()
            ));
        }
        let network = self
            .network
            .as_ref()
            .context("the network is known when a run begins")?;
        let answers = activations_of(run.recipe(), network, &self.pictures)?;
        findings.lines.push(format!("answers: {answers:.3?}"));
        if !self.contrast.is_empty() {
            findings
                .lines
                .push(format!("contrast enlarged by {:.1?}", self.contrast));
            findings
                .fields
                .insert("contrast".into(), json!(self.contrast));
        }
        findings.fields.insert("answers".into(), json!(answers));
        findings.fields.insert("dead".into(), json!(dead));
        if self.args.class.is_empty() {
            return Ok(findings);
        }
        let classes = network.graph().classes().unwrap_or(1) as usize;
        let mut results = Vec::new();
        for (i, image) in self.pictures.iter().enumerate() {
            let class = &self.args.class[i % self.args.class.len()];
            let class = network.graph().class_index(&class.to_string())?;
            let scores = classify(network, image, Size::Native, classes)?;
            let top = &scores[0];
            let own = scores.iter().find(|s| s.class == class);
            let probability = own.map_or(0.0, |s| s.probability);
            findings.lines.push(format!(
                "class {class}: probability {probability:.4}; the network sees {} ({:.4})",
                top.label, top.probability
            ));
            results.push(json!({"class": class, "probability": probability, "top": top}));
        }
        findings.fields.insert("classes".into(), results.into());
        Ok(findings)
    }
}
