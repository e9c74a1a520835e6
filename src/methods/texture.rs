//! Texture synthesis: the Gram matrices of a sample, from noise (Gatys, Ecker and Bethge 2015).

use crate::Error;
use crate::compile::default_layers;
use crate::net::{Network as Graph, Purpose};
use crate::spec::{Init, LayerWeight, Picture, Recipe};

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

/// The layers of a sheet of textures, shallowest first: the usual style layers, and relu5_1 where a VGG has it, with
/// which the style reconstructions of Gatys et al. 2015, "A Neural Algorithm of Artistic Style", figure 1, end.
///
/// # Errors
/// As [`Graph::default_layers`].
pub fn texture_sheet_layers(graph: &Graph) -> Result<Vec<LayerWeight>, Error> {
    let mut layers = default_layers(graph, Purpose::Style)?;
    let deepest = LayerWeight {
        layer: "relu5_1".to_string(),
        weight: 2.0,
    };
    if layers.iter().any(|l| l.layer == "relu4_1") && graph.find(&deepest.layer).is_ok() {
        layers.push(deepest);
    }
    Ok(layers)
}
