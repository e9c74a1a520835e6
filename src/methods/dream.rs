//! DeepDream: a picture is changed so that it activates a layer more, octave by octave (Mordvintsev, Olah and Tyka
//! 2015).

use std::str::FromStr;

use super::MethodError;
use crate::Error;
use crate::image::{Filter, Image};
use crate::spec::terms::{Activation, Energy, Guide};
use crate::spec::{
    Carry, FilterSpec, Init, LayerWeight, MapSpec, Measure, OptimizerKind, Picture, Recipe,
    TermSpec,
};
use crate::value::Rule;

/// The published versions of DeepDream, which differ in objective, normalisation, octaves and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DreamPreset {
    /// google/deepdream's notebook: ½Σa², 4 octaves of 1.4, 10 steps of 1.5/255 over mean |g|, jitter of 32 pixels, the
    /// picture's detail kept.
    #[default]
    Google,
    /// TensorFlow's tutorial notebook of 2015 with the gradient normalised in its Laplacian pyramid: 4 octaves of 1.4,
    /// 10 steps of 1/255, mean of squares, or the mean of a channel.
    Tf1Lapnorm,
    /// TensorFlow's tutorial of today: 5 octaves of 1.3, 50 steps of 0.01 on [−1, 1] over the standard deviation of g,
    /// mean of the layer.
    Tf2,
    /// One scale, 20 steps of 1/255 over the standard deviation of g, no jitter.
    Plain,
}

impl FromStr for DreamPreset {
    type Err = MethodError;
    fn from_str(s: &str) -> Result<Self, MethodError> {
        match s {
            "google" => Ok(Self::Google),
            "tf1-lapnorm" => Ok(Self::Tf1Lapnorm),
            "tf2" => Ok(Self::Tf2),
            "plain" => Ok(Self::Plain),
            _ => Err(MethodError::UnknownPreset {
                presets: &["google", "tf1-lapnorm", "tf2", "plain"],
            }),
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
    /// Dreams on `picture` at `layers`; without any at the network's usual ones, once the network is known.
    #[must_use]
    pub fn dream(
        picture: impl Into<Picture>,
        layers: Vec<LayerWeight>,
        subject: DreamSubject,
        preset: DreamPreset,
    ) -> Self {
        let mut recipe = Self::new();
        recipe.image.init = Init::Picture(picture.into());
        let term = match (subject, preset) {
            (DreamSubject::Guide(target), _) => TermSpec::new(Guide { layers, target }),
            (DreamSubject::Layers, DreamPreset::Google) => TermSpec::new(Energy { layers }),
            (DreamSubject::Layers, _) => TermSpec::new(Activation {
                layers,
                square: preset == DreamPreset::Tf1Lapnorm,
                ..Activation::default()
            }),
            (DreamSubject::Channel(channel), _) => TermSpec::new(Activation {
                layers,
                channel: vec![channel],
                ..Activation::default()
            }),
        };
        recipe.terms = vec![term.weight(-1.0)];
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

/// The next frame of a zoom into a dream: the middle of the picture, enlarged to all of it. `zoom` is the part of
/// either side that goes out of sight, 0.05 in google/deepdream's notebook.
///
/// # Errors
/// [`MethodError::Zoom`] where `zoom` is not in [0, 1), [`Error::Image`] where the picture is too small.
pub fn zoomed(image: &Image, zoom: f64) -> Result<Image, Error> {
    Rule::Below(0.0, 1.0)
        .check("zoom", zoom)
        .map_err(MethodError::Zoom)?;
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

    #[test]
    fn presets_have_their_published_numbers() {
        let recipe = |preset| Recipe::dream("a.png", Vec::new(), DreamSubject::Layers, preset);
        let google = recipe(DreamPreset::Google);
        assert_eq!(google.terms[0].kind, Energy::default().into());
        assert_eq!(google.optimizer.step_size, 1.5 / 255.0);
        let lapnorm = recipe(DreamPreset::Tf1Lapnorm);
        assert_eq!(lapnorm.filters, [FilterSpec::Laplacian { levels: 4 }]);
        let squares = Activation {
            square: true,
            ..Activation::default()
        };
        assert_eq!(lapnorm.terms[0].kind, squares.into());
        for preset in ["google", "tf1-lapnorm", "tf2", "plain"] {
            assert!(preset.parse::<DreamPreset>().is_ok());
        }
        assert!("tf3".parse::<DreamPreset>().is_err());
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
