//! Projections: what happens to the image after a step.

use serde::{Deserialize, Serialize};

use crate::Error;

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
    /// [`Error::Recipe`] with the projection and what is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let positive = |v: f32| v > 0.0 && v.is_finite();
        let (right, wrong) = match self {
            Self::Ball { radius, .. } | Self::Norm { radius, .. } => (
                positive(*radius),
                "projection: `radius` must be greater than 0",
            ),
            Self::Decay { rate } => (
                (0.0..=1.0).contains(rate),
                "projection decay: `rate` must be in [0, 1]",
            ),
            Self::Blur { sigma, every } => (
                positive(*sigma) && *every > 0,
                "projection blur: `sigma` must be greater than 0 and `every` at least 1",
            ),
            Self::ClipSmallNorm { percentile } | Self::ClipSmallContribution { percentile, .. } => {
                (
                    (0.0..=100.0).contains(percentile),
                    "projection: `percentile` must be from 0 to 100",
                )
            }
        };
        right
            .then_some(())
            .ok_or_else(|| Error::Recipe(wrong.to_string()))
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
