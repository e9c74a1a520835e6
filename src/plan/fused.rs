//! What a convolution computes together with the nodes behind it: its ReLU, and the max pool behind that.

use super::Forward;
use crate::Error;
use crate::device::Recording;
use crate::kernels::{Conv3x3Pool, Conv3x3Unpool, Tensor};
use crate::net::{Node, NodeId, Op, Shape};

impl Forward<'_> {
    /// The needed consumer of `id`, if there is only one.
    fn only_consumer(&self, id: NodeId) -> Option<NodeId> {
        let mut consumers = self.consumers(id);
        consumers.next().filter(|_| consumers.next().is_none())
    }

    /// The ReLU behind `id`, if it is the only needed consumer.
    pub(super) fn only_relu_after(&self, id: NodeId) -> Option<NodeId> {
        self.only_consumer(id)
            .filter(|only| self.network.graph().node(*only).op == Op::Relu)
    }

    /// The pool behind `relu`, if it is the only needed consumer and [`Conv3x3Pool`] is `conv`, `relu` and it.
    pub(super) fn only_pool_after(
        &self,
        conv: NodeId,
        relu: NodeId,
        shapes: &[Option<Shape>],
    ) -> Option<NodeId> {
        let graph = self.network.graph();
        let pool = self.only_consumer(relu)?;
        let windows = matches!(
            (graph.node(conv).op, graph.node(pool).op),
            (
                Op::Conv {
                    kernel: 3,
                    stride: 1,
                    pad: 1,
                    ..
                },
                Op::MaxPool {
                    kernel: 2,
                    stride: 2,
                    pad: 0,
                    ..
                }
            )
        );
        let (whole, pooled) = (shapes[relu.0]?, shapes[pool.0]?);
        // Rounded up, an odd size has a window more than the kernel.
        let halves = (pooled.height, pooled.width) == (whole.height / 2, whole.width / 2);
        (windows && halves).then_some(pool)
    }

    /// Records a convolution, its ReLU and the max pool behind it.
    pub(super) fn record_pooled(
        &mut self,
        recording: &mut Recording,
        conv: &Node,
        pool: NodeId,
        y: Tensor,
    ) -> Result<(), Error> {
        let Op::Conv { weights, .. } = conv.op else {
            return Ok(());
        };
        let label = conv.name.as_str();
        let x = self.tensors[&conv.inputs[0]];
        let (w, bias) = self.network.forward(weights);
        let (w, bias) = (recording.given(label, w), recording.given(label, bias));
        let maxima = self.mask(recording, pool, y.view.maxima_len());
        let kernel = Conv3x3Pool {
            x: x.view,
            y: y.view,
        };
        recording.call(label, kernel, &[x.value, w, y.value, bias, maxima]);
        Ok(())
    }

    /// Records the backward pass of a convolution, its ReLU and the max pool behind it.
    pub(super) fn record_unpooled(
        &self,
        recording: &mut Recording,
        conv: &Node,
        pool: NodeId,
        dy: Tensor,
        dx: Tensor,
        accumulate: bool,
    ) -> Result<(), Error> {
        let Op::Conv { weights, .. } = conv.op else {
            return Ok(());
        };
        let label = format!("backward {}", conv.name);
        let w = recording.given(&label, self.network.backward(weights));
        let kernel = Conv3x3Unpool {
            dy: dy.view,
            dx: dx.view,
            accumulate,
        };
        let values = [dy.value, w, dx.value, self.words[&pool]];
        recording.call(label, kernel, &values);
        Ok(())
    }
}
