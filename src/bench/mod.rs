//! Measures a device: what it can do at most, what the kernels of two networks make of that, and whole iterations.
//!
//! Every figure is of a result that was checked in the same run. Times are the GPU's own where it has a clock; on the
//! `cpu` device and on software adapters they are the wall's, and say nothing of any GPU.

#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod ceilings;
mod compare;
mod iterations;
mod kernels;
mod picture;
mod subject;
mod submission;

use serde::{Deserialize, Serialize};
use web_time::Instant;

use crate::Error;
use crate::device::{Device, DeviceInfo, Gpu};
use crate::net;
use crate::plan::Precision;
#[cfg(not(target_arch = "wasm32"))]
pub use blocking::run;
pub use ceilings::Ceilings;
pub use compare::{Figure, compare};
pub use iterations::IterationReport;
pub use kernels::KernelReport;
pub use submission::{read, table};

/// The number of [`Report`]'s format; it changes when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// Measurements of everything that is timed, at least.
pub(crate) const RUNS: usize = 10;

/// Whole iterations are measured at these sizes, long side in pixels, as far as the time reaches.
const SIZES: &[u32] = &[256, 512, 1024];
/// Where an iteration at the least of [`SIZES`] takes too long: the largest of these that does not.
const SMALLER: &[u32] = &[192, 128, 96, 64, 48, 32];

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Half a minute instead of up to three.
    pub quick: bool,
    /// Long sides in pixels, measured however long that takes; none: 256, 512 and 1024 as far as the time reaches.
    pub sizes: Vec<u32>,
    /// How layers, gradients and weights are stored.
    pub precision: Precision,
    /// Long side at which kernels are held against the reference; none: that at which they are timed. A browser's
    /// reference has one core.
    pub check_size: Option<u32>,
}

impl Options {
    /// Seconds that the measurements of one network at one size may take.
    fn budget(&self) -> f64 {
        if self.quick { 2.5 } else { 18.0 }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of this program.
    pub version: String,
    /// The commit that it was built from, where the build was told it by the variable `PIXGRAD_COMMIT`.
    #[serde(default)]
    pub commit: Option<String>,
    /// The device with its driver and limits.
    pub device: DeviceInfo,
    /// Whether the times are of a software adapter or the processor, not of a GPU.
    pub software: bool,
    /// `gpu`: times are the GPU's own; `wall`: they are the wall's.
    pub clock: String,
    /// The processor, its number of threads, and the operating system; in a browser what it says of itself.
    pub host: String,
    /// How layers, gradients and weights were stored.
    #[serde(default)]
    pub precision: Precision,
    /// What the device can do.
    pub ceilings: Ceilings,
    /// Whole iterations.
    pub iterations: Vec<IterationReport>,
    /// The kernels of an iteration, slowest first.
    pub kernels: Vec<KernelReport>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// How long all of it took.
    pub seconds: f64,
}

impl Report {
    /// Says what a browser tells of its adapter: the parts of `GPUAdapterInfo` that say something, such as "apple" and
    /// "metal-3", and whether it is a fallback adapter. Where the name is none so far, it is made of the parts; a
    /// software adapter is one by its name, too.
    pub fn tell_adapter(&mut self, parts: &[String], is_fallback: bool) {
        self.device.name = adapter_name(&self.device.name, parts);
        self.software |= is_fallback || is_software_name(&self.device.name);
    }

    /// Whether every result was what it should be.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.ceilings.right
            && self.iterations.iter().all(|i| i.right)
            && self.kernels.iter().all(|k| k.right)
    }
}

/// Measures `device` with networks; `host` is what the device is in, and `stage` is told what comes next.
///
/// # Errors
/// [`Error::Device`] when the device fails.
pub async fn run_async(
    device: &Device,
    networks: Vec<net::Network>,
    host: String,
    options: &Options,
    mut stage: impl FnMut(&str),
) -> Result<Report, Error> {
    let start = Instant::now();
    stage("ceilings of the device");
    let ceilings = ceilings::measure(device).await?;
    let (mut iterations, mut kernels, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for graph in networks {
        let mut subject = subject::Subject::new(device, graph, options.precision);
        let found =
            iterations::measure(&mut subject, options, &ceilings, &mut notes, &mut stage).await?;
        if let Some(best) = kernels::size(&found, options) {
            stage(&format!("kernels of {} at {best} px", subject.model()));
            kernels.extend(kernels::measure(&subject, best, options.check_size, &ceilings).await?);
        }
        iterations.extend(found);
    }
    let gpu_clock = device.gpu().is_some_and(Gpu::has_clock);
    Ok(Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_string(),
        commit: option_env!("PIXGRAD_COMMIT").map(str::to_string),
        device: device.info().clone(),
        software: device.info().is_software(),
        clock: if gpu_clock { "gpu" } else { "wall" }.to_string(),
        host,
        precision: options.precision,
        ceilings,
        iterations,
        kernels,
        notes,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// A name with those of the parts that it does not hold yet.
fn adapter_name(name: &str, parts: &[String]) -> String {
    let mut name = name.to_string();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if name.is_empty() {
            name.clone_from(part);
        } else if !name.to_lowercase().contains(&part.to_lowercase()) {
            name = format!("{name} {part}");
        }
    }
    name
}

/// Whether an adapter of this name computes on the processor.
fn is_software_name(name: &str) -> bool {
    let name = name.to_lowercase();
    ["swiftshader", "llvmpipe", "lavapipe"]
        .iter()
        .any(|word| name.contains(word))
}

/// Least and median in milliseconds.
fn least_and_median(times: &[std::time::Duration]) -> (f64, f64) {
    let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    match ms.as_slice() {
        [] => (0.0, 0.0),
        [first, ..] => (*first, ms[ms.len() / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browsers_adapter_is_named_by_its_parts() {
        let named = |name: &str, parts: [&str; 4]| adapter_name(name, &parts.map(String::from));
        assert_eq!(named("", ["apple", "metal-3", "", ""]), "apple metal-3");
        assert_eq!(named("", ["", "", "", ""]), "");
        assert_eq!(
            named("NVIDIA H200", ["nvidia", "hopper", "", "NVIDIA H200"]),
            "NVIDIA H200 hopper"
        );
        assert!(is_software_name("google SwiftShader") && !is_software_name("apple metal-3"));
    }
}
