//! The forward and the backward pass of a network, recorded as kernel calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::placed::Placement;
use super::{Gradient, Network, PlanError};
use crate::Error;
use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{MAX_SIDE, Tensor, View};
use crate::layer::{BackwardPass, ForwardPass};
use crate::net::{Node, NodeId, Shape};

/// What the forward pass leaves behind: every layer's tensor, and what its backward pass needs.
#[derive(Debug)]
pub struct Forward<'a> {
    pub(super) network: &'a Network,
    /// Nodes on the way to a wanted one, in topological order.
    pub(super) needed: BTreeSet<NodeId>,
    pub(super) tensors: HashMap<NodeId, Tensor>,
    /// Which layers are computed in their place in a concatenation.
    pub(super) placement: Placement,
    /// Layers that the backward pass reads, where they are stored otherwise for it, and those that it computes once
    /// more.
    pub(super) kept: HashMap<NodeId, Tensor>,
    pub(super) repeated: BTreeSet<NodeId>,
    /// ReLU masks, pooling argmaxes and masks of maxima.
    pub(super) saved: HashMap<NodeId, Vec<ValueId>>,
    /// Nodes computed by a convolution before them, and that convolution: ReLUs, and max pools behind these.
    pub(super) fused: BTreeMap<NodeId, NodeId>,
}

impl<'a> Forward<'a> {
    /// Records the layers from `image` (`[0,1]` RGB) up to the deepest of `wanted`. `visit` is called for each of these
    /// once it is there; it may record what the objective makes of it.
    ///
    /// Tensors of `keep` get memory of their own, so that they can be read back after the pass.
    ///
    /// # Errors
    /// [`Error::Net`] where the image is too small for a wanted layer; [`PlanError::ImageTooLong`] where it is longer
    /// than [`MAX_SIDE`].
    pub fn record(
        recording: &mut Recording,
        network: &'a Network,
        image: Tensor,
        wanted: &[NodeId],
        keep: &[NodeId],
        mut visit: impl FnMut(&mut Recording, NodeId, Tensor),
    ) -> Result<Self, Error> {
        let graph = network.graph();
        let input = graph.input();
        if image.view.h.max(image.view.w) > MAX_SIDE {
            return Err(PlanError::ImageTooLong {
                width: image.view.w,
                height: image.view.h,
            }
            .into());
        }
        for id in wanted {
            graph.shape(*id, image.view.h, image.view.w)?;
        }
        let shapes = graph.shapes(image.view.h, image.view.w);
        let mut needed: BTreeSet<NodeId> = wanted.iter().copied().chain([input]).collect();
        for id in graph.graph().ids().rev() {
            if needed.contains(&id) {
                needed.extend(graph.node(id).inputs.iter().copied());
            }
        }
        let mut pass = Self {
            network,
            placement: Placement::new(graph, &needed),
            needed,
            tensors: HashMap::new(),
            kept: HashMap::new(),
            repeated: BTreeSet::new(),
            saved: HashMap::new(),
            fused: BTreeMap::new(),
        };
        pass.tensors.insert(input, image);
        pass.place(recording, &shapes, image.view.n, keep);
        for id in pass.needed.clone() {
            if id == input {
                if wanted.contains(&id) {
                    visit(recording, id, image);
                }
                continue;
            }
            if pass.fused.contains_key(&id) {
                continue;
            }
            let group = pass.group(id, wanted, &shapes);
            let out = group.out();
            let node = graph.node(out);
            let shape = shapes[out.0].ok_or_else(|| PlanError::NoSize {
                layer: node.name.clone(),
                width: image.view.w,
                height: image.view.h,
            })?;
            let view = View::new(image.view.n, shape.height, shape.width, shape.channels);
            let y = match pass.tensors.get(&out) {
                Some(placed) => *placed,
                None if keep.contains(&out) => Tensor::persistent(recording, &node.name, view),
                None => pass.layer(recording, out, view),
            };
            pass.tensors.insert(out, y);
            let saved = pass.record_group(recording, &group, y)?;
            pass.saved.insert(out, saved);
            pass.fused.extend(group.behind().map(|fused| (fused, id)));
            if wanted.contains(&out) {
                visit(recording, out, y);
            }
            if !keep.contains(&out) {
                pass.keep(recording, out, wanted.contains(&out));
            }
        }
        Ok(pass)
    }

    /// Gives every concatenation its tensor, and those of its inputs that are computed in place their slices of it.
    fn place(
        &mut self,
        recording: &mut Recording,
        shapes: &[Option<Shape>],
        n: u32,
        keep: &[NodeId],
    ) {
        let graph = self.network.graph();
        for (whole, parts) in self.placement.wholes() {
            let Some(shape) = shapes[whole.0] else {
                continue;
            };
            let view = View::new(n, shape.height, shape.width, shape.channels);
            let name = &graph.node(whole).name;
            let is_kept = |id: NodeId| keep.contains(&id);
            let y = if is_kept(whole) || parts.iter().any(|part| is_kept(part.node)) {
                Tensor::persistent(recording, name, view)
            } else if self.placement.is_read_in_parts(graph, &self.needed, whole) {
                Tensor::transient(recording, name, view)
            } else {
                self.layer(recording, whole, view)
            };
            self.tensors.insert(whole, y);
            for part in parts {
                let channels = graph.node(part.node).channels;
                self.tensors
                    .insert(part.node, y.slice(part.first, channels));
            }
        }
    }

