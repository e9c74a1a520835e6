//! From a recipe's terms to terms placed at layers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::layers::Layers;
use super::style_targets::StyleTarget;
use super::targets::{LayerTarget, TargetValues, Targets};
use crate::Error;
use crate::device::{Buffer, Device, Dial, Given, Later, Scalar};
use crate::kernels::View;
use crate::net::NodeId;
use crate::objective::{
    Activation, AlphaNorm, ChannelStatistics, Content, CrossEntropy, Direction, Energy, Gram,
    Guide, Labels, Margin, Masked, Mmd, MmdTarget, Selection, SlicedWasserstein, Term, Tv, TvBeta,
    Wasserstein,
};
use crate::plan::{Network, Placed};
use crate::spec::terms::{self, Class, Classes, Site, TermProblem};
use crate::spec::{Position, Recipe, StyleKind, TermKind, TermSpec};

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
    /// The weight of each term of the recipe.
    pub weights: &'a [Dial],
}

/// The weight of a term at a layer.
struct Weight {
    /// As it is when the program is made, for terms whose weight stays.
    now: f64,
    /// As it is whenever the program takes it up.
    dial: Scalar,
}

impl Placing<'_> {
    /// Makes the objective of one scale.
    pub fn place(&self) -> Result<Vec<Placed>, Error> {
        let mut placed = Vec::new();
        for (group, (spec, layers)) in self.recipe.terms.iter().zip(self.layers).enumerate() {
            for (index, (node, layer_weight)) in layers.0.iter().enumerate() {
                let weight = Weight {
                    now: spec.weight * layer_weight,
                    dial: Scalar::from(*layer_weight).times_dial(&self.weights[group]),
                };
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
        Weight { now: weight, dial }: Weight,
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
        let plain: Box<dyn Term> = match &spec.kind {
            TermKind::Tv(tv) => match tv.beta {
                None => Box::new(Tv::new(dial).wrapped(self.recipe.is_tile())),
                Some(beta) => Box::new(TvBeta::new(beta, dial)?.wrapped(self.recipe.is_tile())),
            },
            TermKind::AlphaNorm(norm) => {
                let mean = self.network.graph().preprocessing.mean.map(|v| v as f32);
                Box::new(AlphaNorm::new(mean, norm.alpha, weight)?)
            }
            TermKind::L2(_) => Box::new(Content::l2(self.origin, image, dial)),
            TermKind::Energy(_) => Box::new(Energy::new(self.device(), shape(node)?, weight)?),
            TermKind::Activation(activation) => {
                let selections = self.selections(spec, activation, name, shape(node)?)?;
                Box::new(Activation::new(selections, activation.square, weight))
            }
            TermKind::Direction(given) => {
                let layer = shape(node)?;
                let vectors: Vec<f32> = given
                    .direction
                    .iter()
                    .flat_map(|seed| direction(*seed, layer.c))
                    .collect();
                let power = given.cosine_power as f32;
                Box::new(Direction::new(
                    self.device(),
                    layer,
                    &vectors,
                    power,
                    weight,
                )?)
            }
            TermKind::Guide(_) => {
                let (values, view, _) = activations(target);
                Box::new(Guide::new(values, view, weight))
            }
            TermKind::Inversion(_) => {
                let (values, view, inverse_square) = activations(target);
                Box::new(Content::inversion(values, view, inverse_square, dial)?)
            }
            TermKind::Content(_) => {
                let (values, view, _) = activations(target);
                Box::new(Content::new(values, view, target.weight(dial)))
            }
            TermKind::Style(terms::StyleTerm { kind, .. }) => {
                let TargetValues::Style(style) = &target.values else {
                    unreachable!("a style was planned without a target");
                };
                let (device, layer) = (self.device(), shape(node)?);
                let (seed, mask) = (self.recipe.seed, target.mask.clone());
                let weight = target.weight(dial);
                let term = style_term(device, (*kind, style), layer, seed, weight, mask)?;
                return Ok((term, None));
            }
            TermKind::Own(own) => own.make(&Site {
                device: self.device(),
                layer: name,
                shape: if node == self.network.graph().input() {
                    image
                } else {
                    shape(node)?
                },
                weight,
            })?,
            TermKind::Logit(logit) => {
                let scores = shape(node)?;
                let classes = self.classes(&logit.class)?;
                let channels = classes.iter().map(|c| Selection::channel(scores, *c));
                let channels: Vec<_> = channels.collect();
                let selections = Selection::upload(self.device(), scores, &channels)?;
                return Ok((Box::new(Activation::new(selections, false, weight)), None));
            }
            TermKind::CrossEntropy(Classes { class }) => {
                let labels = self.labels(class, shape(node)?)?;
                let term = CrossEntropy::new(labels.clone(), weight);
                return Ok((Box::new(term), Some(labels)));
            }
            TermKind::Margin(margin) => {
                let labels = self.labels(&margin.class, shape(node)?)?;
                let term = Margin::new(
                    labels.clone(),
                    !margin.untargeted,
                    margin.confidence as f32,
                    weight,
                );
                return Ok((Box::new(term), Some(labels)));
            }
        };
        Ok((masked(plain, target.mask.clone()), None))
    }

    /// The index of each image's class.
    fn classes(&self, classes: &[Class]) -> Result<Vec<u32>, Error> {
        let graph = self.network.graph();
        let classes = classes
            .iter()
            .map(|class| Ok(graph.class_index(&class.to_string())? as u32))
            .collect::<Result<Vec<_>, Error>>()?;
        let of_each = |i: u32| classes[if classes.len() > 1 { i as usize } else { 0 }];
        Ok((0..self.image.n).map(of_each).collect())
    }

    /// Each image's class on the device.
    fn labels(&self, classes: &[Class], scores: View) -> Result<Labels, Error> {
        let classes = self.classes(classes)?;
        let ones = vec![1.0; classes.len()];
        Labels::new(self.device(), scores, &classes, &ones)
    }

    /// What of a layer each image is to answer with.
    fn selections(
        &self,
        spec: &TermSpec,
        activation: &terms::Activation,
        name: &str,
        layer: View,
    ) -> Result<Buffer, Error> {
        let of_channel = |channel: Option<u32>| {
            let whole = match channel {
                Some(channel) => Selection::channel(layer, channel),
                None => Selection::whole(layer),
            };
            let (row, column) = match activation.unit {
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
        let selections: Vec<Selection> = match &activation.channel[..] {
            [] => vec![of_channel(None)],
            channels => channels.iter().map(|c| of_channel(Some(*c))).collect(),
        };
        for selection in &selections {
            selection.validate(layer).map_err(|problem| {
                spec.wrong(TermProblem::Selection {
                    layer: name.to_string(),
                    problem,
                })
            })?;
        }
        Selection::upload(self.device(), layer, &selections)
    }
}

impl LayerTarget {
    /// The weight of the term, divided by its value at all-zero activations where it is relative.
    fn weight(&self, weight: Scalar) -> Scalar {
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
    (kind, target): (StyleKind, &StyleTarget),
    layer: View,
    seed: u64,
    weight: Scalar,
    mask: Option<Given>,
) -> Result<Box<dyn Term>, Error> {
    Ok(match (kind, target) {
        (_, StyleTarget::Gram(gram)) => masked(Box::new(Gram::new(gram, layer.c, weight)), mask),
        (_, StyleTarget::Moments(goal)) => {
            let term = if kind == StyleKind::Bn {
                ChannelStatistics::bn(goal, weight)
            } else {
                ChannelStatistics::linear(goal, weight)
            };
            Box::new(term.through(mask))
        }
        (_, StyleTarget::Normal { means, factor }) => {
            let term = Wasserstein::new(means, factor, layer.c, weight);
            Box::new(term.through(mask))
        }
        (
            StyleKind::Mmd(_),
            StyleTarget::Vectors {
                set,
                vectors,
                kernel: Some(kernel),
            },
        ) => {
            let target = MmdTarget {
                kernel: kernel.kernel.clone(),
                set: set.clone(),
                vectors: vectors.clone(),
                similarity: kernel.similarity.clone().into(),
            };
            let weight = weight.times(Mmd::scale(&target.kernel, layer.c));
            Box::new(Mmd::new(device, layer, target, seed, weight)?)
        }
        (StyleKind::SlicedWasserstein, StyleTarget::Vectors { set, vectors, .. }) => {
            Box::new(SlicedWasserstein::new(device, set, vectors, seed, weight)?)
        }
        (_, StyleTarget::Vectors { .. }) => {
            unreachable!("a style was planned with another kind of target")
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
