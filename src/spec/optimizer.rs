//! What steps the image, as a recipe has it.

use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// [`Error::Recipe`] with what is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let unit = |v: f32| (0.0..1.0).contains(&v);
        let positive = |v: f32| v > 0.0 && v.is_finite();
        let most = self.initial_iterations.unwrap_or(0).max(self.iterations);
        let wrong = if !positive(self.step_size) {
            format!("step_size is {}; it must be greater than 0", self.step_size)
        } else if !(0.0..=1.0).contains(&self.final_step) {
            format!("final_step is {}; it must be in [0, 1]", self.final_step)
        } else if !unit(self.beta1) || !unit(self.beta2) {
            format!(
                "beta1 and beta2 are {} and {}; they must be in [0, 1)",
                self.beta1, self.beta2
            )
        } else if !positive(self.epsilon) {
            format!("epsilon is {}; it must be greater than 0", self.epsilon)
        } else if most > MAX_ITERATIONS {
            format!("{most} iterations; there can be {MAX_ITERATIONS} at every scale")
        } else if !unit(self.average) {
            format!("average is {}; it must be in [0, 1)", self.average)
        } else if !(1..=127).contains(&self.history) {
            format!("history is {}; it must be from 1 to 127", self.history)
        } else if self.kind == OptimizerKind::Lbfgs && self.average > 0.0 {
            "lbfgs ends at its best point: it takes no average".to_string()
        } else if self.progress.is_some() && self.kind != OptimizerKind::Gradient {
            "`progress` is for the optimizer `gradient`".to_string()
        } else {
            return Ok(());
        };
        Err(Error::Recipe(format!("optimizer: {wrong}")))
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