    /// The inputs of a node, as the layers behind them read them.
    fn inputs(&self, node: &Node) -> Vec<Tensor> {
        node.inputs
            .iter()
            .map(|input| self.tensors[input])
            .collect()
    }

    /// Lets a layer record its forward pass with `record`.
    pub(super) fn forward_pass<T>(
        &self,
        recording: &mut Recording,
        node: &Node,
        label: &str,
        y: Tensor,
        record: impl FnOnce(&mut ForwardPass<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        record(&mut ForwardPass {
            recording,
            label,
            x: &self.inputs(node),
            y,
            parameters: self.network,
        })
    }

    /// What adds up to the gradient of a layer, in as many bits as the layer; that of the image always in f32.
    fn gradient(&self, id: NodeId) -> Gradient {
        let view = self.tensors[&id].view;
        let kind = if id == self.network.graph().input() {
            Kind::Real
        } else {
            self.network.precision().of_gradient(view)
        };
        Gradient::new(view, kind, &self.network.graph().node(id).name)
    }

    /// Records the backward pass down to the image. `inject` is called for every layer once all gradients from the
    /// layers above have been recorded, deepest layer first; it may record what the objective adds.
    ///
    /// Returns the gradient with respect to the image.
    ///
    /// # Errors
    /// [`Error::Device`] when weights do not fit the device.
    pub fn record_backward(
        &self,
        recording: &mut Recording,
        mut inject: impl FnMut(&mut Recording, NodeId, Tensor, &mut Gradient),
    ) -> Result<Tensor, Error> {
        let graph = self.network.graph();
        let mut gradients: HashMap<NodeId, Gradient> = HashMap::new();
        for id in self.needed.iter().rev().copied() {
            if !self.tensors.contains_key(&id) {
                // Inside fused nodes: the last one's turn has recorded the backward pass of all.
                continue;
            }
            let mut gradient = gradients.remove(&id).unwrap_or_else(|| self.gradient(id));
            if self.repeated.contains(&id) {
                let x = self.repeat(recording, id)?;
                inject(recording, id, x, &mut gradient);
            } else {
                inject(recording, id, self.tensor(id), &mut gradient);
            }
            let Some(dy) = gradient.tensor() else {
                // Nothing above depends on it, such as a layer that only the forward pass of a term reads.
                continue;
            };
            if id == graph.input() {
                return Ok(dy);
            }
            // The inputs of fused nodes are the convolution's.
            let first = self.conv_of(id);
            let mut offset = 0;
            for (place, input) in graph.node(first).inputs.iter().copied().enumerate() {
                let (own, channels) = (offset, graph.node(input).channels);
                offset += channels;
                if self.placement.whole(input) == Some(id) && !gradients.contains_key(&input) {
                    // Nobody needs the whole gradient any more: what else adds to the input's adds to its slice.
                    gradients.insert(input, Gradient::written(dy.slice(own, channels)));
                    continue;
                }
                let below = gradients
                    .entry(input)
                    .or_insert_with(|| self.gradient(input));
                let target = below.target(recording);
                self.record_node_backward(recording, id, place, dy, target)?;
            }
        }
        Err(PlanError::NoGradient.into())
    }

    /// Records the gradient with respect to input number `place` of a node, or of the convolution that computes it.
    fn record_node_backward(
        &self,
        recording: &mut Recording,
        id: NodeId,
        place: usize,
        dy: Tensor,
        (dx, accumulate): (Tensor, bool),
    ) -> Result<(), Error> {
        let graph = self.network.graph();
        let node = graph.node(self.conv_of(id));
        let channels: Vec<u32> = node
            .inputs
            .iter()
            .map(|x| graph.node(*x).channels)
            .collect();
        let x: Vec<Tensor> = if node.layer.reads_input() {
            node.inputs
                .iter()
                .map(|input| self.tensor(*input))
                .collect()
        } else {
            Vec::new()
        };
        let mut pass = BackwardPass {
            recording,
            label: &format!("backward {}", node.name),
            dy,
            dx,
            accumulate,
            channels: &channels,
            saved: &self.saved[&id],
            parameters: self.network,
            x: &x,
            y: node.layer.reads_output().then(|| self.tensor(id)),
        };
        if self.fused.contains_key(&id) {
            self.record_fused_backward(&mut pass, id)
        } else {
            node.layer.backward(&mut pass, place)
        }
    }
}
