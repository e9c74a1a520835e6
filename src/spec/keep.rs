//! Which of all images on the way is the result.

use serde::{Deserialize, Serialize};

use super::{Recipe, RecipeError, TermSpec};

/// The result is, of each image of a batch, the one nearest to the start picture among those at which a term's value is
/// low enough; where there is none, the start picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeepSpec {
    /// The index of the term, from 0.
    pub term: usize,
    /// The greatest weighted value that is low enough.
    pub at_most: f32,
}

impl KeepSpec {
    /// Whether it can be kept in a run of a recipe over that many scales.
    pub(crate) fn validate(&self, recipe: &Recipe, scales: usize) -> Result<(), RecipeError> {
        let term = self.term;
        match recipe.terms.get(term) {
            None => Err(RecipeError::KeepTerm {
                term,
                terms: recipe.terms.len(),
            }),
            Some(TermSpec { kind, .. }) if !kind.is_of_classes() => Err(RecipeError::KeepKind {
                term,
                kind: kind.name().to_string(),
            }),
            _ if scales > 1 => Err(RecipeError::KeepScales),
            _ if recipe.optimizer.average > 0.0 => Err(RecipeError::KeepAverage),
            _ => Ok(()),
        }
    }
}
