//! Options of every method that optimizes a picture.

use std::path::PathBuf;

use super::{Given, parse};
use crate::methods::MethodError;
use crate::net::Preprocessing;
use crate::plan::Precision;
use crate::spec::{Init, OptimizerKind, Recipe};

/// Options of every method that optimizes a picture. What is absent stays as the recipe has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OptimizeOptions {
    /// Long side of the coarsest scale in pixels.
    pub min_size: Option<u32>,
    /// Iterations at every scale.
    pub iterations: Option<u64>,
    /// Iterations at the coarsest scale.
    pub initial_iterations: Option<u64>,
    /// The start image.
    pub init: Option<Init>,
    /// Seed of all random numbers.
    pub seed: Option<u64>,
    /// The network: a name, a file, or `auto`.
    pub model: Option<String>,
    /// What the network was trained to see.
    pub preprocessing: Option<Preprocessing>,
    /// The file of the classes' names.
    pub labels: Option<PathBuf>,
    /// What steps the image.
    pub optimizer: Option<OptimizerKind>,
    /// How many steps `lbfgs` remembers.
    pub history: Option<u32>,
    /// Step size in units of the `[0,1]` image.
    pub step_size: Option<f64>,
    /// Decay of the moving average of the image.
    pub average: Option<f32>,
    /// Number format of the values that the backward pass reads.
    pub precision: Option<Precision>,
}

impl OptimizeOptions {
    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        Ok(Self {
            min_size: given.value("min_size", parse::side)?,
            iterations: given.value("iterations", parse::count)?,
            initial_iterations: given.value("initial_iterations", parse::count)?,
            init: given.init("init")?,
            seed: given.value("seed", parse::seed)?,
            model: given.value("model", parse::text)?,
            preprocessing: given.value("preprocessing", parse::preprocessing)?,
            labels: given.value("labels", |text| Ok(PathBuf::from(text)))?,
            optimizer: given.value("optimizer", parse::optimizer)?,
            history: given.value("history", parse::history)?,
            step_size: given.value("step_size", parse::positive)?,
            average: given.value("average", parse::decay)?,
            precision: given.value("precision", parse::precision)?,
        })
    }

    /// Puts what was asked for into the recipe.
    pub fn apply(&self, recipe: &mut Recipe) {
        if let Some(iterations) = self.iterations {
            recipe.optimizer.iterations = iterations;
            recipe.optimizer.initial_iterations = None;
        }
        if self.initial_iterations.is_some() {
            recipe.optimizer.initial_iterations = self.initial_iterations;
        }
        if self.min_size.is_some() {
            recipe.image.min_size = self.min_size;
        }
        if let Some(init) = &self.init {
            recipe.image.init = init.clone();
        }
        if let Some(seed) = self.seed {
            recipe.seed = seed;
        }
        if let Some(model) = &self.model {
            recipe.model.clone_from(model);
        }
        if self.preprocessing.is_some() {
            recipe.preprocessing = self.preprocessing;
        }
        if self.labels.is_some() {
            recipe.labels.clone_from(&self.labels);
        }
        if let Some(precision) = self.precision {
            recipe.precision = precision;
        }
        if let Some(kind) = self.optimizer {
            recipe.optimizer.kind = kind;
            if kind == OptimizerKind::Lbfgs {
                // Its result is its best point, not an average of its trials.
                recipe.optimizer.average = 0.0;
            }
        }
        if let Some(history) = self.history {
            recipe.optimizer.history = history;
        }
        if let Some(step_size) = self.step_size {
            recipe.optimizer.step_size = step_size as f32;
        }
        if let Some(average) = self.average {
            recipe.optimizer.average = average;
        }
    }
}
