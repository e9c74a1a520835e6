//! The trace of a run: every iteration's losses and time, as JSON.

use pixgrad::engine::device::DeviceInfo;
use pixgrad::{Progress, Recipe};
use serde::Serialize;

/// What `--trace` writes.
#[derive(Serialize)]
pub struct Trace<'a> {
    pub device: &'a DeviceInfo,
    pub recipe: &'a Recipe,
    pub iterations: &'a [Iteration],
}

/// One iteration of a trace.
#[derive(Serialize)]
pub struct Iteration {
    i: u64,
    /// Width and height in pixels.
    scale: (u32, u32),
    loss: f32,
    /// The weighted value of every term of the recipe.
    terms: Vec<f32>,
    /// Milliseconds.
    ms: f64,
}

impl From<&Progress> for Iteration {
    fn from(progress: &Progress) -> Self {
        Self {
            i: progress.iteration,
            scale: progress.scale,
            loss: progress.loss,
            terms: progress.terms.clone(),
            ms: progress.elapsed.as_secs_f64() * 1e3,
        }
    }
}
