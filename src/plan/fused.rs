//! What a convolution computes together with the nodes behind it: its ReLU, and the max pool behind that. All that the
//! plan knows of kinds of layers is in this file.

use super::Forward;
use crate::Error;
use crate::device::{Kind, Recording, ValueId};
use crate::kernels::Tensor;
use crate::layer::{BackwardPass, Conv, MaxPool, Relu};
use crate::net::{self, NodeId, Shape};

/// Nodes that one kernel computes: any node, or a convolution with what is behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    first: NodeId,
    relu: Option<NodeId>,
    pool: Option<NodeId>,
}

impl Group {
    /// The node whose tensor is written.
    pub fn out(&self) -> NodeId {
        self.pool.or(self.relu).unwrap_or(self.first)
    }

    /// The nodes behind the first.
    pub fn behind(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.relu.into_iter().chain(self.pool)
    }
}

/// Whether the kernel that computes `node`, with what may be computed together with it, may read `x`.
pub(super) fn may_be_read_by(graph: &net::Network, x: NodeId, node: NodeId) -> bool {
    let of = graph.node(node);
    let fuses = of.is::<Relu>() || of.is::<MaxPool>();
    let mut inputs = of.inputs.iter();
    inputs.any(|input| *input == x || fuses && may_be_read_by(graph, x, *input))
}

impl Forward<'_> {
    /// The needed consumer of `id`, if there is only one.
    fn only_consumer(&self, id: NodeId) -> Option<NodeId> {
        let mut consumers = self.consumers(id);
        consumers.next().filter(|_| consumers.next().is_none())
    }

    /// What is computed together with a node.
    pub(super) fn group(&self, id: NodeId, wanted: &[NodeId], shapes: &[Option<Shape>]) -> Group {
        let graph = self.network.graph();
        let is_conv = graph.node(id).is::<Conv>() && !wanted.contains(&id);
        let relu = is_conv
            .then(|| self.only_consumer(id))
            .flatten()
            .filter(|only| graph.node(*only).is::<Relu>());
        let pool = relu
            .filter(|relu| !wanted.contains(relu))
            .and_then(|relu| self.only_pool_after(id, relu, shapes));
        Group {
            first: id,
            relu,
            pool,
        }
    }

    /// The pool behind `relu`, if it is the only needed consumer and there is a kernel that is `conv`, `relu` and it.
    fn only_pool_after(
        &self,
        conv: NodeId,
        relu: NodeId,
        shapes: &[Option<Shape>],
    ) -> Option<NodeId> {
        let graph = self.network.graph();
        let pool = self.only_consumer(relu)?;
        let layer = graph.node(conv).layer.of_kind::<Conv>()?;
        let windows = layer.pools_with(graph.node(pool).layer.of_kind()?);
        let (whole, pooled) = (shapes[relu.0]?, shapes[pool.0]?);
        // Rounded up, an odd size has a window more than the kernel.
        let halves = (pooled.height, pooled.width) == (whole.height / 2, whole.width / 2);
        (windows && halves).then_some(pool)
    }

    /// Records the nodes of a group; returns what the backward pass needs.
    pub(super) fn record_group(
        &self,
        recording: &mut Recording,
        group: &Group,
        y: Tensor,
    ) -> Result<Vec<ValueId>, Error> {
        let graph = self.network.graph();
        let node = graph.node(group.first);
        let conv = node.layer.of_kind::<Conv>();
        self.forward_pass(recording, node, &node.name, y, |pass| {
            let (Some(conv), Some(relu)) = (conv, group.relu) else {
                return node.layer.forward(pass);
            };
            let name = &graph.node(group.pool.unwrap_or(relu)).name;
            let mut mask = |len| {
                let label = format!("{name} mask");
                pass.recording.transient(label, Kind::Word, len)
            };
            if group.pool.is_some() {
                let maxima = mask(y.view.maxima_len());
                conv.record_pooled(pass, maxima)?;
                Ok(vec![maxima])
            } else {
                let mask = mask(y.view.mask_len());
                conv.record(pass, Some(mask))?;
                Ok(vec![mask])
            }
        })
    }

    /// Records the backward pass of a group whose last node is `id`.
    pub(super) fn record_fused_backward(
        &self,
        pass: &mut BackwardPass<'_>,
        id: NodeId,
    ) -> Result<(), Error> {
        let graph = self.network.graph();
        let mask = pass.saved[0];
        match graph.node(self.conv_of(id)).layer.of_kind::<Conv>() {
            Some(conv) if graph.node(id).is::<MaxPool>() => conv.record_unpooled(pass, mask),
            Some(conv) => conv.record_backward(pass, Some(mask)),
            None => Ok(()),
        }
    }

    /// The convolution that computes a layer, if one does; else the layer.
    pub(super) fn conv_of(&self, id: NodeId) -> NodeId {
        *self.fused.get(&id).unwrap_or(&id)
    }

    /// Whether a layer is a convolution of at most `few` channels, with its ReLU or without.
    pub(super) fn is_narrow_conv(&self, id: NodeId, few: u32) -> bool {
        let graph = self.network.graph();
        let conv = graph.node(self.conv_of(id));
        let narrow = |input: &NodeId| graph.node(*input).channels <= few;
        conv.is::<Conv>() && !graph.node(id).is::<MaxPool>() && conv.inputs.iter().all(narrow)
    }

    /// Records once more a layer for which [`Forward::is_narrow_conv`] holds.
    pub(super) fn record_again(
        &self,
        recording: &mut Recording,
        id: NodeId,
        y: Tensor,
    ) -> Result<(), Error> {
        let node = self.network.graph().node(self.conv_of(id));
        let mask = self.fused.contains_key(&id).then(|| {
            let label = format!("{} again mask", node.name);
            recording.transient(label, Kind::Word, y.view.mask_len())
        });
        self.forward_pass(recording, node, &node.name, y, |pass| {
            match node.layer.of_kind::<Conv>() {
                Some(conv) => conv.record(pass, mask),
                None => Ok(()),
            }
        })
    }
}
