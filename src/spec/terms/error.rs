//! What can be wrong with a term of a recipe.

use crate::objective::SelectionError;
use crate::value::{Rule, ValueError};

/// A term cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("term `{kind}`: {problem}")]
pub struct TermError {
    /// The term's name, as in a recipe.
    pub kind: String,
    /// What is wrong with it.
    pub problem: TermProblem,
}

/// What is wrong with a term. Each message continues "term `x`: ...".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TermProblem {
    // What the term says itself.
    /// Its weight is none: infinite, NaN, or beyond [`MAX_WEIGHT`](super::MAX_WEIGHT).
    #[error(
        "the weight is {weight:e}; it must be a number from -{limit:e} to {limit:e}{}. Only the ratios of the weights \
         count: divide all of them",
        at_layer(.layer),
        limit = super::MAX_WEIGHT
    )]
    Weight {
        /// The weight; with that of the layer, where one is named.
        weight: f64,
        /// The layer whose weight multiplies it.
        layer: Option<String>,
    },
    /// A number is not what it must be.
    #[error("`{}` must be {}", .0.field, number(&.0.rule))]
    Value(ValueError),
    /// It names no layer, and there are no usual ones for it.
    #[error("needs `layers`")]
    NoLayers,
    /// It names no class.
    #[error("needs a `class`")]
    NoClass,
    /// It has no seed of a direction.
    #[error("needs a `direction`: the seed of a random one")]
    NoDirection,
    /// It has no picture to compare with.
    #[error("needs a `target` picture")]
    NoTarget,
    /// There are not as many weights as targets.
    #[error("{weights} weights for {targets} target pictures; give one for each")]
    TargetWeights {
        /// Weights there are.
        weights: usize,
        /// Target pictures there are.
        targets: usize,
    },
    /// There is no blend with these weights.
    #[error("the targets' weights must be 0 or more, and not all 0")]
    Blend {
        /// The weights.
        weights: Vec<f64>,
    },
    /// A list is neither as long as that of the targets nor one for all.
    #[error("`{field}` has {found} for {targets} target pictures; give one for each")]
    OneForEach {
        /// The list's key.
        field: &'static str,
        /// Its length.
        found: usize,
        /// Target pictures there are.
        targets: usize,
    },
    /// Masks are for sums over positions.
    #[error(
        "takes no mask with this kernel, which compares positions one by one: that is for the kernel linear, and for \
         poly with constant 0 and degree 2"
    )]
    MaskWithKernel,
    /// Masks are for sums over positions.
    #[error("takes no mask: it compares sorted positions one by one")]
    MaskWithSorting,

    // How it fits its pictures and layers.
    /// What it selects is not in the layer.
    #[error("layer `{layer}`: {problem}")]
    Selection {
        /// The layer's name.
        layer: String,
        /// What is outside.
        problem: SelectionError,
    },
    /// A style's target shows nothing.
    #[error("the target {target} is transparent everywhere: there is no style in it")]
    TransparentTarget {
        /// The target's file, in quotes, or `in memory`.
        target: String,
    },
    /// A mask is black.
    #[error("the mask {mask} is black everywhere: white is where it counts")]
    BlackMask {
        /// The mask's file, in quotes, or `in memory`.
        mask: String,
    },
    /// A mask is not laid over a picture of its shape.
    #[error(
        "the mask {mask} is {}x{} pixels, which is not the shape of {}, {}x{}",
        .size.0, .size.1, if *.of_target { "its target" } else { "the image" }, .expected.0, .expected.1
    )]
    MaskShape {
        /// The mask's file, in quotes, or `in memory`.
        mask: String,
        /// Its width and height.
        size: (u32, u32),
        /// Whether it is laid over a target, not over the image.
        of_target: bool,
        /// Width and height of what it is laid over.
        expected: (u32, u32),
    },
    /// The image moves under a mask.
    #[error("a `mask` stays where it is, but a transformation moves the image under it")]
    MaskOfMovingImage,
    /// A mask is too thin for a layer.
    #[error(
        "at {}x{} pixels the mask has no white that layer `{layer}` could see", .size.0, .size.1
    )]
    UnseenMask {
        /// Width and height of the image at this scale.
        size: (u32, u32),
        /// The layer's name.
        layer: String,
    },
    /// All feature vectors of the target are the same.
    #[error(
        "a layer's activations are the same at all positions of the target, which leaves no scale for a gaussian \
         kernel: give `sigma`"
    )]
    NoVariance,
    /// The value at all-zero activations is 0.
    #[error(
        "layer `{layer}` has no activations for the target, so the term cannot be relative to it"
    )]
    NothingToRelate {
        /// The layer's name.
        layer: String,
    },
}

impl From<ValueError> for TermProblem {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

fn at_layer(layer: &Option<String>) -> String {
    layer.as_ref().map_or(String::new(), |layer| {
        format!(" with the weight of layer `{layer}` in it")
    })
}

/// What a number must be, in words that say that it is one.
fn number(rule: &Rule) -> String {
    match rule {
        Rule::AtLeast(0.0) => format!("a number, {rule}"),
        Rule::AtLeast(_) => format!("a number of {rule}"),
        Rule::FromTo(..) => format!("a whole number {rule}"),
        Rule::Positive | Rule::Within(..) | Rule::Below(..) => format!("a number {rule}"),
    }
}
