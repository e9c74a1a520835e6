//! Classification: the network's own question, "what is in this picture?".

use serde::Serialize;

use super::targets::activations;
use crate::Error;
use crate::image::{Filter, Image, size_for_short_side};
use crate::plan::Network;

/// How an image is brought to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// Short side 256 by antialiased bilinear resampling, then the central 224×224: as the networks were trained.
    #[default]
    Crop224,
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
    let image = match size {
        Size::Native => image.clone(),
        Size::Crop224 => {
            let (w, h) = size_for_short_side(image.width, image.height, 256);
            image
                .resize(w, h, Filter::Bilinear)?
                .center_crop(224, 224)?
        }
    };
    let answers = activations(network, &image, &nodes)?;
    let (logits, probabilities) = (&answers[0].1, &answers[1].1);
    let names = graph.class_names();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    Ok(order
        .into_iter()
        .take(top)
        .map(|class| Score {
            class,
            label: names.map_or_else(
                || format!("class {class}"),
                |names| names[class].to_string(),
            ),
            probability: probabilities[class],
            logit: logits[class],
        })
        .collect())
}
