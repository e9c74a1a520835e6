//! A network with other edges and other pools: what its convolutions see beyond an image, and how windows are summed
//! up.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Graph, Network, Node, NodeId};
use crate::layer::{AvgPool, Conv, Edge, MaxPool, Pad, Window};

/// What a network sees beyond the edges of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Zeros, as it was trained: every layer can tell where an edge is.
    #[default]
    Zero,
    /// The outermost positions repeated, in every convolution: no layer sees an edge that is not in the picture.
    Replicate,
    /// The same in the first convolution that pads, zeros behind it (style-transfer-pytorch).
    ReplicateFirst,
    /// The opposite side, in every layer: the image is a tile of an endless plane.
    Wrap,
}

impl Padding {
    /// Whether it is as the network was trained.
    pub fn is_zero(&self) -> bool {
        *self == Self::Zero
    }
}

/// How a network sums up the windows of its pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The maximum, as all of these networks were trained.
    #[default]
    Max,
    /// The mean, times a factor that keeps the layers' magnitude (Gatys et al. 2016 found it to look better).
    Average,
}

impl Pooling {
    /// Whether it is as the network was trained.
    pub fn is_max(&self) -> bool {
        *self == Self::Max
    }
}

/// What a window's mean is multiplied by where it stands in for the maximum, so that the layers behind see about what
/// they are used to: style-transfer-pytorch's number for VGG (Crowson 2021). It serves the windows of 3×3 of the
/// others, too: in SqueezeNet 1.1 the mean of the maxima is 1.9, 2.2 and 2.4 times that of the means (pool1, pool3,
/// pool5; five photographs and paintings).
const AVERAGE_POOL_SCALE: f32 = 2.0;

impl Network {
    /// The same layers, under the same names, with other padding and pools. Layers behind a pool over the whole image
    /// (those of a classifier) have no edges left and stay as they are.
    ///
    /// With [`Padding::Wrap`] a layer has size/stride positions along each axis, and moving the image around by a
    /// multiple of the deepest layer's stride moves every layer around, exactly, where the sizes are such multiples.
    #[must_use]
    pub fn rewired(&self, padding: Padding, pooling: Pooling) -> Network {
        let count = self.nodes().len();
        let mut rewiring = Rewiring {
            nodes: Vec::with_capacity(count),
            place: Vec::with_capacity(count),
            flat: Vec::with_capacity(count),
            padding,
            scale: (!pooling.is_max()).then_some(AVERAGE_POOL_SCALE),
        };
        self.layers().for_each(|node| rewiring.push(node));
        Network {
            input: rewiring.place[self.input.0],
            graph: Graph::of_nodes(rewiring.nodes, self.graph.trained_size()),
            ..self.clone()
        }
    }

    /// Pixels from one position of a layer to the next, of rows or of columns, whichever are more; none behind a global
    /// pool.
    pub fn stride(&self, id: NodeId) -> Option<u32> {
        let [rows, columns] = self.receptive_field(id)?;
        Some(rows.stride.max(columns.stride))
    }
}

struct Rewiring {
    nodes: Vec<Node>,
    /// Where each of the old nodes stands now.
    place: Vec<NodeId>,
    /// Whether each of the old nodes knows no places: [`Graph::is_behind_global`].
    flat: Vec<bool>,
    /// What is still to be done to the nodes that come.
    padding: Padding,
    scale: Option<f32>,
}

impl Rewiring {
    fn push(&mut self, node: &Node) {
        let is_flat = |input: &NodeId| self.flat[input.0];
        let flat =
            node.layer.is_global() || !node.inputs.is_empty() && node.inputs.iter().all(is_flat);
        let inputs = node.inputs.iter().map(|input| self.place[input.0]);
        let mut node = Node {
            inputs: inputs.collect(),
            ..node.clone()
        };
        if let (Some(&MaxPool { window }), Some(scale)) = (node.layer.of_kind(), self.scale) {
            node.layer = Arc::new(AvgPool {
                window,
                scale,
                count_padding: false,
            });
        }
        if !flat {
            self.pad(&mut node);
        }
        self.nodes.push(node);
        self.place.push(NodeId(self.nodes.len() - 1));
        self.flat.push(flat);
    }

