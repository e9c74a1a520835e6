//! Classification: the network's own question, "what is in this picture?".

use serde::Serialize;

use crate::Error;
use crate::compile::activations::activations;
use crate::image::{Filter, Image, size_for_short_side};
use crate::plan::Network;

/// How an image is brought to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Short side 256 by antialiased bilinear resampling, then the central 224×224: as the networks were trained.
    #[default]
    Crop224,
    /// The same in other proportion: the central square of that side, of the picture resampled to 256/224 of it.
    Crop(u32),
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

/// The middle of a picture that is longer than 16 times its short side: enlarging all of a narrow strip would take
/// memory without end, for pixels that the crop drops.
fn middle(image: &Image) -> Result<Image, Error> {
    let longest = image.width.min(image.height).saturating_mul(16);
    let side = |side: u32| {
        // As many pixels are dropped at either end.
        side - side.saturating_sub(longest).next_multiple_of(2)
    };
    Ok(image.center_crop(side(image.width), side(image.height))?)
}

/// An image as it is brought to the network.
///
/// # Errors
/// [`Error::Image`] for a size that no image has.
pub fn prepared(image: &Image, size: Size) -> Result<Image, Error> {
    let side = match size {
        Size::Native => return Ok(image.clone()),
        Size::Crop224 => 224,
        Size::Crop(side) => side,
    };
    let short = (f64::from(side) * 256.0 / 224.0).round() as u32;
    let image = middle(image)?;
    let (w, h) = size_for_short_side(image.width, image.height, short);
    Ok(image
        .resize(w, h, Filter::Bilinear)?
        .center_crop(side, side)?)
}

/// The `top` most probable classes of an image, most probable first.
///
/// # Errors
/// [`Error::Net`] for a network without a classifier or an image too small for it.
pub fn classify(
    network: &Network,
    image: &Image,
    size: Size,
    top: usize,
) -> Result<Vec<Score>, Error> {
    let graph = network.graph();
    let nodes = [graph.logits()?, graph.find("prob")?];
    let image = prepared(image, size)?;
    let found = activations(network, std::slice::from_ref(&image), &nodes)?;
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
    fn of_a_very_long_picture_only_the_middle_is_enlarged() {
        let long = |width: u32| {
            let value = |i: u32| if i.abs_diff(width) < 20 { 0.9 } else { 0.1 };
            // Two rows, mirrored about the middle.
            let row = (0..width).map(|x| value(2 * x + 1));
            let rgb = row.clone().chain(row).flat_map(|v| [v, v / 2.0, 0.3]);
            Image::new(width, 2, rgb.collect()).expect("an image")
        };
        assert_eq!(middle(&long(5001)).expect("a crop").size(), (31, 2));
        assert_eq!(middle(&long(32)).expect("a crop"), long(32));
        let network = Network::load(&crate::Device::cpu(), "squeezenet1_1").expect("embedded");
        let top = |image: &Image| {
            let scores = classify(&network, image, Size::Crop224, 3).expect("scores");
            scores.iter().map(|s| s.class).collect::<Vec<_>>()
        };
        // All of it would be 1.3 million by 256 pixels.
        assert_eq!(top(&long(10_000)), top(&long(40)));
    }
}
