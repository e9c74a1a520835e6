//! From a recipe's terms to terms placed at layers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::layers::Layers;
use super::targets::{LayerTarget, StyleTarget, TargetValues, Targets};
use crate::Error;
use crate::device::{Buffer, Device, Given, Later, Scalar};
use crate::kernels::View;
use crate::net::NodeId;
use crate::objective::{
    Activation, AlphaNorm, ChannelStatistics, Content, CrossEntropy, Direction, Energy, Gram,
    Guide, Labels, Margin, Masked, Mmd, Selection, Term, Tv, TvBeta, Wasserstein,
};
use crate::plan::{Network, Placed};
use crate::spec::{Position, Recipe, TermKind, TermSpec};

/// What all terms of a scale are placed with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placing<'a> {
    pub recipe: &'a Recipe,
    pub layers: &'a [Layers],
    pub network: &'a Network,
    pub targets: &'a Targets,
    /// The image: n, h, w, 3.
    pub image: View,
    /// What the network sees of it.
    pub seen: View,
    /// The start pictures, in the engine's layout.
    pub origin: &'a Given,
}

impl Placing<'_> {
    /// Makes the objective of one scale.
    pub fn place(&self) -> Result<Vec<Placed>, Error> {
        let mut placed = Vec::new();
        for (group, (spec, layers)) in self.recipe.terms.iter().zip(self.layers).enumerate() {
            for (index, (node, layer_weight)) in layers.0.iter().enumerate() {
                let weight = spec.weight * layer_weight;
                let target = self.targets.of(group, index);
                let (term, labels) = self.term(spec, *node, target, weight)?;
                placed.push(Placed {
                    node: *node,
                    term,
                    group,
                    labels,
                });
            }
        }
        Ok(placed)
    }

    fn device(&self) -> &Device {
        self.network.device()
    }

    fn name(&self, node: NodeId) -> &str {
        &self.network.graph().node(node).name
    }

    /// The term, and its labels where it is one of classes.
    fn term(
        &self,
        spec: &TermSpec,
        node: NodeId,
        target: &LayerTarget,
        weight: f64,
    ) -> Result<(Box<dyn Term>, Option<Labels>), Error> {
        let name = self.name(node);
        let image = self.image;
        let shape = |node: NodeId| -> Result<View, Error> {
            let seen = self.seen;
            let shape = self.network.graph().shape(node, seen.h, seen.w)?;
            Ok(View::new(
                image.n,
                shape.height,
                shape.width,
                shape.channels,
            ))
        };
        let plain: Box<dyn Term> = match spec.kind {
            TermKind::Tv => match spec.beta {
                None => Box::new(Tv::new(weight).wrapped(self.recipe.is_tile())),
                Some(beta) => Box::new(TvBeta::new(beta, weight)?.wrapped(self.recipe.is_tile())),
            },
            TermKind::AlphaNorm => {
                let mean = self.network.graph().preprocessing.mean.map(|v| v as f32);
                Box::new(AlphaNorm::new(mean, spec.alpha.unwrap_or(6.0), weight)?)
            }
            TermKind::L2 => Box::new(Content::l2(self.origin, image, weight)),
            TermKind::Energy => Box::new(Energy::new(self.device(), shape(node)?, weight)?),
            TermKind::Activation => {
                let selections = self.selections(spec, name, shape(node)?)?;
                Box::new(Activation::new(selections, spec.square, weight))
            }
            TermKind::Direction => {
                let layer = shape(node)?;
                let vectors: Vec<f32> = spec
                    .direction
                    .iter()
                    .flat_map(|seed| direction(*seed, layer.c))
                    .collect();
                let power = spec.cosine_power.unwrap_or(0.0) as f32;
                Box::new(Direction::new(
                    self.device(),
                    layer,
                    &vectors,
                    power,
                    weight,
                )?)
            }
            TermKind::Guide => {
                let (values, view, _) = activations(target);
                Box::new(Guide::new(values, view, weight))
            }
            TermKind::Inversion => {
                let (values, view, inverse_square) = activations(target);
                Box::new(Content::inversion(values, view, inverse_square, weight)?)
            }
            TermKind::Content => {
                let (values, view, _) = activations(target);
                Box::new(Content::new(values, view, target.weight(weight)))
            }
            TermKind::Gram | TermKind::Mmd | TermKind::Bn | TermKind::Wasserstein => {
                let TargetValues::Style(style) = &target.values else {
                    unreachable!("a style was planned without a target");
                };
                let (device, layer) = (self.device(), shape(node)?);
                let (seed, mask) = (self.recipe.seed, target.mask.clone());
                let weight = target.weight(weight);
                let term = style_term(device, spec, style, layer, seed, weight, mask)?;
                return Ok((term, None));
            }
            TermKind::Logit | TermKind::CrossEntropy | TermKind::Margin => {
                return self.of_classes(spec, shape(node)?, weight);
            }
        };
        Ok((masked(plain, target.mask.clone()), None))
    }

    /// A term of the classes' scores.
    fn of_classes(
        &self,
        spec: &TermSpec,
        scores: View,
        weight: f64,
    ) -> Result<(Box<dyn Term>, Option<Labels>), Error> {
        let graph = self.network.graph();
        let classes = spec
            .class
            .iter()
            .map(|class| Ok(graph.class_index(&class.to_string())? as u32))
            .collect::<Result<Vec<_>, Error>>()?;
        let of_each = |i: u32| classes[if classes.len() > 1 { i as usize } else { 0 }];
        let classes: Vec<u32> = (0..self.image.n).map(of_each).collect();
        if spec.kind == TermKind::Logit {
            let channels = classes.iter().map(|c| Selection::channel(scores, *c));
            let channels: Vec<_> = channels.collect();
            let selections = Selection::upload(self.device(), scores, &channels)?;
            return Ok((Box::new(Activation::new(selections, false, weight)), None));
        }
        let ones = vec![1.0; classes.len()];
        let labels = Labels::new(self.device(), scores, &classes, &ones)?;
        let term: Box<dyn Term> = if spec.kind == TermKind::CrossEntropy {
            Box::new(CrossEntropy::new(labels.clone(), weight))
        } else {
            let confidence = spec.confidence.unwrap_or(0.0) as f32;
            Box::new(Margin::new(
                labels.clone(),
                !spec.untargeted,
                confidence,
                weight,
            ))
        };
        Ok((term, Some(labels)))
    }

    /// What of a layer each image is to answer with.
    fn selections(&self, spec: &TermSpec, name: &str, layer: View) -> Result<Buffer, Error> {
        let of_channel = |channel: Option<u32>| {
            let whole = match channel {
                Some(channel) => Selection::channel(layer, channel),
                None => Selection::whole(layer),
            };
            let (row, column) = match spec.unit {
                None => return whole,
                Some(Position::Center) => Selection::center(layer),
                Some(Position::At(row, column)) => (row, column),
            };
            Selection {
                rows: row..row.saturating_add(1),
                columns: column..column.saturating_add(1),
                ..whole
            }
        };
        let selections: Vec<Selection> = match &spec.channel[..] {
            [] => vec![of_channel(None)],
            channels => channels.iter().map(|c| of_channel(Some(*c))).collect(),
        };
        for selection in &selections {
            selection
                .validate(layer)
                .map_err(|reason| spec.wrong(&format!("layer `{name}`: {reason}")))?;
        }
        Selection::upload(self.device(), layer, &selections)
    }
}

