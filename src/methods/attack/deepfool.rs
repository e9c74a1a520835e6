//! DeepFool (Moosavi-Dezfooli et al. 2016, algorithm 2): again and again to the nearest border of the classes'
//! linearised scores, with the picture's own class and the likeliest others at its start as candidates.
//!
//! A batch holds each picture once for every candidate, so that one evaluation on the device gives the gradients of all
//! their scores. They are read back: which border is nearest, and the step to it, is a handful of dot products.

use super::judge::{logits, ranked};
use super::rounding::rounded;
use super::{Attack, Found, Goal, Recipe, Watch};
use crate::Error;
use crate::image::Image;
use crate::methods::gradient::Gradients;
use crate::plan::Network;
use crate::run::Progress;

/// Copies of pictures in a batch at most: those that are done are not waited for by many others.
const COPIES: usize = 40;

/// Leaves the class `own` of each picture.
pub(super) async fn deepfool(
    network: &Network,
    images: &[Image],
    own: &[usize],
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    let classes = network.graph().classes().unwrap_or(1) as usize;
    let candidates = attack.candidates.min(classes);
    let pictures = (COPIES / candidates).max(1);
    let mut all = Vec::new();
    for (images, own) in images.chunks(pictures).zip(own.chunks(pictures)) {
        all.extend(batch(network, images, own, candidates, attack, watch).await?);
    }
    Ok(all)
}

/// One picture on its way.
struct Walk<'a> {
    start: &'a Image,
    /// The picture now.
    image: Image,
    /// The way so far, without the overshoot.
    change: Vec<f64>,
    /// How many times as long the next step is as the way to the border.
    stride: f64,
    iterations: u64,
    done: bool,
}

async fn batch(
    network: &Network,
    images: &[Image],
    own: &[usize],
    candidates: usize,
    attack: &Attack,
    watch: &mut Watch<'_>,
) -> Result<Vec<Found>, Error> {
    // The own class first.
    let scores = logits(network, images).await?;
    let classes: Vec<usize> = scores
        .iter()
        .zip(own)
        .flat_map(|(scores, own)| {
            let others = ranked(scores).into_iter().filter(move |class| class != own);
            std::iter::once(*own).chain(others.take(candidates - 1))
        })
        .collect();
    let copies = |images: &mut dyn Iterator<Item = &Image>| -> Vec<Image> {
        images
            .flat_map(|image| std::iter::repeat_n(image.clone(), candidates))
            .collect()
    };
    let goal = Goal {
        classes,
        targeted: false,
    };
    let recipe = Recipe::attack(&copies(&mut images.iter()), &goal, attack)?;
    let mut gradients = Gradients::new_async(&recipe, network).await?;
    let mut walks: Vec<Walk<'_>> = images
        .iter()
        .map(|image| Walk {
            start: image,
            image: image.clone(),
            change: vec![0.0; image.rgb.len()],
            stride: 1.0,
            iterations: 0,
            done: false,
        })
        .collect();
    for iteration in 0..attack.steps() {
        let begun = web_time::Instant::now();
        let found = gradients
            .at_async(&copies(&mut walks.iter().map(|walk| &walk.image)))
            .await?;
        let elements = images[0].rgb.len();
        for (i, walk) in walks.iter_mut().enumerate().filter(|(_, walk)| !walk.done) {
            let of_picture = i * candidates..(i + 1) * candidates;
            let scores = &found.losses[of_picture.clone()];
            let gradient = &found.gradient[of_picture.start * elements..of_picture.end * elements];
            let Some(step) = nearest_border(scores, gradient) else {
                walk.done = true;
                continue;
            };
            walk.take(&step, attack)?;
        }
        let left = walks.iter().filter(|walk| !walk.done).count();
        let progress = Progress {
            scale: images[0].size(),
            iteration,
            iterations: attack.steps(),
            loss: found.losses.iter().step_by(candidates).sum(),
            terms: Vec::new(),
            images: Vec::new(),
            elapsed: begun.elapsed(),
            // It rarely takes more than a few steps.
            remaining: Some(begun.elapsed().mul_f64(f64::from(u8::from(left > 0)))),
        };
        if left == 0 || watch(&progress).is_break() {
            break;
        }
    }
    Ok(walks
        .into_iter()
        .map(|walk| Found {
            image: walk.image,
            iterations: walk.iterations,
            c: None,
        })
        .collect())
}

