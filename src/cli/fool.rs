//! `pixgrad fool`: a picture of nothing that a network is sure about.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pixgrad::recipe::classify::{Size, classify};
use pixgrad::recipe::{Class, Progress, Recipe, Run};
use pixgrad::{Image, Network};
use serde_json::json;

use super::Global;
use super::optimize::{Findings, Method, OptimizeArgs, optimize};
use super::parse;

/// The probabilities whose first iterations are reported, as Nguyen et al. do.
const MARKS: [(&str, f64); 3] = [("majority", 0.5), ("0.99", 0.99), ("0.999", 0.999)];

/// Make a picture of nothing that the network is sure about
#[derive(Debug, Args)]
pub struct FoolArgs {
    /// The class the network is to see: a number or a name
    #[arg(long, value_name = "CLASS")]
    class: Class,

    /// Side of the picture in pixels
    #[arg(short, long, value_name = "PIXELS", default_value = "224", value_parser = parse::side)]
    size: u32,

    /// The probability at which to stop
    #[arg(long, value_name = "P", default_value = "0.999", value_parser = parse::decay)]
    confidence: f32,

    #[command(flatten)]
    optimize: OptimizeArgs,
}

pub fn run(args: &FoolArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut recipe = Recipe::fool(args.class.clone(), args.size);
    recipe.model = "squeezenet1_1".to_string();
    let mut fool = Fool {
        class: args.class.clone(),
        stop: f64::from(args.confidence),
        reached: [None; 3],
    };
    let output = PathBuf::from("fool-pixgrad.png");
    optimize(recipe, &args.optimize, output, global, &mut fool)
}

struct Fool {
    class: Class,
    stop: f64,
    /// The first iteration at each of [`MARKS`].
    reached: [Option<u64>; 3],
}

impl Method for Fool {
    fn complete(&mut self, _: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        network.graph().class_index(&self.class.to_string())?;
        Ok(())
    }

    fn observe(&mut self, progress: &Progress) -> ControlFlow<()> {
        // The objective is −log of the probability.
        let probability = f64::from(-progress.loss).exp();
        for ((_, mark), reached) in MARKS.iter().zip(&mut self.reached) {
            if probability >= *mark {
                reached.get_or_insert(progress.iteration);
            }
        }
        if probability >= self.stop {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn findings(&mut self, run: &Run, picture: &Image) -> anyhow::Result<Findings> {
        let network = run.recipe().network(run.executor().device())?;
        let class = network.graph().class_index(&self.class.to_string())?;
        let classes = network.graph().classes().unwrap_or(1) as usize;
        let scores = classify(&network, picture, Size::Native, classes)?;
        let own = scores.iter().find(|s| s.class == class);
        let probability = own.map_or(0.0, |s| s.probability);
        let top = &scores[0];
        let mut findings = Findings::default();
        findings.lines.push(format!(
            "the network sees {} with probability {:.4}; of the class asked for ({class}) it is {probability:.4}",
            top.label, top.probability
        ));
        let mut reached = serde_json::Map::new();
        for ((name, _), iteration) in MARKS.iter().zip(self.reached) {
            let when = iteration.map_or("never".to_string(), |i| format!("after {i} iterations"));
            findings.lines.push(format!("{name}: {when}"));
            reached.insert((*name).to_string(), json!(iteration));
        }
        findings.fields.insert("class".into(), json!(class));
        findings
            .fields
            .insert("probability".into(), json!(probability));
        findings.fields.insert("top".into(), json!(top));
        findings.fields.insert("reached".into(), reached.into());
        Ok(findings)
    }
}
