//! What a run cannot do.

use wgpu::TextureFormat;

use super::TEXTURE_FORMATS;

/// Why a run cannot begin, or take what it is given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The network was loaded on another device.
    #[error("the network is on {network}, not on {device}: load it on the device that is to run")]
    OtherDevice {
        /// The network's device.
        network: String,
        /// The device that is to run.
        device: String,
    },
    /// A run of several scales does not restart.
    #[error("a run of several scales cannot begin again")]
    SeveralScales,
    /// Labels and weights are set in terms of classes only.
    #[error("term {term} of the recipe is none of classes")]
    NotOfClasses {
        /// The index of the term, from 0.
        term: usize,
    },
    /// Its weight stays as it was when the run began.
    #[error(
        "term {term} of the recipe has no weight that can be changed while it runs: those of `content`, of styles, \
         `inversion`, `tv` and `l2` have"
    )]
    FixedWeight {
        /// The index of the term, from 0.
        term: usize,
    },
    /// Not a weight.
    #[error("the weight of `{kind}` must be a number, not {weight}")]
    NoWeight {
        /// The term.
        kind: String,
        /// What was given.
        weight: f64,
    },
    /// The image is read while an iteration is only half done.
    #[error("the run is between two iterations' ends; call `settle` before the image is read")]
    InMotion,
    /// A series has a content picture for every run.
    #[error("a series needs a term with a content picture: `content` or `inversion`")]
    NoContent,
}

/// Why the image cannot be copied to a texture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextureError {
    /// The run is not on a GPU.
    #[error("the `cpu` device has no textures; use `image`")]
    NoGpu,
    /// The image is made of parameters.
    #[error("a parameterised image is made when it is asked for; use `image`")]
    Parameterised,
    /// The texture has another size than the image.
    #[error(
        "the texture is {}x{}, the image is {}x{}",
        .texture.0, .texture.1, .image.0, .image.1
    )]
    Size {
        /// Width and height of the texture.
        texture: (u32, u32),
        /// Width and height of the image.
        image: (u32, u32),
    },
    /// The texture's format is none of [`TEXTURE_FORMATS`].
    #[error("the texture is {format:?}; these are written: {TEXTURE_FORMATS:?}")]
    Format {
        /// The texture's format.
        format: TextureFormat,
    },
}
