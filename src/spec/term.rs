//! A term of the objective, as a recipe has it.

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lists;
use crate::Error;
use crate::spec::Picture;

/// One term of the objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermSpec {
    /// Which formula.
    pub kind: TermKind,
    /// The layers it reads, each with a weight; absent: the network's usual ones for this kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerWeight>,
    /// The picture or pictures it compares with.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target: Vec<Picture>,
    /// How several targets are blended; normalised to sum 1. Absent: evenly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_weights: Vec<f64>,
    /// Long side of a style target relative to the image's, one number for all or one for each; relative to its own
    /// where the image has no `size` and is native, too. Targets are never enlarged. Absent: 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target_scale: Vec<f64>,
    /// `content`, `gram`: where in the image the term counts, white where it does, in the image's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<Picture>,
    /// `gram`: which part of each target counts, one picture for each, in its target's shape. Absent: all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub target_mask: Vec<Picture>,
    /// Weight of the whole term; negative maximises.
    #[serde(default = "one")]
    pub weight: f64,
    /// Divides each layer's value by the value it has at all-zero activations.
    #[serde(default, skip_serializing_if = "is_no")]
    pub relative: bool,
    /// `mmd`: the kernel; needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<MmdKernel>,
    /// `mmd`, `poly`: c of (xᵀy + c)^d; absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<f64>,
    /// `mmd`, `poly`: d; absent: 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degree: Option<u32>,
    /// `mmd`, `gaussian`: σ, in units of the activations; absent: σ² is half the mean squared distance of the target's columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// `activation`: the channel, or one for each image of the batch; absent: all of the layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub channel: Vec<u32>,
    /// `activation`: row and column, or `center`; absent: the mean over all positions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Position>,
    /// `activation`: the mean of squares.
    #[serde(default, skip_serializing_if = "is_no")]
    pub square: bool,
    /// `logit`, `cross_entropy`, `margin`: the class, or one for each image of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub class: Vec<Class>,
    /// `margin`: whether the class is the one to leave, not the one to reach.
    #[serde(default, skip_serializing_if = "is_no")]
    pub untargeted: bool,
    /// `margin`: κ, how far beyond the decision boundary is far enough, in logits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// `direction`: seed of the random direction, or one for each image of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "lists")]
    pub direction: Vec<u64>,
    /// `direction`: p of the factor max(0.1, cos)^p.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine_power: Option<f64>,
    /// `tv`: the exponent β of Mahendran and Vedaldi; absent: the mean of squared differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// `alpha_norm`: the exponent α; absent: 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
fn is_no(value: &bool) -> bool {
    !*value
}

impl TermSpec {
    /// A term of weight 1 at the network's usual layers.
    #[must_use]
    pub fn new(kind: TermKind) -> Self {
        Self {
            kind,
            layers: Vec::new(),
            target: Vec::new(),
            target_weights: Vec::new(),
            target_scale: Vec::new(),
            mask: None,
            target_mask: Vec::new(),
            weight: 1.0,
            relative: false,
            kernel: None,
            constant: None,
            degree: None,
            sigma: None,
            channel: Vec::new(),
            unit: None,
            square: false,
            class: Vec::new(),
            untargeted: false,
            confidence: None,
            direction: Vec::new(),
            cosine_power: None,
            beta: None,
            alpha: None,
        }
    }

    /// The term at one layer.
    #[must_use]
    pub fn at(kind: TermKind, layer: &str) -> Self {
        let layer = LayerWeight {
            layer: layer.to_string(),
            weight: 1.0,
        };
        Self {
            layers: vec![layer],
            ..Self::new(kind)
        }
    }

    /// The term with another weight.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }
}

