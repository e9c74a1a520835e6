//! The parts of a recipe around the objective: what makes the image, what happens to it on its way to the network, what
//! happens to the gradient, and what happens to the image after a step.

use serde::{Deserialize, Serialize};

/// A differentiable map: in `image.parameterisation` it makes the image of what is optimized, in
/// `image.transformation` it changes the image before the network sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MapSpec {
    /// The spectrum of the image (Olah et al. 2017, "Preconditioning and Parameterization"). A parameterisation.
    Fourier {
        /// Amplitudes fall with the frequency to this power.
        #[serde(default = "one")]
        decay: f64,
    },
    /// Colours in a decorrelated space, then a sigmoid that keeps them in `[0,1]` (Olah et al. 2017). A parameterisation.
    Colour {
        /// Whether channels are decorrelated; else there is the sigmoid only.
        #[serde(default = "yes")]
        decorrelate: bool,
    },
    /// ½(tanh w + 1) (Carlini and Wagner 2017, section V-B). A parameterisation.
    Tanh,
    /// What an 8-bit file would hold; the gradient passes as if nothing had happened.
    Round,
    /// A circular shift by a random number of pixels in either direction, anew in every iteration.
    Jitter {
        /// The longest shift in pixels.
        pixels: u32,
    },
    /// Padding, shifts, a random scale and a random rotation, anew in every iteration: Lucid's standard transformations.
    Warp,
}

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

/// The result is, of each image of a batch, the one nearest to the start picture among those at which a term's value is
/// low enough; where there is none, the start picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepSpec {
    /// The index of the term, from 0.
    pub term: usize,
    /// The greatest weighted value that is low enough.
    pub at_most: f32,
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

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}
