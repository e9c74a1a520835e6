//! Chooses among the kernels that compute the same the one that is fastest on the device at hand, by timing them on a
//! call's own buffers. What was chosen stays with the device, and in a file for the runs to come.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::allowed::is_allowed_async;
use super::gpu::{measured_gflops, split};
use super::slices::{Rate, UNKNOWN};
use crate::device::{
    Alternatives, Buffer, Choice, Choices, DeviceError, Gpu, Operation, Recording, fingerprint,
};
use crate::error::with_causes;
use crate::image::write_atomically;

/// What a timed dispatch should take: long for a clock, short for a desktop.
const TARGET_MS: f64 = 4.0;
/// What a dispatch of unknown speed may be expected to take.
const CAREFUL_MS: f64 = 40.0;
/// Timed dispatches of each kernel; the shortest counts.
const RUNS: usize = 3;

/// The format of the file; files of others are left alone.
const FORMAT: u32 = 1;

/// The file of one device.
#[derive(Debug, Serialize, Deserialize)]
struct File {
    format: u32,
    device: String,
    driver: String,
    backend: String,
    choices: Choices,
}

/// Puts the fastest alternative in the place of every kernel that has some. `bound` is the memory of each call; only
/// what an iteration writes anew is written.
pub async fn tune(
    gpu: &Gpu,
    recording: &mut Recording,
    bound: &[Vec<Buffer>],
) -> Result<(), DeviceError> {
    if !gpu.is_tuned() {
        return Ok(());
    }
    let mut choices = known(gpu);
    let mut found = false;
    for (i, buffers) in bound.iter().enumerate() {
        let operation = &*recording.calls()[i].operation;
        let Some(mut alternatives) = operation.alternatives() else {
            continue;
        };
        let mut kernels = Vec::new();
        for kernel in alternatives.kernels {
            if is_allowed_async(gpu, kernel.shader()).await? {
                kernels.push(kernel);
            }
        }
        alternatives.kernels = kernels;
        if alternatives.kernels.is_empty() {
            continue;
        }
        let key = key(operation, &alternatives);
        let choice = match choices.get(&key) {
            Some(choice) => choice.clone(),
            None => {
                let buffers: Vec<&Buffer> = buffers.iter().collect();
                let choice = choose(gpu, operation, &alternatives, &buffers).await?;
                choices.insert(key, choice.clone());
                found = true;
                choice
            }
        };
        let mut kernels = alternatives.kernels.into_iter();
        if let Some(kernel) = kernels.find(|k| k.shader().label() == choice.kernel) {
            recording.replace(i, kernel);
        }
    }
    if found {
        keep(gpu, &choices);
    }
    gpu.set_choices(choices);
    Ok(())
}

/// The shape, and what the times were of: another text of a kernel is another kernel.
fn key(operation: &dyn Operation, alternatives: &Alternatives) -> String {
    let all =
        std::iter::once(operation.shader()).chain(alternatives.kernels.iter().map(|k| k.shader()));
    let prints: Vec<_> = all.map(|s| s.fingerprint().to_le_bytes()).collect();
    let print = fingerprint(prints.iter().map(|bytes| &bytes[..]));
    format!("{} #{print:032x}", alternatives.shape)
}

async fn choose(
    gpu: &Gpu,
    operation: &dyn Operation,
    alternatives: &Alternatives,
    buffers: &[&Buffer],
) -> Result<Choice, DeviceError> {
    let rate = Rate {
        gflops: measured_gflops(gpu).await?,
    };
    let all = || std::iter::once(operation).chain(alternatives.kernels.iter().map(|k| &**k));
    // Only so many workgroups that it does not take long; the first kernel's time tells how many.
    let expected = rate.predict_ms(operation.work()) * UNKNOWN;
    let parts = (expected / CAREFUL_MS).ceil() as u32;
    let first = time(gpu, operation, buffers, parts).await?;
    let parts = (first.as_secs_f64() * 1e3 / TARGET_MS).ceil() as u32;
    let mut ms = BTreeMap::new();
    let mut best: Option<(f64, String)> = None;
    for kernel in all() {
        let label = kernel.shader().label();
        let time = time(gpu, kernel, buffers, parts).await?.as_secs_f64() * 1e3;
        if best.as_ref().is_none_or(|(least, _)| time < *least) {
            best = Some((time, label.clone()));
        }
        ms.insert(label, time);
    }
    let kernel = best.map_or_else(String::new, |(_, label)| label);
    Ok(Choice { kernel, ms })
}

