//! Which layers a method looks at where it is not told.
//!
//! A weights file can name them in its metadata (`style_layers = "relu1_1:4, relu2_1"`, likewise `content_layers` and
//! `dream_layers`), an architecture that is known here has its own, and for any other network there is a rule.

use std::collections::BTreeMap;

use super::error::{WeightsError, WeightsProblem};
use super::graph::{Graph, NodeId};
use super::{NetError, Network};
use crate::layer::{
    AvgPool, Input, Interpolate, MaxPool, Normalize, PRelu, Pad, Pointwise, Softmax,
};

/// Layers with their weights.
pub type WeightedLayers = Vec<(String, f64)>;

/// What layers are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Their statistics make the style.
    Style,
    /// Their activations keep the content recognisable.
    Content,
    /// What they see is exaggerated.
    Dream,
}

impl Purpose {
    pub(super) const ALL: [Self; 3] = [Self::Style, Self::Content, Self::Dream];

    /// The key of a weights file's metadata.
    fn key(self) -> &'static str {
        match self {
            Self::Style => "style_layers",
            Self::Content => "content_layers",
            Self::Dream => "dream_layers",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Content => "content",
            Self::Dream => "dream",
        }
    }
}

/// The layers of a known architecture, by purpose.
pub(super) struct Defaults {
    pub style: &'static [(&'static str, f64)],
    pub content: &'static [(&'static str, f64)],
    pub dream: &'static [(&'static str, f64)],
}

impl Defaults {
    fn of(&self, purpose: Purpose) -> WeightedLayers {
        let layers = match purpose {
            Purpose::Style => self.style,
            Purpose::Content => self.content,
            Purpose::Dream => self.dream,
        };
        let named = layers
            .iter()
            .map(|(layer, weight)| ((*layer).to_owned(), *weight));
        named.collect()
    }
}

/// The weight of a content layer among style layers of weight 1.
const CONTENT_WEIGHT: f64 = 0.3;

impl Network {
    /// The layers that a method looks at where it is not told: what the weights file's metadata say, else what is known
    /// of the architecture, else by a rule.
    ///
    /// The rule: styles are seen at the last rectified layer before each change of resolution, the end of the network
    /// being one; contents and dreams at the last but one of these. The scores of classes do not count, nor do layers
    /// that fit fewer image sizes than others, as behind a feature pyramid. Functions that stand in for a ReLU count,
    /// such as SiLU. In a network that has no rectified layer the last layer of any kind takes its place.
    ///
    /// # Errors
    /// [`NetError::NoDefaultLayers`] where the network has no layer that knows places.
    pub fn default_layers(&self, purpose: Purpose) -> Result<WeightedLayers, NetError> {
        let network = || self.name.clone();
        let named = named(purpose, &self.metadata, self.graph());
        if let Some(layers) = named.map_err(|problem| WeightsError {
            network: network(),
            problem,
        })? {
            return Ok(layers);
        }
        if let Some(architecture) = self.architecture {
            return Ok(architecture.known().defaults.of(purpose));
        }
        let layers = by_rule(self.graph());
        let deep = layers.len().saturating_sub(2);
        let chosen = match purpose {
            Purpose::Style => &layers[..],
            Purpose::Content | Purpose::Dream => layers.get(deep..=deep).unwrap_or_default(),
        };
        if chosen.is_empty() {
            return Err(NetError::NoDefaultLayers {
                network: network(),
                what: purpose.name(),
            });
        }
        let weight = match purpose {
            Purpose::Content => CONTENT_WEIGHT,
            Purpose::Style | Purpose::Dream => 1.0,
        };
        let name = |id: &NodeId| (self.node(*id).name.clone(), weight);
        Ok(chosen.iter().map(name).collect())
    }
}

/// The last rectified layer before each change of resolution, shallowest first; of a network that has none the last
/// layer of any kind. Of a network with layers that fit some image sizes only, those that fit the most.
fn by_rule(graph: &Graph) -> Vec<NodeId> {
    let is_rectified = |id: NodeId| {
        let layer = &graph.node(id).layer;
        let is_soft = |pointwise: &Pointwise| pointwise.function.is_rectifier();
        let is_soft = layer.of_kind().is_some_and(is_soft) || layer.is::<PRelu>();
        is_soft || graph.is_rectified(id)
    };
    let mut layers = placed(graph);
    if layers.iter().any(|(_, id)| is_rectified(*id)) {
        layers.retain(|(_, id)| is_rectified(*id));
    }
    let sides = graph.fitting_sides();
    let most = layers.iter().map(|(_, id)| sides[id.0]).max();
    layers.retain(|(_, id)| Some(sides[id.0]) == most);
    last_of_each(layers)
}

/// The layers that know places, with the number of pixels from one to the next, in their order. Pools, borders and
/// enlargements do not count: they only carry on what is before them. Nor do scores and probabilities of classes: where
/// they are made at every position they have the resolution of the layer before them.
fn placed(graph: &Graph) -> Vec<(u32, NodeId)> {
    let places = graph.places();
    let probabilities = graph
        .ids()
        .last()
        .filter(|&id| graph.node(id).is::<Softmax>());
    let scores = probabilities.map(|id| graph.node(id).inputs[0]);
    let counts = |id: &NodeId| {
        let node = graph.node(*id);
        let is_window = node.is::<MaxPool>() || node.is::<AvgPool>();
        let carries_on = is_window || node.is::<Pad>() || node.is::<Interpolate>();
        let is_image = node.is::<Input>() || node.is::<Normalize>();
        let is_of_classes = node.is::<Softmax>() || scores == Some(*id);
        !(carries_on || is_image || is_of_classes || node.is_aside)
    };
    let layer = |id: NodeId| {
        let [rows, columns] = places[id.0]?;
        Some((rows.stride.max(columns.stride), id))
    };
    graph.ids().filter(counts).filter_map(layer).collect()
}

/// The last layer of each resolution, shallowest first.
fn last_of_each(layers: Vec<(u32, NodeId)>) -> Vec<NodeId> {
    let last: BTreeMap<u32, NodeId> = layers.into_iter().collect();
    last.into_values().collect()
}

/// Gives the last layer before each change of resolution the name `stage1`, `stage2` and so on.
pub(super) fn name_stages(graph: &mut Graph) {
    for (number, id) in (1..).zip(last_of_each(placed(graph))) {
        graph.alias(id, format!("stage{number}"));
    }
}

/// The layers that the metadata name, if they do.
pub(super) fn named(
    purpose: Purpose,
    metadata: &BTreeMap<String, String>,
    graph: &Graph,
) -> Result<Option<WeightedLayers>, WeightsProblem> {
    let key = purpose.key();
    let Some(text) = metadata.get(key) else {
        return Ok(None);
    };
    let layer = |part: &str| {
        let (layer, weight) = match part.rsplit_once(':') {
            None => (part, 1.0),
            Some((layer, weight)) => {
                let number = weight.trim().parse().ok().filter(|w: &f64| w.is_finite());
                let weight = number.ok_or_else(|| WeightsProblem::DefaultWeight {
                    key,
                    found: text.clone(),
                    weight: weight.to_owned(),
                })?;
                (layer, weight)
            }
        };
        let layer = layer.trim();
        match graph.find(layer) {
            Some(_) => Ok((layer.to_owned(), weight)),
            None => Err(WeightsProblem::DefaultLayer {
                key,
                found: text.clone(),
                layer: layer.to_owned(),
            }),
        }
    };
    text.split(',')
        .map(layer)
        .collect::<Result<_, _>>()
        .map(Some)
}
