//! The forward and the backward pass of a network, recorded as kernel calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Gradient, Network};
use crate::Error;
use crate::device::{Kind, Recording, ValueId};
use crate::kernels::{
    AdaptiveAvgPool, AdaptiveAvgPoolBackward, Affine, AvgPool, AvgPoolBackward, Conv, Lrn,
    LrnBackward, MAX_SIDE, MaxPool, MaxPoolBackward, Pad, PadBackward, Relu, ReluBackward, Softmax,
    SoftmaxBackward, Tensor, View, record_conv,
};
use crate::net::{Edge, Node, NodeId, Op, Shape};

/// What the forward pass leaves behind: every layer's tensor, and what its backward pass needs.
#[derive(Debug)]
pub struct Forward<'a> {
    pub(super) network: &'a Network,
    /// Nodes on the way to a wanted one, in topological order.
    pub(super) needed: BTreeSet<NodeId>,
    pub(super) tensors: HashMap<NodeId, Tensor>,
    /// Layers that the backward pass reads, where they are stored otherwise for it, and those that it computes once more.
    pub(super) stored: HashMap<NodeId, Tensor>,
    pub(super) repeated: BTreeSet<NodeId>,
    /// ReLU masks, pooling argmaxes and masks of maxima.
    pub(super) words: HashMap<NodeId, ValueId>,
    /// Nodes computed by a convolution before them, and that convolution: ReLUs, and max pools behind these.
    pub(super) fused: BTreeMap<NodeId, NodeId>,
}

impl<'a> Forward<'a> {
    /// Records the layers from `image` (`[0,1]` RGB) up to the deepest of `wanted`. `visit` is called for each of these once it is
    /// there; it may record what the objective makes of it.
    ///
    /// Tensors of `keep` get memory of their own, so that they can be read back after the pass.
    ///
    /// # Errors
    /// [`Error::Net`] where the image is too small for a wanted layer; [`Error::Plan`] where it is longer than
    /// [`MAX_SIDE`].
    pub fn record(
        recording: &mut Recording,
        network: &'a Network,
        image: Tensor,
        wanted: &[NodeId],
        keep: &[NodeId],
        mut visit: impl FnMut(&mut Recording, NodeId, Tensor),
    ) -> Result<Self, Error> {
        let graph = network.graph();
        if image.view.h.max(image.view.w) > MAX_SIDE {
            return Err(Error::Plan(format!(
                "an image of {}×{} pixels is too long: at most {MAX_SIDE} along either side",
                image.view.w, image.view.h
            )));
        }
        for id in wanted {
            graph.shape(*id, image.view.h, image.view.w)?;
        }
        let shapes = graph.shapes(image.view.h, image.view.w);
        let mut needed: BTreeSet<NodeId> = wanted.iter().copied().chain([NodeId(0)]).collect();
        for index in (0..graph.nodes.len()).rev() {
            if needed.contains(&NodeId(index)) {
                needed.extend(graph.nodes[index].inputs.iter().copied());
            }
        }
        let mut pass = Self {
            network,
            needed,
            tensors: HashMap::new(),
            stored: HashMap::new(),
            repeated: BTreeSet::new(),
            words: HashMap::new(),
            fused: BTreeMap::new(),
        };
        pass.tensors.insert(NodeId(0), image);
        pass.place_concatenations(recording, &shapes, image.view.n, keep);
        for id in pass.needed.clone() {
            if id == NodeId(0) {
                if wanted.contains(&id) {
                    visit(recording, id, image);
                }
                continue;
            }
            if pass.fused.contains_key(&id) {
                continue;
            }
            let node = graph.node(id);
            // The ReLU behind a convolution that nobody else reads is computed by the convolution.
            let relu = match node.op {
                Op::Conv { .. } if !wanted.contains(&id) => pass.only_relu_after(id),
                _ => None,
            };
            // And so is the pool behind that, where the kernel knows both.
            let pool = relu
                .filter(|relu| !wanted.contains(relu))
                .and_then(|relu| pass.only_pool_after(id, relu, &shapes));
            let out = pool.or(relu).unwrap_or(id);
            let shape = shapes[out.0].ok_or_else(|| {
                Error::Plan(format!(
                    "layer `{}` has no size at {}×{}",
                    node.name, image.view.w, image.view.h
                ))
            })?;
            let view = View::new(image.view.n, shape.height, shape.width, shape.channels);
            let y = match pass.tensors.get(&out) {
                Some(placed) => *placed,
                None if keep.contains(&out) => {
                    Tensor::persistent(recording, &graph.node(out).name, view)
                }
                None => pass.layer(recording, out, view),
            };
            pass.tensors.insert(out, y);
            pass.fused
                .extend(relu.into_iter().chain(pool).map(|fused| (fused, id)));
            match pool {
                Some(pool) => pass.record_pooled(recording, node, pool, y)?,
                None => pass.record_node(recording, id, node, relu, y)?,
            }
            if wanted.contains(&out) {
                visit(recording, out, y);
            }
            if !keep.contains(&out) {
                pass.store(recording, out, wanted.contains(&out));
            }
        }
        Ok(pass)
    }

