//! What a page asks for, in a few words of JSON: a method, the names of its pictures and what people turn. Of it a
//! recipe is made that names its pictures; whoever runs it has them in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::classify::Score;
use super::{Attack, AttackMethod, DreamPreset, DreamSubject, Goal, Subject, VisualizePreset};
use super::{MethodError, inversion_tv};
use crate::Error;
use crate::compile::default_layers;
use crate::image::{Image, size_for_long_side};
use crate::net::{Padding, Purpose};
use crate::plan::Network;
use crate::spec::{Class, Init, LayerWeight, Picture, PreserveColor, Recipe, TermKind};

/// The methods of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A photograph in the style of paintings.
    Style,
    /// A texture like samples of it.
    Texture,
    /// DeepDream.
    Dream,
    /// The picture that activates a class or a channel most.
    Visualize,
    /// A change that nobody sees and that changes what the network sees.
    Attack,
    /// A picture of what a layer knows of another picture.
    Invert,
}

impl Method {
    /// The name on the page's tab.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Style => "Style",
            Self::Texture => "Texture",
            Self::Dream => "Dream",
            Self::Visualize => "Visualize",
            Self::Attack => "Attack",
            Self::Invert => "Invert",
        }
    }
}

/// What is asked for. What is absent is as the method has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The name of the picture that is changed, painted or looked at.
    #[serde(default)]
    pub content: Option<String>,
    /// The names of the style pictures, or of the samples of a texture.
    #[serde(default)]
    pub styles: Vec<String>,
    /// Long side of the result in pixels.
    #[serde(default)]
    pub size: Option<u32>,
    /// Iterations of every scale.
    #[serde(default)]
    pub iterations: Option<u64>,
    /// Weights of terms: `content`, `style`, `tv`.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// The class to be shown, or to be reached by an attack; an attack without one leads away from what is seen.
    #[serde(default)]
    pub class: Option<u32>,
    /// The layer that is dreamt of, shown or inverted.
    #[serde(default)]
    pub layer: Option<String>,
    /// The channel of the layer that is shown.
    #[serde(default)]
    pub channel: Option<u32>,
    /// How far an attack may change a value of a pixel, in steps of 1/255.
    #[serde(default)]
    pub epsilon: Option<f32>,
    /// Whether the colours of the content are kept.
    #[serde(default)]
    pub keep_colors: bool,
    /// Whether the opposite edges of a texture meet.
    #[serde(default)]
    pub tile: bool,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
}

/// The long side of a result where none is asked for.
const SIZE: u32 = 256;

/// Iterations of an attack: foolbox's of PGD, of which a fourth is enough for most pictures.
const ATTACK_STEPS: u64 = 20;

