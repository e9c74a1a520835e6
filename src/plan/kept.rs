//! What of the forward pass the backward pass finds again.
//!
//! A layer in f32 is forgotten when the layers behind it have read it. Where the objective needs it again for its
//! gradient, or a layer for its own, it is stored as the network's [precision](super::Precision) says; one as large as
//! the picture, and made of little more than that, is made a second time instead.

use super::Forward;
use crate::Error;
use crate::device::{Kind, Recording};
use crate::kernels::{CopyRows, Tensor, View};
use crate::net::NodeId;

/// Channels of the picture, and of what is made of it alone.
const FEW: u32 = 4;

impl Forward<'_> {
    /// The tensor of a needed layer: as the backward pass reads it, if it does not make it again.
    ///
    /// # Panics
    /// When the layer was not needed, or lies inside fused ones: a bug in the caller.
    #[must_use]
    pub fn tensor(&self, id: NodeId) -> Tensor {
        *self.kept.get(&id).unwrap_or(&self.tensors[&id])
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
        Tensor::of_kind(recording, &self.network.graph().node(id).name, view, kind)
    }

    /// Sees to it that the backward pass finds a layer again, if it is `wanted` by the objective or is read by a
    /// layer's own backward pass.
    pub(super) fn keep(&mut self, recording: &mut Recording, id: NodeId, wanted: bool) {
        let graph = self.network.graph();
        let node = graph.node(id);
        let reads = |consumer| graph.node(consumer).layer.reads_input();
        let is_read = node.layer.reads_output() || self.consumers(id).any(reads);
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
        let copy = Tensor::of_kind(recording, &node.name, view, kind);
        let rows = CopyRows {
            x: x.view,
            y: view,
            from: 0,
            to: 0,
            rows: view.h,
            accumulate: false,
        };
        recording.call(format!("store {}", node.name), rows, &[x.value, copy.value]);
        self.kept.insert(id, copy);
    }

    /// Whether a layer has as many pixels as the picture, where memory is needed most, and is a convolution of few
    /// channels.
    fn is_little_work(&self, id: NodeId) -> bool {
        let image = self.tensors[&self.network.graph().input()].view;
        let y = self.tensors[&id].view;
        self.is_narrow_conv(id, FEW)
            && u64::from(y.h) * u64::from(y.w) >= u64::from(image.h) * u64::from(image.w)
    }

    /// Records a layer of [`Forward::repeated`] once more, stored for the backward pass. The units that pass a gradient
    /// stay those of the forward pass: another kernel may round some sums near 0 to the other side.
    pub(super) fn repeat(&self, recording: &mut Recording, id: NodeId) -> Result<Tensor, Error> {
        let view = whole(self.tensors[&id].view);
        let kind = self.network.kind_of(id, view);
        let name = &self.network.graph().node(self.conv_of(id)).name;
        let y = Tensor::of_kind(recording, format!("{name} again"), view, kind);
        self.record_again(recording, id, y)?;
        Ok(y)
    }
}

/// The shape of a layer that is no slice of another.
fn whole(View { n, h, w, c, .. }: View) -> View {
    View::new(n, h, w, c)
}