    /// What adds up to the gradient of a layer, in as many bits as the layer; that of the image always in f32.
    fn gradient(&self, id: NodeId) -> Gradient {
        let view = self.tensors[&id].view;
        let kind = match id {
            NodeId(0) => Kind::Real,
            _ => self.network.precision().of_gradient(view),
        };
        Gradient::new(view, kind, &self.network.graph().node(id).name)
    }

    /// Gives every input of a concatenation its slice of the result, so that it is written in place.
    fn place_concatenations(
        &mut self,
        recording: &mut Recording,
        shapes: &[Option<Shape>],
        n: u32,
        keep: &[NodeId],
    ) {
        let graph = self.network.graph();
        for id in &self.needed {
            let node = graph.node(*id);
            let (Op::Concat, Some(shape)) = (node.op, shapes[id.0]) else {
                continue;
            };
            let view = View::new(n, shape.height, shape.width, shape.channels);
            let whole = if keep.contains(id) || node.inputs.iter().any(|i| keep.contains(i)) {
                Tensor::persistent(recording, &node.name, view)
            } else {
                self.layer(recording, *id, view)
            };
            self.tensors.insert(*id, whole);
            let mut first = 0;
            for input in &node.inputs {
                let channels = graph.node(*input).channels;
                self.tensors.insert(*input, whole.slice(first, channels));
                first += channels;
            }
        }
    }

