//! Feature inversion: the picture with the same activations of a layer as another (Mahendran and Vedaldi 2015).

use crate::Error;
use crate::net::Network;
use crate::spec::terms::{AlphaNorm, Inversion, Tv};
use crate::spec::{Init, OptimizerKind, Picture, Recipe, TermSpec};

/// The norm that the paper's regularisers are divided by, σ_x, that of a mean-free image of 227×227 pixels in units of
/// 0–255 (x0_sigma of the authors' code), per pixel and squared.
const SIGMA_SQUARED: f64 = 27_098.115_7 * 27_098.115_7 / PAPER_PIXELS;

/// Pixels of the paper's pictures.
const PAPER_PIXELS: f64 = 227.0 * 227.0;

/// λ_α of the paper's code, for α = 6 and units of 0–255.
const ALPHA_WEIGHT: f64 = 8e-10;

impl Recipe {
    /// Finds a picture with the features of `picture` at `layer`, starting from noise around the mean colour.
    ///
    /// The objective is the paper's eq. 2 with α = 6: ‖Φ−Φ₀‖²/‖Φ₀‖² + λ_α/2·Σ|x|^α/σ² + λ_V/2·Σ(dx²+dy²)^(β/2)/σ², x
    /// being mean-free in units of 0–255 and σ² the squared norm of a natural image of the same size. `tv` is λ_V, the
    /// paper's 1, 10 or 100 by depth ([`inversion_tv`]), for pictures of its size; smaller ones get less, in proportion
    /// to their pixels. `pixels` is the number of pixels of the result.
    #[must_use]
    pub fn invert(
        picture: impl Into<Picture>,
        layer: &str,
        pixels: u64,
        tv: f64,
        beta: f64,
        alpha: f64,
    ) -> Self {
        let mut recipe = Self::new();
        recipe.image.init = Init::Mean;
        recipe.image.noise = 0.05;
        let inversion = TermSpec::new(Inversion::at(layer, picture));
        let sigma = SIGMA_SQUARED * pixels as f64;
        let alpha_norm = TermSpec::new(AlphaNorm { alpha })
            .weight(ALPHA_WEIGHT / 2.0 * 255f64.powf(alpha) / sigma);
        // A picture of fewer pixels has as many edges, and so a larger share of its pixels are on one.
        let share = (pixels as f64 / PAPER_PIXELS).min(1.0);
        let tv = TermSpec::new(Tv { beta: Some(beta) })
            .weight(tv / 2.0 * 255f64.powf(beta) / sigma * share);
        recipe.terms = vec![inversion, alpha_norm, tv];
        recipe.optimizer.kind = OptimizerKind::Lbfgs;
        recipe.optimizer.iterations = 300;
        recipe
    }
}

/// λ_V by depth, as the paper has it for the layers 1–6, 7–12 and 13–20 of its network: by the stride of the layer, 1
/// up to 2 pixels, 10 up to 8, 100 beyond.
///
/// # Errors
/// [`Error::Net`] for an unknown layer.
pub fn inversion_tv(network: &Network, layer: &str) -> Result<f64, Error> {
    let node = network.find(layer)?;
    let stride = network.stride(node).unwrap_or(32);
    Ok(match stride {
        0..=2 => 1.0,
        3..=8 => 10.0,
        _ => 100.0,
    })
}
