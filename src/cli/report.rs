//! What commands that optimize an image say: of a run, and of a plan.

use std::path::Path;
use std::process::ExitCode;

use pixgrad::device::DeviceInfo;
use pixgrad::recipe::ScaleReport;
use pixgrad::{Device, Network};
use serde::Serialize;

use super::{Global, terminal};

/// What a run was, as `--json` tells it.
#[derive(Serialize)]
pub struct Report<'a> {
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
    pub kind: &'static str,
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
}

#[derive(Serialize)]
struct ScalePlan<'a> {
    #[serde(flatten)]
    scale: &'a ScaleReport,
    total_bytes: u64,
}

pub fn report_plan(
    device: &Device,
    network: &Network,
    scales: &[ScaleReport],
    global: &Global,
) -> anyhow::Result<ExitCode> {
    if global.json {
        let scales = scales.iter().map(|scale| ScalePlan {
            scale,
            total_bytes: scale.cost.total_bytes(),
        });
        let report = PlanReport {
            model: &network.graph().name,
            device: device.info(),
            scales: scales.collect(),
        };
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
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(scales.iter().map(|s| {
        vec![
            format!("{}x{}", s.width, s.height),
            s.iterations.to_string(),
            terminal::bytes(s.peak_bytes),
            s.bands.to_string(),
            format!("{:.2}", s.cost.gflop),
            s.cost.dispatches.to_string(),
        ]
    }));
    let table = terminal::table(&rows);
    terminal::print(format_args!(
        "{} on {}\n{table}",
        network.graph().name,
        device.info().name
    ))?;
    Ok(ExitCode::SUCCESS)
}
