//! Terms of the scores of classes.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fields::{is_no, is_zero};
use super::{Reads, TermFields, TermProblem};
use crate::spec::lists;
use crate::value::Rule;

/// The classes of `logit` and `cross_entropy`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Classes {
    /// The class, or one for each image of the batch.
    #[serde(with = "lists")]
    pub class: Vec<Class>,
}

impl Classes {
    /// One for all images, or one for each.
    #[must_use]
    pub fn new(classes: impl IntoIterator<Item = Class>) -> Self {
        Self {
            class: classes.into_iter().collect(),
        }
    }
}

impl TermFields for Classes {
    fn validate(&self) -> Result<(), TermProblem> {
        needs_one(&self.class)
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Classes
    }

    fn per_image(&self) -> usize {
        self.class.len()
    }
}

/// How far a class is from winning, or from losing, in logits (Carlini and Wagner 2017, f₆).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Margin {
    /// The class, or one for each image of the batch.
    #[serde(with = "lists")]
    pub class: Vec<Class>,
    /// Whether the class is the one to leave, not the one to reach.
    #[serde(skip_serializing_if = "is_no")]
    pub untargeted: bool,
    /// κ, how far beyond the decision boundary is far enough, in logits.
    #[serde(skip_serializing_if = "is_zero")]
    pub confidence: f64,
}

impl TermFields for Margin {
    fn validate(&self) -> Result<(), TermProblem> {
        needs_one(&self.class)?;
        Ok(Rule::NOT_NEGATIVE.check("confidence", self.confidence)?)
    }

    fn reads(&self) -> Reads<'_> {
        Reads::Classes
    }

    fn per_image(&self) -> usize {
        self.class.len()
    }
}

fn needs_one(classes: &[Class]) -> Result<(), TermProblem> {
    if classes.is_empty() {
        Err(TermProblem::NoClass)
    } else {
        Ok(())
    }
}

/// A class, by number or by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Class {
    /// Its index.
    Index(u32),
    /// Its name, or a part of it that no other class has.
    Name(String),
}

impl FromStr for Class {
    type Err = std::convert::Infallible;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(s.trim()
            .parse()
            .map_or_else(|_| Self::Name(s.to_string()), Self::Index))
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}
