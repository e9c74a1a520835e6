//! Classification: the network's own question, "what is in this picture?".

use std::path::Path;

use serde::Serialize;

#[cfg(not(target_arch = "wasm32"))]
pub use super::blocking::classify;
use crate::Error;
use crate::compile::activations::activations;
use crate::image::{Filter, Image, Reduction, load, load_reduced, size_for_short_side};
use crate::net;
use crate::objective::ObjectiveError;
use crate::plan::Network;

/// How an image is brought to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Short side 256 by antialiased bilinear resampling, then the central 224×224: as the networks were trained.
    #[default]
    Crop224,
    /// The same in other proportion: the central square of that side, of the picture resampled to 256/224 of it.
    Crop(u32),
    /// Width and height: the central part of that shape, brought to that size.
    Exact(u32, u32),
    /// The image as it is.
    Native,
}

/// One class with its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Index of the class.
    pub class: usize,
    /// Its name, where the network has names.
    pub label: String,
    /// Softmax over all classes.
    pub probability: f32,
    /// The score before the softmax.
    pub logit: f32,
}

/// Width and height of the middle of a picture that is longer than 16 times its short side: enlarging all of a narrow
/// strip would take memory without end, for pixels that the crop drops.
fn middle((width, height): (u32, u32)) -> (u32, u32) {
    let longest = width.min(height).saturating_mul(16);
    let side = |side: u32| {
        // As many pixels are dropped at either end.
        side - side.saturating_sub(longest).next_multiple_of(2)
    };
    (side(width), side(height))
}

impl Size {
    /// As the classifier of `network` was trained to see images: at the one size that it takes, if there is one, else
    /// as [`Size::Crop224`], or [`Size::Crop`] of the side that its file names.
    #[must_use]
    pub fn of_network(network: &net::Network) -> Self {
        let graph = network.graph();
        let required = network
            .logits()
            .ok()
            .and_then(|scores| graph.required_size(scores));
        match (required, graph.trained_size()) {
            (Some([height, width]), _) => Self::Exact(width, height),
            (None, Some([height, width])) if height == width => Self::Crop(height),
            _ => Self::Crop224,
        }
    }

    /// What is needed of a picture of a size in pixels, and the central crop of that, where there is one. `None` where
    /// all of it is needed.
    fn reduction(self, size: (u32, u32)) -> Option<(Reduction, Option<u32>)> {
        let filter = Filter::Bilinear;
        let side = match self {
            Self::Native => return None,
            Self::Exact(width, height) => {
                let reduction = Reduction {
                    crop: part_of_shape(size, (width, height)),
                    size: (width, height),
                    filter,
                };
                return Some((reduction, None));
            }
            Self::Crop224 => 224,
            Self::Crop(side) => side,
        };
        let short = (f64::from(side) * 256.0 / 224.0).round() as u32;
        let crop = middle(size);
        let reduction = Reduction {
            crop,
            size: size_for_short_side(crop.0, crop.1, short),
            filter,
        };
        Some((reduction, Some(side)))
    }
}

/// The largest part of a picture that has the shape of `width`×`height`.
fn part_of_shape((across, down): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    let [across, down, w, h] = [across, down, width, height].map(u64::from);
    let (part_w, part_h) = if across * h > down * w {
        ((down * w / h).max(1), down)
    } else {
        (across, (across * h / w).max(1))
    };
    (part_w as u32, part_h as u32)
}

/// The picture of a file as it is brought to the network. Of a large one never more than a band is in memory in full
/// precision.
///
/// # Errors
/// [`Error::Image`] for a file that cannot be read.
pub fn read_prepared(path: &Path, size: Size) -> Result<Image, Error> {
    if size == Size::Native {
        return Ok(load(path)?);
    }
    let mut crop = None;
    let image = load_reduced(path, |whole| {
        let (reduction, middle) = size.reduction(whole).expect("not the whole picture");
        crop = middle;
        reduction
    })?;
    match crop {
        Some(side) => Ok(image.center_crop(side, side)?),
        None => Ok(image),
    }
}