/// The formulas of design section 4 that the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// mean((F − P)²).
    Content,
    /// 1/(4C²)·Σ(G/N − A/N_s)².
    Gram,
    /// Maximum mean discrepancy of the columns, with a [`MmdKernel`].
    Mmd,
    /// (1/C)·Σ(μ−μ')² + (σ−σ')².
    Bn,
    /// Wasserstein distance of the columns' normal distributions.
    Wasserstein,
    /// Total variation of the image.
    Tv,
    /// Mean activation of a layer, a channel or a unit.
    Activation,
    /// ½Σa² over a layer.
    Energy,
    /// Dot products with the best-matching columns of a guide picture.
    Guide,
    /// Mean dot product with a direction in the space of channels.
    Direction,
    /// A class's score before the softmax.
    Logit,
    /// −log softmax at a class.
    CrossEntropy,
    /// How far a class is from winning, or from losing, in logits (Carlini and Wagner 2017, f₆).
    Margin,
    /// ‖Φ−Φ₀‖²/‖Φ₀‖².
    Inversion,
    /// Σ|x − mean|^α.
    AlphaNorm,
    /// mean (x − x₀)² with x₀ the start picture.
    L2,
}

impl TermKind {
    /// The name in recipes, reports and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Gram => "gram",
            Self::Mmd => "mmd",
            Self::Bn => "bn",
            Self::Wasserstein => "wasserstein",
            Self::Tv => "tv",
            Self::Activation => "activation",
            Self::Energy => "energy",
            Self::Guide => "guide",
            Self::Direction => "direction",
            Self::Logit => "logit",
            Self::CrossEntropy => "cross_entropy",
            Self::Margin => "margin",
            Self::Inversion => "inversion",
            Self::AlphaNorm => "alpha_norm",
            Self::L2 => "l2",
        }
    }

    /// Whether it compares with a target position by position: its target gives the image its shape.
    #[must_use]
    pub fn is_spatial(self) -> bool {
        matches!(self, Self::Content | Self::Inversion)
    }

    /// The kinds that compare the columns of a layer with those of target pictures, wherever they stand.
    pub const STYLES: &[Self] = &[Self::Gram, Self::Mmd, Self::Bn, Self::Wasserstein];

    /// Whether it is one of [`Self::STYLES`].
    #[must_use]
    pub fn is_style(self) -> bool {
        Self::STYLES.contains(&self)
    }

    /// Whether it reads the image itself, not a layer.
    #[must_use]
    pub fn is_of_image(self) -> bool {
        matches!(self, Self::Tv | Self::AlphaNorm | Self::L2)
    }

    /// Whether it reads the scores of the classes.
    #[must_use]
    pub fn is_of_classes(self) -> bool {
        matches!(self, Self::Logit | Self::CrossEntropy | Self::Margin)
    }
}

/// The kernels of `mmd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MmdKernel {
    /// xᵀy, ÷C.
    Linear,
    /// (xᵀy + c)^d, ÷4C².
    Poly,
    /// exp(−‖x−y‖²/2σ²).
    Gaussian,
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
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        if s.trim() == "center" {
            return Ok(Self::Center);
        }
        let number = |text: &str| text.trim().parse().ok();
        s.split_once(',')
            .and_then(|(row, column)| Some(Self::At(number(row)?, number(column)?)))
            .ok_or_else(|| {
                Error::Recipe(format!("`{s}` is no position; write ROW,COLUMN or center"))
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

/// A class, by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// Its index.
    Index(u32),
    /// Its name, or a part of it that no other class has.
    Name(String),
}

impl FromStr for Class {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(s.trim()
            .parse()
            .map_or_else(|_| Self::Name(s.to_string()), Self::Index))
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// A layer's name with its weight: `relu4_2` or `relu4_2:0.5`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerWeight {
    /// Any accepted name of the layer.
    pub layer: String,
    /// Its weight within the term.
    pub weight: f64,
}

impl FromStr for LayerWeight {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self, Error> {
        let (layer, weight) = match s.rsplit_once(':') {
            None => (s, 1.0),
            Some((layer, weight)) => {
                let number = weight.trim().parse::<f64>().ok().filter(|w| w.is_finite());
                let number = number.ok_or_else(|| {
                    Error::Recipe(format!(
                        "`{s}`: `{weight}` is not a weight; write LAYER or LAYER:NUMBER"
                    ))
                })?;
                (layer, number)
            }
        };
        let layer = layer.trim();
        if layer.is_empty() {
            return Err(Error::Recipe(format!(
                "`{s}` names no layer; write LAYER or LAYER:NUMBER"
            )));
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
