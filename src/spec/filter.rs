//! Filters: what happens to the gradient before the optimizer sees it.

use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// [`Error::Recipe`] with the filter and what is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let (right, wrong) = match self {
            Self::Normalize { epsilon, .. } => (
                *epsilon >= 0.0 && epsilon.is_finite(),
                "filter normalize: `epsilon` must be 0 or more",
            ),
            Self::Momentum { decay } => (
                (0.0..=1.0).contains(decay),
                "filter momentum: `decay` must be in [0, 1]",
            ),
            Self::Laplacian { levels } => (
                (1..=16).contains(levels),
                "filter laplacian: `levels` must be from 1 to 16",
            ),
        };
        right
            .then_some(())
            .ok_or_else(|| Error::Recipe(wrong.to_string()))
    }
}
