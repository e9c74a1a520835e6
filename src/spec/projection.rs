//! Projections: what happens to the image after a step.

use serde::{Deserialize, Serialize};

use super::RecipeError;
use crate::value::Rule;

/// A change of the image after the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProjectionSpec {
    /// The nearest image within a distance of the start picture, pixels in `[0,1]`.
    Ball {
        /// How the distance is measured.
        norm: BallNorm,
        /// The distance, in units of the `[0,1]` image.
        radius: f32,
        /// Whether the optimization begins at a random point of the ball, not at its centre.
        #[serde(default)]
        random_start: bool,
    },
    /// Scales the difference from the mean image to a norm (Erhan et al. 2009, section 4).
    Norm {
        /// ‖x − mean‖₂, in units of the `[0,1]` image.
        radius: f32,
        /// Whether shorter differences stay as they are.
        #[serde(default)]
        at_most: bool,
    },
    /// Towards the mean image by a fraction of the difference (Yosinski et al. 2015: L2 decay).
    Decay {
        /// The fraction.
        rate: f32,
    },
    /// A Gaussian blur (Yosinski et al. 2015).
    Blur {
        /// Its standard deviation in pixels.
        sigma: f32,
        /// In every how manyth iteration.
        every: u32,
    },
    /// Pixels near the mean image become it (Yosinski et al. 2015: clipping pixels with small norm).
    ClipSmallNorm {
        /// Which share of the pixels, in percent.
        percentile: f32,
    },
    /// Pixels that do little for the objective become the mean image's (Yosinski et al. 2015: small contribution).
    ClipSmallContribution {
        /// Which share of the pixels, in percent.
        percentile: f32,
        /// Whether harm counts as contribution.
        #[serde(default)]
        absolute: bool,
    },
}

impl ProjectionSpec {
    /// Whether its numbers can be used.
    ///
    /// # Errors
    /// [`RecipeError::Step`] with the projection and the number.
    pub fn validate(&self) -> Result<(), RecipeError> {
        let (part, checked) = match *self {
            Self::Ball { radius, .. } | Self::Norm { radius, .. } => {
                ("projection", Rule::Positive.check("radius", radius))
            }
            Self::Decay { rate } => (
                "projection decay",
                Rule::Within(0.0, 1.0).check("rate", rate),
            ),
            Self::Blur { sigma, every } => (
                "projection blur",
                Rule::Positive
                    .check("sigma", sigma)
                    .and_then(|()| Rule::AtLeast(1.0).check("every", every)),
            ),
            Self::ClipSmallNorm { percentile } | Self::ClipSmallContribution { percentile, .. } => {
                (
                    "projection",
                    Rule::FromTo(0.0, 100.0).check("percentile", percentile),
                )
            }
        };
        checked.map_err(|value| RecipeError::Step { part, value })
    }
}

/// How the distance of two images is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BallNorm {
    /// The largest difference of any colour value.
    Linf,
    /// The root of the sum of squared differences.
    L2,
}
