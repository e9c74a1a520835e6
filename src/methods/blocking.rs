//! The calls that block: the futures of the same names, waited for. A browser has none of them.

use pollster::block_on;

use super::classify::{Score, Size, classify_async};
use super::{
    Adversarial, Aim, Attack, Feature, GradientReport, Watch, activations_of_async, attack_async,
    features_async, finished_async, top_one_async,
};
use crate::Error;
use crate::image::Image;
use crate::plan::Network;
use crate::run::{Finish, Run};
use crate::spec::Recipe;

/// Attacks pictures, see [`attack_async`].
///
/// # Errors
/// As [`attack_async`].
pub fn attack(
    network: &Network,
    images: &[Image],
    aim: &Aim,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Adversarial>, Error> {
    block_on(attack_async(network, images, aim, attack, watch))
}

/// The most probable class of each picture as it is.
///
/// # Errors
/// As [`top_one_async`].
pub fn top_one(network: &Network, images: &[Image]) -> Result<Vec<Score>, Error> {
    block_on(top_one_async(network, images))
}

/// The `top` most probable classes of an image, most probable first.
///
/// # Errors
/// As [`classify_async`].
pub fn classify(
    network: &Network,
    image: &Image,
    size: Size,
    top: usize,
) -> Result<Vec<Score>, Error> {
    block_on(classify_async(network, image, size, top))
}

/// The activations of `layers` for an image at its own size.
///
/// # Errors
/// As [`features_async`].
pub fn features(
    network: &Network,
    image: &Image,
    layers: &[String],
) -> Result<Vec<Feature>, Error> {
    block_on(features_async(network, image, layers))
}

/// How far each picture activates what a recipe maximizes, see [`activations_of_async`].
///
/// # Errors
/// As [`activations_of_async`].
pub fn activations_of(
    recipe: &Recipe,
    network: &Network,
    pictures: &[Image],
) -> Result<Vec<f32>, Error> {
    block_on(activations_of_async(recipe, network, pictures))
}

/// The picture that `visualize` writes, of the images of its run.
///
/// # Errors
/// As [`finished_async`].
pub fn finished(run: &Run, finish: Finish) -> Result<Image, Error> {
    block_on(finished_async(run, finish))
}

impl Recipe {
    /// The gradient of the objective at the start image, at the full size.
    ///
    /// # Errors
    /// As [`Recipe::compile`].
    pub fn gradient(&self, network: &Network) -> Result<GradientReport, Error> {
        block_on(self.gradient_async(network))
    }
}