    /// Puts a node before `node` that does its padding.
    fn pad(&mut self, node: &mut Node) {
        let Some(window) = node.layer.window() else {
            return;
        };
        let (pad, bare) = match self.padding {
            Padding::Zero => return,
            Padding::Replicate | Padding::ReplicateFirst => {
                if !window.is_padded() || !node.is::<Conv>() {
                    return;
                }
                if self.padding == Padding::ReplicateFirst {
                    self.padding = Padding::Zero;
                }
                let pad = Pad {
                    before: window.before.map(u32::cast_signed),
                    after: window.after.map(u32::cast_signed),
                    edge: Edge::Replicate,
                };
                (pad, window)
            }
            // One window for every `stride` positions, the first where it has always been.
            Padding::Wrap => {
                let extent = window.extent();
                let both = |axis: usize| extent[axis].saturating_sub(window.stride[axis]);
                let before = [0, 1].map(|axis| window.before[axis].min(both(axis)));
                let pad = Pad {
                    before: before.map(u32::cast_signed),
                    after: [0, 1].map(|axis| (both(axis) - before[axis]).cast_signed()),
                    edge: Edge::Wrap,
                };
                let ceil = false;
                (pad, Window { ceil, ..window })
            }
        };
        let bare = Window {
            before: [0; 2],
            after: [0; 2],
            ..bare
        };
        let Some(layer) = node.layer.with_window(bare) else {
            return;
        };
        node.layer = layer;
        if pad.before == [0; 2] && pad.after == [0; 2] {
            return;
        }
        let input = node.inputs[0];
        self.nodes.push(Node {
            name: format!("{}/pad", node.name),
            aliases: Vec::new(),
            layer: Arc::new(pad),
            inputs: vec![input],
            channels: self.nodes[input.0].channels,
            is_aside: node.is_aside,
        });
        node.inputs = vec![NodeId(self.nodes.len() - 1)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::AdaptiveAvgPool;
    use crate::net::{Architecture, Shape};

    /// All layers of an architecture, without the numbers of most.
    fn network(architecture: Architecture) -> Network {
        let start = Network::random(architecture, 10, 1, 1).expect("a random network");
        Network {
            graph: architecture.graph(10),
            ..start
        }
    }

    const ALL: [Architecture; 6] = [
        Architecture::SqueezeNet1_0,
        Architecture::SqueezeNet1_1,
        Architecture::Vgg16,
        Architecture::Vgg19,
        Architecture::AlexNet,
        Architecture::GoogLeNetBvlc,
    ];

    #[test]
    fn as_trained_is_the_network_itself() {
        for architecture in ALL {
            let network = network(architecture);
            let same = network.rewired(Padding::Zero, Pooling::Max);
            assert_eq!(same.graph, network.graph, "{architecture:?}");
        }
    }

    #[test]
    fn wrapped_layers_divide_the_image_among_them() {
        for architecture in ALL {
            let plain = network(architecture);
            for pooling in [Pooling::Max, Pooling::Average] {
                let wrapped = plain.rewired(Padding::Wrap, pooling);
                let shapes = wrapped.shapes(96, 224);
                for (node, shape) in plain.layers().zip(plain.shapes(96, 224)) {
                    let id = wrapped.find(&node.name).expect("the same names");
                    assert_eq!(wrapped.node(id).aliases, node.aliases);
                    let (Some(fields), Some(Shape { channels, .. })) =
                        (wrapped.receptive_field(id), shape)
                    else {
                        continue;
                    };
                    let [field, across] = fields;
                    assert_eq!(field, across);
                    let old = plain.find(&node.name).expect("a layer");
                    // Each unit looks where it has always looked.
                    assert_eq!(Some(fields), plain.receptive_field(old), "{}", node.name);
                    if wrapped.nodes()[..=id.0]
                        .iter()
                        .any(Node::is::<AdaptiveAvgPool>)
                    {
                        assert_eq!(shapes[id.0], shape, "{}: behind the pool", node.name);
                        continue;
                    }
                    let expected = Shape {
                        channels,
                        height: 96 / field.stride,
                        width: 224 / field.stride,
                    };
                    assert_eq!(
                        shapes[id.0],
                        Some(expected),
                        "{architecture:?} {}",
                        node.name
                    );
                }
            }
        }
    }

    #[test]
    fn replicate_pads_where_zeros_did() {
        for (architecture, first, every) in [
            (Architecture::Vgg19, "conv1_1", 16),
            (Architecture::SqueezeNet1_1, "fire2/expand3x3_pre_relu", 8),
            (Architecture::AlexNet, "conv1", 5),
        ] {
            let plain = network(architecture);
            for (padding, count) in [(Padding::ReplicateFirst, 1), (Padding::Replicate, every)] {
                let padded = plain.rewired(padding, Pooling::Max);
                assert_eq!(padded.nodes().len(), plain.nodes().len() + count);
                let id = padded.find(first).expect("a layer");
                let before = padded.node(id).inputs[0];
                assert!(matches!(
                    padded.node(before).layer.of_kind(),
                    Some(Pad { edge: Edge::Replicate, before: b, after: a }) if a == b && a[0] > 0
                ));
                for node in plain.layers() {
                    let old = plain.find(&node.name).expect("a layer");
                    let new = padded.find(&node.name).expect("the same names");
                    assert_eq!(plain.shapes(99, 70)[old.0], padded.shapes(99, 70)[new.0]);
                }
            }
        }
    }

    #[test]
    fn average_takes_every_pool() {
        let averaged = network(Architecture::Vgg19).rewired(Padding::Zero, Pooling::Average);
        let pools = averaged
            .layers()
            .filter_map(|n| n.layer.of_kind::<AvgPool>());
        assert_eq!(pools.filter(|pool| pool.scale == 2.0).count(), 5);
        assert!(!averaged.layers().any(Node::is::<MaxPool>));
    }
}
