//! The recipe as a plain value: what `pixgrad run` reads and `--save-recipe` writes.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Picture;
use crate::Error;

/// A method: terms, start image, optimizer, schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// An embedded or installed network, a weights file, or `auto`.
    #[serde(default = "auto")]
    pub model: String,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Start image and sizes.
    #[serde(default)]
    pub image: ImageSpec,
    /// What steps the image.
    #[serde(default)]
    pub optimizer: OptimizerSpec,
    /// The objective: the sum of these.
    #[serde(default, rename = "term")]
    pub terms: Vec<TermSpec>,
}

fn auto() -> String {
    "auto".to_string()
}

/// Start image and sizes, in pixels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSpec {
    /// Where the optimization starts.
    #[serde(default)]
    pub init: Init,
    /// Long side of the result; absent: the native size of the start image or content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Long side of the coarsest scale; absent, or not below `size`: one scale only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<u32>,
    /// Width of the result where no picture gives the shape; excludes `size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of the result, with `width`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// The start image: `content`, `noise`, `gray`, `stats` or a path.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Init {
    /// The content term's target; noise where there is none.
    #[default]
    Content,
    /// Uniform noise in `[0,1]`.
    Noise,
    /// Middle gray with noise of one 8-bit step.
    Gray,
    /// Normal noise with the mean and standard deviation of each channel of the style pictures.
    Stats,
    /// A picture.
    Picture(Picture),
}

impl FromStr for Init {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s {
            "content" => Self::Content,
            "noise" => Self::Noise,
            "gray" => Self::Gray,
            "stats" => Self::Stats,
            path => Self::Picture(path.into()),
        })
    }
}

impl Serialize for Init {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Content => "content".serialize(serializer),
            Self::Noise => "noise".serialize(serializer),
            Self::Gray => "gray".serialize(serializer),
            Self::Stats => "stats".serialize(serializer),
            Self::Picture(picture) => picture.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

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
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub target: Vec<Picture>,
    /// How several targets are blended; normalised to sum 1. Absent: evenly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_weights: Vec<f64>,
    /// Long side of a `gram` target relative to the image's; relative to its own where the image has no `size` and
    /// is native, too. Targets are never enlarged.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub target_scale: f64,
    /// Weight of the whole term; negative maximises.
    #[serde(default = "one")]
    pub weight: f64,
    /// Divides each layer's value by the value it has at all-zero activations.
    #[serde(default)]
    pub relative: bool,
}

fn one() -> f64 {
    1.0
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

/// The formulas of design section 4 that the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermKind {
    /// mean((F − P)²).
    Content,
    /// 1/(4C²)·Σ(G/N − A/N_s)².
    Gram,
    /// Total variation of the image.
    Tv,
}

impl TermKind {
    /// The name in recipes, reports and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Gram => "gram",
            Self::Tv => "tv",
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

/// What steps the image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSpec {
    /// The method.
    pub kind: OptimizerKind,
    /// Step in units of the `[0,1]` image.
    pub step_size: f32,
    /// What is left of the step at the end of a scale, as a fraction of it; it shrinks linearly. 1: it is constant.
    pub final_step: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Keeps the division by the second moment finite.
    pub epsilon: f32,
    /// Iterations at every scale.
    pub iterations: u64,
    /// Iterations at the coarsest scale, where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_iterations: Option<u64>,
    /// Decay of the exponential average of the image, which then is the result; 0: the last image is.
    pub average: f32,
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            step_size: 0.02,
            final_step: 1.0,
            beta1: 0.9,
            beta2: 0.99,
            epsilon: 1e-8,
            iterations: 200,
            initial_iterations: None,
            average: 0.0,
        }
    }
}

/// The optimizers that the engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Kingma and Ba 2015.
    Adam,
}

/// A list in a recipe that may also be written as its only element.
mod one_or_many {
    use super::{Deserialize, Deserializer, Picture, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(Picture),
        Many(Vec<Picture>),
    }

    pub fn serialize<S: Serializer>(
        pictures: &[Picture],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match pictures {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Picture>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(picture) => vec![picture],
            OneOrMany::Many(pictures) => pictures,
        })
    }
}

impl Recipe {
    /// An empty objective with everything else at its default.
    #[must_use]
    pub fn new() -> Self {
        Self {
            model: auto(),
            seed: 0,
            image: ImageSpec::default(),
            optimizer: OptimizerSpec::default(),
            terms: Vec::new(),
        }
    }

    /// Reads a recipe file; relative paths in it start at its folder.
    ///
    /// # Errors
    /// [`Error::RecipeFile`] with the line that is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::RecipeFile {
            path: path.to_path_buf(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        let mut recipe: Self = toml::from_str(&text).map_err(|e| fail(e.to_string()))?;
        if let Some(folder) = path.parent() {
            if let Init::Picture(picture) = &mut recipe.image.init {
                picture.relative_to(folder);
            }
            for picture in recipe.terms.iter_mut().flat_map(|t| &mut t.target) {
                picture.relative_to(folder);
            }
            if recipe.model.ends_with(".safetensors") {
                recipe.model = folder.join(&recipe.model).display().to_string();
            }
        }
        Ok(recipe)
    }

    /// The recipe as TOML, with absolute paths, so that it means the same from everywhere.
    ///
    /// # Errors
    /// [`Error::Recipe`] when a picture is in memory only.
    pub fn to_toml(&self) -> Result<String, Error> {
        let mut recipe = self.clone();
        let absolute = |picture: &mut Picture| {
            if let Picture::File(path) = picture
                && let Ok(full) = std::path::absolute(&*path)
            {
                *path = full;
            }
        };
        if let Init::Picture(picture) = &mut recipe.image.init {
            absolute(picture);
        }
        recipe
            .terms
            .iter_mut()
            .flat_map(|t| &mut t.target)
            .for_each(absolute);
        if recipe.model.ends_with(".safetensors")
            && let Ok(full) = std::path::absolute(&recipe.model)
        {
            recipe.model = full.display().to_string();
        }
        toml::to_string(&recipe)
            .map_err(|e| Error::Recipe(format!("the recipe cannot be written: {e}")))
    }

    /// Long side of the result, in pixels.
    #[must_use]
    pub fn size(mut self, size: u32) -> Self {
        self.image.size = Some(size);
        self
    }

    /// Long side of the coarsest scale, in pixels.
    #[must_use]
    pub fn min_size(mut self, size: u32) -> Self {
        self.image.min_size = Some(size);
        self
    }

    /// Iterations at every scale.
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.optimizer.iterations = iterations;
        self.optimizer.initial_iterations = None;
        self
    }

    /// Where the optimization starts.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.image.init = init;
        self
    }

    /// Seed of everything random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The first term of a kind.
    pub fn term_mut(&mut self, kind: TermKind) -> Option<&mut TermSpec> {
        self.terms.iter_mut().find(|t| t.kind == kind)
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self::new()
    }
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
            target_scale: 1.0,
            weight: 1.0,
            relative: false,
        }
    }
}
