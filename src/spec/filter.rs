//! Filters: what happens to the gradient before the optimizer sees it.

use serde::{Deserialize, Serialize};

use super::RecipeError;
use crate::value::Rule;

/// A change of the gradient before the optimizer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FilterSpec {
    /// Divides each image's gradient by a measure of itself.
    Normalize {
        /// Which measure.
        by: Measure,
        /// Added to it.
        #[serde(default)]
        epsilon: f32,
    },
    /// m ← decay·m + g, and m goes on.
    Momentum {
        /// μ.
        decay: f32,
    },
    /// Every band of the Laplacian pyramid divided by its root mean square, as in TensorFlow's DeepDream notebook.
    Laplacian {
        /// Bands above the lowest.
        levels: u32,
    },
}

/// What a gradient is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// mean |g|.
    MeanAbs,
    /// Its standard deviation.
    Std,
    /// √(mean g²).
    Rms,
    /// Σ|g|.
    L1,
    /// √(Σ g²).
    L2,
    /// Its absolute value, element by element: what is left is the sign.
    Sign,
}

impl FilterSpec {
    /// Whether its numbers can be used.
    ///
    /// # Errors
    /// [`RecipeError::Step`] with the filter and the number.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let (part, checked) = match *self {
            Self::Normalize { epsilon, .. } => (
                "filter normalize",
                Rule::NOT_NEGATIVE.check("epsilon", epsilon),
            ),
            Self::Momentum { decay } => (
                "filter momentum",
                Rule::Within(0.0, 1.0).check("decay", decay),
            ),
            Self::Laplacian { levels } => (
                "filter laplacian",
                Rule::FromTo(1.0, 16.0).check("levels", levels),
            ),
        };
        checked.map_err(|value| RecipeError::Step { part, value })
    }
}
