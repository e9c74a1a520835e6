//! `pixgrad visualize`: what activates a class, a channel, a unit or a direction most.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgGroup, Args};
use pixgrad::engine::methods::classify::{Size, classify};
use pixgrad::engine::methods::options::{Unit, Visualization, VisualizeOptions, parse};
use pixgrad::engine::methods::{VisualizePreset, activations_of, joined, stretched};
use pixgrad::terms::Class;
use pixgrad::{Error, Finish, Image, Network};
use pixgrad::{Progress, Recipe, Run};
use serde_json::json;

use super::optimize::{Findings, Method, OptimizeArgs, optimize};
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
    #[arg(long, value_name = "LAYER[:CHANNEL[:UNIT]]", group = "subject", value_parser = parse::unit)]
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

pub fn run(args: &VisualizeArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let options = VisualizeOptions {
        class: args.class.clone(),
        unit: args.unit.clone(),
        direction: args.direction.clone(),
        layer: args.layer.clone(),
        preset: args.preset,
        size: args.size,
        canvas: args.canvas.is_some(),
        restarts: args.restarts,
    };
    let visualization = Visualization::new(options, args.optimize.has_step_size());
    let visualization = visualization.map_err(Usage::of)?;
    let recipe = visualization.recipe();
    let mut visualize = Visualize {
        args,
        most: Vec::new(),
        pictures: Vec::new(),
        network: None,
        visualization,
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
    visualization: Visualization,
    /// The networks' mean colour.
    mean: [f32; 3],
    /// By how much the contrast of each picture was enlarged.
    contrast: Vec<f32>,
}

impl Method for Visualize<'_> {
    fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        self.mean = network.graph().preprocessing.mean.map(|v| v as f32);
        self.network = Some(network.clone());
        match self.visualization.complete(recipe, network) {
            Err(Error::Method(error)) => Err(Usage::of(error)),
            completed => Ok(completed?),
        }
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
        Ok(joined(images, self.visualization.finish().crop)?)
    }

    fn finish(&self) -> Option<Finish> {
        Some(self.visualization.finish())
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
