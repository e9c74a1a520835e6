//! The kernels of an iteration, one by one, on the buffers of a real plan.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::subject::{Subject, reference};
use super::{Ceilings, IterationReport, Options, RUNS, least_and_median};
use crate::Error;
use crate::device::{Shader, Work};
use crate::plan::Precision;
use crate::schedule::Deviation;

/// How far the numbers of a call may be from the same call's on the reference: each of the two may be 10⁻⁵ from the
/// exact ones.
const TOLERANCE: f64 = 2e-5;
/// The same where they are stored in 16 bits: of two neighbours one device takes this and the other that.
const PACKED_TOLERANCE: f64 = 1e-4;
/// The share of bits of masks and positions that may differ: where a sum is 0 but for its rounding.
const BITS: f64 = 1e-4;

/// Calls of an iteration with the same kernel and the same work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelReport {
    /// The network.
    pub model: String,
    /// Pixels of both sides of the image.
    pub size: u32,
    /// The kernel: WGSL file and definitions.
    pub kernel: String,
    /// A number that tells its text from others, in hexadecimal digits.
    #[serde(default)]
    pub text: String,
    /// What the first of the calls is for.
    pub call: String,
    /// How many there are.
    pub calls: usize,
    /// Milliseconds of one call, the least of the measured.
    pub min_ms: f64,
    /// The median.
    pub median_ms: f64,
    /// 10⁹ operations of one call; of a convolution as the direct one has them.
    pub gflop: f64,
    /// 10⁹ operations per second at `min_ms`.
    pub gflops: f64,
    /// Of the device's f32 ceiling.
    pub percent: f64,
    /// 10⁹ bytes per second at `min_ms`, every operand counted once.
    pub gbps: f64,
    /// Of the time of all calls of the iteration, in percent.
    pub share: f64,
    /// ‖y − y'‖/‖y'‖ of what the call writes, y' being the reference's for the same inputs.
    pub deviation: f64,
    /// Share of different bits in the masks and positions that it writes.
    pub bits: f64,
    /// Whether both are small enough.
    pub right: bool,
}

/// The largest of the sizes measured whose kernels can be timed one by one within the budget.
pub fn size(iterations: &[IterationReport], options: &Options) -> Option<u32> {
    let seconds = |report: &IterationReport| report.wall_ms / 1e3 * RUNS as f64;
    let fitting = iterations.iter().filter(|i| seconds(i) <= options.budget());
    let least = iterations.iter().map(|i| i.size).min();
    fitting.map(|i| i.size).max().or(least)
}

/// Times every call of an iteration and holds one of each kind against the reference; at `check_size`, where it is
/// given, those of the same names are.
pub async fn measure(
    subject: &Subject<'_>,
    size: u32,
    check_size: Option<u32>,
    ceilings: &Ceilings,
) -> Result<Vec<KernelReport>, Error> {
    let elsewhere = match check_size {
        Some(check_size) => Some(checked(subject, check_size).await?),
        None => None,
    };
    let mut run = subject.run(size).await?;
    let executor = run.executor_mut();
    let kinds: Vec<(Shader, Work)> = executor
        .program()
        .recording
        .calls()
        .iter()
        .map(|call| (call.operation.shader(), call.operation.work()))
        .collect();
    let mut first: HashMap<(Shader, Work), usize> = HashMap::new();
    for (i, kind) in kinds.iter().enumerate() {
        first.entry(*kind).or_insert(i);
    }
    let deviations = match &elsewhere {
        None => {
            let is_first = |i| first[&kinds[i]] == i;
            let reference = reference(subject.device);
            executor.check_calls_async(&reference, is_first).await?
        }
        Some(elsewhere) => {
            let calls = executor.program().recording.calls().iter();
            calls
                .map(|call| elsewhere.get(&call.label).copied())
                .collect()
        }
    };
    executor.time_calls_async().await?;
    let mut rounds = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        rounds.push(executor.time_calls_async().await?);
    }
    let mut times: HashMap<(Shader, Work), Vec<Duration>> = HashMap::new();
    for round in &rounds {
        for (kind, time) in kinds.iter().zip(round) {
            times.entry(*kind).or_default().push(*time);
        }
    }
    let tolerance = match subject.precision {
        Precision::F32 => TOLERANCE,
        Precision::F16 => PACKED_TOLERANCE,
    };
    let calls = executor.program().recording.calls();
    let mut reports: Vec<KernelReport> = times
        .iter()
        .map(|(kind, times)| {
            let (shader, work) = kind;
            let (min_ms, median_ms) = least_and_median(times);
            let seconds = min_ms / 1e3;
            let per_second = |amount: u64| amount as f64 / 1e9 / seconds.max(1e-12);
            let unknown = Deviation {
                reals: f64::INFINITY,
                bits: 1.0,
            };
            let Deviation { reals, bits } = deviations[first[kind]].unwrap_or(unknown);
            KernelReport {
                model: subject.model().to_string(),
                size,
                kernel: shader.label(),
                text: format!("{:032x}", shader.fingerprint()),
                call: calls[first[kind]].label.clone(),
                calls: times.len() / RUNS,
                min_ms,
                median_ms,
                gflop: work.flop as f64 / 1e9,
                gflops: per_second(work.flop),
                percent: 100.0 * per_second(work.flop) / ceilings.fp32_gflops,
                gbps: per_second(work.bytes),
                share: 0.0,
                // JSON has no infinity.
                deviation: reals.min(1e30),
                bits,
                right: reals <= tolerance && bits <= BITS,
            }
        })
        .collect();
    let total: f64 = reports.iter().map(|r| r.median_ms * r.calls as f64).sum();
    for report in &mut reports {
        report.share = 100.0 * report.median_ms * report.calls as f64 / total;
    }
    reports.sort_by(|a, b| b.share.total_cmp(&a.share));
    Ok(reports)
}

/// The deviations of all calls of an iteration by their names, of those of one name the largest.
async fn checked(subject: &Subject<'_>, size: u32) -> Result<HashMap<String, Deviation>, Error> {
    let mut run = subject.run(size).await?;
    let executor = run.executor_mut();
    let reference = reference(subject.device);
    let deviations = executor.check_calls_async(&reference, |_| true).await?;
    let mut found: HashMap<String, Deviation> = HashMap::new();
    let calls = executor.program().recording.calls().iter();
    for (call, deviation) in calls.zip(deviations) {
        let deviation = deviation.unwrap_or_default();
        let most = found.entry(call.label.clone()).or_default();
        most.reals = most.reals.max(deviation.reals);
        most.bits = most.bits.max(deviation.bits);
    }
    Ok(found)
}
