//! Style transfer: one content picture, one or several styles (Gatys, Ecker and Bethge 2016), coarse to fine.

use std::str::FromStr;

use super::{Init, LayerWeight, MmdKernel, Picture, Recipe, TermKind, TermSpec};
use crate::Error;
use crate::net::{self, Purpose};

/// How styles are compared: a term, and its share of the style's weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StyleLoss {
    /// One of [`TermKind::STYLES`].
    pub kind: TermKind,
    /// Of `mmd`.
    pub kernel: Option<MmdKernel>,
    /// Factor on the style's weight.
    pub weight: f64,
}

impl StyleLoss {
    /// Every loss by the name it goes by.
    pub const NAMES: [(&str, TermKind, Option<MmdKernel>); 6] = [
        ("gram", TermKind::Gram, None),
        ("mmd-linear", TermKind::Mmd, Some(MmdKernel::Linear)),
        ("mmd-poly", TermKind::Mmd, Some(MmdKernel::Poly)),
        ("mmd-gaussian", TermKind::Mmd, Some(MmdKernel::Gaussian)),
        ("bn", TermKind::Bn, None),
        ("wasserstein", TermKind::Wasserstein, None),
    ];
}

impl FromStr for StyleLoss {
    type Err = Error;

    /// `NAME` or `NAME:WEIGHT`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
        let known = Self::NAMES.iter().find(|(n, ..)| *n == name.trim());
        let Some((_, kind, kernel)) = known else {
            return Err(Error::Recipe(format!(
                "`{}` is no style loss; there are {}",
                name.trim(),
                Self::NAMES.map(|(name, ..)| name).join(", ")
            )));
        };
        let number = weight.trim().parse::<f64>().ok();
        let weight = number
            .filter(|w| w.is_finite() && *w >= 0.0)
            .ok_or_else(|| {
                Error::Recipe(format!(
                    "`{weight}` is not a weight: it must be a number, 0 or more, as in {name}:0.5"
                ))
            })?;
        Ok(Self {
            kind: *kind,
            kernel: *kernel,
            weight,
        })
    }
}

impl Recipe {
    /// Paints `content` in the style of `styles`, blended evenly.
    ///
    /// Content and style terms are `relative`, so that their weights mean the same for every network and size.
    #[must_use]
    pub fn style<S: Into<Picture>>(
        content: impl Into<Picture>,
        styles: impl IntoIterator<Item = S>,
    ) -> Self {
        let content = content.into();
        let mut recipe = Self::painting(styles);
        let content_term = TermSpec {
            target: vec![content],
            relative: true,
            ..TermSpec::new(TermKind::Content)
        };
        recipe.terms.insert(0, content_term);
        recipe.image.init = Init::Content;
        recipe
    }

    /// Compares the styles by these losses, each in a term of its own, in place of the first style term.
    #[must_use]
    pub fn style_losses(mut self, losses: &[StyleLoss]) -> Self {
        let Some(at) = self.terms.iter().position(|t| t.kind.is_style()) else {
            return self;
        };
        let style = self.terms.remove(at);
        let terms = losses.iter().map(|loss| TermSpec {
            kind: loss.kind,
            kernel: loss.kernel,
            weight: style.weight * loss.weight,
            ..style.clone()
        });
        self.terms.splice(at..at, terms);
        self
    }

    /// Gives each of the styles a region of its own: the terms with several targets become one for each, with the masks in
    /// the order of the targets. Their weights are shared out as `target_weights` says. No masks: nothing changes.
    pub fn apply_masks(&mut self, masks: Vec<Picture>) {
        if masks.is_empty() {
            return;
        }
        let terms = std::mem::take(&mut self.terms);
        for term in terms {
            if !term.kind.is_style() || term.target.len() != masks.len() {
                self.terms.push(term);
                continue;
            }
            for (i, (mask, share)) in masks.iter().zip(term.blend()).enumerate() {
                self.terms.push(TermSpec {
                    target: vec![term.target[i].clone()],
                    target_weights: Vec::new(),
                    target_scale: term
                        .target_scale
                        .get(i)
                        .or(term.target_scale.first())
                        .copied()
                        .into_iter()
                        .collect(),
                    target_mask: term.target_mask.get(i).cloned().into_iter().collect(),
                    mask: Some(mask.clone()),
                    weight: share * term.weight,
                    ..term.clone()
                });
            }
        }
    }

