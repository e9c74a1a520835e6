//! What a network sees in pictures, and how far two are apart.

use serde::Serialize;

use crate::Error;
use crate::compile::activations::activations;
use crate::image::Image;
use crate::methods::classify::{Score, class_layers};
use crate::plan::Network;

/// Pictures whose scores are asked for at once.
const BATCH: usize = 16;

/// How far a picture has moved, in units of the `[0,1]` image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distance {
    /// √Σ(x'−x)² over all pixels and channels.
    pub l2: f64,
    /// max |x'−x|.
    pub linf: f64,
    /// √(Σ(x'−x)²/n): the distortion of Szegedy et al. 2013.
    pub rms: f64,
}

impl Distance {
    /// The distance of two pictures of one size.
    #[must_use]
    pub fn between(a: &Image, b: &Image) -> Self {
        let difference = || a.rgb.iter().zip(&b.rgb).map(|(a, b)| f64::from(b - a));
        let squares: f64 = difference().map(|d| d * d).sum();
        Self {
            l2: squares.sqrt(),
            linf: difference().fold(0.0, |most, d| most.max(d.abs())),
            rms: (squares / a.rgb.len().max(1) as f64).sqrt(),
        }
    }
}

/// The indices of pictures of each size, sizes in the order in which they come.
pub(super) fn by_size(images: &[Image]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let same = |group: &&mut Vec<usize>| images[group[0]].size() == image.size();
        match groups.iter_mut().find(same) {
            Some(group) => group.push(i),
            None => groups.push(vec![i]),
        }
    }
    groups
}

/// Of one picture the scores and the probabilities of all classes.
type Scores = (Vec<f32>, Vec<f32>);

/// The scores before and after the softmax of each picture, of whatever sizes.
async fn scores(network: &Network, images: &[Image]) -> Result<Vec<Scores>, Error> {
    let mut all = vec![(Vec::new(), Vec::new()); images.len()];
    for group in by_size(images) {
        let nodes = class_layers(network.graph(), images[group[0]].size())?;
        for pictures in group.chunks(BATCH) {
            let batch: Vec<Image> = pictures.iter().map(|i| images[*i].clone()).collect();
            let found = activations(network, &batch, &nodes).await?;
            let classes = found[0].1.len() / batch.len();
            let of =
                |answer: usize, i: usize| found[answer].1[i * classes..(i + 1) * classes].to_vec();
            for (i, picture) in pictures.iter().enumerate() {
                all[*picture] = (of(0, i), of(1, i));
            }
        }
    }
    Ok(all)
}

/// The most probable class of each picture as it is.
///
/// # Errors
/// [`Error::Net`] for a network without a classifier or a picture too small for it.
pub async fn top_one_async(network: &Network, images: &[Image]) -> Result<Vec<Score>, Error> {
    let names = network.graph().class_names();
    let top = |(logits, probabilities): (Vec<f32>, Vec<f32>)| {
        let class = ranked(&logits)[0];
        Score {
            class,
            label: names.as_ref().map_or_else(
                || format!("class {class}"),
                |names| names[class].to_string(),
            ),
            probability: probabilities[class],
            logit: logits[class],
        }
    };
    let scores = scores(network, images).await?;
    Ok(scores.into_iter().map(top).collect())
}

/// The logits of each picture.
pub(super) async fn logits(network: &Network, images: &[Image]) -> Result<Vec<Vec<f32>>, Error> {
    let scores = scores(network, images).await?;
    Ok(scores.into_iter().map(|s| s.0).collect())
}

/// The classes by their scores, greatest first; of equal ones the first.
pub(super) fn ranked(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    order
}

/// How far each picture's class is from winning (`targeted`) or from losing: Carlini and Wagner's f₆ without κ.
/// Negative is success.
pub(super) async fn margins(
    network: &Network,
    images: &[Image],
    goal: &super::Goal,
) -> Result<Vec<f32>, Error> {
    let margin = |(scores, class): (Vec<f32>, &usize)| {
        let order = ranked(&scores);
        let other = order.iter().find(|other| *other != class);
        let ahead = scores[*class] - other.map_or(0.0, |other| scores[*other]);
        // Of equal scores the first class wins.
        let tie = if ahead == 0.0 { f32::MIN_POSITIVE } else { 0.0 };
        let ahead = if order[0] == *class {
            ahead + tie
        } else {
            ahead - tie
        };
        if goal.targeted { -ahead } else { ahead }
    };
    let scores = logits(network, images).await?;
    Ok(scores.into_iter().zip(&goal.classes).map(margin).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_by_hand() {
        let before = Image::filled(2, 2, [0.5; 3]).expect("an image");
        let mut after = before.clone();
        after.rgb[0] = 0.8;
        after.rgb[5] = 0.1;
        let d = Distance::between(&before, &after);
        assert!((d.l2 - 0.5).abs() < 1e-6, "{d:?}");
        assert!((d.linf - 0.4).abs() < 1e-6, "{d:?}");
        assert!((d.rms - 0.5 / 12f64.sqrt()).abs() < 1e-6, "{d:?}");
    }

    #[test]
    fn groups_of_one_size() {
        let of = |w, h| Image::filled(w, h, [0.5; 3]).expect("an image");
        let images = [of(2, 1), of(1, 2), of(2, 1)];
        assert_eq!(by_size(&images), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn the_first_of_equal_classes_wins() {
        assert_eq!(ranked(&[1.0, 3.0, 3.0, -2.0]), [1, 2, 0, 3]);
    }
}
