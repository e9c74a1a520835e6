//! Terms that compare a layer's activations with a picture's, position by position.

use serde::{Deserialize, Serialize};

use super::fields::is_no;
use super::{LayerWeight, Reads, TermFields, UsualLayers};
use crate::spec::Picture;
use crate::spec::lists::only;

/// mean((F − P)²).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The layers it reads, each with a weight; none: the network's usual ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The picture it compares with.
    #[serde(deserialize_with = "only")]
    pub target: Picture,
    /// Where in the image the term counts, white where it does, in the image's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Picture>,
    /// Divides each layer's value by the value it has at all-zero activations.
    #[serde(default, skip_serializing_if = "is_no")]
    pub relative: bool,
}

impl Content {
    /// At the network's usual layers.
    #[must_use]
    pub fn new(target: impl Into<Picture>) -> Self {
        Self {
            layers: Vec::new(),
            target: target.into(),
            mask: None,
            relative: false,
        }
    }
}

impl TermFields for Content {
    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.layers, UsualLayers::Content)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }

    fn pictures_mut(&mut self) -> Vec<&mut Picture> {
        let target = std::iter::once(&mut self.target);
        target.chain(&mut self.mask).collect()
    }

    fn mask(&self) -> Option<&Picture> {
        self.mask.as_ref()
    }

    fn relative(&self) -> bool {
        self.relative
    }
}

/// ‖Φ−Φ₀‖²/‖Φ₀‖² (Mahendran and Vedaldi 2015).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inversion {
    /// The layers it reads, each with a weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The picture it compares with.
    #[serde(deserialize_with = "only")]
    pub target: Picture,
}

impl Inversion {
    /// At one layer.
    #[must_use]
    pub fn at(layer: &str, target: impl Into<Picture>) -> Self {
        Self {
            layers: vec![layer.into()],
            target: target.into(),
        }
    }
}

impl TermFields for Inversion {
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
