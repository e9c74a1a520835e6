//! Attacks that are one run of their recipe: fgsm, bim, mi-fgsm, pgd.

use super::{Attack, Found, Goal, Recipe, Watch, rounded};
use crate::Error;
use crate::image::Image;
use crate::plan::Network;

/// Runs the attack's recipe on pictures of one size.
pub(super) fn descend(
    network: &Network,
    images: &[Image],
    goal: &Goal,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    let recipe = Recipe::attack(images, goal, attack)?;
    let mut run = recipe.compile(network.device(), network)?;
    run.run(|progress| watch(progress))?;
    run.images()?
        .into_iter()
        .map(|image| {
            Ok(Found {
                image: if attack.survive_8bit {
                    rounded(&image)?
                } else {
                    image
                },
                iterations: run.done(),
                c: None,
            })
        })
        .collect()
}
