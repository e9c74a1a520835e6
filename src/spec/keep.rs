//! Which of all images on the way is the result.

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::spec::Recipe;

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
    pub(crate) fn validate(&self, recipe: &Recipe, scales: usize) -> Result<(), Error> {
        let wrong = match recipe.terms.get(self.term) {
            None => format!(
                "there is no term {}: the recipe has {}, counted from 0",
                self.term,
                recipe.terms.len()
            ),
            Some(term) if !term.kind.is_of_classes() => format!(
                "term {} is {}; it must be logit, cross_entropy or margin",
                self.term,
                term.kind.name()
            ),
            _ if scales > 1 => "is for one scale: leave `min_size` and `octaves` away".to_string(),
            _ if recipe.optimizer.average > 0.0 => {
                "the result is either an average or what is kept, not both".to_string()
            }
            _ => return Ok(()),
        };
        Err(Error::Recipe(format!("keep: {wrong}")))
    }
}
