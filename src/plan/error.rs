//! What does not fit together in a program.

use crate::kernels::MAX_SIDE;

/// Why a program cannot be planned, get its memory, or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is no gradient: every term is constant.
    #[error("no term depends on the image")]
    NoGradient,
    /// The image is longer than the kernels count.
    #[error(
        "an image of {width}×{height} pixels is too long: at most {MAX_SIDE} along either side"
    )]
    ImageTooLong {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// A layer has no output for an image of this size.
    #[error("layer `{layer}` has no size at {width}×{height}")]
    NoSize {
        /// The layer's name.
        layer: String,
        /// Width of the image in pixels.
        width: u32,
        /// Height of the image in pixels.
        height: u32,
    },
    /// A layer asks for what is none of the network's parameters: a bug in it.
    #[error("a layer asks for `{parameter}`, which is none of its parameters")]
    UnknownParameter {
        /// The parameter's name.
        parameter: String,
    },
    /// A layer cannot be computed in bands.
    #[error(
        "layer `{layer}` sees the whole image, or what is beyond its edges: it cannot be seen in bands"
    )]
    WholeImage {
        /// The layer's name.
        layer: String,
    },
    /// A term cannot be computed in bands.
    #[error("a term at `{layer}` cannot be computed in bands: {reason}")]
    WholeLayer {
        /// The layer's name.
        layer: String,
        /// What the term says of it: [`Term::needs_whole_layer`](crate::objective::Term::needs_whole_layer).
        reason: &'static str,
    },
    /// Bands take hardly less memory than the whole image.
    #[error(
        "layer `{layer}` sees {sees} rows of the image's {rows}, so that bands of it are hardly smaller than the image"
    )]
    WideField {
        /// The layer's name.
        layer: String,
        /// Rows of the image that a unit of the layer sees.
        sees: u32,
        /// Rows of the image.
        rows: u32,
    },
    /// Bands would be thinner than the rows of a layer.
    #[error("an image of {rows} rows cannot be cut into {count} bands for these layers")]
    ThinBands {
        /// Rows of the image.
        rows: u32,
        /// Bands that were asked for.
        count: u32,
    },
    /// The memory comes from a program with other slots.
    #[error("the memory is that of a program with other slots")]
    OtherSlots,
    /// The program's memory was not allocated, or was given back.
    #[error("this program has no memory to run in")]
    NoMemory,
    /// Iterations can be appended to a command encoder on a GPU only.
    #[error("the `cpu` device has no command encoder; use `run`")]
    NoEncoder,
}
