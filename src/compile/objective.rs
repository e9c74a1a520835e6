//! From a recipe's terms to terms placed at layers, with their targets on the device.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::activations::Activations;
use super::layers::Layers;
use super::statistics::Statistic;
use super::targets::Targets;
use crate::Error;
use crate::device::{Buffer, Device, Kind};
use crate::kernels::View;
use crate::net::NodeId;
use crate::objective::{
    Activation, AlphaNorm, ChannelStatistics, Content, CrossEntropy, Direction, Energy, Gram,
    Guide, Labels, Margin, Masked, Mmd, Selection, Term, Tv, TvBeta, Wasserstein, channel_goal,
};
use crate::plan::{Network, Placed};
use crate::spec::terms::{self, Classes, Wanted};
use crate::spec::{Class, Position, Recipe, StyleKind, TermKind, TermSpec};

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
    pub origin: &'a Buffer,
}

impl Placing<'_> {
    /// Makes the objective of one scale.
    pub fn place(&self) -> Result<Vec<Placed>, Error> {
        let mut placed = Vec::new();
        for (group, (spec, layers)) in self.recipe.terms.iter().zip(self.layers).enumerate() {
            for (index, (node, layer_weight)) in layers.0.iter().enumerate() {
                let weight = spec.weight * layer_weight;
                let at = At {
                    group,
                    index,
                    node: *node,
                };
                let (term, labels) = self.term(spec, at, weight)?;
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
        at: At,
        weight: f64,
    ) -> Result<(Box<dyn Term>, Option<Labels>), Error> {
        let name = self.name(at.node);
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
                None => Box::new(Tv::new(weight).wrapped(self.recipe.is_tile())),
                Some(beta) => Box::new(TvBeta::new(beta, weight)?.wrapped(self.recipe.is_tile())),
            },
            TermKind::AlphaNorm(norm) => {
                let mean = self.network.graph().preprocessing.mean.map(|v| v as f32);
                Box::new(AlphaNorm::new(mean, norm.alpha, weight)?)
            }
            TermKind::L2(_) => Box::new(Content::l2(self.origin.clone(), image, weight)),
            TermKind::Energy(_) => Box::new(Energy::new(self.device(), shape(at.node)?, weight)?),
            TermKind::Activation(activation) => {
                let selections = self.selections(spec, activation, name, shape(at.node)?)?;
                Box::new(Activation::new(selections, activation.square, weight))
            }
            TermKind::Direction(given) => {
                let layer = shape(at.node)?;
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
                let (buffer, view, _) = self.activations(at, "guide")?;
                Box::new(Guide::new(buffer, view, weight))
            }
            TermKind::Inversion(_) => {
                let (buffer, view, squares) = self.activations(at, "inversion")?;
                Box::new(Content::inversion(
                    buffer,
                    view,
                    squares.unwrap_or(1.0),
                    weight,
                )?)
            }
            TermKind::Content(_) => {
                let (buffer, view, squares) = self.activations(at, "content")?;
                let weight = match squares {
                    Some(squares) => {
                        relative(spec, name, weight, squares / view.elements() as f64)?
                    }
                    None => weight,
                };
                Box::new(Content::new(buffer, view, weight))
            }
            TermKind::Gram(_) => {
                let kind = StyleKind::Gram;
                return Ok((self.style(spec, kind, at, shape(at.node)?, weight)?, None));
            }
            TermKind::Mmd(mmd) => {
                let kind = StyleKind::Mmd(mmd.kernel);
                return Ok((self.style(spec, kind, at, shape(at.node)?, weight)?, None));
            }
            TermKind::Bn(_) => {
                let kind = StyleKind::Bn;
                return Ok((self.style(spec, kind, at, shape(at.node)?, weight)?, None));
            }
            TermKind::Wasserstein(_) => {
                let kind = StyleKind::Wasserstein;
                return Ok((self.style(spec, kind, at, shape(at.node)?, weight)?, None));
            }
            TermKind::Logit(logit) => {
                let scores = shape(at.node)?;
                let classes = self.classes(&logit.class)?;
                let channels = classes.iter().map(|c| Selection::channel(scores, *c));
                let channels: Vec<_> = channels.collect();
                let selections = Selection::upload(self.device(), scores, &channels)?;
                return Ok((Box::new(Activation::new(selections, false, weight)), None));
            }
            TermKind::CrossEntropy(Classes { class }) => {
                let labels = self.labels(class, shape(at.node)?)?;
                let term = CrossEntropy::new(labels.clone(), weight);
                return Ok((Box::new(term), Some(labels)));
            }
            TermKind::Margin(margin) => {
                let labels = self.labels(&margin.class, shape(at.node)?)?;
                let term = Margin::new(
                    labels.clone(),
                    !margin.untargeted,
                    margin.confidence as f32,
                    weight,
                );
                return Ok((Box::new(term), Some(labels)));
            }
        };
        Ok((self.masked(plain, at)?, None))
    }

    /// The term where its mask shows the layer.
    fn masked(&self, term: Box<dyn Term>, at: At) -> Result<Box<dyn Term>, Error> {
        Ok(match self.guide(at)? {
            Some(guide) => Box::new(Masked::new(term, guide)),
            None => term,
        })
    }

    /// How much each position of the layer counts, where the term has a mask.
    fn guide(&self, at: At) -> Result<Option<Buffer>, Error> {
        let Some((pixels, guide)) = self.targets.guide(at.group, at.index) else {
            return Ok(None);
        };
        Ok(Some(match guide {
            Some(guide) => guide.clone(),
            None => self.device().buffer("guide", Kind::Real, *pixels)?,
        }))
    }

    /// A term of the columns of a layer, wherever they stand.
    fn style(
        &self,
        spec: &TermSpec,
        kind: StyleKind,
        at: At,
        layer: View,
        weight: f64,
    ) -> Result<Box<dyn Term>, Error> {
        let (name, channels) = (self.name(at.node), layer.c);
        let upload = |what: &str, values: &[f32]| {
            let label = format!("{what} of {name}");
            self.device().buffer_from(&label, values)
        };
        let narrow = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<_>>();
        if kind.wanted() == Wanted::Gram {
            let gram = self.targets.gram(at.group, at.index);
            let weight = relative(spec, name, weight, Gram::at_zero(gram, channels))?;
            let term = Gram::new(upload("gram", gram)?, channels, weight);
            return self.masked(Box::new(term), at);
        }
        let guide = self.guide(at)?;
        Ok(match self.targets.statistic(at.group, at.index) {
            Statistic::Moments { means, variances } => {
                let bn = kind == StyleKind::Bn;
                let (make, at_zero): (fn(_, _) -> _, _) = if bn {
                    let at_zero = ChannelStatistics::bn_at_zero(means, variances);
                    (ChannelStatistics::bn, at_zero)
                } else {
                    let at_zero = ChannelStatistics::linear_at_zero(means);
                    (ChannelStatistics::linear, at_zero)
                };
                let goal = upload("statistics", &channel_goal(means, variances))?;
                Box::new(make(goal, relative(spec, name, weight, at_zero)?).through(guide))
            }
            Statistic::Normal {
                means,
                covariance,
                root,
            } => {
                let at_zero = Wasserstein::at_zero(means, covariance, root, channels);
                let goal = channel_goal(means, means);
                let term = Wasserstein::new(
                    upload("means", &goal[..goal.len() / 2])?,
                    upload("covariance", &narrow(covariance))?,
                    upload("root", root)?,
                    channels,
                    relative(spec, name, weight, at_zero)?,
                );
                Box::new(term.through(guide))
            }
            Statistic::Columns {
                columns,
                kernel,
                similarity,
            } => {
                let at_zero = columns.from_zero(*kernel, *similarity);
                Box::new(Mmd::new(
                    self.device(),
                    *kernel,
                    layer,
                    columns,
                    *similarity,
                    self.recipe.seed,
                    relative(spec, name, weight, Mmd::scale(*kernel, channels) * at_zero)?
                        * Mmd::scale(*kernel, channels),
                )?)
            }
        })
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
        Ok(Labels::new(self.device(), scores, &classes, &ones)?)
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
            selection
                .validate(layer)
                .map_err(|reason| spec.wrong(&format!("layer `{name}`: {reason}")))?;
        }
        Selection::upload(self.device(), layer, &selections)
    }

    /// A target's activations on the device, and the sum of their squares; without it in a dry plan.
    fn activations(&self, at: At, what: &str) -> Result<(Buffer, View, Option<f64>), Error> {
        let Activations { view, values } = self.targets.activations(at.group, at.index);
        if let Some((buffer, squares)) = values {
            return Ok((buffer.clone(), *view, Some(*squares)));
        }
        let label = format!("{what} of {}", self.name(at.node));
        let kind = self.network.kind_of(at.node, *view);
        let buffer = self.device().buffer(&label, kind, view.len())?;
        Ok((buffer, *view, None))
    }
}

/// Where a term is placed.
#[derive(Debug, Clone, Copy)]
struct At {
    group: usize,
    index: usize,
    node: NodeId,
}

/// The weight, divided by the value at all-zero activations where the term is relative.
fn relative(spec: &TermSpec, layer: &str, weight: f64, at_zero: f64) -> Result<f64, Error> {
    if !spec.kind.fields().relative() {
        Ok(weight)
    } else if at_zero > 0.0 {
        Ok(weight / at_zero)
    } else {
        Err(spec.wrong(&format!(
            "layer `{layer}` answers nothing to the target, so nothing can be relative to it"
        )))
    }
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