    /// What `style` and `texture` have in common: the styles' Gram matrices, total variation, the schedule.
    pub(super) fn painting<S: Into<Picture>>(styles: impl IntoIterator<Item = S>) -> Self {
        let target = styles.into_iter().map(Into::into).collect();
        let mut recipe = Self::new();
        recipe.terms = vec![
            TermSpec {
                target,
                relative: true,
                ..TermSpec::new(TermKind::Gram)
            },
            TermSpec {
                weight: 4.0,
                ..TermSpec::new(TermKind::Tv)
            },
        ];
        recipe.image.min_size = Some(128);
        recipe.optimizer.iterations = 60;
        recipe.optimizer.initial_iterations = Some(100);
        // Large steps first and small ones last leave less noise than a constant step, and a rounding error of one
        // device less room to grow into another picture.
        recipe.optimizer.final_step = 0.1;
        recipe.optimizer.average = 0.9;
        recipe
    }
}

/// The layers whose Gram matrices make the style, with the weights that look best with relative terms.
///
/// # Errors
/// As [`net::Network::default_layers`].
pub fn default_style_layers(graph: &net::Network) -> Result<Vec<LayerWeight>, Error> {
    default_layers(graph, Purpose::Style)
}

/// The layers that keep the content recognisable.
///
/// # Errors
/// As [`net::Network::default_layers`].
pub fn default_content_layers(graph: &net::Network) -> Result<Vec<LayerWeight>, Error> {
    default_layers(graph, Purpose::Content)
}

/// The layers that a network has for a purpose.
pub(super) fn default_layers(
    graph: &net::Network,
    purpose: Purpose,
) -> Result<Vec<LayerWeight>, Error> {
    let layers = graph.default_layers(purpose)?.into_iter();
    Ok(layers
        .map(|(layer, weight)| LayerWeight { layer, weight })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;

    #[test]
    fn masks_make_a_term_of_each_style() {
        let mut recipe = Recipe::style("c", ["a", "b"]);
        let style = recipe.term_mut(TermKind::Gram).expect("a style term");
        style.weight = 3.0;
        style.target_weights = vec![1.0, 2.0];
        style.target_scale = vec![1.0, 0.5];
        style.target_mask = vec!["sa".into(), "sb".into()];
        let before = recipe.clone();
        recipe.apply_masks(Vec::new());
        assert_eq!(recipe, before, "no masks, no change");

        recipe.apply_masks(vec!["ma".into(), "mb".into()]);
        let kinds: Vec<_> = recipe.terms.iter().map(|t| t.kind).collect();
        let expected = [
            TermKind::Content,
            TermKind::Gram,
            TermKind::Gram,
            TermKind::Tv,
        ];
        assert_eq!(kinds, expected);
        for (term, (name, weight, scale)) in recipe.terms[1..3]
            .iter()
            .zip([("a", 1.0, 1.0), ("b", 2.0, 0.5)])
        {
            assert_eq!(term.target, [Picture::from(name)]);
            assert_eq!(term.mask, Some(Picture::from(format!("m{name}").as_str())));
            assert_eq!(
                term.target_mask,
                [Picture::from(format!("s{name}").as_str())]
            );
            assert!((term.weight - weight).abs() < 1e-12 && term.relative);
            assert_eq!(term.target_scale, [scale]);
            assert!(term.target_weights.is_empty());
        }
    }

    #[test]
    fn the_default_layers_exist() {
        for name in crate::net::embedded() {
            let network = Network::open(name).expect("an embedded network opens");
            let layers = default_style_layers(&network).expect("style layers");
            let content = default_content_layers(&network).expect("content layers");
            for layer in layers.iter().chain(&content) {
                assert!(
                    network.find(&layer.layer).is_ok(),
                    "{name} has no {}",
                    layer.layer
                );
            }
        }
    }
}
