//! A layer with its weight within a term.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spec::RecipeError;

/// A layer's name with its weight: `relu4_2` or `relu4_2:0.5`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeight {
    /// Any accepted name of the layer.
    pub layer: String,
    /// Its weight within the term.
    pub weight: f64,
}

impl LayerWeight {
    /// A layer with a weight.
    #[must_use]
    pub fn new(layer: impl Into<String>, weight: f64) -> Self {
        Self {
            layer: layer.into(),
            weight,
        }
    }
}

/// The layer of that name, with weight 1. Text with a weight in it is parsed by [`str::parse`].
impl From<&str> for LayerWeight {
    fn from(layer: &str) -> Self {
        Self::new(layer, 1.0)
    }
}

impl FromStr for LayerWeight {
    type Err = RecipeError;
    fn from_str(s: &str) -> Result<Self, RecipeError> {
        let (layer, weight) = match s.rsplit_once(':') {
            None => (s, 1.0),
            Some((layer, weight)) => {
                let number = weight.trim().parse::<f64>().ok().filter(|w| w.is_finite());
                let number = number.ok_or_else(|| RecipeError::LayerWeight {
                    text: s.to_string(),
                    weight: weight.to_string(),
                })?;
                (layer, number)
            }
        };
        let layer = layer.trim();
        if layer.is_empty() {
            return Err(RecipeError::NoLayerName {
                text: s.to_string(),
            });
        }
        Ok(Self {
            layer: layer.to_string(),
            weight,
        })
    }
}

impl std::fmt::Display for LayerWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.weight == 1.0 {
            f.write_str(&self.layer)
        } else {
            write!(f, "{}:{}", self.layer, self.weight)
        }
    }
}

impl Serialize for LayerWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LayerWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
