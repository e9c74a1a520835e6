//! Options of `invert`.

use super::parse::LongSide;
use super::{CLASSIFIER, Given, OptimizeOptions, parse};
use crate::Error;
use crate::image::size_for_long_side;
use crate::methods::{MethodError, inversion_tv};
use crate::plan::Network;
use crate::spec::{Picture, Recipe};

/// Options of `invert`, for one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct InvertOptions {
    /// The layer.
    pub layer: String,
    /// Long side of the result; absent: [`InvertOptions::SIZE`], or the picture's if that is smaller.
    pub size: Option<LongSide>,
    /// λ_V, the weight of total variation; absent: by the layer's depth.
    pub tv_weight: Option<f64>,
    /// β, the exponent of total variation.
    pub beta: f64,
    /// α, the exponent of the norm.
    pub alpha: f64,
    /// What it has in common with other methods.
    pub optimize: OptimizeOptions,
}

impl InvertOptions {
    /// Long side of the result in pixels when nobody says, if the picture has as many.
    pub const SIZE: u32 = 160;
    /// β where nobody says.
    pub const BETA: f64 = 2.0;
    /// α where nobody says.
    pub const ALPHA: f64 = 6.0;

    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>, optimize: OptimizeOptions) -> Result<Self, MethodError> {
        let layer = given.value("layer", parse::layer_name)?;
        Ok(Self {
            layer: super::needed("invert", "layer", layer)?,
            size: given.value("size", parse::long_side)?,
            tv_weight: given.value("tv_weight", parse::weight)?,
            beta: given.value("beta", parse::positive)?.unwrap_or(Self::BETA),
            alpha: given
                .value("alpha", parse::positive)?
                .unwrap_or(Self::ALPHA),
            optimize,
        })
    }

    /// Size of the result for a picture of a size, in pixels.
    #[must_use]
    pub fn size_of(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let side = LongSide::of(self.size, (width, height), Self::SIZE);
        side.map_or((width, height), |side| {
            size_for_long_side(width, height, side)
        })
    }

    /// The recipe for a picture and a size of the result. What depends on the network is for the shallowest layers
    /// where there is none yet.
    #[must_use]
    pub fn recipe(&self, picture: Picture, size: (u32, u32), tv: Option<f64>) -> Recipe {
        let pixels = u64::from(size.0) * u64::from(size.1);
        let tv = self.tv_weight.or(tv).unwrap_or(1.0);
        let mut recipe = Recipe::invert(picture, &self.layer, pixels, tv, self.beta, self.alpha);
        recipe.model = CLASSIFIER.to_string();
        recipe.image.size = Some(size.0.max(size.1));
        self.optimize.apply(&mut recipe);
        if recipe.model == "auto" {
            recipe.model = CLASSIFIER.to_string();
        }
        recipe
    }

    /// The recipe for a network.
    ///
    /// # Errors
    /// [`Error::Net`] for an unknown layer.
    pub fn complete(
        &self,
        picture: Picture,
        size: (u32, u32),
        network: &Network,
    ) -> Result<Recipe, Error> {
        let tv = match self.tv_weight {
            Some(_) => None,
            None => Some(inversion_tv(network.graph(), &self.layer)?),
        };
        Ok(self.recipe(picture, size, tv))
    }
}