/// Time of a whole dispatch, from that of one of `parts` parts of it.
async fn time(
    gpu: &Gpu,
    kernel: &dyn Operation,
    buffers: &[&Buffer],
    parts: u32,
) -> Result<Duration, DeviceError> {
    let grid = kernel.grid();
    let (origin, part) = split(grid, parts).swap_remove(0);
    let params = gpu.params_buffer(&Gpu::params_bytes(kernel, origin))?;
    let dispatch = gpu.dispatch(kernel, buffers, &params, 0, part)?;
    gpu.time([&dispatch]).await?;
    let mut least = Duration::MAX;
    for _ in 0..RUNS {
        least = least.min(gpu.time([&dispatch]).await?);
    }
    let groups = |grid: [u32; 3]| grid.iter().map(|n| f64::from(*n)).product::<f64>();
    Ok(least.mul_f64(groups(grid) / groups(part)))
}

/// What has been chosen on this device before, in this process or an earlier one.
fn known(gpu: &Gpu) -> Choices {
    if let Some(choices) = gpu.choices() {
        return choices;
    }
    let (Some(path), false) = (path(gpu), gpu.is_tuned_anew()) else {
        return Choices::new();
    };
    read(&path, gpu).unwrap_or_else(|error| {
        gpu.warn(format!(
            "{} is not used, and will be replaced: {}",
            path.display(),
            with_causes(&error)
        ));
        Choices::new()
    })
}

/// Why a file of choices is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    #[error("it is no file of tuned kernels")]
    Other(#[from] serde_json::Error),
    #[error("its format is {found}, not {FORMAT}")]
    Format { found: u32 },
    #[error("it is of {device} ({driver})")]
    Device { device: String, driver: String },
}

fn read(path: &Path, gpu: &Gpu) -> Result<Choices, Unusable> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Choices::new()),
        Err(error) => return Err(error.into()),
    };
    let file: File = serde_json::from_str(&text)?;
    let info = gpu.info();
    if file.format != FORMAT {
        return Err(Unusable::Format { found: file.format });
    }
    let (theirs, ours) = (
        (&file.device, &file.driver, &file.backend),
        (&info.name, &info.driver, &info.backend),
    );
    if theirs != ours {
        return Err(Unusable::Device {
            device: file.device,
            driver: file.driver,
        });
    }
    Ok(file.choices)
}

/// Writes what has been chosen. A run does not fail because the next one will have to measure again.
fn keep(gpu: &Gpu, choices: &Choices) {
    let Some(path) = path(gpu) else { return };
    let info = gpu.info();
    let file = File {
        format: FORMAT,
        device: info.name.clone(),
        driver: info.driver.clone(),
        backend: info.backend.clone(),
        choices: choices.clone(),
    };
    let written = serde_json::to_string_pretty(&file)
        .map_err(std::io::Error::other)
        .and_then(|text| {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            write_atomically(&path, |file| file.write_all(text.as_bytes()))
        });
    if let Err(error) = written {
        gpu.warn(format!("{} could not be written: {error}", path.display()));
    }
}

/// The file of this device: the same name may stand for another driver.
fn path(gpu: &Gpu) -> Option<PathBuf> {
    let info = gpu.info();
    let texts = [&info.name, &info.driver, &info.backend];
    let print = fingerprint(texts.iter().map(|text| text.as_bytes()));
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = info.name.chars().map(plain).take(40).collect();
    Some(
        gpu.tuning_folder()?
            .join(format!("{name}-{print:032x}.json")),
    )
}
