//! `pixgrad fool --method evolve`: pictures of nothing by evolution.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use pixgrad::engine::device::DeviceInfo;
use pixgrad::engine::image::sheet;
use pixgrad::engine::methods::{Evolution, Evolving, median, surest};
use pixgrad::{Image, Network};
use pixgrad::{Outcome, Progress};
use serde::Serialize;
use serde_json::json;

use super::attack::{Watcher, label, load_classifier};
use super::claims::Claims;
use super::fool::{FoolArgs, Reached};
use super::interrupt::Interrupt;
use super::report::report_scale;
use super::{Global, Usage, terminal};

/// Pictures on the sheet of the best, at most.
const SHEET: usize = 16;

/// What an evolution found, as `--json` tells it.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    output: &'a Path,
    width: u32,
    height: u32,
    model: &'a str,
    device: &'a DeviceInfo,
    method: &'static str,
    generations: u64,
    population: u32,
    seconds: f64,
    /// Median over all classes of the highest probability.
    median: f32,
    /// How many classes have a picture of at least this probability.
    classes: serde_json::Value,
    stopped: bool,
    #[serde(flatten)]
    findings: serde_json::Map<String, serde_json::Value>,
}

pub fn run(args: &FoolArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    if let Some(option) = args.optimize.of_steps() {
        let more = match option {
            "iterations" => ": it has --generations",
            _ => "",
        };
        return Err(Usage(format!("--method evolve takes no --{option}{more}")).into());
    }
    let output = args.optimize.picture.picture("fool-pixgrad.png".into())?;
    let mut claims = Claims::default();
    let options = &args.optimize;
    options.opening.claim(options.model.as_deref(), &mut claims);
    options.check_outputs(&output, claims, global)?;

    let device = global.open()?;
    let model = args.optimize.model.as_deref().unwrap_or("auto");
    let network = load_classifier(&device, model, &args.optimize.opening, global)?;
    let mut evolution = Evolution::of_network(&network, args.size);
    evolution.seed = args.optimize.seed.unwrap_or(evolution.seed);
    evolution.population = args.population.unwrap_or(evolution.population);
    evolution.generations = args.generations.unwrap_or(evolution.generations);
    let class = match &args.class {
        Some(class) => Some(network.graph().class_index(&class.to_string())?),
        None => None,
    };
    if args.optimize.dry_run {
        let report = evolution.dry_run(&network)?;
        return report_scale(&device, &network, &report, global);
    }
    output.check_size(evolution.width, evolution.height)?;
    let mut evolving = evolution.compile(&network)?;
    global.note(format_args!(
        "{} on {}: {}x{}, {} generations of {}",
        network.graph().name,
        device.info().name,
        evolution.width,
        evolution.height,
        evolution.generations,
        evolution.population
    ));

    let stop = f64::from(args.confidence);
    let mut reached = Reached::default();
    let mut enough = false;
    let mut watcher = Watcher::new(global.quiet)?;
    let outcome = evolving.run(&mut |progress, best| {
        let watched = class.map_or_else(|| median(best), |class| best[class]);
        reached.see(f64::from(watched), progress.iteration);
        enough |= class.is_some() && f64::from(watched) >= stop;
        let flow = watcher.see(&Progress {
            loss: -watched.ln(),
            ..progress.clone()
        });
        if enough {
            std::ops::ControlFlow::Break(())
        } else {
            flow
        }
    })?;
    let code = watcher.finish();
    let stopped = outcome == Outcome::Stopped && !enough;

    let (picture, lines, findings) = match class {
        Some(class) => one(&evolving, &network, class, &reached)?,
        None => several(&evolving, &network)?,
    };
    output.save(&picture, &network, Vec::new(), global)?;
    let best = evolving.best();
    let sure = |p: f32| best.iter().filter(|b| **b >= p).count();
    let report = Report {
        output: &output.path,
        width: picture.width,
        height: picture.height,
        model: &network.graph().name,
        device: device.info(),
        method: "evolve",
        generations: evolving.done(),
        population: evolution.population,
        seconds: start.elapsed().as_secs_f64(),
        median: median(best),
        classes: json!({"majority": sure(0.5), "0.99": sure(0.99), "0.999": sure(0.999)}),
        stopped,
        findings,
    };
    if global.json {
        terminal::print_json(&report)?;
    } else {
        output.report(format_args!(
            "{}: {}x{}, {} generations of {}{}, {:.1} s on {}",
            output.path.display(),
            report.width,
            report.height,
            report.generations,
            report.population,
            if stopped { ", stopped" } else { "" },
            report.seconds,
            report.device.name
        ))?;
        for line in lines {
            output.report(line)?;
        }
        output.report(format_args!(
            "of {} classes {} have a picture with the majority, {} with 0.99; their median probability is {:.2e}",
            best.len(),
            sure(0.5),
            sure(0.99),
            report.median
        ))?;
    }
    Ok(if stopped {
        ExitCode::from(Interrupt::EXIT_CODE)
    } else {
        code
    })
}

type Found = (
    Image,
    Vec<String>,
    serde_json::Map<String, serde_json::Value>,
);

/// The picture of one class.
fn one(
    evolving: &Evolving,
    network: &Network,
    class: usize,
    reached: &Reached,
) -> anyhow::Result<Found> {
    let picture = evolving.images(&[class])?.swap_remove(0);
    let probability = evolving.best()[class];
    let (marks, reached) = reached.report("generations");
    let seen = label(network, class);
    let mut lines = vec![format!(
        "of the class asked for ({class}, {seen}) the probability is {probability:.4}"
    )];
    lines.extend(marks);
    let mut fields = serde_json::Map::new();
    fields.insert("class".into(), json!(class));
    fields.insert("probability".into(), json!(probability));
    fields.insert("reached".into(), reached);
    Ok((picture, lines, fields))
}

/// A sheet of the classes that the network is surest of, surest first.
fn several(evolving: &Evolving, network: &Network) -> anyhow::Result<Found> {
    let best = evolving.best();
    let order = surest(best, SHEET);
    let images = evolving.images(&order)?;
    let columns = (images.len() as f64).sqrt().ceil() as usize;
    let picture = sheet(&images, columns, 4, [1.0; 3])?;
    let names = order
        .iter()
        .map(|class| format!("{} {:.4}", label(network, *class), best[*class]));
    let lines = vec![format!("surest: {}", names.collect::<Vec<_>>().join(", "))];
    let top = order.iter().map(
        |class| json!({"class": class, "label": label(network, *class), "probability": best[*class]}),
    );
    let mut fields = serde_json::Map::new();
    fields.insert("top".into(), top.collect());
    Ok((picture, lines, fields))
}
