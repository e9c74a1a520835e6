//! Whole iterations of style transfer.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::subject::{Subject, reference};
use super::{Ceilings, Options, RUNS, SIZES, SMALLER, least_and_median};
use crate::Error;
use crate::device::Gpu;
use crate::plan::Precision;
use crate::run::fingerprint::Fingerprint;
use crate::run::{Progress, Run};

/// Iterations before the first that counts: caches are filled and the lengths of submissions found.
const WARM_UP: usize = 2;

/// How far a gradient may be from that of the reference. The kernels agree far better; but a unit whose sum is 0 but
/// for its rounding passes its gradient on one device and not on the other, and each such unit of the 10⁶ or so is a
/// few thousandths.
const TOLERANCE: f64 = 3e-2;
/// How far the objective may be from that of the reference: no unit near 0 counts there.
const LOSS_TOLERANCE: f64 = 1e-4;
/// The same where layers are stored in 16 bits: of two neighbours one device takes this and the other that.
const PACKED_LOSS_TOLERANCE: f64 = 1e-3;

/// Iterations of one network at one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IterationReport {
    /// The network.
    pub model: String,
    /// A number that tells its layers and weights from others, in hexadecimal digits.
    #[serde(default)]
    pub weights: String,
    /// Pixels of both sides.
    pub size: u32,
    /// Milliseconds that the device works on an iteration: the least of the measured.
    pub min_ms: f64,
    /// The median.
    pub median_ms: f64,
    /// Median milliseconds from the end of one iteration to that of the next, by the wall's clock.
    pub wall_ms: f64,
    /// 10⁹ operations of an iteration, as the formulas count them.
    pub gflop: f64,
    /// 10⁹ operations per second at `min_ms`.
    pub gflops: f64,
    /// Of the device's f32 ceiling.
    pub percent: f64,
    /// What the plan says that weights, targets and buffers take.
    pub planned_bytes: u64,
    /// What they take.
    pub allocated_bytes: u64,
    /// Kernel calls.
    pub dispatches: usize,
    /// Command buffers per iteration; below 1 where several iterations share one. 0 on the `cpu` device.
    pub submissions: f64,
    /// Of the measured iterations' command buffers those that ran longer than 100 ms.
    pub long_submissions: u64,
    /// Microseconds that the processor takes to record an iteration's commands: what the engine does, and what `wgpu`
    /// makes of it. 0 on the `cpu` device.
    pub host_us: f64,
    /// ‖g − g'‖/‖g'‖ of the gradient at 64 px, g' being the reference's.
    pub deviation: f64,
    /// (l − l')/l' of the objective there.
    pub loss_deviation: f64,
    /// Whether the first is within 0.03 and the second within 10⁻⁴, or 10⁻³ where layers are stored in 16 bits.
    pub right: bool,
}

