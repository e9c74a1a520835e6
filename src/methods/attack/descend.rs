//! Attacks that are one run of their recipe: fgsm, bim, mi-fgsm, pgd.

use super::rounding::{rounded, rounded_within};
use super::{Attack, Found, Goal, Recipe, Watch};
use crate::Error;
use crate::image::Image;
use crate::plan::Network;
use crate::spec::BallNorm;

/// Runs the attack's recipe on pictures of one size.
pub(super) async fn descend(
    network: &Network,
    images: &[Image],
    goal: &Goal,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    let recipe = Recipe::attack(images, goal, attack)?;
    let mut run = recipe.compile_async(network.device(), network).await?;
    run.run_for_async(u64::MAX, |progress| watch(progress))
        .await?;
    run.images_async()
        .await?
        .into_iter()
        .zip(images)
        .map(|(image, start)| {
            Ok(Found {
                image: match (attack.survive_8bit, attack.norm) {
                    (false, _) => image,
                    (true, BallNorm::Linf) => rounded(&image)?,
                    (true, BallNorm::L2) => rounded_within(start, &image, attack.epsilon)?,
                },
                iterations: run.done(),
                c: None,
            })
        })
        .collect()
}