/// An image as it is brought to the network.
///
/// # Errors
/// [`Error::Image`] for a size that no image has.
pub fn prepared(image: &Image, size: Size) -> Result<Image, Error> {
    let Some((reduction, crop)) = size.reduction(image.size()) else {
        return Ok(image.clone());
    };
    if crop.is_none() && image.size() == reduction.size {
        return Ok(image.clone());
    }
    let reduced = reduction.of(image)?;
    match crop {
        Some(side) => Ok(reduced.center_crop(side, side)?),
        None => Ok(reduced),
    }
}

/// The scores and the probabilities of the classes, for a picture of a width and a height.
///
/// # Errors
/// [`Error::Net`] for a network without a classifier or a picture too small for it; [`Error::Objective`] where a
/// picture of this size has scores at several positions.
pub(super) fn class_layers(
    graph: &net::Network,
    (width, height): (u32, u32),
) -> Result<[net::NodeId; 2], Error> {
    let scores = graph.logits()?;
    let shape = graph.shape(scores, height, width)?;
    if (shape.height, shape.width) != (1, 1) {
        let (height, width) = (shape.height, shape.width);
        return Err(ObjectiveError::SeveralScores { height, width }.into());
    }
    Ok([scores, graph.probabilities()?])
}

/// The `top` most probable classes of an image, most probable first.
///
/// # Errors
/// [`Error::Net`] for a network without a classifier or an image too small for it.
pub async fn classify_async(
    network: &Network,
    image: &Image,
    size: Size,
    top: usize,
) -> Result<Vec<Score>, Error> {
    let graph = network.graph();
    let image = prepared(image, size)?;
    let nodes = class_layers(graph, image.size())?;
    let found = activations(network, std::slice::from_ref(&image), &nodes).await?;
    let (logits, probabilities) = (&found[0].1, &found[1].1);
    let names = graph.class_names();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    Ok(order
        .into_iter()
        .take(top)
        .map(|class| Score {
            class,
            label: names.as_ref().map_or_else(
                || format!("class {class}"),
                |names| names[class].to_string(),
            ),
            probability: probabilities[class],
            logit: logits[class],
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_right_shape_is_brought_to_the_one_size() {
        let image = Image::filled(100, 40, [0.2, 0.4, 0.6]).expect("an image");
        for (width, height) in [(32, 32), (48, 192), (300, 7), (100, 40)] {
            let made = prepared(&image, Size::Exact(width, height)).expect("an image");
            assert_eq!(made.size(), (width, height));
            assert!(made.rgb.iter().all(|v| (0.19..0.61).contains(v)));
        }
        let network = net::Network::open("squeezenet1_1").expect("embedded");
        assert_eq!(Size::of_network(&network), Size::Crop224);
    }

    #[test]
    fn of_a_very_long_picture_only_the_middle_is_enlarged() {
        let long = |width: u32| {
            let value = |i: u32| if i.abs_diff(width) < 20 { 0.9 } else { 0.1 };
            // Two rows, mirrored about the middle.
            let row = (0..width).map(|x| value(2 * x + 1));
            let rgb = row.clone().chain(row).flat_map(|v| [v, v / 2.0, 0.3]);
            Image::new(width, 2, rgb.collect()).expect("an image")
        };
        assert_eq!(middle((5001, 2)), (31, 2));
        assert_eq!(middle((32, 2)), (32, 2));
        let network = Network::load(&crate::Device::cpu(), "squeezenet1_1").expect("embedded");
        let top = |image: &Image| {
            let scores = classify(&network, image, Size::Crop224, 3).expect("scores");
            scores.iter().map(|s| s.class).collect::<Vec<_>>()
        };
        // All of it would be 1.3 million by 256 pixels.
        assert_eq!(top(&long(10_000)), top(&long(40)));
    }
}
