//! Terms that read the image itself, not a layer.

use serde::{Deserialize, Serialize};

use super::{Reads, TermFields, TermProblem};
use crate::value::Rule;

/// Total variation of the image.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tv {
    /// The exponent β of Mahendran and Vedaldi; absent: the mean of squared differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
}

impl TermFields for Tv {
    fn validate(&self) -> Result<(), TermProblem> {
        if let Some(beta) = self.beta {
            Rule::AtLeast(1.0).check("beta", beta)?;
        }
        Ok(())
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Image
    }
}

/// Σ|x − mean|^α.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlphaNorm {
    /// The exponent α.
    pub alpha: f64,
}

impl Default for AlphaNorm {
    fn default() -> Self {
        Self { alpha: 6.0 }
    }
}

impl TermFields for AlphaNorm {
    fn validate(&self) -> Result<(), TermProblem> {
        Ok(Rule::AtLeast(1.0).check("alpha", self.alpha)?)
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Image
    }
}

/// mean (x − x₀)² with x₀ the start picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2 {}

impl TermFields for L2 {
    fn reads(&self) -> Reads<'_> {
        Reads::Image
    }
}
