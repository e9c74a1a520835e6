//! What of the forward pass the backward pass finds again.
//!
//! A layer in f32 is forgotten when the layers behind it have read it. Where the objective needs it again for its gradient, or a layer for its
//! own, it is stored as the network's [precision](super::Precision) says; one as large as the picture, and made of little more than
//! that, is made a second time instead.

use super::Forward;
use crate::Error;
use crate::device::{Kind, Recording};
use crate::kernels::{CopyRows, Tensor, View};
use crate::net::{NodeId, Op};

/// Channels of the picture, and of what is made of it alone.
const FEW: u32 = 4;

impl Forward<'_> {
    /// The tensor of a needed layer: as the backward pass reads it, if it does not make it again.
    ///
    /// # Panics
    /// When the layer was not needed, or lies inside fused ones: a bug in the caller.
    #[must_use]
    pub fn tensor(&self, id: NodeId) -> Tensor {
        *self.stored.get(&id).unwrap_or(&self.tensors[&id])
    }

    /// The needed nodes that read a layer.
    pub(super) fn consumers(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let graph = self.network.graph();
        let needed = self.needed.iter().copied();
        needed.filter(move |needed| graph.node(*needed).inputs.contains(&id))
    }

    /// A layer's tensor for the layers behind it, in f32; where there are none, stored for the backward pass at once.
    pub(super) fn layer(&self, recording: &mut Recording, id: NodeId, view: View) -> Tensor {
        let kind = match self.consumers(id).next() {
            Some(_) => Kind::Real,
            None => self.network.kind_of(id, view),
        };
        Tensor::stored(recording, &self.network.graph().node(id).name, view, kind)
    }

    /// Sees to it that the backward pass finds a layer again, if it is `wanted` by the objective or is read by a layer's own backward
    /// pass.
    pub(super) fn store(&mut self, recording: &mut Recording, id: NodeId, wanted: bool) {
        let graph = self.network.graph();
        let node = graph.node(id);
        let is_lrn = |consumer| matches!(graph.node(consumer).op, Op::Lrn { .. });
        let is_read = node.op == Op::Softmax || self.consumers(id).any(is_lrn);
        let x = self.tensors[&id];
        let view = whole(x.view);
        let kind = self.network.kind_of(id, view);
        if !(wanted || is_read) || kind == recording.value(x.value).kind {
            return;
        }
        if !is_read && self.is_little_work(id) {
            self.repeated.insert(id);
            return;
        }
        let copy = Tensor::stored(recording, &node.name, view, kind);
        let rows = CopyRows {
            x: x.view,
            y: view,
            from: 0,
            to: 0,
            rows: view.h,
            accumulate: false,
        };
        recording.call(format!("store {}", node.name), rows, &[x.value, copy.value]);
        self.stored.insert(id, copy);
    }

    /// Whether a layer has as many pixels as the picture, where memory is needed most, and is a convolution of few channels.
    fn is_little_work(&self, id: NodeId) -> bool {
        let (image, y) = (self.tensors[&NodeId(0)].view, self.tensors[&id].view);
        let conv = self.network.graph().node(self.conv_of(id));
        let few = |input: &NodeId| self.tensors[input].view.c <= FEW;
        matches!(conv.op, Op::Conv { .. })
            && conv.inputs.iter().all(few)
            && u64::from(y.h) * u64::from(y.w) >= u64::from(image.h) * u64::from(image.w)
    }

    /// The convolution that computes a layer, if one does; else the layer.
    fn conv_of(&self, id: NodeId) -> NodeId {
        *self.fused.get(&id).unwrap_or(&id)
    }

    /// Records a layer of [`Forward::repeated`] once more, stored for the backward pass. The units that pass a gradient stay those of the
    /// forward pass: another kernel may round some sums near 0 to the other side.
    pub(super) fn repeat(&self, recording: &mut Recording, id: NodeId) -> Result<Tensor, Error> {
        let view = whole(self.tensors[&id].view);
        let conv = self.conv_of(id);
        let (node, relu) = (self.network.graph().node(conv), (conv != id).then_some(id));
        let kind = self.network.kind_of(id, view);
        let label = format!("{} again", node.name);
        let y = Tensor::stored(recording, &label, view, kind);
        let mask = relu.map(|_| {
            let label = format!("{label} mask");
            recording.transient(label, Kind::Word, view.mask_len())
        });
        self.record_conv(recording, node, mask, y)?;
        Ok(y)
    }
}

/// The shape of a layer that is no slice of another.
fn whole(View { n, h, w, c, .. }: View) -> View {
    View::new(n, h, w, c)
}
