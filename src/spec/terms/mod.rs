//! The terms of the objective, as a recipe has them: one enum, and for each kind a struct with its own fields and
//! checks.

mod activation;
mod classes;
mod content;
mod direction;
mod error;
mod fields;
mod guide;
mod image;
mod layer;
mod own;
mod read;
mod style;

pub use activation::{Activation, Energy, Position};
pub use classes::{Class, Classes, Margin};
pub use content::{Content, Inversion};
pub use direction::Direction;
pub use error::{TermError, TermProblem};
pub(crate) use fields::{Comparison, Reads, TermFields, UsualLayers};
pub use guide::Guide;
pub use image::{AlphaNorm, L2, Tv};
pub use layer::LayerWeight;
pub use own::{Own, Site};
pub(crate) use style::Wanted;
pub use style::{MmdKernel, Style, StyleKind, StyleName, StyleTerm};

use serde::Serialize;

use crate::spec::Picture;

/// The largest weight of a term at a layer, either way. The optimizers square gradients in single precision: those of
/// weights that are far greater would overflow, and the image would not move.
pub const MAX_WEIGHT: f64 = 1e12;

/// One term of the objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TermSpec {
    /// Which formula, with what it needs.
    #[serde(flatten)]
    pub kind: TermKind,
    /// Weight of the whole term; negative maximises.
    pub weight: f64,
}

/// The formulas that the engine has, each with its fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TermKind {
    /// mean((F − P)²).
    Content(Content),
    /// Total variation of the image.
    Tv(Tv),
    /// Mean activation of a layer, a channel or a unit.
    Activation(Activation),
    /// ½Σa² over a layer.
    Energy(Energy),
    /// Dot products with the best-matching feature vectors of a guide picture.
    Guide(Guide),
    /// Mean dot product with a direction in the space of channels.
    Direction(Direction),
    /// A class's score before the softmax.
    Logit(Classes),
    /// −log softmax at a class.
    CrossEntropy(Classes),
    /// How far a class is from winning, or from losing, in logits (Carlini and Wagner 2017, f₆).
    Margin(Margin),
    /// ‖Φ−Φ₀‖²/‖Φ₀‖².
    Inversion(Inversion),
    /// Σ|x − mean|^α.
    AlphaNorm(AlphaNorm),
    /// mean (x − x₀)² with x₀ the start picture.
    L2(L2),
    /// A term of the host program's own. A recipe with one runs, but cannot be written to a file.
    #[serde(skip)]
    Own(Own),
    /// A comparison with the style of some pictures: one of [`StyleKind`], whose name it has in a recipe.
    #[serde(untagged)]
    Style(StyleTerm),
}

impl TermSpec {
    /// A term of weight 1.
    #[must_use]
    pub fn new(kind: impl Into<TermKind>) -> Self {
        Self {
            kind: kind.into(),
            weight: 1.0,
        }
    }

    /// A `content` term at the network's usual layers.
    #[must_use]
    pub fn content(target: impl Into<Picture>) -> Self {
        Self::new(Content::new(target))
    }

    /// A `gram` term at the network's usual layers.
    #[must_use]
    pub fn gram<P: Into<Picture>>(targets: impl IntoIterator<Item = P>) -> Self {
        Self::new(StyleKind::Gram.of(Style::new(targets)))
    }

    /// A `tv` term: the mean of squared differences.
    #[must_use]
    pub fn tv() -> Self {
        Self::new(Tv::default())
    }

    /// A `cross_entropy` term.
    #[must_use]
    pub fn cross_entropy(classes: impl IntoIterator<Item = Class>) -> Self {
        Self::new(TermKind::CrossEntropy(Classes::new(classes)))
    }

    /// A `logit` term.
    #[must_use]
    pub fn logit(classes: impl IntoIterator<Item = Class>) -> Self {
        Self::new(TermKind::Logit(Classes::new(classes)))
    }

    /// The term with another weight.
    #[must_use]
    pub fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// The term at these layers.
    ///
    /// # Panics
    /// If the term reads the image or the scores of the classes, and so has no layers.
    #[must_use]
    pub fn layers<L: Into<LayerWeight>>(mut self, layers: impl IntoIterator<Item = L>) -> Self {
        let name = self.kind.name().to_string();
        let Some(own) = self.kind.layers_mut() else {
            panic!("a term `{name}` has no layers");
        };
        *own = layers.into_iter().map(Into::into).collect();
        self
    }

    /// Whether the values can be used. Pictures and layers are not looked at.
    ///
    /// # Errors
    /// [`TermError`] with the term and what is wrong.
    pub fn validate(&self) -> Result<(), TermError> {
        let fields = self.kind.fields();
        let of_layers = match fields.reads() {
            Reads::Layers(given, _) => given,
            Reads::Image | Reads::Classes => &[],
        };
        let of_layers = of_layers
            .iter()
            .map(|l| (self.weight * l.weight, Some(l.layer.clone())));
        for (weight, layer) in std::iter::once((self.weight, None)).chain(of_layers) {
            if weight.is_nan() || weight.abs() > MAX_WEIGHT {
                return Err(self.wrong(TermProblem::Weight { weight, layer }));
            }
        }
        fields.validate().map_err(|problem| self.wrong(problem))
    }

    pub(crate) fn wrong(&self, problem: TermProblem) -> TermError {
        TermError {
            kind: self.kind.name().to_string(),
            problem,
        }
    }
}

