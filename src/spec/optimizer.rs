//! What steps the image, as a recipe has it.

use serde::{Deserialize, Serialize};

use super::RecipeError;
use crate::value::Rule;

/// Most iterations of a scale: they are counted in a u32 over all scales.
const MAX_ITERATIONS: u64 = 100_000_000;

/// What steps the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSpec {
    /// The method.
    pub kind: OptimizerKind,
    /// Step in units of the `[0,1]` image.
    pub step_size: f32,
    /// What is left of the step at the end of a scale, as a fraction of it; it shrinks linearly. 1: it is constant.
    pub final_step: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division by the second moment finite.
    pub epsilon: f32,
    /// Iterations at every scale.
    pub iterations: u64,
    /// Iterations at the coarsest scale, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_iterations: Option<u64>,
    /// Decay of the exponential average of the image, which then is the result; 0: the last image is.
    pub average: f32,
    /// `lbfgs`: pairs of steps and gradient changes remembered.
    pub history: u32,
    /// `gradient`: how long a step is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Step lengths that aim at a change of the objective (Yosinski et al. 2015): with a gradient of small norm the step is
/// long, at most `step_size`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum Progress {
    /// step = min(step_size, desired/‖g‖²).
    Fixed {
        /// The change wanted of every step.
        desired: f32,
    },
    /// As `fixed`, with desired = min(early, late·(1 − probability)), for an objective that is minus a probability.
    Probability {
        /// While the probability is low.
        early: f32,
        /// As a fraction of what is missing to 1.
        late: f32,
    },
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            step_size: 0.02,
            final_step: 1.0,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            iterations: 200,
            initial_iterations: None,
            average: 0.0,
            history: 10,
            progress: None,
        }
    }
}

impl OptimizerSpec {
    /// Whether its numbers can be used.
    ///
    /// # Errors
    /// [`RecipeError`] with what is wrong.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let unit = Rule::Below(0.0, 1.0);
        for (rule, field, value) in [
            (Rule::Positive, "step_size", self.step_size),
            (Rule::Within(0.0, 1.0), "final_step", self.final_step),
            (unit, "beta1", self.beta1),
            (unit, "beta2", self.beta2),
            (Rule::Positive, "epsilon", self.epsilon),
            (unit, "average", self.average),
        ] {
            rule.check(field, value).map_err(RecipeError::Optimizer)?;
        }
        Rule::FromTo(1.0, 127.0)
            .check("history", self.history)
            .map_err(RecipeError::Optimizer)?;
        let iterations = self.initial_iterations.unwrap_or(0).max(self.iterations);
        if iterations > MAX_ITERATIONS {
            Err(RecipeError::Iterations {
                iterations,
                most: MAX_ITERATIONS,
            })
        } else if self.kind == OptimizerKind::Lbfgs && self.average > 0.0 {
            Err(RecipeError::LbfgsAverage)
        } else if self.progress.is_some() && self.kind != OptimizerKind::Gradient {
            Err(RecipeError::Progress)
        } else {
            Ok(())
        }
    }
}

/// The optimizers that the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Kingma and Ba 2015.
    Adam,
    /// Limited-memory BFGS with a backtracking line search (Liu and Nocedal 1989), every scalar on the device.
    Lbfgs,
    /// A step along the gradient as the filters have left it.
    Gradient,
}
