//! Style transfer: one content picture, one or several styles (Gatys, Ecker and Bethge 2016), coarse to fine.

use std::str::FromStr;

use super::MethodError;
use crate::spec::terms::{Content, Style};
use crate::spec::{Init, Picture, Recipe, StyleKind, TermSpec};

/// How styles are compared: a term, and its share of the style's weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StyleLoss {
    /// Which term.
    pub kind: StyleKind,
    /// Factor on the style's weight.
    pub weight: f64,
}

impl FromStr for StyleLoss {
    type Err = MethodError;

    /// `NAME` or `NAME:WEIGHT`.
    fn from_str(text: &str) -> Result<Self, MethodError> {
        let (name, weight) = text.split_once(':').unwrap_or((text, "1"));
        let losses = StyleKind::LOSSES;
        let Some(known) = losses.iter().find(|loss| loss.name == name.trim()) else {
            return Err(MethodError::UnknownStyleLoss {
                name: name.trim().to_string(),
            });
        };
        let number = weight.trim().parse::<f64>().ok();
        let weight = number
            .filter(|w| w.is_finite() && *w >= 0.0)
            .ok_or_else(|| MethodError::StyleWeight {
                name: name.to_string(),
                weight: weight.to_string(),
            })?;
        Ok(Self {
            kind: known.kind,
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
        let mut recipe = Self::painting(styles);
        let content = Content {
            relative: true,
            ..Content::new(content)
        };
        recipe.terms.insert(0, TermSpec::new(content));
        recipe.image.init = Init::Content;
        recipe
    }

    /// Compares the styles by these losses, each in a term of its own, in place of the first style term.
    #[must_use]
    pub fn style_losses(mut self, losses: &[StyleLoss]) -> Self {
        let style = |term: &TermSpec| term.kind.style().map(|(style, _)| style.clone());
        let mut numbered = self.terms.iter().enumerate();
        let Some((at, style)) = numbered.find_map(|(at, term)| Some((at, style(term)?))) else {
            return self;
        };
        let weight = self.terms[at].weight;
        let terms = losses
            .iter()
            .map(|loss| TermSpec::new(loss.kind.of(style.clone())).weight(weight * loss.weight));
        self.terms.splice(at..=at, terms);
        self
    }

    /// Gives each of the styles a region of its own: the terms with several targets become one for each, with the masks
    /// in the order of the targets. Their weights are shared out as `target_weights` says. No masks: nothing changes.
    pub fn apply_masks(&mut self, masks: Vec<Picture>) {
        if masks.is_empty() {
            return;
        }
        let terms = std::mem::take(&mut self.terms);
        for term in terms {
            let (style, kind) = match term.kind.style() {
                Some((style, kind)) if style.target.len() == masks.len() => (style, kind),
                _ => {
                    self.terms.push(term);
                    continue;
                }
            };
            for (i, (mask, share)) in masks.iter().zip(style.blend()).enumerate() {
                let scales = &style.target_scale;
                let one = Style {
                    target: vec![style.target[i].clone()],
                    target_weights: Vec::new(),
                    target_scale: scales
                        .get(i)
                        .or(scales.first())
                        .copied()
                        .into_iter()
                        .collect(),
                    target_mask: style.target_mask.get(i).cloned().into_iter().collect(),
                    mask: Some(mask.clone()),
                    ..style.clone()
                };
                let term = TermSpec::new(kind.of(one)).weight(share * term.weight);
                self.terms.push(term);
            }
        }
    }

    /// What `style` and `texture` have in common: the styles' Gram matrices, total variation, the schedule.
    pub(crate) fn painting<S: Into<Picture>>(styles: impl IntoIterator<Item = S>) -> Self {
        let mut recipe = Self::new();
        let style = Style {
            relative: true,
            ..Style::new(styles)
        };
        recipe.terms = vec![
            TermSpec::new(StyleKind::Gram.of(style)),
            TermSpec::tv().weight(4.0),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::TermKind;

    #[test]
    fn masks_make_a_term_of_each_style() {
        let mut recipe = Recipe::style("c", ["a", "b"]);
        let term = recipe.term_mut(TermKind::is_style).expect("a style term");
        term.weight = 3.0;
        let style = term.kind.style_mut().expect("a style");
        style.target_weights = vec![1.0, 2.0];
        style.target_scale = vec![1.0, 0.5];
        style.target_mask = vec!["sa".into(), "sb".into()];
        let before = recipe.clone();
        recipe.apply_masks(Vec::new());
        assert_eq!(recipe, before, "no masks, no change");

        recipe.apply_masks(vec!["ma".into(), "mb".into()]);
        let kinds: Vec<_> = recipe.terms.iter().map(|t| t.kind.name()).collect();
        assert_eq!(kinds, ["content", "gram", "gram", "tv"]);
        for (term, (name, weight, scale)) in recipe.terms[1..3]
            .iter()
            .zip([("a", 1.0, 1.0), ("b", 2.0, 0.5)])
        {
            let (style, _) = term.kind.style().expect("a style");
            assert_eq!(style.target, [Picture::from(name)]);
            assert_eq!(style.mask, Some(Picture::from(format!("m{name}").as_str())));
            assert_eq!(
                style.target_mask,
                [Picture::from(format!("s{name}").as_str())]
            );
            assert!((term.weight - weight).abs() < 1e-12 && style.relative);
            assert_eq!(style.target_scale, [scale]);
            assert!(style.target_weights.is_empty());
        }
    }
}
