//! DeepDream: a picture is changed so that a layer answers more to it, octave by octave (Mordvintsev, Olah and Tyka 2015).

use std::str::FromStr;

use super::style::default_layers;
use super::{
    Carry, FilterSpec, Init, LayerWeight, MapSpec, Measure, OptimizerKind, Picture, Recipe,
    TermKind, TermSpec,
};
use crate::Error;
use crate::image::{Filter, Image};
use crate::net::{self, Purpose};

/// The published versions of DeepDream, which differ in objective, normalisation, octaves and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DreamPreset {
    /// google/deepdream's notebook: ½Σa², 4 octaves of 1.4, 10 steps of 1.5/255 over mean |g|, jitter of 32 pixels, the
    /// picture's detail kept.
    #[default]
    Google,
    /// TensorFlow's tutorial notebook of 2015 with the gradient normalised in its Laplacian pyramid: 4 octaves of 1.4, 10
    /// steps of 1/255, mean of squares, or the mean of a channel.
    Tf1Lapnorm,
    /// TensorFlow's tutorial of today: 5 octaves of 1.3, 50 steps of 0.01 on [−1, 1] over the standard deviation of g, mean
    /// of the layer.
    Tf2,
    /// One scale, 20 steps of 1/255 over the standard deviation of g, no jitter.
    Plain,
}

impl FromStr for DreamPreset {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "google" => Ok(Self::Google),
            "tf1-lapnorm" => Ok(Self::Tf1Lapnorm),
            "tf2" => Ok(Self::Tf2),
            "plain" => Ok(Self::Plain),
            _ => Err("it must be google, tf1-lapnorm, tf2 or plain".to_string()),
        }
    }
}

/// What the dream is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum DreamSubject {
    /// Whatever the layers see.
    #[default]
    Layers,
    /// One channel of the layer.
    Channel(u32),
    /// What the layer sees in another picture.
    Guide(Picture),
}

impl Recipe {
    /// Dreams on `picture` at `layers`; without any at those of [`default_dream_layers`], once the network is known.
    #[must_use]
    pub fn dream(
        picture: impl Into<Picture>,
        layers: Vec<LayerWeight>,
        subject: DreamSubject,
        preset: DreamPreset,
    ) -> Self {
        let mut recipe = Self::new();
        recipe.image.init = Init::Picture(picture.into());
        let kind = match (&subject, preset) {
            (DreamSubject::Guide(_), _) => TermKind::Guide,
            (DreamSubject::Layers, DreamPreset::Google) => TermKind::Energy,
            _ => TermKind::Activation,
        };
        let mut term = TermSpec::new(kind).weight(-1.0);
        term.layers = layers;
        match subject {
            DreamSubject::Layers => term.square = preset == DreamPreset::Tf1Lapnorm,
            DreamSubject::Channel(channel) => term.channel = vec![channel],
            DreamSubject::Guide(guide) => term.target = vec![guide],
        }
        recipe.terms = vec![term];
        recipe.optimizer.kind = OptimizerKind::Gradient;
        let normalize = |by| FilterSpec::Normalize { by, epsilon: 1e-8 };
        let (octaves, factor, carry, jitter, iterations, step, filter) = match preset {
            DreamPreset::Google => (
                4,
                1.4,
                Carry::Detail,
                32,
                10,
                1.5 / 255.0,
                normalize(Measure::MeanAbs),
            ),
            DreamPreset::Tf1Lapnorm => (
                4,
                1.4,
                Carry::Detail,
                32,
                10,
                1.0 / 255.0,
                FilterSpec::Laplacian { levels: 4 },
            ),
            DreamPreset::Tf2 => (
                5,
                1.3,
                Carry::Image,
                512,
                50,
                0.005,
                normalize(Measure::Std),
            ),
            DreamPreset::Plain => (
                1,
                1.4,
                Carry::Image,
                0,
                20,
                1.0 / 255.0,
                normalize(Measure::Std),
            ),
        };
        recipe.image.octaves = Some(octaves);
        recipe.image.scale_factor = factor;
        recipe.image.carry = carry;
        if jitter > 0 {
            recipe.image.transformation = vec![MapSpec::Jitter { pixels: jitter }];
        }
        recipe.optimizer.iterations = iterations;
        recipe.optimizer.step_size = step;
        recipe.filters = vec![filter];
        recipe
    }
}

/// Layers that dream well.
///
/// # Errors
/// As [`net::Network::default_layers`].
pub fn default_dream_layers(graph: &net::Network) -> Result<Vec<LayerWeight>, Error> {
    default_layers(graph, Purpose::Dream)
}

/// The next frame of a zoom into a dream: the middle of the picture, enlarged to all of it. `zoom` is the part of either
/// side that goes out of sight, 0.05 in google/deepdream's notebook.
///
/// # Errors
/// [`Error::Recipe`] where `zoom` is not in [0, 1), [`Error::Image`] where the picture is too small.
pub fn zoomed(image: &Image, zoom: f64) -> Result<Image, Error> {
    if !(0.0..1.0).contains(&zoom) {
        return Err(Error::Recipe(format!(
            "the zoom is {zoom}; it is a part of the picture's side, from 0 to less than 1"
        )));
    }
    let (width, height) = image.size();
    // Enlarged first and cut then: cutting first would round the zoom to whole pixels, which shakes.
    let enlarged = |side: u32| (f64::from(side) / (1.0 - zoom)).round() as u32;
    let parity = |enlarged: u32, side: u32| enlarged + (enlarged - side) % 2;
    let (w, h) = (
        parity(enlarged(width), width),
        parity(enlarged(height), height),
    );
    let zoomed = image.resize(w, h, Filter::Bilinear)?;
    Ok(zoomed.center_crop(width, height)?.clamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;

    #[test]
    fn presets_have_their_published_numbers() {
        let recipe = |preset| Recipe::dream("a.png", Vec::new(), DreamSubject::Layers, preset);
        let google = recipe(DreamPreset::Google);
        assert_eq!(google.terms[0].kind, TermKind::Energy);
        assert_eq!(google.optimizer.step_size, 1.5 / 255.0);
        let lapnorm = recipe(DreamPreset::Tf1Lapnorm);
        assert_eq!(lapnorm.filters, [FilterSpec::Laplacian { levels: 4 }]);
        assert!(lapnorm.terms[0].square);
        for preset in ["google", "tf1-lapnorm", "tf2", "plain"] {
            assert!(preset.parse::<DreamPreset>().is_ok());
        }
        assert!("tf3".parse::<DreamPreset>().is_err());
    }

    #[test]
    fn the_default_layers_exist() {
        for name in crate::net::embedded() {
            let network = Network::open(name).expect("an embedded network opens");
            for layer in default_dream_layers(&network).expect("dream layers") {
                assert!(network.find(&layer.layer).is_ok(), "{name}: {layer}");
            }
        }
    }

    #[test]
    fn a_zoom_keeps_the_size_and_the_middle() {
        let rgb = (0..21 * 15 * 3).map(|i| (i % 7) as f32 / 7.0).collect();
        let image = Image::new(21, 15, rgb).expect("an image");
        let zoom = zoomed(&image, 0.05).expect("a zoom");
        assert_eq!(zoom.size(), image.size());
        assert_eq!(zoomed(&image, 0.0).expect("a zoom"), image);
        assert!(zoomed(&image, 1.0).is_err());
    }
}
