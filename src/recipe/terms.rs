//! From a recipe's term specifications to a network's layers: what can be checked without pictures.

use super::statistics::Wanted;
use super::{
    LayerWeight, MmdKernel, TermKind, TermSpec, default_content_layers, default_style_layers,
};
use crate::Error;
use crate::net::NodeId;
use crate::plan::Network;

/// A term's layers, resolved against a network.
#[derive(Debug, Clone)]
pub(super) struct Layers(pub Vec<(NodeId, f64)>);

impl TermSpec {
    /// Checks what can be checked without pictures, and resolves the layers.
    pub(super) fn resolve(&self, network: &Network) -> Result<Layers, Error> {
        if !self.weight.is_finite() {
            return Err(self.wrong("the weight must be a finite number"));
        }
        self.check_options()?;
        self.check_targets()?;
        let graph = network.graph();
        if self.kind.is_of_image() {
            if !self.layers.is_empty() {
                return Err(self.wrong("reads the image itself: it takes no layers"));
            }
            return Ok(Layers(vec![(graph.input(), 1.0)]));
        }
        if self.kind.is_of_classes() {
            if !self.layers.is_empty() {
                return Err(self.wrong("reads the scores of the classes: it takes no layers"));
            }
            return Ok(Layers(vec![(graph.logits()?, 1.0)]));
        }
        let layers: Vec<LayerWeight> = match (self.layers.is_empty(), self.kind) {
            (true, TermKind::Content) => default_content_layers(graph)?,
            (true, kind) if kind.is_style() => default_style_layers(graph)?,
            (true, _) => return Err(self.wrong("needs `layers`")),
            (false, _) => self.layers.clone(),
        };
        let found = layers
            .iter()
            .map(|layer| Ok((graph.find(&layer.layer)?, layer.weight)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Layers(found))
    }

    /// Options that belong to other kinds, and values that no option has.
    fn check_options(&self) -> Result<(), Error> {
        use TermKind::{
            Activation, AlphaNorm, Bn, Content, CrossEntropy, Direction, Gram, Logit, Margin, Mmd,
            Tv, Wasserstein,
        };
        let styles = TermKind::STYLES;
        // Each option, whether it is given, and whose it is.
        let options: [(&str, bool, &[TermKind]); 18] = [
            ("target_weights", !self.target_weights.is_empty(), styles),
            ("target_scale", !self.target_scale.is_empty(), styles),
            (
                "mask",
                self.mask.is_some(),
                &[Content, Gram, Mmd, Bn, Wasserstein],
            ),
            ("target_mask", !self.target_mask.is_empty(), styles),
            (
                "relative",
                self.relative,
                &[Content, Gram, Mmd, Bn, Wasserstein],
            ),
            ("kernel", self.kernel.is_some(), &[Mmd]),
            ("constant", self.constant.is_some(), &[Mmd]),
            ("degree", self.degree.is_some(), &[Mmd]),
            ("sigma", self.sigma.is_some(), &[Mmd]),
            ("channel", !self.channel.is_empty(), &[Activation]),
            ("unit", self.unit.is_some(), &[Activation]),
            ("square", self.square, &[Activation]),
            (
                "class",
                !self.class.is_empty(),
                &[Logit, CrossEntropy, Margin],
            ),
            ("untargeted", self.untargeted, &[Margin]),
            ("confidence", self.confidence.is_some(), &[Margin]),
            ("direction", !self.direction.is_empty(), &[Direction]),
            ("cosine_power", self.cosine_power.is_some(), &[Direction]),
            ("alpha", self.alpha.is_some(), &[AlphaNorm]),
        ];
        for (option, given, kinds) in options {
            if given && !kinds.contains(&self.kind) {
                let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                return Err(self.wrong(&format!(
                    "takes no `{option}`; that is for {}",
                    kinds.join(" and ")
                )));
            }
        }
        if self.beta.is_some() && self.kind != Tv {
            return Err(self.wrong("takes no `beta`; that is for tv"));
        }
        self.check_kernel()?;
        let masked = self.mask.is_some() || !self.target_mask.is_empty();
        if masked && self.wanted() == Wanted::Columns {
            return Err(self.wrong(
                "takes no mask with this kernel, which compares columns one by one: that is for the kernel linear, and for \
                 poly with constant 0 and degree 2",
            ));
        }
        if self.kind.is_of_classes() && self.class.is_empty() {
            return Err(self.wrong("needs a `class`"));
        }
        if self.kind == Direction && self.direction.is_empty() {
            return Err(self.wrong("needs a `direction`: the seed of a random one"));
        }
        let positive = [("beta", self.beta), ("alpha", self.alpha)];
        for (name, value) in positive {
            if value.is_some_and(|v| !(v >= 1.0 && v.is_finite())) {
                return Err(self.wrong(&format!("`{name}` must be a number of at least 1")));
            }
        }
        let not_negative = [
            ("cosine_power", self.cosine_power),
            ("confidence", self.confidence),
        ];
        for (name, value) in not_negative {
            if value.is_some_and(|v| !(v >= 0.0 && v.is_finite())) {
                return Err(self.wrong(&format!("`{name}` must be a number, 0 or more")));
            }
        }
        Ok(())
    }

    /// The kernel of `mmd` and its numbers.
    fn check_kernel(&self) -> Result<(), Error> {
        if self.kind != TermKind::Mmd {
            return Ok(());
        }
        let Some(kernel) = self.kernel else {
            return Err(self.wrong("needs a `kernel`: linear, poly or gaussian"));
        };
        let poly = self.constant.is_some() || self.degree.is_some();
        if poly && kernel != MmdKernel::Poly {
            return Err(self.wrong("`constant` and `degree` are for the kernel poly"));
        }
        if self.sigma.is_some() && kernel != MmdKernel::Gaussian {
            return Err(self.wrong("`sigma` is for the kernel gaussian"));
        }
        if self.degree.is_some_and(|d| !(1..=8).contains(&d)) {
            return Err(self.wrong("`degree` must be a whole number from 1 to 8"));
        }
        if self.constant.is_some_and(|c| !(c >= 0.0 && c.is_finite())) {
            return Err(self.wrong("`constant` must be a number, 0 or more"));
        }
        if self.sigma.is_some_and(|s| !(s > 0.0 && s.is_finite())) {
            return Err(self.wrong("`sigma` must be a number greater than 0"));
        }
        Ok(())
    }

    fn check_targets(&self) -> Result<(), Error> {
        use TermKind::{Content, Guide, Inversion};
        let style = self.kind.is_style();
        if !style && !matches!(self.kind, Content | Guide | Inversion) {
            return if self.target.is_empty() {
                Ok(())
            } else {
                Err(self.wrong("takes no `target`"))
            };
        }
        if self.target.is_empty() {
            return Err(self.wrong("needs a `target` picture"));
        }
        if !style && self.target.len() > 1 {
            return Err(self.wrong("takes one target picture"));
        }
        if !self.target_weights.is_empty() && self.target_weights.len() != self.target.len() {
            return Err(self.wrong(&format!(
                "{} weights for {} target pictures; give one for each",
                self.target_weights.len(),
                self.target.len()
            )));
        }
        let sum: f64 = self.target_weights.iter().sum();
        if self
            .target_weights
            .iter()
            .any(|w| !w.is_finite() || *w < 0.0)
            || (!self.target_weights.is_empty() && sum <= 0.0)
        {
            return Err(self.wrong("the targets' weights must be 0 or more, and not all 0"));
        }
        let scales = &self.target_scale;
        if scales.iter().any(|s| !(*s > 0.0 && s.is_finite())) {
            return Err(self.wrong("`target_scale` must be a number greater than 0"));
        }
        let targets = self.target.len();
        for (what, given, one_for_all) in [
            ("target_scale", scales.len(), true),
            ("target_mask", self.target_mask.len(), false),
        ] {
            if given > 0 && given != targets && !(one_for_all && given == 1) {
                return Err(self.wrong(&format!(
                    "`{what}` has {given} for {targets} target pictures; give one for each"
                )));
            }
        }
        Ok(())
    }

    /// The scale of a target, see `target_scale`.
    pub(super) fn scale_of(&self, target: usize) -> f64 {
        let scales = &self.target_scale;
        scales
            .get(target)
            .or(scales.first())
            .copied()
            .unwrap_or(1.0)
    }

    pub(super) fn wrong(&self, reason: &str) -> Error {
        Error::Recipe(format!("term `{}`: {reason}", self.kind.name()))
    }

    /// The targets' weights, summing to 1.
    pub(super) fn blend(&self) -> Vec<f64> {
        if self.target_weights.is_empty() {
            return vec![1.0 / self.target.len() as f64; self.target.len()];
        }
        let sum: f64 = self.target_weights.iter().sum();
        self.target_weights.iter().map(|w| w / sum).collect()
    }
}
