//! What can be wrong with the numbers that a term is made of.

use std::ops::Range;

use super::AlphaNorm;
use crate::value::ValueError;

/// Why a term cannot be made, or take what it is given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectiveError {
    /// `tv`'s exponent.
    #[error("tv: {} is {}; it must be positive, usually 1 to 3", .0.field, .0.value)]
    TvBeta(ValueError),
    /// `alpha_norm`'s exponent. Below 1 the gradient is infinite at the mean colour.
    #[error("alpha_norm: {value}, usually {usual}", value = .0, usual = AlphaNorm::DEFAULT_ALPHA)]
    Alpha(ValueError),
    /// An inversion has one target, which all images share.
    #[error("inversion: the target has {images} images; it must be one, which the batch shares")]
    InversionTarget {
        /// Images of the target.
        images: u32,
    },
    /// A selection is not within its layer.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// There are neither one selection nor as many as images.
    #[error("{selections} selections for {images} images: give one for all, or one for each")]
    Selections {
        /// Selections there are.
        selections: usize,
        /// Images of the batch.
        images: u32,
    },
    /// A direction has another length than the layer has channels.
    #[error(
        "a direction of {numbers} numbers for a layer of {channels} channels and {images} images: give {channels}, or \
         {} for one for each image",
        .images * .channels
    )]
    DirectionLength {
        /// Numbers there are.
        numbers: usize,
        /// Channels of the layer.
        channels: usize,
        /// Images of the batch.
        images: usize,
    },
    /// A direction holds an infinite number or NaN.
    #[error("a direction's numbers must be finite")]
    DirectionNotFinite,
    /// The power of the cosine is negative.
    #[error("the cosine's power is {}: it must be {}", .0.value, .0.rule)]
    CosinePower(ValueError),
    /// A term of classes reads a layer of several positions.
    #[error(
        "a class is judged by one score for each class, and this layer has {height}×{width} of them: take `logits`, or \
         a smaller image where `logits` itself has several"
    )]
    SeveralScores {
        /// Rows of the layer.
        height: u32,
        /// Columns of the layer.
        width: u32,
    },
    /// A term of classes reads a layer of one channel.
    #[error("a class is judged against others, and this layer has one channel only")]
    OneClass,
    /// A label is beyond the classes.
    #[error("there is no class {label}: the classes are 0 to {}", .classes - 1)]
    NoSuchClass {
        /// The label.
        label: u32,
        /// Classes there are.
        classes: u32,
    },
    /// An image's weight is infinite or NaN.
    #[error("a weight is {weight}: it must be a finite number")]
    WeightNotFinite {
        /// The weight.
        weight: f32,
    },
    /// There are not as many numbers as images.
    #[error("{found} {what} for {images} images: give one for each")]
    OneForEach {
        /// What there is one of for each image: `labels` or `weights`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Images of the batch.
        images: usize,
    },
}

/// Why a selection cannot be made in a layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// It selects nothing.
    #[error("{axis}s {}..{} are none: the end must be greater than the start", .range.start, .range.end)]
    Empty {
        /// `channel`, `row` or `column`.
        axis: &'static str,
        /// What is selected of it.
        range: Range<u32>,
    },
    /// It reaches beyond the layer.
    #[error("{axis} {last} is beyond the layer, whose {axis}s are 0 to {}", .size.saturating_sub(1))]
    Outside {
        /// `channel`, `row` or `column`.
        axis: &'static str,
        /// The last that is selected.
        last: u32,
        /// How many the layer has.
        size: u32,
    },
}