/// Measures one network at every size that there is time for.
pub async fn measure(
    subject: &mut Subject<'_>,
    options: &Options,
    ceilings: &Ceilings,
    notes: &mut Vec<String>,
    stage: &mut impl FnMut(&str),
) -> Result<Vec<IterationReport>, Error> {
    let model = subject.model().to_string();
    stage(&format!("{model}: its gradient against the reference's"));
    let deviations = subject.deviations(&reference(subject.device)).await?;
    let mut pace = trial(subject).await?;
    let count = (WARM_UP + RUNS) as f64;
    let fits =
        |size: u32, pace: f64| count * pace * f64::from(size * size) <= options.budget() * 1e3;
    let sizes = match options.sizes.as_slice() {
        [] if fits(SIZES[0], pace) => SIZES.to_vec(),
        [] => {
            let size = SMALLER.iter().find(|size| fits(**size, pace));
            let size = *size.unwrap_or(&SMALLER[SMALLER.len() - 1]);
            notes.push(left_out(&model, SIZES[0], pace));
            vec![size]
        }
        given => given.to_vec(),
    };
    let mut reports = Vec::new();
    for size in sizes {
        if options.sizes.is_empty() && !reports.is_empty() && !fits(size, pace) {
            notes.push(left_out(&model, size, pace));
            continue;
        }
        stage(&format!("{model}: iterations at {size} px"));
        match one(subject, size, ceilings, deviations).await {
            Ok(report) => {
                pace = report.wall_ms / f64::from(size * size);
                reports.push(report);
            }
            // A device without the memory for a size says so and is measured at the others.
            Err(error @ Error::TooLarge { .. }) if options.sizes.is_empty() => {
                notes.push(format!("{model} at {size} px: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(reports)
}

fn left_out(model: &str, size: u32, pace: f64) -> String {
    let seconds = pace * f64::from(size * size) / 1e3;
    let mut note =
        format!("{model} at {size} px is left out: an iteration would take about {seconds:.2} s");
    // A page has no options.
    if !cfg!(target_arch = "wasm32") {
        let _ = write!(note, "; `--sizes {size}` measures it all the same");
    }
    note
}

/// Milliseconds per pixel of an iteration at a small size.
async fn trial(subject: &Subject<'_>) -> Result<f64, Error> {
    const SIZE: u32 = 64;
    let mut run = subject.run(SIZE).await?;
    let times = walls(&mut run, 3).await?;
    Ok(least_and_median(&times).0 / f64::from(SIZE * SIZE))
}

/// Times of iterations as a run sees them.
async fn walls(run: &mut Run, count: usize) -> Result<Vec<Duration>, Error> {
    let mut times = Vec::with_capacity(count);
    let seen = |progress: &Progress| {
        times.push(progress.elapsed);
        ControlFlow::Continue(())
    };
    let _ = run.run_for_async(count as u64, seen).await?;
    Ok(times)
}

async fn one(
    subject: &Subject<'_>,
    size: u32,
    ceilings: &Ceilings,
    (deviation, loss_deviation): (f64, f64),
) -> Result<IterationReport, Error> {
    let mut run = subject.run(size).await?;
    let allocated_bytes = subject.allocated();
    let cost = run.plan()[0].cost;
    walls(&mut run, WARM_UP).await?;
    let usage = || subject.device.gpu().map(Gpu::usage).unwrap_or_default();
    let before = usage();
    let wall = walls(&mut run, RUNS).await?;
    let used = usage() - before;
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        // A software adapter's clock is the wall's. Iterations that share a submission have one time between them, so
        // each is submitted alone.
        if subject.device.info().is_software() {
            times.extend(walls(&mut run, 1).await?);
        } else {
            times.push(run.executor_mut().time_iteration_async().await?);
        }
    }
    let loss_tolerance = match subject.precision {
        Precision::F32 => LOSS_TOLERANCE,
        Precision::F16 => PACKED_LOSS_TOLERANCE,
    };
    let (min_ms, median_ms) = least_and_median(&times);
    let gflops = cost.gflop / (min_ms / 1e3);
    Ok(IterationReport {
        model: subject.model().to_string(),
        weights: Fingerprint::of_network(subject.network.graph()).to_string(),
        size,
        min_ms,
        median_ms,
        wall_ms: least_and_median(&wall).1,
        gflop: cost.gflop,
        gflops,
        percent: 100.0 * gflops / ceilings.fp32_gflops,
        planned_bytes: cost.total_bytes(),
        allocated_bytes,
        dispatches: cost.dispatches,
        submissions: used.submissions as f64 / RUNS as f64,
        long_submissions: used.long_submissions,
        host_us: host_us(subject, &mut run)?,
        deviation,
        loss_deviation,
        right: deviation <= TOLERANCE && loss_deviation <= loss_tolerance,
    })
}

/// Microseconds of processor time that recording an iteration takes: the engine's part and `wgpu`'s.
fn host_us(subject: &Subject<'_>, run: &mut Run) -> Result<f64, Error> {
    let Some(gpu) = subject.device.gpu() else {
        return Ok(0.0);
    };
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let mut encoder = gpu
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let start = Instant::now();
        run.encode(&mut encoder, 1)?;
        drop(encoder.finish());
        times.push(start.elapsed());
    }
    Ok(least_and_median(&times).0 * 1e3)
}
