//! DeepDream's guide: another picture whose features the image is to show.

use serde::{Deserialize, Serialize};

use super::{LayerWeight, Reads, TermFields, UsualLayers};
use crate::spec::Picture;
use crate::spec::lists::only;

/// Dot products with the best-matching feature vectors of a guide picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guide {
    /// The layers it reads, each with a weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The guide picture.
    #[serde(deserialize_with = "only")]
    pub target: Picture,
}

impl TermFields for Guide {
    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.layers, UsualLayers::None)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }

    fn pictures_mut(&mut self) -> Vec<&mut Picture> {
        vec![&mut self.target]
    }
}
