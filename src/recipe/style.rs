//! Style transfer: one content picture, one or several styles (Gatys, Ecker and Bethge 2016), coarse to fine.

use super::{Init, LayerWeight, Picture, Recipe, TermKind, TermSpec};
use crate::net::Architecture;

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
#[must_use]
pub fn default_style_layers(architecture: Architecture) -> Vec<LayerWeight> {
    let layers: &[(&str, f64)] = match architecture {
        Architecture::SqueezeNet1_0 | Architecture::SqueezeNet1_1 => &[
            ("relu_conv1", 0.2),
            ("fire2/concat", 0.2),
            ("fire3/concat", 0.2),
            ("fire4/concat", 0.2),
            ("fire5/concat", 0.2),
            ("fire7/concat", 0.2),
        ],
        Architecture::Vgg16 | Architecture::Vgg19 => &[
            ("relu1_1", 4.0),
            ("relu2_1", 1.0),
            ("relu3_1", 1.0),
            ("relu4_1", 2.0),
        ],
        Architecture::AlexNet => &[
            ("relu1", 1.0),
            ("relu2", 1.0),
            ("relu3", 1.0),
            ("relu4", 1.0),
        ],
        Architecture::GoogLeNetBvlc => &[
            ("conv1/7x7_s2", 1.0),
            ("conv2/3x3", 1.0),
            ("inception_3a/output", 1.0),
            ("inception_3b/output", 1.0),
            ("inception_4a/output", 1.0),
        ],
    };
    named(layers)
}

/// The layers that keep the content recognisable.
#[must_use]
pub fn default_content_layers(architecture: Architecture) -> Vec<LayerWeight> {
    named(match architecture {
        Architecture::SqueezeNet1_0 | Architecture::SqueezeNet1_1 => &[("fire3/concat", 0.08)],
        Architecture::Vgg16 | Architecture::Vgg19 => &[("relu4_1", 0.25)],
        Architecture::AlexNet => &[("relu4", 0.3)],
        Architecture::GoogLeNetBvlc => &[("inception_3b/output", 0.3)],
    })
}

fn named(layers: &[(&str, f64)]) -> Vec<LayerWeight> {
    layers
        .iter()
        .map(|(layer, weight)| LayerWeight {
            layer: (*layer).to_string(),
            weight: *weight,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Network;

    #[test]
    fn the_default_layers_exist() {
        for name in crate::net::embedded() {
            let network = Network::open(name).expect("an embedded network opens");
            let layers = default_style_layers(network.architecture);
            for layer in layers
                .iter()
                .chain(&default_content_layers(network.architecture))
            {
                assert!(
                    network.find(&layer.layer).is_ok(),
                    "{name} has no {}",
                    layer.layer
                );
            }
        }
    }
}
