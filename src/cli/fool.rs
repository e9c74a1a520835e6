//! `pixgrad fool`: a picture of nothing that a network is sure about.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pixgrad::engine::methods::classify::Score;
use pixgrad::engine::methods::options::parse;
use pixgrad::engine::methods::options::{FoolOptions, Fooling};
use pixgrad::terms::Class;
use pixgrad::{Image, Network};
use pixgrad::{Progress, Recipe, Run};
use serde_json::json;

use super::optimize::{Findings, Method, OptimizeArgs, optimize};
use super::{Global, Usage};

/// The probabilities whose first iterations are reported, as Nguyen et al. do.
const MARKS: [(&str, f64); 3] = [("majority", 0.5), ("0.99", 0.99), ("0.999", 0.999)];

/// The first iteration, or generation, at each of [`MARKS`].
#[derive(Debug, Default)]
pub struct Reached([Option<u64>; 3]);

impl Reached {
    pub fn see(&mut self, probability: f64, iteration: u64) {
        for ((_, mark), reached) in MARKS.iter().zip(&mut self.0) {
            if probability >= *mark {
                reached.get_or_insert(iteration);
            }
        }
    }

    /// Lines for people, `unit` being what is counted, and the object of `--json`.
    pub fn report(&self, unit: &str) -> (Vec<String>, serde_json::Value) {
        let mut lines = Vec::new();
        let mut fields = serde_json::Map::new();
        for ((name, _), at) in MARKS.iter().zip(self.0) {
            let when = at.map_or("never".to_string(), |i| format!("after {i} {unit}"));
            lines.push(format!("{name}: {when}"));
            fields.insert((*name).to_string(), json!(at));
        }
        (lines, fields.into())
    }
}

/// Make a picture of noise that the network classifies with high confidence
#[derive(Debug, Args)]
pub struct FoolArgs {
    /// The class to reach: a number or a name. With --method evolve it may be left out, and the result is a sheet of
    /// the best classes
    #[arg(long, value_name = "CLASS")]
    pub class: Option<Class>,

    /// How the picture is optimized
    #[arg(long, value_name = "NAME", default_value = "gradient")]
    method: FoolMethod,

    /// Side of the square picture in pixels [default: 224, or what the network needs]
    #[arg(short, long, value_name = "PIXELS", value_parser = parse::side)]
    pub size: Option<u32>,

    /// Stop when the class reaches this probability
    #[arg(long, value_name = "P", default_value = "0.999", value_parser = parse::decay)]
    pub confidence: f32,

    /// evolve: number of generations, including the first one of noise [default: 1000]
    #[arg(long, value_name = "N", value_parser = parse::count, allow_negative_numbers = true)]
    pub generations: Option<u64>,

    /// evolve: images per generation [default: 200]
    #[arg(long, value_name = "N", value_parser = parse::population, allow_negative_numbers = true)]
    pub population: Option<u32>,

    #[command(flatten)]
    pub optimize: OptimizeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FoolMethod {
    /// Gradient ascent on the class's probability
    Gradient,
    /// MAP-Elites on the pixels: evolution without gradients, which keeps the best picture of every class
    Evolve,
}

impl FoolArgs {
    /// Whether the picture is bred: by the module `evolve`, not by this one.
    pub fn evolves(&self) -> bool {
        self.method == FoolMethod::Evolve
    }
}

pub fn run(args: &FoolArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let Some(class) = &args.class else {
        return Err(Usage("--class is needed, but for --method evolve".to_string()).into());
    };
    for (option, given) in [
        ("generations", args.generations.is_some()),
        ("population", args.population.is_some()),
    ] {
        if given {
            return Err(Usage(format!("--{option} is of --method evolve")).into());
        }
    }
    let options = FoolOptions {
        class: Some(class.clone()),
        size: args.size,
        confidence: args.confidence,
    };
    let fooling = Fooling::new(options, args.optimize.has_step_size()).map_err(Usage::of)?;
    let recipe = fooling.recipe();
    let mut fool = Fool {
        fooling,
        reached: Reached::default(),
        network: None,
    };
    let output = PathBuf::from("fool-pixgrad.png");
    optimize(recipe, &args.optimize, output, global, &mut fool)
}

struct Fool {
    fooling: Fooling,
    reached: Reached,
    network: Option<Network>,
}

impl Fool {
    /// See [`Fooling::seen`].
    fn seen(&self, picture: &Image) -> anyhow::Result<(usize, f32, Score)> {
        let network = self
            .network
            .as_ref()
            .context("the network is known when a run begins")?;
        Ok(self.fooling.seen(network, picture)?)
    }
}

impl Method for Fool {
    fn complete(&mut self, recipe: &mut Recipe, network: &Network) -> anyhow::Result<()> {
        self.fooling.complete(recipe, network)?;
        self.network = Some(network.clone());
        Ok(())
    }

    fn observe(&mut self, progress: &Progress) -> ControlFlow<()> {
        let probability = Fooling::probability(progress);
        self.reached.see(probability, progress.iteration);
        if self.fooling.is_enough(probability) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn is_reached(&mut self, run: &Run) -> anyhow::Result<bool> {
        let (_, probability, _) = self.seen(&run.image()?)?;
        Ok(self.fooling.is_enough(f64::from(probability)))
    }

    fn findings(&mut self, run: &Run, picture: &Image) -> anyhow::Result<Findings> {
        let (class, probability, top) = self.seen(picture)?;
        self.reached.see(f64::from(probability), run.done());
        let mut findings = Findings::default();
        findings.lines.push(format!(
            "the network sees {} with probability {:.4}; of the class asked for ({class}) it is {probability:.4}",
            top.label, top.probability
        ));
        let (lines, reached) = self.reached.report("iterations");
        findings.lines.extend(lines);
        findings.fields.insert("class".into(), json!(class));
        findings
            .fields
            .insert("probability".into(), json!(probability));
        findings.fields.insert("top".into(), json!(top));
        findings.fields.insert("reached".into(), reached);
        Ok(findings)
    }
}