    fn record_node(
        &mut self,
        recording: &mut Recording,
        id: NodeId,
        node: &Node,
        relu: Option<NodeId>,
        y: Tensor,
    ) -> Result<(), Error> {
        let label = node.name.as_str();
        let x = node.inputs.first().map(|i| self.tensors[i]);
        let Some(x) = x else { return Ok(()) };
        match node.op {
            Op::Input | Op::Concat => {}
            Op::Normalize { scale, bias } => {
                let [r, g, b] = scale;
                let [br, bg, bb] = bias;
                let affine = Affine {
                    x: x.view,
                    y: y.view,
                    scale: [r, g, b, 0.0],
                    bias: [br, bg, bb, 0.0],
                    accumulate: false,
                };
                recording.call(label, affine, &[x.value, y.value]);
            }
            Op::Conv { .. } => {
                let mask = relu.map(|relu| self.mask(recording, relu, y.view.mask_len()));
                self.record_conv(recording, node, mask, y)?;
            }
            Op::Relu => {
                let mask = self.mask(recording, id, y.view.mask_len());
                recording.call(
                    label,
                    Relu {
                        x: x.view,
                        y: y.view,
                    },
                    &[x.value, y.value, mask],
                );
            }
            Op::MaxPool {
                kernel,
                stride,
                pad,
                ..
            } => {
                let pool = MaxPool {
                    x: x.view,
                    y: y.view,
                    kernel,
                    stride,
                    pad,
                };
                let argmax = self.mask(recording, id, pool.argmax_len());
                recording.call(label, pool, &[x.value, y.value, argmax]);
            }
            Op::Pad { before, edge, .. } => {
                let pad = Pad {
                    x: x.view,
                    y: y.view,
                    before,
                    wrap: edge == Edge::Wrap,
                };
                recording.call(label, pad, &[x.value, y.value]);
            }
            Op::AvgPool {
                kernel,
                stride,
                pad,
                scale,
                ..
            } => {
                recording.call(
                    label,
                    AvgPool {
                        x: x.view,
                        y: y.view,
                        kernel,
                        stride,
                        pad,
                        scale,
                    },
                    &[x.value, y.value],
                );
            }
            Op::AdaptiveAvgPool { .. } | Op::GlobalAvgPool => {
                recording.call(
                    label,
                    AdaptiveAvgPool {
                        x: x.view,
                        y: y.view,
                    },
                    &[x.value, y.value],
                );
            }
            Op::Lrn {
                size,
                alpha,
                beta,
                k,
            } => {
                recording.call(
                    label,
                    Lrn {
                        x: x.view,
                        y: y.view,
                        size,
                        alpha,
                        beta,
                        k,
                    },
                    &[x.value, y.value],
                );
            }
            Op::Softmax => recording.call(
                label,
                Softmax {
                    x: x.view,
                    y: y.view,
                },
                &[x.value, y.value],
            ),
        }
        Ok(())
    }

    /// Records a convolution, with its ReLU where there is the mask of one to be written.
    pub(super) fn record_conv(
        &self,
        recording: &mut Recording,
        node: &Node,
        mask: Option<ValueId>,
        y: Tensor,
    ) -> Result<(), Error> {
        let Op::Conv {
            kernel,
            stride,
            pad,
            weights,
        } = node.op
        else {
            return Ok(());
        };
        let label = node.name.as_str();
        let x = self.tensors[&node.inputs[0]];
        let (w, bias) = self.network.forward(weights);
        let (w, bias) = (recording.given(label, w), recording.given(label, bias));
        let conv = Conv {
            stride,
            pad,
            bias: true,
            relu: mask.is_some(),
            ..Conv::new(x.view, y.view, kernel)
        };
        let values = [x.value, w, y.value, bias].into_iter();
        record_conv(
            recording,
            label,
            conv,
            &values.chain(mask).collect::<Vec<_>>(),
        );
        Ok(())
    }

