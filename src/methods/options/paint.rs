//! Options of `style` and `texture`.

use super::parse::{LongSide, Size};
use super::{Given, parse};
use crate::methods::{MethodError, StyleLoss};
use crate::net::{Padding, Pooling};
use crate::spec::{Init, LayerWeight, Picture, PreserveColor, Recipe, StyleKind, TermKind};

/// Options of `style` and `texture`. What is absent is as the recipe has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PaintOptions {
    /// Weight of the style terms.
    pub style_weight: Option<f64>,
    /// Weight of total variation.
    pub tv_weight: Option<f64>,
    /// How several styles are blended, one weight for each; none: evenly.
    pub style_weights: Vec<f64>,
    /// Size of the style pictures relative to the result, one for all or one for each.
    pub style_scale: Vec<f64>,
    /// Where in the result each style applies.
    pub style_mask: Vec<Picture>,
    /// Which part of each style picture is used.
    pub style_source_mask: Vec<Picture>,
    /// What the network sees beyond the image's edges.
    pub padding: Option<Padding>,
    /// The same as a padding of [`Padding::Wrap`], where there is none.
    pub tileable: bool,
    /// How the network pools.
    pub pooling: Option<Pooling>,
    /// Layers of the style terms; none: the network's usual ones.
    pub style_layers: Vec<LayerWeight>,
    /// How styles are compared; none: by `gram`.
    pub style_loss: Vec<StyleLoss>,
}

impl PaintOptions {
    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        let options = Self {
            style_weight: given.value("style_weight", parse::weight)?,
            tv_weight: given.value("tv_weight", parse::weight)?,
            style_weights: given.list("style_weights", parse::weight)?,
            style_scale: given.list("style_scale", parse::positive)?,
            style_mask: given.pictures("style_mask")?,
            style_source_mask: given.pictures("style_source_mask")?,
            padding: given.value("padding", parse::padding)?,
            tileable: given.flag("tileable")?,
            pooling: given.value("pooling", parse::pooling)?,
            style_layers: given.list("style_layers", parse::layer)?,
            style_loss: given.list("style_loss", parse::style_loss)?,
        };
        if options.tileable && options.padding.is_some() {
            return Err(option("tileable", "it cannot be used with padding"));
        }
        Ok(options)
    }

    /// Puts what was asked for into a recipe for that many styles.
    ///
    /// # Errors
    /// [`MethodError::Option`] where the options do not go together, or do not fit the number of styles.
    pub fn apply(&self, recipe: &mut Recipe, styles: usize) -> Result<(), MethodError> {
        let weights = &self.style_weights;
        for (name, given, noun, one_for_all) in [
            ("style_weights", weights.len(), "weight", false),
            ("style_scale", self.style_scale.len(), "number", true),
            ("style_mask", self.style_mask.len(), "picture", false),
            (
                "style_source_mask",
                self.style_source_mask.len(),
                "picture",
                false,
            ),
        ] {
            if given == 0 || given == styles || (one_for_all && given == 1) {
                continue;
            }
            let problem = format!(
                "{} for {}: give one for each",
                plural(given, noun),
                plural(styles, "style"),
            );
            return Err(option(name, problem));
        }
        if !weights.is_empty() && weights.iter().all(|w| *w == 0.0) {
            return Err(option("style_weights", ALL_ZERO));
        }
        if let Some(term) = recipe.term_mut(TermKind::is_style)
            && let Some(style) = term.kind.style_mut()
        {
            style.target_weights.clone_from(weights);
            style.target_scale.clone_from(&self.style_scale);
            style.target_mask.clone_from(&self.style_source_mask);
            style.layers.clone_from(&self.style_layers);
            term.weight = self.style_weight.unwrap_or(term.weight);
        }
        let gram = StyleLoss {
            kind: StyleKind::Gram,
            weight: 1.0,
        };
        let losses = match &self.style_loss[..] {
            [] => std::slice::from_ref(&gram),
            losses => losses,
        };
        if losses.iter().all(|loss| loss.weight == 0.0) {
            return Err(option("style_loss", ALL_ZERO));
        }
        *recipe = std::mem::take(recipe).style_losses(losses);
        if let Some(tv) = recipe.term_mut(|kind| matches!(kind, TermKind::Tv(_))) {
            tv.weight = self.tv_weight.unwrap_or(tv.weight);
        }
        recipe.apply_masks(self.style_mask.clone());
        recipe.padding = match self.padding {
            Some(padding) => padding,
            None if self.tileable => Padding::Wrap,
            None => recipe.padding,
        };
        recipe.pooling = self.pooling.unwrap_or(recipe.pooling);
        Ok(())
    }
}

