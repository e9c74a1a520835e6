//! Options of `dream`.

use super::parse::LongSide;
use super::{CLASSIFIER, Given, parse};
use crate::Error;
use crate::compile::default_layers;
use crate::methods::{DreamPreset, DreamSubject, MethodError};
use crate::net::Purpose;
use crate::plan::Network;
use crate::spec::{LayerWeight, MapSpec, Picture, Recipe};

/// Options of `dream`. What is absent is as the preset has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DreamOptions {
    /// Long side of the result; absent: [`DreamOptions::SIZE`], or the picture's if that is smaller.
    pub size: Option<LongSide>,
    /// The layers to amplify; none: the network's usual ones.
    pub layer: Vec<LayerWeight>,
    /// Only this channel of the layer.
    pub channel: Option<u32>,
    /// What the layer sees in this picture.
    pub guide: Option<Picture>,
    /// The published version to follow.
    pub preset: DreamPreset,
    /// Number of scales.
    pub octaves: Option<u32>,
    /// Ratio of the sizes of two successive scales.
    pub octave_scale: Option<f64>,
    /// The largest random shift of the picture in pixels.
    pub jitter: Option<u32>,
}

impl DreamOptions {
    /// Long side of the result in pixels when nobody says, if the picture has as many.
    pub const SIZE: u32 = 512;

    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        let options = Self {
            size: given.value("size", parse::long_side)?,
            layer: given.list("layer", parse::layer)?,
            channel: given.value("channel", parse::index)?,
            guide: given.picture("guide")?,
            preset: given
                .value("preset", |text| text.parse().map_err(told))?
                .unwrap_or_default(),
            octaves: given.value("octaves", parse::octaves)?,
            octave_scale: given.value("octave_scale", parse::positive)?,
            jitter: given.value("jitter", parse::pixels)?,
        };
        if options.guide.is_some() && options.channel.is_some() {
            return Err(MethodError::Option {
                option: "channel".to_string(),
                problem: "it cannot be used with guide".to_string(),
            });
        }
        Ok(options)
    }

    /// The recipe for a picture of a size in pixels.
    ///
    /// # Errors
    /// [`MethodError::Option`] for octaves that do not grow.
    pub fn recipe(&self, picture: Picture, size: (u32, u32)) -> Result<Recipe, MethodError> {
        let subject = match (&self.guide, self.channel) {
            (Some(guide), _) => DreamSubject::Guide(guide.clone()),
            (None, Some(channel)) => DreamSubject::Channel(channel),
            (None, None) => DreamSubject::Layers,
        };
        let mut recipe = Recipe::dream(picture, self.layer.clone(), subject, self.preset);
        recipe.model = CLASSIFIER.to_string();
        if self.octaves.is_some() {
            recipe.image.octaves = self.octaves;
        }
        if let Some(factor) = self.octave_scale {
            if factor <= 1.0 {
                return Err(MethodError::Option {
                    option: "octave_scale".to_string(),
                    problem: "it must be greater than 1".to_string(),
                });
            }
            recipe.image.scale_factor = factor;
        }
        if let Some(pixels) = self.jitter {
            recipe.image.transformation = match pixels {
                0 => Vec::new(),
                pixels => vec![MapSpec::Jitter { pixels }],
            };
        }
        recipe.image.size = LongSide::of(self.size, size, Self::SIZE);
        Ok(recipe)
    }

    /// Gives a recipe without layers the network's usual ones.
    ///
    /// # Errors
    /// As [`default_layers`].
    pub fn complete(recipe: &mut Recipe, network: &Network) -> Result<(), Error> {
        let layers = recipe.terms.iter_mut().filter_map(|t| t.kind.layers_mut());
        for layers in layers.filter(|layers| layers.is_empty()) {
            *layers = default_layers(network.graph(), Purpose::Dream)?;
        }
        Ok(())
    }
}

fn told(error: MethodError) -> String {
    error.to_string()
}