impl LayerTarget {
    /// The weight of the term, divided by its value at all-zero activations where it is relative.
    fn weight(&self, weight: f64) -> Scalar {
        let weight = Scalar::from(weight);
        match &self.relative {
            Some(relative) => weight.times_later(relative),
            None => weight,
        }
    }
}

/// A target's activations, their shape, and 1/Σ of their squares.
fn activations(target: &LayerTarget) -> (&Given, View, &Later) {
    match &target.values {
        TargetValues::Activations {
            view,
            values,
            inverse_square,
        } => (values, *view, inverse_square),
        _ => unreachable!("a term was planned without its target's activations"),
    }
}

/// The term where its mask shows the layer.
fn masked(term: Box<dyn Term>, mask: Option<Given>) -> Box<dyn Term> {
    match mask {
        Some(mask) => Box::new(Masked::new(term, mask)),
        None => term,
    }
}

/// A term of the feature vectors of a layer, wherever they stand.
pub(crate) fn style_term(
    device: &Device,
    spec: &TermSpec,
    target: &StyleTarget,
    layer: View,
    seed: u64,
    weight: Scalar,
    mask: Option<Given>,
) -> Result<Box<dyn Term>, Error> {
    Ok(match target {
        StyleTarget::Gram(gram) => masked(Box::new(Gram::new(gram, layer.c, weight)), mask),
        StyleTarget::Moments(goal) => {
            let term = if spec.kind == TermKind::Bn {
                ChannelStatistics::bn(goal, weight)
            } else {
                ChannelStatistics::linear(goal, weight)
            };
            Box::new(term.through(mask))
        }
        StyleTarget::Normal {
            means,
            covariance,
            root,
        } => {
            let term = Wasserstein::new(means, covariance, root, layer.c, weight);
            Box::new(term.through(mask))
        }
        StyleTarget::Vectors { target, .. } => {
            let weight = weight.times(Mmd::scale(&target.kernel, layer.c));
            Box::new(Mmd::new(device, layer, target.clone(), seed, weight)?)
        }
    })
}

/// A direction drawn from a seed: N(0,1) in every channel, then normalised.
pub(crate) fn direction(seed: u64, channels: u32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal: Vec<f64> = (0..channels)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let norm = normal.iter().map(|v: &f64| v * v).sum::<f64>().sqrt();
    normal.iter().map(|v| (v / norm) as f32).collect()
}