const ALL_ZERO: &str = "the weights are all 0: at least one must be greater";

fn option(name: &str, problem: impl Into<String>) -> MethodError {
    MethodError::Option {
        option: name.to_string(),
        problem: problem.into(),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Options of `style`.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleOptions {
    /// Long side of the result; absent: [`StyleOptions::SIZE`], or the content's if that is smaller.
    pub size: Option<LongSide>,
    /// Weight of the content term.
    pub content_weight: f64,
    /// Layers of the content term; none: the network's usual ones.
    pub content_layers: Vec<LayerWeight>,
    /// Whether the content's colours are kept.
    pub preserve_color: PreserveColor,
    /// What it has in common with `texture`.
    pub paint: PaintOptions,
}

impl Default for StyleOptions {
    fn default() -> Self {
        Self {
            size: None,
            content_weight: 1.0,
            content_layers: Vec::new(),
            preserve_color: PreserveColor::default(),
            paint: PaintOptions::default(),
        }
    }
}

impl StyleOptions {
    /// Long side of the result in pixels when nobody says, if the content has as many.
    pub const SIZE: u32 = 512;

    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        let usual = Self::default();
        Ok(Self {
            size: given.value("size", parse::long_side)?,
            content_weight: given
                .value("content_weight", parse::weight)?
                .unwrap_or(usual.content_weight),
            content_layers: given.list("content_layers", parse::layer)?,
            preserve_color: given
                .value("preserve_color", parse::preserve_color)?
                .unwrap_or_default(),
            paint: PaintOptions::take(given)?,
        })
    }

    /// The recipe for a content picture of a size in pixels.
    ///
    /// # Errors
    /// As [`PaintOptions::apply`].
    pub fn recipe(
        &self,
        content: Picture,
        size: (u32, u32),
        styles: Vec<Picture>,
    ) -> Result<Recipe, MethodError> {
        let count = styles.len();
        if count == 0 {
            return Err(option("styles", "at least one picture is needed"));
        }
        let mut recipe = Recipe::style(content, styles);
        self.paint.apply(&mut recipe, count)?;
        recipe.image.preserve_color = self.preserve_color;
        if let Some(term) = recipe.term_mut(TermKind::is_spatial) {
            term.weight = self.content_weight;
            if let Some(layers) = term.kind.layers_mut() {
                layers.clone_from(&self.content_layers);
            }
        }
        recipe.image.size = LongSide::of(self.size, size, Self::SIZE);
        Ok(recipe)
    }
}

/// Options of `texture`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextureOptions {
    /// Size of the result.
    pub size: Size,
    /// What it has in common with `style`.
    pub paint: PaintOptions,
}

impl Default for TextureOptions {
    fn default() -> Self {
        Self {
            size: Size::Long(256),
            paint: PaintOptions::default(),
        }
    }
}

impl TextureOptions {
    /// Takes these options out of a table.
    ///
    /// # Errors
    /// [`MethodError::Option`] names the one that is wrong.
    pub fn take(given: &mut Given<'_>) -> Result<Self, MethodError> {
        Ok(Self {
            size: given
                .value("size", parse::size)?
                .unwrap_or(Self::default().size),
            paint: PaintOptions::take(given)?,
        })
    }

