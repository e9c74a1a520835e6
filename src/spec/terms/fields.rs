//! What all kinds of terms are asked, whatever their fields are; and the checks and defaults that several kinds share.

use super::{LayerWeight, Style, StyleKind, TermProblem};
use crate::spec::Picture;

/// What every kind of term can be asked. The default answers are those of a term that has no such part.
pub(crate) trait TermFields {
    /// Whether the values can be used; else what is wrong, as the second half of a sentence about the term.
    fn validate(&self) -> Result<(), TermProblem> {
        Ok(())
    }

    /// What the term reads.
    fn reads(&self) -> Reads<'_>;

    /// Its layers, where it reads some of the caller's choice.
    fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        None
    }

    /// Its pictures: targets, then the mask, then the targets' masks.
    fn pictures_mut(&mut self) -> Vec<&mut Picture> {
        Vec::new()
    }

    /// Where in the image it counts.
    fn mask(&self) -> Option<&Picture> {
        None
    }

    /// Whether each layer's value is divided by the value at all-zero activations.
    fn relative(&self) -> bool {
        false
    }

    /// How many images of a batch have an entry of their own in it; 1 or less: all share one.
    fn per_image(&self) -> usize {
        0
    }
}

/// What a term reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reads<'a> {
    /// The image itself.
    Image,
    /// The scores of the classes.
    Classes,
    /// These layers; where there are none, the usual ones.
    Layers(&'a [LayerWeight], UsualLayers),
}

/// The layers of a term that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsualLayers {
    /// Those that keep the content.
    Content,
    /// Those that make the style.
    Style,
    /// There are none: the recipe must name them.
    None,
}

/// What a term compares the image with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison<'a> {
    /// No picture.
    Nothing,
    /// A picture's activations, position by position: the picture gives the image its shape.
    Positions(&'a Picture),
    /// A picture's feature vectors, each position with the one that matches it best.
    BestMatches(&'a Picture),
    /// Statistics of the feature vectors of some pictures.
    Style(&'a Style, StyleKind),
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
pub(super) fn is_no(value: &bool) -> bool {
    !*value
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature serde calls"
    )
)]
pub(super) fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
