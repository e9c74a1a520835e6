//! A term of random directions in the space of a layer's channels.

use serde::{Deserialize, Serialize};

use super::fields::is_zero;
use super::{LayerWeight, Reads, TermFields, TermProblem, UsualLayers};
use crate::spec::lists;
use crate::value::Rule;

/// Mean dot product with a direction in the space of channels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Direction {
    /// The layers it reads, each with a weight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// Seed of the random direction, or one for each image of the batch.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub direction: Vec<u64>,
    /// p of the factor max(0.1, cos)^p.
    #[serde(skip_serializing_if = "is_zero")]
    pub cosine_power: f64,
}

impl Direction {
    /// At one layer, by seed.
    #[must_use]
    pub fn at(layer: &str, seeds: Vec<u64>) -> Self {
        Self {
            layers: vec![layer.into()],
            direction: seeds,
            cosine_power: 0.0,
        }
    }
}

impl TermFields for Direction {
    fn validate(&self) -> Result<(), TermProblem> {
        if self.direction.is_empty() {
            return Err(TermProblem::NoDirection);
        }
        Ok(Rule::NOT_NEGATIVE.check("cosine_power", self.cosine_power)?)
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.layers, UsualLayers::None)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }

    fn per_image(&self) -> usize {
        self.direction.len()
    }
}
