//! Runs.

use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard};

use pixgrad::engine::methods::options::{Asked, Fooling};
use pixgrad::{Outcome, Progress};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::device::Device;
use crate::error::{raise, wrong};
use crate::picture::Picture;
use crate::recipe::Recipe;

/// A recipe that is ready to run.
#[pyclass(frozen, module = "pixgrad._pixgrad")]
pub struct Run {
    run: Mutex<pixgrad::Run>,
    asked: Asked,
    network: pixgrad::Network,
    device: Py<Device>,
}

impl Run {
    fn lock(&self) -> PyResult<MutexGuard<'_, pixgrad::Run>> {
        self.run.try_lock().map_err(|_| {
            wrong(
                "the run is at work: it can be asked between steps, not within a progress callback",
            )
        })
    }
}

/// What stops a run from within.
#[derive(Default)]
struct Stop {
    /// Of a callback, or Ctrl-C.
    error: Option<PyErr>,
    /// The callback has said so.
    asked: bool,
    /// The method's goal may be reached.
    enough: bool,
    /// The iteration whose loss is not finite.
    diverged: Option<u64>,
}

/// Sees an iteration.
fn see(
    progress: &Progress,
    callback: Option<&Py<PyAny>>,
    goal: Option<&Fooling>,
    stop: &mut Stop,
) -> ControlFlow<()> {
    if !progress.loss.is_finite() {
        stop.diverged.get_or_insert(progress.iteration);
    }
    let probability = Fooling::probability(progress);
    stop.enough |= goal.is_some_and(|goal| goal.is_enough(probability));
    let told = Python::attach(|py| {
        py.check_signals()?;
        let Some(callback) = callback else {
            return Ok(false);
        };
        let answer = callback.bind(py).call1((step(py, progress)?,))?;
        // True goes on, as does a callback that says nothing; only False stops.
        Ok(answer.extract::<bool>().is_ok_and(|go_on| !go_on))
    });
    match told {
        Ok(asked) => stop.asked |= asked,
        Err(error) => stop.error = stop.error.take().or(Some(error)),
    }
    if stop.error.is_some() || stop.asked || stop.enough || stop.diverged.is_some() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// An iteration as Python sees it.
fn step<'py>(py: Python<'py>, progress: &Progress) -> PyResult<Bound<'py, PyTuple>> {
    let Progress {
        scale,
        iteration,
        iterations,
        loss,
        terms,
        images,
        elapsed,
        remaining,
    } = progress;
    (
        *iteration,
        *iterations,
        *scale,
        *loss,
        terms.clone(),
        images.clone(),
        elapsed.as_secs_f64(),
        remaining.map(|time| time.as_secs_f64()),
    )
        .into_pyobject(py)
}

#[pymethods]
impl Run {
    /// Reads the pictures and makes the recipe ready on a device.
    #[new]
    fn new(py: Python<'_>, recipe: &Recipe, device: Py<Device>) -> PyResult<Self> {
        let mut asked = recipe.0.clone();
        let own = device.get();
        let made = py.detach(|| {
            let named = asked.recipe.model.as_str();
            let model = match named {
                "auto" => pixgrad::engine::compile::auto_model(&own.device),
                model => model,
            };
            let network = own.network(model, &asked.recipe.opening())?;
            asked.complete(&network)?;
            let run = asked.recipe.compile(&own.device, &network)?;
            Ok((network, run))
        });
        own.tell();
        let (network, run) = made.map_err(|e: pixgrad::Error| raise(e))?;
        Ok(Self {
            run: Mutex::new(run),
            asked,
            network,
            device,
        })
    }

    /// Runs so many iterations, or all that are left. Whether any are left then. `callback` sees each iteration and may
    /// end the run by returning False.
    #[pyo3(signature = (most=None, callback=None))]
    fn advance(
        &self,
        py: Python<'_>,
        most: Option<u64>,
        callback: Option<Py<PyAny>>,
    ) -> PyResult<bool> {
        let mut guard = self.lock()?;
        let run = &mut *guard;
        let mut left = most.unwrap_or(u64::MAX);
        let goal = self.asked.goal();
        let goes_on = loop {
            let mut stop = Stop::default();
            let before = run.done();
            let outcome = py.detach(|| {
                run.run_for(left, |progress| {
                    see(progress, callback.as_ref(), goal, &mut stop)
                })
            });
            self.device.get().tell();
            let outcome = outcome.map_err(raise)?;
            if let Some(error) = stop.error {
                return Err(error);
            }
            if let Some(iteration) = stop.diverged {
                return Err(wrong(&format!(
                    "the loss of iteration {iteration} is not a finite number: a smaller step_size, or smaller \
                     weights, help"
                )));
            }
            left = left.saturating_sub(run.done() - before);
            match (outcome, goal) {
                (Outcome::Finished, _) => break false,
                (Outcome::Paused, _) => break true,
                (Outcome::Stopped, _) if stop.asked => break false,
                (Outcome::Stopped, Some(goal)) => {
                    // What was seen is the image before the step: the goal is asked again for the image as it is.
                    let is_reached = py.detach(|| {
                        let (_, probability, _) = goal.seen(&self.network, &run.image()?)?;
                        Ok(goal.is_enough(f64::from(probability)))
                    });
                    if is_reached.map_err(|e: pixgrad::Error| raise(e))? {
                        break false;
                    }
                    if left == 0 {
                        break true;
                    }
                }
                (Outcome::Stopped, None) => break false,
            }
        };
        Ok(goes_on)
    }

    /// The picture as it is now.
    fn picture(&self, py: Python<'_>) -> PyResult<Picture> {
        let guard = self.lock()?;
        let run = &*guard;
        let picture = py.detach(|| self.asked.picture(run)).map_err(raise)?;
        Ok(picture.into())
    }

    /// All images of the batch as they are now.
    fn pictures(&self, py: Python<'_>) -> PyResult<Vec<Picture>> {
        let guard = self.lock()?;
        let run = &*guard;
        let pictures = py.detach(|| run.images()).map_err(raise)?;
        Ok(pictures.into_iter().map(Into::into).collect())
    }

    #[getter]
    fn done(&self) -> PyResult<u64> {
        Ok(self.lock()?.done())
    }

    #[getter]
    fn iterations(&self) -> PyResult<u64> {
        Ok(self.lock()?.iterations())
    }

    #[getter]
    fn notes(&self) -> PyResult<Vec<String>> {
        Ok(self.lock()?.notes())
    }

    /// Width, height, iterations and bytes of every scale.
    #[getter]
    fn plan(&self) -> PyResult<Vec<(u32, u32, u64, u64)>> {
        let run = self.lock()?;
        let scales = run.plan().iter();
        Ok(scales
            .map(|s| (s.width, s.height, s.iterations, s.cost.total_bytes()))
            .collect())
    }

    /// The recipe that runs, complete.
    #[getter]
    fn recipe(&self) -> Recipe {
        Recipe(self.asked.clone())
    }

    #[getter]
    fn model(&self) -> String {
        self.network.graph().name.clone()
    }
}
