//! Terms of the activations of a layer alone.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fields::is_no;
use super::{LayerWeight, Reads, TermFields, UsualLayers};
use crate::spec::{RecipeError, lists};

/// Mean activation of a layer, a channel or a unit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Activation {
    /// The layers it reads, each with a weight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The channel, or one for each image of the batch; none: all of the layer.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub channel: Vec<u32>,
    /// Row and column, or `center`; absent: the mean over all positions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Position>,
    /// The mean of squares.
    #[serde(skip_serializing_if = "is_no")]
    pub square: bool,
}

impl Activation {
    /// Of all of one layer.
    #[must_use]
    pub fn at(layer: &str) -> Self {
        Self {
            layers: vec![layer.into()],
            ..Self::default()
        }
    }
}

impl TermFields for Activation {
    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.layers, UsualLayers::None)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }

    fn per_image(&self) -> usize {
        self.channel.len()
    }
}

/// ½Σa² over a layer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Energy {
    /// The layers it reads, each with a weight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
}

impl Energy {
    /// Of one layer.
    #[must_use]
    pub fn at(layer: &str) -> Self {
        Self {
            layers: vec![layer.into()],
        }
    }
}

impl TermFields for Energy {
    fn reads(&self) -> Reads<'_> {
        Reads::Layers(&self.layers, UsualLayers::None)
    }

    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        Some(&mut self.layers)
    }
}

/// A position in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// size/2 in each axis, rounded down.
    Center,
    /// Row and column, from 0.
    At(u32, u32),
}

impl FromStr for Position {
    type Err = RecipeError;
    fn from_str(s: &str) -> Result<Self, RecipeError> {
        if s.trim() == "center" {
            return Ok(Self::Center);
        }
        let number = |text: &str| text.trim().parse().ok();
        s.split_once(',')
            .and_then(|(row, column)| Some(Self::At(number(row)?, number(column)?)))
            .ok_or_else(|| RecipeError::Position {
                text: s.to_string(),
            })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Center => f.write_str("center"),
            Self::At(row, column) => write!(f, "{row},{column}"),
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
