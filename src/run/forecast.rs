//! How long a recipe will take on the device at hand: measured at a small size, scaled by the work of every kernel
//! call.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;
use web_time::Instant;

use crate::Error;
use crate::compile::ScaleReport;
use crate::compile::recipe::CompiledRecipe;
use crate::device::{Recording, Work};
use crate::image::size_for_long_side;
use crate::plan::{Network, Program};
use crate::schedule::Executor;
use crate::spec::Recipe;

/// An iteration that is measured takes at least this long, where the recipe has a size at which it does: below, a GPU
/// waits for its launches more than it works.
const LONG_ENOUGH: Duration = Duration::from_millis(250);

/// Iterations that count.
const ROUNDS: usize = 3;

/// No more rounds once they have taken this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the kernel calls of a recipe have been measured to take.
#[derive(Debug, Clone)]
pub struct Pace {
    /// For each call's label seconds, and the operations or bytes that took them.
    calls: HashMap<String, (f64, f64)>,
    /// Seconds of an iteration that belong to no call.
    between: f64,
    /// Seconds to make a scale ready, for each of its pixels: targets, memory, dispatches.
    ready: f64,
    /// Size in pixels at which that was measured.
    pub size: (u32, u32),
}

/// What a scale will be and take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ScaleForecast {
    /// Size, iterations, memory and work.
    #[serde(flatten)]
    pub scale: ScaleReport,
    /// Milliseconds of an iteration.
    pub iteration_ms: f64,
    /// Seconds of all its iterations and of making it ready.
    pub seconds: f64,
}

/// What a call's time goes by.
fn amount(work: Work) -> f64 {
    // A call that does nothing that is counted still takes its time.
    work.flop.max(work.bytes).max(1) as f64
}

impl Pace {
    fn seconds(&self, recording: &Recording) -> f64 {
        // Only a plan in bands has calls of other names; these copy rows, and so does the fastest of the others at
        // best.
        let per_byte = self
            .calls
            .values()
            .map(|(seconds, amount)| seconds / amount);
        let fastest = per_byte.fold(f64::INFINITY, f64::min);
        let calls = recording.calls().iter().map(|call| {
            let amount = amount(call.operation.work());
            match self.calls.get(&call.label) {
                Some((seconds, measured)) => seconds * amount / measured,
                None => fastest * amount,
            }
        });
        calls.sum::<f64>() + self.between
    }
}

impl Recipe {
    /// Measures the kernel calls of this recipe on the network's device, at a size at which that takes a moment.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub async fn pace_async(&self, network: &Network) -> Result<Pace, Error> {
        let mut compiled = CompiledRecipe::new(self, network)?;
        let finest = compiled.last();

        let mut side = 64.min(finest.0.max(finest.1));
        loop {
            let size = compiled.fitting(size_for_long_side(finest.0, finest.1, side));
            let last = side == finest.0.max(finest.1);
            let made = compiled.executor_at(size).await;
            let mut executor = match made {
                Ok(executor) => executor,
                // Too small for a layer, or for what the recipe says of it.
                Err(_) if !last => {
                    side = (side * 2).min(finest.0.max(finest.1));
                    continue;
                }
                Err(error) => return Err(error),
            };
            executor.set_parameter(&compiled.parameter(size)?)?;
            executor.time_iteration_async().await?;
            let iteration = executor.time_iteration_async().await?;
            if iteration < LONG_ENOUGH && !last {
                let more = (LONG_ENOUGH.as_secs_f64() / iteration.as_secs_f64().max(1e-6)).sqrt();
                let next = f64::from(side) * (1.2 * more).clamp(1.5, 4.0);
                side = (next as u32).min(finest.0.max(finest.1));
                continue;
            }
            let mut pace = measured(&mut executor, size).await?;
            // Once more, now that every kernel is compiled: that takes the same time at every size.
            drop(executor);
            let start = Instant::now();
            compiled.executor_at(size).await?;
            pace.ready = start.elapsed().as_secs_f64() / pixels(size);
            return Ok(pace);
        }
    }

    /// What every scale of this recipe will be and take, by the pace of a recipe with the same terms and layers;
    /// nothing runs.
    ///
    /// # Errors
    /// As [`Recipe::dry_run`].
    pub fn forecast(&self, network: &Network, pace: &Pace) -> Result<Vec<ScaleForecast>, Error> {
        let compiled = CompiledRecipe::new(self, network)?;
        let forecast = |(scale, program): (ScaleReport, &Program)| {
            let iteration = pace.seconds(&program.recording);
            let pixels = pixels((scale.width, scale.height));
            ScaleForecast {
                scale,
                iteration_ms: iteration * 1e3,
                seconds: iteration * scale.iterations as f64 + pace.ready * pixels,
            }
        };
        Ok(compiled.programs().map(forecast).collect())
    }
}

fn pixels(size: (u32, u32)) -> f64 {
    f64::from(size.0) * f64::from(size.1)
}

/// Times iterations as wholes and call by call.
async fn measured(executor: &mut Executor, size: (u32, u32)) -> Result<Pace, Error> {
    let start = Instant::now();
    let (mut rounds, mut whole) = (Vec::new(), Duration::MAX);
    while rounds.len() < ROUNDS && (rounds.is_empty() || start.elapsed() < PATIENCE) {
        let begun = Instant::now();
        executor.time_iteration_async().await?;
        whole = whole.min(begun.elapsed());
        rounds.push(executor.time_calls_async().await?);
    }
    let mut calls: HashMap<String, (f64, f64)> = HashMap::new();
    for (i, call) in executor.program().recording.calls().iter().enumerate() {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round[i]).collect();
        times.sort();
        let entry = calls.entry(call.label.clone()).or_default();
        entry.0 += times[times.len() / 2].as_secs_f64();
        entry.1 += amount(call.operation.work());
    }
    let all: f64 = calls.values().map(|(seconds, _)| seconds).sum();
    Ok(Pace {
        between: (whole.as_secs_f64() - all).max(0.0),
        ready: 0.0,
        calls,
        size,
    })
}
