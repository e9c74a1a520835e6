//! From a recipe's terms to terms placed at layers, with their targets on the device.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::targets::Targets;
use super::terms::Layers;
use super::{Recipe, TermKind, TermSpec};
use crate::Error;
use crate::device::{Buffer, Device, Kind};
use crate::kernels::{View, pack};
use crate::net::NodeId;
use crate::objective::{Content, Gram, Term, Tv};
use crate::plan::{Network, Placed};

/// What all terms of a scale are placed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placing<'a> {
    pub recipe: &'a Recipe,
    pub layers: &'a [Layers],
    pub network: &'a Network,
    pub targets: &'a Targets,
    /// The image: n, h, w, 3.
    pub image: View,
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
                let (term, weights) = self.term(spec, at, weight)?;
                placed.push(Placed {
                    node: *node,
                    term,
                    group,
                    weights,
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

    /// The term, and the weights of each image where they can be changed.
    fn term(
        &self,
        spec: &TermSpec,
        at: At,
        weight: f64,
    ) -> Result<(Box<dyn Term>, Option<Buffer>), Error> {
        let name = self.name(at.node);
        Ok(match spec.kind {
            TermKind::Tv => (Box::new(Tv::new(weight)), None),
            TermKind::Content => {
                let (buffer, view, values) = self.activations(at, "content")?;
                let weight = match values {
                    Some(values) => relative(spec, name, weight, Content::at_zero(values))?,
                    None => weight,
                };
                (Box::new(Content::new(buffer, view, weight)), None)
            }
            TermKind::Gram => {
                let channels = self.network.graph().node(at.node).channels;
                let gram = self.targets.gram(at.group, at.index);
                let weight = relative(spec, name, weight, Gram::at_zero(gram, channels))?;
                let buffer = self
                    .device()
                    .buffer_from(&format!("gram of {name}"), gram)?;
                (Box::new(Gram::new(buffer, channels, weight)), None)
            }
            _ => return Err(spec.wrong("is not there yet")),
        })
    }

    /// A target's activations on the device.
    fn activations(&self, at: At, what: &str) -> Result<(Buffer, View, Option<&[f32]>), Error> {
        let (shape, values) = self.targets.activations(at.group, at.index);
        let view = View::new(1, shape.height, shape.width, shape.channels);
        let label = format!("{what} of {}", self.name(at.node));
        let buffer = match values {
            Some(values) => self.device().buffer_from(&label, &pack(view, values))?,
            None => self.device().buffer(&label, Kind::Real, view.len())?,
        };
        Ok((buffer, view, values))
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
    if !spec.relative {
        Ok(weight)
    } else if at_zero > 0.0 {
        Ok(weight / at_zero)
    } else {
        Err(spec.wrong(&format!(
            "layer `{layer}` answers nothing to the target, so nothing can be relative to it"
        )))
    }
}

/// Element `i` of a list that has one element for all images or one for each.
fn of_image<T>(list: &[T], i: usize) -> Option<&T> {
    list.get(i).or(list.first())
}

/// A direction drawn from a seed: N(0,1) in every channel, then normalised; padded with zeros.
pub(super) fn direction(seed: u64, channels: u32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal: Vec<f64> = (0..channels)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let norm = normal.iter().map(|v: &f64| v * v).sum::<f64>().sqrt();
    let mut vector: Vec<f32> = normal.iter().map(|v| (v / norm) as f32).collect();
    vector.resize(channels.next_multiple_of(4) as usize, 0.0);
    vector
}