impl Request {
    /// The recipe. `picture` finds a picture by its name; `seen` is what the network sees in the content, which an
    /// attack leads away from.
    ///
    /// # Errors
    /// [`MethodError::NoPicture`], [`Error::Net`] for a layer or a class that the network has not.
    pub fn recipe(
        &self,
        network: &Network,
        picture: impl Fn(&str) -> Option<Arc<Image>>,
        seen: Option<&Score>,
    ) -> Result<Recipe, Error> {
        let find = |name: &str, of: &'static str| {
            let missing = || MethodError::NoPicture {
                method: self.method,
                of,
                name: name.to_string(),
            };
            picture(name).ok_or_else(missing)
        };
        let of_content = || -> Result<(&str, Arc<Image>), Error> {
            let name = self.content.as_deref().unwrap_or_default();
            Ok((name, find(name, "a photo")?))
        };
        for name in &self.styles {
            find(name, "a painting")?;
        }
        let needs_styles = matches!(self.method, Method::Style | Method::Texture);
        if needs_styles && self.styles.is_empty() {
            find("", "a painting")?;
        }
        let styles = || self.styles.iter().map(|name| Picture::from(name.as_str()));
        let side = self.size.unwrap_or(SIZE);
        let mut recipe = match self.method {
            Method::Style => {
                let mut recipe = Recipe::style(of_content()?.0, styles()).size(side);
                if self.keep_colors {
                    recipe.image.preserve_color = PreserveColor::Luma;
                }
                recipe
            }
            Method::Texture => {
                let mut recipe = Recipe::texture(styles(), side, side);
                if self.tile {
                    recipe.padding = Padding::Wrap;
                }
                recipe
            }
            Method::Dream => {
                let layers = match &self.layer {
                    Some(layer) => vec![LayerWeight {
                        layer: layer.clone(),
                        weight: 1.0,
                    }],
                    None => default_layers(network.graph(), Purpose::Dream)?,
                };
                let subject = match self.channel {
                    Some(channel) => DreamSubject::Channel(channel),
                    None => DreamSubject::Layers,
                };
                let preset = DreamPreset::default();
                Recipe::dream(of_content()?.0, layers, subject, preset).size(side)
            }
            Method::Visualize => {
                let subject = match (&self.layer, self.class) {
                    (Some(layer), _) => Subject::Channels {
                        layer: layer.clone(),
                        channels: vec![self.channel.unwrap_or(0)],
                        unit: None,
                    },
                    (None, class) => Subject::Classes(vec![Class::Index(class.unwrap_or(0))]),
                };
                Recipe::visualize(subject, VisualizePreset::default(), side)
            }
            Method::Attack => {
                let (name, image) = of_content()?;
                let mut attack = Attack::new(AttackMethod::Pgd);
                attack.epsilon = self.epsilon.unwrap_or(8.0) / 255.0;
                attack.steps = Some(self.iterations.unwrap_or(ATTACK_STEPS));
                attack.seed = self.seed;
                let own = seen.map_or(0, |score| score.class);
                let goal = Goal {
                    classes: vec![self.class.map_or(own, |class| class as usize)],
                    targeted: self.class.is_some(),
                };
                let mut recipe = Recipe::attack(std::slice::from_ref(&*image), &goal, &attack)?;
                recipe.image.init = Init::Pictures(vec![name.into()]);
                recipe.size(side)
            }
            Method::Invert => {
                let (name, image) = of_content()?;
                let (width, height) = size_for_long_side(image.width, image.height, side);
                let layer = match &self.layer {
                    Some(layer) => layer.clone(),
                    None => default_layers(network.graph(), Purpose::Content)?[0]
                        .layer
                        .clone(),
                };
                let tv = inversion_tv(network.graph(), &layer)?;
                let pixels = u64::from(width) * u64::from(height);
                Recipe::invert(name, &layer, pixels, tv, 2.0, 6.0).size(side)
            }
        };
        recipe.model.clone_from(&network.graph().name);
        recipe.seed = self.seed;
        if let Some(iterations) = self.iterations {
            recipe = recipe.iterations(iterations);
        }
        for (name, weight) in &self.weights {
            let is_meant = |kind: &TermKind| match name.as_str() {
                "style" => kind.is_style(),
                name => kind.name() == name,
            };
            if let Some(term) = recipe.term_mut(is_meant) {
                term.weight = *weight;
            }
        }
        Ok(recipe)
    }
}

impl Recipe {
    /// The recipe with its pictures in memory, which `picture` finds by their names.
    ///
    /// # Errors
    /// [`MethodError::Unknown`] with the name of one that it does not find.
    pub fn with_pictures(
        &self,
        picture: impl Fn(&str) -> Option<Arc<Image>>,
    ) -> Result<Self, Error> {
        let mut recipe = self.clone();
        // A network sees no alpha, and an attack's picture has none.
        let opaque = matches!(recipe.image.init, Init::Pictures(_));
        for place in recipe.pictures_mut() {
            let Picture::File(path) = place else { continue };
            let name = path.display().to_string();
            let found = picture(&name).ok_or(MethodError::Unknown { name })?;
            *place = Picture::Memory(match found.alpha {
                Some(_) if opaque => Arc::new(Image {
                    alpha: None,
                    ..(*found).clone()
                }),
                _ => found,
            });
        }
        Ok(recipe)
    }

    /// The names of the pictures that the recipe needs, each once.
    #[must_use]
    pub fn picture_names(&self) -> Vec<String> {
        let mut recipe = self.clone();
        let mut names = Vec::new();
        for place in recipe.pictures_mut() {
            if let Picture::File(path) = place {
                let name = Path::new(path).display().to_string();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}
