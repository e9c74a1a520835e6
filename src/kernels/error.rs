//! What can be wrong with the numbers that a random affine map is drawn from.

use super::WarpDraw;

/// Why there are no draws of an affine map, or no border around what it moves.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WarpError {
    /// A list is empty.
    #[error("there are no scales or no angles to choose from; [1] and [0] change nothing")]
    NoChoice,
    /// The lists are too long for the kernel.
    #[error(
        "{scales} scales and {angles} angles are more than {} together",
        WarpDraw::ENTRIES
    )]
    TooManyChoices {
        /// Scales in the list.
        scales: usize,
        /// Angles in the list.
        angles: usize,
    },
    /// A scale is outside [`WarpDraw::SCALES`].
    #[error("the scale {scale} is not between {} and {}", WarpDraw::SCALES[0], WarpDraw::SCALES[1])]
    Scale {
        /// The scale.
        scale: f32,
    },
    /// An angle is infinite or NaN.
    #[error("{angle} is no angle in degrees")]
    Angle {
        /// The angle.
        angle: f32,
    },
    /// A jitter is beyond [`WarpDraw::MAX_JITTER`].
    #[error("a jitter of {pixels} pixels is more than {}", WarpDraw::MAX_JITTER)]
    Jitter {
        /// The jitter.
        pixels: u32,
    },
    /// The border is beyond [`WarpDraw::MAX_JITTER`].
    #[error("a border of {pixels} pixels is more than {}", WarpDraw::MAX_JITTER)]
    Border {
        /// The border's width.
        pixels: u32,
    },
    /// The border's colour is infinite or NaN.
    #[error("the border's value is {value}")]
    BorderValue {
        /// The colour, for all three channels.
        value: f32,
    },
}