    pub(super) fn mask(&mut self, recording: &mut Recording, id: NodeId, len: usize) -> ValueId {
        let name = &self.network.graph().node(id).name;
        let value = recording.transient(format!("{name} mask"), Kind::Word, len);
        self.words.insert(id, value);
        value
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
            let node = graph.node(id);
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
            if id == NodeId(0) {
                return Ok(dy);
            }
            if node.op == Op::Concat {
                let mut first = 0;
                for input in &node.inputs {
                    let channels = graph.node(*input).channels;
                    let slice = Gradient::written(dy.slice(first, channels));
                    let taken = gradients.insert(*input, slice).is_some();
                    debug_assert!(!taken, "a concatenation's input has one consumer");
                    first += channels;
                }
                continue;
            }
            // The input of fused nodes is the convolution's.
            let conv = self.fused.get(&id).map(|conv| graph.node(*conv));
            let mask = conv.map(|_| self.words[&id]);
            let Some(input) = conv.unwrap_or(node).inputs.first().copied() else {
                continue;
            };
            let below = gradients
                .entry(input)
                .or_insert_with(|| self.gradient(input));
            let (dx, accumulate) = below.target(recording);
            match (conv, node.op) {
                (Some(conv), Op::MaxPool { .. }) => {
                    self.record_unpooled(recording, conv, id, dy, dx, accumulate)?;
                }
                _ => {
                    let node = conv.unwrap_or(node);
                    self.record_node_backward(recording, id, node, mask, dy, dx, accumulate)?;
                }
            }
        }
        Err(Error::Plan("no term depends on the image".to_string()))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one node of the pass with everything its kernel binds"
    )]
    fn record_node_backward(
        &self,
        recording: &mut Recording,
        id: NodeId,
        node: &Node,
        masked: Option<ValueId>,
        dy: Tensor,
        dx: Tensor,
        accumulate: bool,
    ) -> Result<(), Error> {
        let label = format!("backward {}", node.name);
        let (gy, gx) = (dy.view, dx.view);
        match node.op {
            Op::Input | Op::Concat => {}
            Op::Normalize {
                scale: [r, g, b], ..
            } => {
                let affine = Affine {
                    x: gy,
                    y: gx,
                    scale: [r, g, b, 0.0],
                    bias: [0.0; 4],
                    accumulate,
                };
                recording.call(label, affine, &[dy.value, dx.value]);
            }
            Op::Conv {
                kernel,
                stride,
                pad,
                weights,
            } => {
                let w = recording.given(&label, self.network.backward(weights));
                let conv = Conv {
                    pad: kernel - 1 - pad,
                    input_dilation: stride,
                    masked: masked.is_some(),
                    accumulate,
                    ..Conv::new(gy, gx, kernel)
                };
                let values: Vec<_> = [dy.value, w, dx.value].into_iter().chain(masked).collect();
                record_conv(recording, label, conv, &values);
            }
            Op::Relu => {
                let relu = ReluBackward {
                    dy: gy,
                    dx: gx,
                    accumulate,
                };
                recording.call(label, relu, &[dy.value, self.words[&id], dx.value]);
            }
            Op::MaxPool {
                kernel,
                stride,
                pad,
                ..
            } => {
                let pool = MaxPoolBackward {
                    dy: gy,
                    dx: gx,
                    kernel,
                    stride,
                    pad,
                    accumulate,
                };
                recording.call(label, pool, &[dy.value, self.words[&id], dx.value]);
            }
            Op::Pad { before, edge, .. } => {
                let pad = PadBackward {
                    dy: gy,
                    dx: gx,
                    before,
                    wrap: edge == Edge::Wrap,
                    accumulate,
                };
                recording.call(label, pad, &[dy.value, dx.value]);
            }
            Op::AvgPool {
                kernel,
                stride,
                pad,
                scale,
                ..
            } => {
                let pool = AvgPoolBackward {
                    dy: gy,
                    dx: gx,
                    kernel,
                    stride,
                    pad,
                    scale,
                    accumulate,
                };
                recording.call(label, pool, &[dy.value, dx.value]);
            }
            Op::AdaptiveAvgPool { .. } | Op::GlobalAvgPool => {
                let pool = AdaptiveAvgPoolBackward {
                    dy: gy,
                    dx: gx,
                    accumulate,
                };
                recording.call(label, pool, &[dy.value, dx.value]);
            }
            Op::Lrn {
                size,
                alpha,
                beta,
                k,
            } => {
                let x = self.tensor(node.inputs[0]);
                let lrn = LrnBackward {
                    x: x.view,
                    dy: gy,
                    dx: gx,
                    size,
                    alpha,
                    beta,
                    k,
                    accumulate,
                };
                recording.call(label, lrn, &[x.value, dy.value, dx.value]);
            }
            Op::Softmax => {
                let y = self.tensor(id);
                let softmax = SoftmaxBackward {
                    y: y.view,
                    dy: gy,
                    dx: gx,
                    accumulate,
                };
                recording.call(label, softmax, &[y.value, dy.value, dx.value]);
            }
        }
        Ok(())
    }
}
