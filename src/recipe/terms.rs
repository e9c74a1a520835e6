//! From a recipe's term specifications to terms placed at layers, with their targets on the device.

use super::targets::Targets;
use super::{
    LayerWeight, Recipe, TermKind, TermSpec, default_content_layers, default_style_layers,
};
use crate::Error;
use crate::device::Kind;
use crate::kernels::{View, pack};
use crate::net::NodeId;
use crate::objective::{Content, Gram, Tv};
use crate::plan::{Network, Placed};

/// A term's layers, resolved against a network.
#[derive(Debug, Clone)]
pub(super) struct Layers(pub Vec<(NodeId, f64)>);

impl TermSpec {
    /// Checks what can be checked without pictures, and resolves the layers.
    pub(super) fn resolve(&self, network: &Network) -> Result<Layers, Error> {
        let name = self.kind.name();
        let fail = |reason: &str| Err(Error::Recipe(format!("term `{name}`: {reason}")));
        if !self.weight.is_finite() {
            return fail("the weight must be a finite number");
        }
        if self.kind == TermKind::Tv {
            if !self.layers.is_empty() || !self.target.is_empty() || self.relative {
                return fail(
                    "reads the image itself: it takes no layers and no target and cannot be relative",
                );
            }
            return Ok(Layers(vec![(NodeId(0), 1.0)]));
        }
        if self.kind == TermKind::Content && self.target_scale != 1.0 {
            return fail("compares at the image's own size: it takes no `target_scale`");
        }
        if self.target.is_empty() {
            return fail("needs a `target` picture");
        }
        if self.kind == TermKind::Content && self.target.len() > 1 {
            return fail("takes one target picture");
        }
        if !self.target_weights.is_empty() && self.target_weights.len() != self.target.len() {
            return Err(Error::Recipe(format!(
                "term `{name}`: {} weights for {} target pictures; give one for each",
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
            return fail("the targets' weights must be 0 or more, and not all 0");
        }
        if !(self.target_scale > 0.0 && self.target_scale.is_finite()) {
            return fail("`target_scale` must be a number greater than 0");
        }
        let graph = network.graph();
        let layers: Vec<LayerWeight> = match (self.layers.is_empty(), self.kind) {
            (true, TermKind::Content) => default_content_layers(graph.architecture),
            (true, _) => default_style_layers(graph.architecture),
            (false, _) => self.layers.clone(),
        };
        let found = layers
            .iter()
            .map(|layer| Ok((graph.find(&layer.layer)?, layer.weight)))
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Layers(found))
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

/// Makes the objective of one scale.
pub(super) fn place(
    recipe: &Recipe,
    layers: &[Layers],
    network: &Network,
    targets: &Targets,
) -> Result<Vec<Placed>, Error> {
    let device = network.device();
    let mut placed = Vec::new();
    for (group, (spec, layers)) in recipe.terms.iter().zip(layers).enumerate() {
        for (index, (node, layer_weight)) in layers.0.iter().enumerate() {
            let weight = spec.weight * layer_weight;
            let name = &network.graph().node(*node).name;
            let relative = |at_zero: f64| {
                if !spec.relative {
                    Ok(weight)
                } else if at_zero > 0.0 {
                    Ok(weight / at_zero)
                } else {
                    Err(Error::Recipe(format!(
                        "term `{}`: layer `{name}` answers nothing to the target, so nothing can be relative to it",
                        spec.kind.name()
                    )))
                }
            };
            let term: Box<dyn crate::objective::Term> = match spec.kind {
                TermKind::Tv => Box::new(Tv::new(weight)),
                TermKind::Content => {
                    let (shape, values) = targets.content(group, index);
                    let view = View::new(1, shape.height, shape.width, shape.channels);
                    let label = format!("content of {name}");
                    let (buffer, weight) = match values {
                        Some(values) => (
                            device.buffer_from(&label, &pack(view, values))?,
                            relative(Content::at_zero(values))?,
                        ),
                        None => (device.buffer(&label, Kind::Real, view.len())?, weight),
                    };
                    Box::new(Content::new(buffer, view, weight))
                }
                TermKind::Gram => {
                    let channels = network.graph().node(*node).channels;
                    let gram = targets.gram(group, index);
                    let weight = relative(Gram::at_zero(gram, channels))?;
                    let buffer = device.buffer_from(&format!("gram of {name}"), gram)?;
                    Box::new(Gram::new(buffer, channels, weight))
                }
            };
            placed.push(Placed {
                node: *node,
                term,
                group,
            });
        }
    }
    Ok(placed)
}
