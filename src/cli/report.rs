//! What commands that optimize an image say: of a run, and of a plan.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pixgrad::ScaleReport;
use pixgrad::engine::device::DeviceInfo;
use pixgrad::{Device, Network, Recipe};
use serde::Serialize;

use super::progress::duration;
use super::{Global, terminal};

/// What a run was, as `--json` tells it.
#[derive(Serialize)]
pub struct Report<'a> {
    #[serde(serialize_with = "terminal::lossy")]
    pub output: &'a Path,
    pub width: u32,
    pub height: u32,
    pub model: &'a str,
    pub device: &'a DeviceInfo,
    pub iterations: u64,
    pub seconds: f64,
    /// Of the last iteration, before its step.
    pub loss: f32,
    pub terms: Vec<TermValue>,
    /// Whether Ctrl-C ended the run.
    pub stopped: bool,
    #[serde(flatten)]
    pub findings: serde_json::Map<String, serde_json::Value>,
}

/// The weighted value of one term of the recipe.
#[derive(Debug, Serialize)]
pub struct TermValue {
    pub kind: String,
    pub value: f32,
}

impl Report<'_> {
    /// The run in one line.
    pub fn line(&self) -> String {
        let (width, height) = (self.width, self.height);
        let stopped = if self.stopped { ", stopped" } else { "" };
        format!(
            "{}: {width}x{height}, {} iterations{stopped}, {:.1} s on {}",
            self.output.display(),
            self.iterations,
            self.seconds,
            self.device.name
        )
    }
}

/// What a plan is, as `--dry-run --json` tells it.
#[derive(Serialize)]
struct PlanReport<'a> {
    model: &'a str,
    device: &'a DeviceInfo,
    scales: Vec<ScalePlan<'a>>,
    /// Of all scales, where their times are known.
    seconds: Option<f64>,
}

#[derive(Serialize)]
struct ScalePlan<'a> {
    #[serde(flatten)]
    scale: &'a ScaleReport,
    total_bytes: u64,
    iteration_ms: Option<f64>,
    seconds: Option<f64>,
}

/// What recipes would be and take on the network's device, one after the other: each is measured at a small size.
pub fn report_recipes(
    device: &Device,
    network: &Network,
    recipes: &[Recipe],
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let mut scales = Vec::new();
    for recipe in recipes {
        let pace = recipe.pace(network)?;
        scales.extend(recipe.forecast(network, &pace)?);
    }
    let plans = scales.iter().map(|forecast| ScalePlan {
        scale: &forecast.scale,
        total_bytes: forecast.scale.cost.total_bytes(),
        iteration_ms: Some(forecast.iteration_ms),
        seconds: Some(forecast.seconds),
    });
    report(device, network, plans.collect(), global)
}

/// What a scale would be whose time is not known.
pub fn report_scale(
    device: &Device,
    network: &Network,
    scale: &ScaleReport,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let plan = ScalePlan {
        scale,
        total_bytes: scale.cost.total_bytes(),
        iteration_ms: None,
        seconds: None,
    };
    report(device, network, vec![plan], global)
}

fn report(
    device: &Device,
    network: &Network,
    scales: Vec<ScalePlan<'_>>,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let report = PlanReport {
        model: &network.graph().name,
        device: device.info(),
        seconds: scales.iter().map(|s| s.seconds).sum(),
        scales,
    };
    if global.json {
        terminal::print_json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let header = [
        "size",
        "iterations",
        "memory",
        "bands",
        "GFLOP/iteration",
        "dispatches/iteration",
        "ms/iteration",
        "time",
    ];
    let time = |seconds: Option<f64>| {
        seconds.map_or("-".to_string(), |s| duration(Duration::from_secs_f64(s)))
    };
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(report.scales.iter().map(|s| {
        vec![
            format!("{}x{}", s.scale.width, s.scale.height),
            s.scale.iterations.to_string(),
            terminal::bytes(s.scale.peak_bytes),
            s.scale.bands.to_string(),
            format!("{:.2}", s.scale.cost.gflop),
            s.scale.cost.dispatches.to_string(),
            s.iteration_ms
                .map_or("-".to_string(), |ms| format!("{ms:.1}")),
            time(s.seconds),
        ]
    }));
    let table = terminal::table(&rows);
    let all = match report.seconds {
        Some(_) if report.scales.len() > 1 => format!("\n{} in all", time(report.seconds)),
        _ => String::new(),
    };
    terminal::print(format_args!(
        "{} on {}\n{table}{all}",
        report.model, report.device.name
    ))?;
    Ok(ExitCode::SUCCESS)
}
