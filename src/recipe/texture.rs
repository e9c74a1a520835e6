//! Texture synthesis: the Gram matrices of a sample, from noise (Gatys, Ecker and Bethge 2015).

use super::{Init, Picture, Recipe};

impl Recipe {
    /// A new texture like `samples`, `width`×`height` pixels.
    #[must_use]
    pub fn texture<S: Into<Picture>>(
        samples: impl IntoIterator<Item = S>,
        width: u32,
        height: u32,
    ) -> Self {
        let mut recipe = Self::painting(samples);
        recipe.image.init = Init::Noise;
        recipe.image.width = Some(width);
        recipe.image.height = Some(height);
        recipe.optimizer.iterations = 100;
        recipe.optimizer.initial_iterations = Some(200);
        recipe
    }
}