impl TermKind {
    /// The name in recipes, reports and traces.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Content(_) => "content",
            Self::Style(style) => style.kind.name(),
            Self::Tv(_) => "tv",
            Self::Activation(_) => "activation",
            Self::Energy(_) => "energy",
            Self::Guide(_) => "guide",
            Self::Direction(_) => "direction",
            Self::Logit(_) => "logit",
            Self::CrossEntropy(_) => "cross_entropy",
            Self::Margin(_) => "margin",
            Self::Inversion(_) => "inversion",
            Self::AlphaNorm(_) => "alpha_norm",
            Self::L2(_) => "l2",
            Self::Own(own) => own.name(),
        }
    }

    pub(crate) fn fields(&self) -> &dyn TermFields {
        match self {
            Self::Content(fields) => fields,
            Self::Style(fields) => fields,
            Self::Tv(fields) => fields,
            Self::Activation(fields) => fields,
            Self::Energy(fields) => fields,
            Self::Guide(fields) => fields,
            Self::Direction(fields) => fields,
            Self::Logit(fields) | Self::CrossEntropy(fields) => fields,
            Self::Margin(fields) => fields,
            Self::Inversion(fields) => fields,
            Self::AlphaNorm(fields) => fields,
            Self::L2(fields) => fields,
            Self::Own(fields) => fields,
        }
    }

    pub(crate) fn fields_mut(&mut self) -> &mut dyn TermFields {
        match self {
            Self::Content(fields) => fields,
            Self::Style(fields) => fields,
            Self::Tv(fields) => fields,
            Self::Activation(fields) => fields,
            Self::Energy(fields) => fields,
            Self::Guide(fields) => fields,
            Self::Direction(fields) => fields,
            Self::Logit(fields) | Self::CrossEntropy(fields) => fields,
            Self::Margin(fields) => fields,
            Self::Inversion(fields) => fields,
            Self::AlphaNorm(fields) => fields,
            Self::L2(fields) => fields,
            Self::Own(fields) => fields,
        }
    }

    pub(crate) fn comparison(&self) -> Comparison<'_> {
        match self {
            Self::Content(Content { target, .. }) | Self::Inversion(Inversion { target, .. }) => {
                Comparison::Positions(target)
            }
            Self::Guide(Guide { target, .. }) => Comparison::BestMatches(target),
            Self::Style(StyleTerm { kind, style }) => Comparison::Style(style, *kind),
            Self::Tv(_)
            | Self::Activation(_)
            | Self::Energy(_)
            | Self::Direction(_)
            | Self::Logit(_)
            | Self::CrossEntropy(_)
            | Self::Margin(_)
            | Self::AlphaNorm(_)
            | Self::L2(_)
            | Self::Own(_) => Comparison::Nothing,
        }
    }

    /// The pictures that it compares with.
    #[must_use]
    pub fn targets(&self) -> &[Picture] {
        match self.comparison() {
            Comparison::Nothing => &[],
            Comparison::Positions(target) | Comparison::BestMatches(target) => {
                std::slice::from_ref(target)
            }
            Comparison::Style(style, _) => &style.target,
        }
    }

    /// The layers that the recipe names; `None` where it reads the image or the scores of the classes.
    pub fn layers_mut(&mut self) -> Option<&mut Vec<LayerWeight>> {
        self.fields_mut().layers_mut()
    }

    /// The target that it compares with position by position, where it does.
    pub(crate) fn content_mut(&mut self) -> Option<&mut Picture> {
        match self {
            Self::Content(Content { target, .. }) | Self::Inversion(Inversion { target, .. }) => {
                Some(target)
            }
            _ => None,
        }
    }

    /// What all styles have, where it is one.
    pub fn style_mut(&mut self) -> Option<&mut Style> {
        match self {
            Self::Style(term) => Some(&mut term.style),
            _ => None,
        }
    }

    /// What all styles have, and how this one is compared, where it is one.
    #[must_use]
    pub fn style(&self) -> Option<(&Style, StyleKind)> {
        match self.comparison() {
            Comparison::Style(style, kind) => Some((style, kind)),
            _ => None,
        }
    }

    /// Whether it compares the feature vectors of a layer with those of target pictures, wherever they are.
    #[must_use]
    pub fn is_style(&self) -> bool {
        self.style().is_some()
    }

    /// Whether it compares with a target position by position: its target gives the image its shape.
    #[must_use]
    pub fn is_spatial(&self) -> bool {
        matches!(self.comparison(), Comparison::Positions(_))
    }

    /// Whether its weight can be changed while it runs.
    #[must_use]
    pub fn has_dial(&self) -> bool {
        let regularizer = matches!(self, Self::Tv(_) | Self::L2(_));
        regularizer || self.is_spatial() || self.is_style()
    }

    /// Whether it reads the scores of the classes.
    #[must_use]
    pub fn is_of_classes(&self) -> bool {
        self.fields().reads() == Reads::Classes
    }
}

/// Makes a kind of the fields that only it has.
macro_rules! kind_of {
    ($($name:ident),*) => {$(
        impl From<$name> for TermKind {
            fn from(fields: $name) -> Self {
                Self::$name(fields)
            }
        }
    )*};
}

kind_of!(
    Content, Tv, Activation, Energy, Guide, Direction, Margin, Inversion, AlphaNorm, L2, Own
);

#[cfg(test)]
mod tests;
