//! Options of `fool`, and when its picture is good enough.

use super::{CLASSIFIER, Given, USUAL_SIDE, fit, parse};
use crate::Error;
#[cfg(not(target_arch = "wasm32"))]
use crate::image::Image;
use crate::methods::MethodError;
#[cfg(not(target_arch = "wasm32"))]
use crate::methods::classify::{Score, Size, classify};
use crate::plan::Network;
use crate::run::Progress;
use crate::spec::{Class, Recipe};

/// Options of `fool`.
#[derive(Debug, Clone, PartialEq)]
pub struct FoolOptions {
    /// The class to reach.
    pub class: Option<Class>,
    /// Side of the square picture; absent: [`USUAL_SIDE`], or what the network needs.
    pub size: Option<u32>,
    /// The probability that is enough.
    pub confidence: f32,
}

impl FoolOptions {
    /// The probability that is enough where nobody says.
    pub const CONFIDENCE: f32 = 0.999;

    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        Ok(Self {
            class: given.value("class", parse::class)?,
            size: given.value("size", parse::side)?,
            confidence: given
                .value("confidence", parse::decay)?
                .unwrap_or(Self::CONFIDENCE),
        })
    }
}

/// A picture on its way to a class.
#[derive(Debug, Clone)]
pub struct Fooling {
    class: Class,
    options: FoolOptions,
    own_step: bool,
}

impl Fooling {
    /// `own_step`: whether the step size was asked for.
    ///
    /// # Errors
    /// [`MethodError::MissingOption`] without a class.
    pub fn new(options: FoolOptions, own_step: bool) -> Result<Self, MethodError> {
        Ok(Self {
            class: super::needed("fool", "class", options.class.clone())?,
            options,
            own_step,
        })
    }

    /// The recipe, before the network is known.
    #[must_use]
    pub fn recipe(&self) -> Recipe {
        let side = self.options.size.unwrap_or(USUAL_SIDE);
        let mut recipe = Recipe::fool(self.class.clone(), side);
        recipe.model = CLASSIFIER.to_string();
        recipe
    }

    /// Completes the recipe.
    ///
    /// # Errors
    /// [`Error::Net`] for a network without classes, or without this one.
    pub fn complete(&self, recipe: &mut Recipe, network: &Network) -> Result<(), Error> {
        if self.options.size.is_none() {
            let larger = fit(recipe, network, network.graph().logits()?);
            if !self.own_step {
                recipe.optimizer.step_size *= larger;
            }
        }
        network.graph().class_index(&self.class.to_string())?;
        Ok(())
    }

    /// The probability of the class in the image before an iteration's step.
    #[must_use]
    pub fn probability(progress: &Progress) -> f64 {
        // The objective is −log of the probability.
        f64::from(-progress.loss).exp()
    }

    /// Whether a probability is enough.
    #[must_use]
    pub fn is_enough(&self, probability: f64) -> bool {
        probability >= f64::from(self.options.confidence)
    }

    /// The class asked for, its probability, and what the network sees first, in the picture as an 8-bit file holds it.
    ///
    /// # Errors
    /// As [`classify`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn seen(&self, network: &Network, picture: &Image) -> Result<(usize, f32, Score), Error> {
        let class = network.graph().class_index(&self.class.to_string())?;
        let classes = network.graph().classes().unwrap_or(1) as usize;
        let rounded = Image::from_rgb8(picture.width, picture.height, &picture.to_rgb8())?;
        let scores = classify(network, &rounded, Size::Native, classes)?;
        let own = scores.iter().find(|s| s.class == class);
        let probability = own.map_or(0.0, |s| s.probability);
        Ok((class, probability, scores[0].clone()))
    }
}