/// The step to the nearest border of the first class with another, `[3,H,W]`; none where the first class has lost.
/// `scores` and `gradients` (`[3,H,W]` each) are of every candidate.
fn nearest_border(scores: &[f32], gradients: &[f32]) -> Option<Vec<f64>> {
    let elements = gradients.len() / scores.len();
    if scores[1..].iter().any(|score| *score > scores[0]) {
        return None;
    }
    let (own, others) = gradients.split_at(elements);
    let normal = |k: usize| {
        let other = &others[k * elements..(k + 1) * elements];
        other.iter().zip(own).map(|(g, own)| f64::from(g - own))
    };
    let mut nearest: Option<(f64, usize, f64)> = None;
    for (k, score) in scores[1..].iter().enumerate() {
        let ahead = f64::from(scores[0] - score);
        let squares: f64 = normal(k).map(|w| w * w).sum();
        let distance = ahead / squares.sqrt();
        if squares > 0.0 && nearest.is_none_or(|(least, ..)| distance < least) {
            // A little more than to the border, as where the scores are equal already.
            nearest = Some((distance, k, (ahead + 1e-4) / squares));
        }
    }
    nearest.map(|(_, k, factor)| normal(k).map(|w| factor * w).collect())
}

impl Walk<'_> {
    /// Takes a step, `[3,H,W]`: from the start by the whole way so far and the overshoot, into `[0,1]`.
    ///
    /// Rounding to 8 bits may undo a short step. The next one is then twice as long, until the picture moves: a picture
    /// near its border would otherwise take more steps than there are.
    fn take(&mut self, step: &[f64], attack: &Attack) -> Result<(), Error> {
        self.iterations += 1;
        let pixels = step.len() / 3;
        let factor = 1.0 + f64::from(attack.overshoot);
        let mut moved = self.image.clone();
        for (i, value) in moved.rgb.iter_mut().enumerate() {
            self.change[i] += self.stride * step[(i % 3) * pixels + i / 3];
            let x = f64::from(self.start.rgb[i]) + factor * self.change[i];
            *value = x.clamp(0.0, 1.0) as f32;
        }
        if attack.survive_8bit {
            moved = rounded(&moved)?;
            let undone = moved.rgb == self.image.rgb;
            self.stride = if undone { 2.0 * self.stride } else { 1.0 };
        }
        self.image = moved;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_border_of_linear_scores_is_met() {
        // z_0 = 3x, z_1 = 2y + 1, z_2 = 10 z at (1, 0, 0): the borders are 2/√13 and 3/√109 away.
        let gradients = [3.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 10.0];
        let step = nearest_border(&[3.0, 1.0, 0.0], &gradients).expect("a step");
        let factor = (3.0 + 1e-4) / 109.0;
        let expected = [-3.0 * factor, 0.0, 10.0 * factor];
        for (a, b) in step.iter().zip(expected) {
            assert!((a - b).abs() < 1e-9, "{step:?}");
        }
        assert_eq!(nearest_border(&[3.0, 1.0, 4.0], &gradients), None, "lost");
    }

    #[test]
    fn steps_that_rounding_undoes_get_longer() {
        let start = Image::filled(1, 1, [100.0 / 255.0; 3]).expect("an image");
        let attack = Attack {
            survive_8bit: true,
            ..Attack::new(crate::methods::AttackMethod::DeepFool)
        };
        let mut walk = Walk {
            start: &start,
            image: start.clone(),
            change: vec![0.0; 3],
            stride: 1.0,
            iterations: 0,
            done: false,
        };
        // A thousandth of an 8-bit step: after 1 + 2 + … + 256 of them the picture moves.
        let step = [0.001 / 255.0, 0.0, 0.0];
        while walk.image == start {
            walk.take(&step, &attack).expect("a step");
        }
        assert_eq!(walk.iterations, 9);
        assert_eq!(
            (walk.image.to_rgb8(), walk.stride),
            (vec![101, 100, 100], 1.0)
        );
    }
}