    /// The recipe for sample pictures, with the start image that was asked for.
    ///
    /// # Errors
    /// As [`PaintOptions::apply`]; [`MethodError::Option`] where it should start from a content picture.
    pub fn recipe(
        &self,
        samples: Vec<Picture>,
        init: Option<&Init>,
    ) -> Result<Recipe, MethodError> {
        let count = samples.len();
        if count == 0 {
            return Err(option("styles", "at least one picture is needed"));
        }
        if matches!(init, Some(Init::Content)) {
            let problem =
                "a texture has no content to start from: it takes noise, gray, stats or a path";
            return Err(option("init", problem));
        }
        let (width, height) = match self.size {
            Size::Long(side) => (side, side),
            Size::Exact(width, height) => (width, height),
        };
        let mut recipe = Recipe::texture(samples, width, height);
        self.paint.apply(&mut recipe, count)?;
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::MmdKernel;

    fn applied(options: &PaintOptions, styles: usize) -> Result<Recipe, String> {
        let mut recipe = Recipe::style("a", ["b"]);
        let applied = options.apply(&mut recipe, styles);
        applied.map(|()| recipe).map_err(|e| e.to_string())
    }

    #[test]
    fn weights_must_be_as_many_as_styles_and_not_all_zero() {
        let with = |weights: &[f64]| PaintOptions {
            style_weights: weights.to_vec(),
            ..PaintOptions::default()
        };
        assert!(applied(&with(&[1.0, 0.0]), 2).is_ok());
        let message = applied(&with(&[1.0, 2.0, 3.0]), 2).expect_err("three for two");
        assert_eq!(
            message,
            "style_weights: 3 weights for 2 styles: give one for each"
        );
        assert!(applied(&with(&[0.0, 0.0]), 2).is_err());
    }

    #[test]
    fn options_reach_the_terms() {
        let options = PaintOptions {
            style_weight: Some(5.0),
            tv_weight: Some(0.0),
            style_scale: vec![2.0],
            style_layers: vec![LayerWeight::new("relu1_1", 0.5), "relu2_1".into()],
            ..PaintOptions::default()
        };
        let mut recipe = applied(&options, 1).expect("valid");
        let tv = recipe.term_mut(|kind| matches!(kind, TermKind::Tv(_)));
        assert_eq!(tv.map(|t| t.weight), Some(0.0));
        let term = recipe.term_mut(TermKind::is_style).expect("a style term");
        let (style, _) = term.kind.style().expect("a style");
        assert_eq!((term.weight, &style.target_scale[..]), (5.0, &[2.0][..]));
        assert_eq!(style.layers, options.style_layers);
    }

    #[test]
    fn every_loss_is_a_term_of_its_own_with_its_share_of_the_weight() {
        let losses = |texts: &[&str]| PaintOptions {
            style_weight: Some(4.0),
            style_loss: texts.iter().map(|t| t.parse().expect("a loss")).collect(),
            ..PaintOptions::default()
        };
        let recipe = applied(&losses(&["gram:1", "mmd-gaussian:0.5", "bn"]), 1).expect("valid");
        let terms: Vec<_> = recipe
            .terms
            .iter()
            .map(|t| (t.kind.name(), t.weight))
            .collect();
        let expected = [
            ("content", 1.0),
            ("gram", 4.0),
            ("mmd", 2.0),
            ("bn", 4.0),
            ("tv", 4.0),
        ];
        assert_eq!(terms, expected);
        let (style, kind) = recipe.terms[2].kind.style().expect("a style");
        assert_eq!(kind, StyleKind::Mmd(MmdKernel::Gaussian { sigma: None }));
        assert!(style.relative && style.target.len() == 1);
        assert!(applied(&losses(&["gram:0", "bn:0"]), 1).is_err());
    }
}
