//! The search for the weight c of the class's term that gives the smallest change: for each picture of a batch its own,
//! all in one plan that begins again with other weights.

use super::judge::{logits, ranked};
use super::recipes::PULL;
use super::rounding::rounded;
use super::{Attack, Distance, Found, Goal, Recipe, Watch, margins, top_one_async};
use crate::Error;
use crate::image::Image;
use crate::methods::classify::Score;
use crate::plan::Network;
use crate::run::{Outcome, Progress};

/// How a weight is looked for: by tens until there is one that succeeds and one that fails, then halfway between the
/// logarithms of the least that succeeded and the greatest that failed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Search {
    c: f32,
    failed: Option<f32>,
    succeeded: Option<f32>,
}

impl Search {
    fn new(c: f32) -> Self {
        Self {
            c,
            failed: None,
            succeeded: None,
        }
    }

    fn next(&mut self, success: bool) {
        if success {
            self.succeeded = Some(self.c);
        } else {
            self.failed = Some(self.c);
        }
        self.c = match (self.failed, self.succeeded) {
            (Some(failed), Some(succeeded)) => (failed * succeeded).sqrt(),
            (_, Some(succeeded)) => succeeded / 10.0,
            (Some(failed), None) => (failed * 10.0).min(1e10),
            (None, None) => self.c,
        };
    }
}

/// Runs the attack's recipe on pictures of one size, once for each weight tried, and keeps of each picture the smallest
/// change that succeeds. Without one: the last change.
pub(super) async fn search(
    network: &Network,
    images: &[Image],
    goal: &Goal,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    let recipe = Recipe::attack(images, goal, attack)?;
    let mut run = recipe.compile_async(network.device(), network).await?;
    let initial_c = attack.initial_c(goal.targeted);
    let mut searches = vec![Search::new(initial_c); images.len()];
    let mut best: Vec<Option<(f64, Image, f32)>> = vec![None; images.len()];
    let mut last = Vec::new();
    let mut iterations = 0;
    let wanted = (-attack.confidence * (1.0 - 1e-4)) as f32;
    for round in 0..attack.rounds {
        if round > 0 {
            run.restart()?;
        }
        // The weight of the term stands in the recipe; those of the images multiply it.
        let weights: Vec<f32> = searches.iter().map(|s| s.c / initial_c).collect();
        run.set_weights(PULL, &weights)?;
        let outcome = run
            .run_for_async(u64::MAX, |progress| {
                watch(&overall(progress, round, attack.rounds))
            })
            .await?;
        iterations += run.done();
        let mut found = run.images_async().await?;
        if attack.survive_8bit {
            found = found.iter().map(rounded).collect::<Result<_, _>>()?;
        }
        let margins = margins(network, &found, goal).await?;
        for (i, (image, margin)) in found.iter().zip(margins).enumerate() {
            // Without confidence it is the border that counts.
            let success = margin < 0.0 && margin <= wanted;
            let distance = Distance::between(&images[i], image).l2;
            if success && best[i].as_ref().is_none_or(|(least, ..)| distance < *least) {
                best[i] = Some((distance, image.clone(), searches[i].c));
            }
            searches[i].next(success);
        }
        last = found;
        if outcome == Outcome::Stopped {
            break;
        }
    }
    Ok(best
        .into_iter()
        .zip(last)
        .map(|(best, last)| {
            let (image, c) = match best {
                Some((_, image, c)) => (image, Some(c)),
                None => (last, None),
            };
            Found {
                image,
                iterations,
                c,
            }
        })
        .collect())
}

/// How many classes a picture is led to when any other class will do.
const NEAREST: usize = 3;

/// Leaves the class `own` of each picture by the smallest change that leads to one of the likeliest other classes.
///
/// Szegedy et al. 2013 minimise towards a class. Away from a class that the network is sure of, the cross-entropy is
/// too flat to be followed: its gradient is proportional to 1 − p.
pub(super) async fn leave(
    network: &Network,
    images: &[Image],
    own: &[usize],
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    let scores = logits(network, images).await?;
    let others = |i: usize| -> Vec<usize> {
        let others = ranked(&scores[i]).into_iter();
        others
            .filter(|class| *class != own[i])
            .take(NEAREST)
            .collect()
    };
    let classes: Vec<Vec<usize>> = (0..images.len()).map(others).collect();
    let copies: Vec<Image> = images
        .iter()
        .zip(&classes)
        .flat_map(|(image, classes)| std::iter::repeat_n(image.clone(), classes.len()))
        .collect();
    let goal = Goal {
        classes: classes.concat(),
        targeted: true,
    };
    let mut found = search(network, &copies, &goal, attack, watch)
        .await?
        .into_iter();
    let now = top_one_async(
        network,
        &found
            .as_slice()
            .iter()
            .map(|f| f.image.clone())
            .collect::<Vec<_>>(),
    )
    .await?;
    let mut now = now.into_iter();
    Ok(images
        .iter()
        .zip(&classes)
        .zip(own)
        .filter_map(|((image, classes), own)| {
            let ends = found.by_ref().zip(now.by_ref()).take(classes.len());
            // Those that still see their own class come last.
            ends.min_by(|(a, seen_a), (b, seen_b)| {
                let length = |found: &Found| Distance::between(image, &found.image).l2;
                let stays = |score: &Score| score.class == *own;
                stays(seen_a)
                    .cmp(&stays(seen_b))
                    .then(length(a).total_cmp(&length(b)))
            })
            .map(|(found, _)| found)
        })
        .collect())
}

/// Progress over all rounds.
fn overall(progress: &Progress, round: u32, rounds: u32) -> Progress {
    let later = u64::from(rounds - 1 - round) * progress.iterations;
    Progress {
        iteration: progress.iteration + u64::from(round) * progress.iterations,
        iterations: u64::from(rounds) * progress.iterations,
        remaining: progress
            .remaining
            .map(|left| left + progress.elapsed.mul_f64(later as f64)),
        ..progress.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_bracketed_then_bisected() {
        // The least weight that succeeds is 0.5.
        let mut search = Search::new(0.01);
        let mut tried = Vec::new();
        for _ in 0..12 {
            tried.push(search.c);
            search.next(search.c >= 0.5);
        }
        for (tried, expected) in tried.iter().zip([0.01, 0.1, 1.0]) {
            assert!((tried / expected - 1.0).abs() < 1e-5, "{tried}");
        }
        let least = search.succeeded.expect("one that succeeds");
        assert!((0.5..0.505).contains(&least), "{tried:?}");

        let mut search = Search::new(3.0);
        search.next(true);
        let smaller = (search.c / 0.3 - 1.0).abs() < 1e-5;
        assert!(smaller, "{} while nothing fails", search.c);
    }
}
