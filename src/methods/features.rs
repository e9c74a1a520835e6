//! Reading layers: the activations of a network for an image.

use crate::Error;
use crate::compile::activations::activations;
use crate::image::Image;
use crate::net::Shape;
use crate::plan::Network;

/// One layer's activations.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// The name that was asked for.
    pub layer: String,
    /// Channels, rows, columns.
    pub shape: Shape,
    /// `[C,H,W]`.
    pub values: Vec<f32>,
}

/// The activations of `layers` for an image at its own size.
///
/// # Errors
/// [`Error::Net`] for an unknown layer or an image too small for one.
pub async fn features_async(
    network: &Network,
    image: &Image,
    layers: &[String],
) -> Result<Vec<Feature>, Error> {
    let nodes = layers
        .iter()
        .map(|l| network.graph().find(l))
        .collect::<Result<Vec<_>, _>>()?;
    let found = activations(network, std::slice::from_ref(image), &nodes).await?;
    Ok(layers
        .iter()
        .zip(found)
        .map(|(layer, (shape, values))| Feature {
            layer: layer.clone(),
            shape,
            values,
        })
        .collect())
}
