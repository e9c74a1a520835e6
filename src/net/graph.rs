//! The layer graph: nodes in topological order, their output sizes and their receptive fields.

use super::NetError;

/// A node's place in [`super::Network::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// What a node computes from its inputs. Every tensor is a batch of `[channels, height, width]`.
///
/// Windows follow torch and Caffe: an output size is `(size + 2*pad - kernel) / stride + 1`, rounded down,
/// or up where `ceil` is set, but a last window that would start beyond the image and its left padding is
/// dropped. Pooling windows are clipped to the padded image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The image: RGB in `[0,1]`, sRGB-encoded, 3 channels. Always node 0.
    Input,
    /// `x * scale + bias` per channel, made from the network's mean and standard deviation. Always node 1;
    /// the first convolution pads its result, not the image.
    Normalize {
        scale: [f32; 3],
        bias: [f32; 3],
    },
    /// Cross-correlation with zero padding, plus bias; no ReLU. `weights` indexes [`super::Network::convs`].
    /// A linear layer is one too: over its whole input the first time, 1×1 afterwards.
    Conv {
        kernel: u32,
        stride: u32,
        pad: u32,
        weights: usize,
    },
    Relu,
    /// Maximum over a window; padding never wins.
    MaxPool {
        kernel: u32,
        stride: u32,
        pad: u32,
        ceil: bool,
    },
    /// `scale` times the mean over a window; padding neither adds nor counts.
    AvgPool {
        kernel: u32,
        stride: u32,
        pad: u32,
        ceil: bool,
        scale: f32,
    },
    /// `before` positions more at the top and the left, `after` more at the bottom and the right, filled as `edge` says.
    Pad {
        before: u32,
        after: u32,
        edge: Edge,
    },
    /// Mean over `out`×`out` windows: output i averages the inputs from `floor(i*size/out)` up to, not
    /// including, `ceil((i+1)*size/out)`. They overlap, or repeat, where `out` does not divide the size.
    AdaptiveAvgPool {
        out: u32,
    },
    /// Mean over all positions.
    GlobalAvgPool,
    /// Caffe's local response normalization across channels: `x / (k + alpha/size * sum x^2)^beta`, the sum
    /// over `size` channels around x's own, fewer at the ends (Krizhevsky et al. 2012, section 3.3).
    Lrn {
        size: u32,
        alpha: f32,
        beta: f32,
        k: f32,
    },
    /// The inputs' channels one after another, in input order.
    Concat,
    /// Over the channels, at each position.
    Softmax,
}

/// What stands beyond the edges of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// The outermost positions, repeated.
    Replicate,
    /// The positions of the opposite side.
    Wrap,
}

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The field's name, e.g. `relu4_2` or `fire2/concat`.
    pub name: String,
    /// Further names for the same values: torchvision's, Keras', Lucid's, and of identity layers after it.
    pub aliases: Vec<String>,
    pub op: Op,
    /// All have smaller ids.
    pub inputs: Vec<NodeId>,
    /// Output channels.
    pub channels: u32,
}

impl Node {
    /// Whether `layer` is one of this node's names. A dotted name may also be written with underscores
    /// (`features_21`), as tools do for which a dot is not part of a name.
    pub fn answers_to(&self, layer: &str) -> bool {
        self.name == layer
            || self.aliases.iter().any(|alias| {
                alias == layer || alias.contains('.') && alias.replace('.', "_") == layer
            })
    }
}

/// Size of a node's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub channels: u32,
    pub height: u32,
    pub width: u32,
}

/// Which pixels a unit sees: along either axis, unit i sees `size` pixels centred on `start + i*stride`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceptiveField {
    /// Pixels, padding included.
    pub size: u32,
    /// Pixels from one unit to the next.
    pub stride: u32,
    /// Centre of unit 0 in pixel indices; a half where the field's size is even.
    pub start: f64,
}

/// Kernel, stride and padding of a convolution or a pool, the same along both axes.
#[derive(Clone, Copy)]
pub(super) struct Window {
    pub kernel: u32,
    pub stride: u32,
    pub pad: u32,
}

pub(super) const fn window(kernel: u32, stride: u32, pad: u32) -> Window {
    Window {
        kernel,
        stride,
        pad,
    }
}

/// What a weights file must hold for one convolution.
#[derive(Clone, Debug)]
pub(super) struct ConvSpec {
    /// Prefix of the tensors' names: `<tensor>.weight` and `<tensor>.bias`.
    pub tensor: String,
    pub out_channels: u32,
    pub in_channels: u32,
    pub kernel: u32,
    /// Stored as a linear layer's matrix `[out, in*kernel*kernel]`.
    pub linear: bool,
}

impl ConvSpec {
    pub fn weight_shape(&self) -> Vec<usize> {
        let [out, input, k] =
            [self.out_channels, self.in_channels, self.kernel].map(|n| n as usize);
        if self.linear {
            vec![out, input * k * k]
        } else {
            vec![out, input, k, k]
        }
    }
}

/// A network without its numbers, and the builder that the architectures use to make one.
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub convs: Vec<ConvSpec>,
}

impl Graph {
    /// A graph of the two nodes that every network starts with. What Normalize does is known only with the
    /// weights; here it is the identity.
    pub fn new() -> Self {
        let mut graph = Graph {
            nodes: Vec::new(),
            convs: Vec::new(),
        };
        let input = graph.push("input", Op::Input, &[], 3);
        let identity = Op::Normalize {
            scale: [1.0; 3],
            bias: [0.0; 3],
        };
        let normalized = graph.push("normalize", identity, &[input], 3);
        // Caffe's data blob holds the preprocessed image.
        graph.alias(normalized, ["data"]);
        graph
    }

    /// The normalized image, node 1.
    pub fn normalized(&self) -> NodeId {
        NodeId(1)
    }

    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeId], channels: u32) -> NodeId {
        self.nodes.push(Node {
            name: name.to_owned(),
            aliases: Vec::new(),
            op,
            inputs: inputs.to_vec(),
            channels,
        });
        NodeId(self.nodes.len() - 1)
    }

    pub fn alias<S: Into<String>>(&mut self, node: NodeId, names: impl IntoIterator<Item = S>) {
        let names = names.into_iter().map(Into::into);
        self.nodes[node.0].aliases.extend(names);
    }

    /// A convolution whose tensors' prefix becomes an alias.
    pub fn conv(
        &mut self,
        x: NodeId,
        name: &str,
        tensor: &str,
        out_channels: u32,
        at: Window,
    ) -> NodeId {
        self.weighted(x, name, tensor, out_channels, at, false)
    }

    /// A linear layer over `kernel`×`kernel` positions, as the convolution it is.
    pub fn linear(
        &mut self,
        x: NodeId,
        name: &str,
        tensor: &str,
        out_channels: u32,
        kernel: u32,
    ) -> NodeId {
        self.weighted(x, name, tensor, out_channels, window(kernel, 1, 0), true)
    }

    fn weighted(
        &mut self,
        x: NodeId,
        name: &str,
        tensor: &str,
        out_channels: u32,
        at: Window,
        linear: bool,
    ) -> NodeId {
        let op = Op::Conv {
            kernel: at.kernel,
            stride: at.stride,
            pad: at.pad,
            weights: self.convs.len(),
        };
        self.convs.push(ConvSpec {
            tensor: tensor.to_owned(),
            out_channels,
            in_channels: self.nodes[x.0].channels,
            kernel: at.kernel,
            linear,
        });
        let node = self.push(name, op, &[x], out_channels);
        self.alias(node, [tensor]);
        node
    }

    /// A node with as many channels as its input: everything but convolution and concatenation.
    pub fn map(&mut self, x: NodeId, name: &str, op: Op) -> NodeId {
        let channels = self.nodes[x.0].channels;
        self.push(name, op, &[x], channels)
    }

    pub fn relu(&mut self, x: NodeId, name: &str) -> NodeId {
        self.map(x, name, Op::Relu)
    }

    pub fn max_pool(&mut self, x: NodeId, name: &str, at: Window, ceil: bool) -> NodeId {
        let Window {
            kernel,
            stride,
            pad,
        } = at;
        let op = Op::MaxPool {
            kernel,
            stride,
            pad,
            ceil,
        };
        self.map(x, name, op)
    }

    pub fn concat(&mut self, inputs: &[NodeId], name: &str) -> NodeId {
        let channels = inputs.iter().map(|x| self.nodes[x.0].channels).sum();
        self.push(name, Op::Concat, inputs, channels)
    }

    /// Keeps the first `convs` convolutions and every node before the next one.
    pub fn cut(&mut self, convs: usize) {
        let first_without =
            |node: &Node| matches!(node.op, Op::Conv { weights, .. } if weights >= convs);
        if let Some(end) = self.nodes.iter().position(first_without) {
            self.nodes.truncate(end);
        }
        self.convs.truncate(convs);
    }
}

/// Every node's output size for an image of `height`×`width` pixels, in the nodes' order; none where the
/// image is too small for the node or for one before it.
pub(super) fn shapes(nodes: &[Node], height: u32, width: u32) -> Vec<Option<Shape>> {
    let mut shapes: Vec<Option<Shape>> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let size = match node.inputs.first() {
            None => (height > 0 && width > 0).then_some((height, width)),
            Some(input) => shapes[input.0].and_then(|x| output_size(&node.op, x.height, x.width)),
        };
        // All inputs of a concatenation are as large as the first, but the last may be missing.
        let complete = node.inputs.iter().all(|input| shapes[input.0].is_some());
        shapes.push(size.filter(|_| complete).map(|(height, width)| Shape {
            channels: node.channels,
            height,
            width,
        }));
    }
    shapes
}

fn output_size(op: &Op, height: u32, width: u32) -> Option<(u32, u32)> {
    let along = |size, at: Window, ceil| output_length(size, at, ceil);
    let (at, ceil) = match *op {
        Op::Input | Op::Normalize { .. } | Op::Relu | Op::Lrn { .. } | Op::Concat | Op::Softmax => {
            return Some((height, width));
        }
        Op::GlobalAvgPool => return Some((1, 1)),
        Op::AdaptiveAvgPool { out } => return Some((out, out)),
        Op::Pad { before, after, .. } => {
            return Some((height + before + after, width + before + after));
        }
        _ => window_of(op)?,
    };
    Some((along(height, at, ceil)?, along(width, at, ceil)?))
}

/// The window that an operation slides over its input, and whether its count is rounded up.
pub(super) fn window_of(op: &Op) -> Option<(Window, bool)> {
    match *op {
        Op::Conv {
            kernel,
            stride,
            pad,
            ..
        } => Some((window(kernel, stride, pad), false)),
        Op::MaxPool {
            kernel,
            stride,
            pad,
            ceil,
        }
        | Op::AvgPool {
            kernel,
            stride,
            pad,
            ceil,
            ..
        } => Some((window(kernel, stride, pad), ceil)),
        _ => None,
    }
}

/// How many windows fit along one axis; none where not even one does.
fn output_length(size: u32, at: Window, ceil: bool) -> Option<u32> {
    let [size, kernel, stride, pad] = [size, at.kernel, at.stride, at.pad].map(i64::from);
    let room = size + 2 * pad - kernel + if ceil { stride - 1 } else { 0 };
    let mut length = room.div_euclid(stride) + 1;
    if ceil && (length - 1) * stride >= size + pad {
        length -= 1;
    }
    u32::try_from(length).ok().filter(|&length| length > 0)
}

/// The smallest side of a square image for which `node` has an output. Sizes only grow with the image, so
/// that bisection finds it.
pub(super) fn minimum_side(nodes: &[Node], node: NodeId) -> u32 {
    let works = |side| shapes(&nodes[..=node.0], side, side)[node.0].is_some();
    let (mut low, mut high) = (0, 1);
    while !works(high) {
        (low, high) = (high, high * 2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if works(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// Which pixels a unit of `node` sees; none behind a global pool, where each sees the whole image.
///
/// Layers behind an adaptive pool are given as at the size the network was trained at, where that pool
/// changes nothing. A concatenation has the field of its widest branch.
pub(super) fn receptive_field(nodes: &[Node], node: NodeId) -> Option<ReceptiveField> {
    let mut fields: Vec<Option<ReceptiveField>> = Vec::with_capacity(node.0 + 1);
    for node in &nodes[..=node.0] {
        let widest = |a: ReceptiveField, b: ReceptiveField| if b.size > a.size { b } else { a };
        let before = node.inputs.iter().map(|input| fields[input.0]);
        let field = match node.op {
            Op::Input => Some(ReceptiveField {
                size: 1,
                stride: 1,
                start: 0.0,
            }),
            Op::GlobalAvgPool => None,
            _ => before
                .reduce(|a, b| Some(widest(a?, b?)))
                .flatten()
                .map(|field| match (node.op, window_of(&node.op)) {
                    (Op::Pad { before, .. }, _) => ReceptiveField {
                        start: field.start - f64::from(before * field.stride),
                        ..field
                    },
                    (_, Some((at, _))) => slide(field, at),
                    (_, None) => field,
                }),
        };
        fields.push(field);
    }
    fields[node.0]
}

fn slide(field: ReceptiveField, at: Window) -> ReceptiveField {
    let centre = f64::from(at.kernel - 1) / 2.0 - f64::from(at.pad);
    ReceptiveField {
        size: field.size + (at.kernel - 1) * field.stride,
        stride: field.stride * at.stride,
        start: field.start + centre * f64::from(field.stride),
    }
}

/// The output size of one node, or an error that says how large an image it needs.
pub(super) fn shape(
    nodes: &[Node],
    node: NodeId,
    height: u32,
    width: u32,
) -> Result<Shape, NetError> {
    shapes(&nodes[..=node.0], height, width)[node.0].ok_or_else(|| NetError::ImageTooSmall {
        layer: nodes[node.0].name.clone(),
        height,
        width,
        minimum: minimum_side(nodes, node),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_counts_are_those_of_torch() {
        let length = |size, (k, s, p), ceil| output_length(size, window(k, s, p), ceil);
        assert_eq!(length(224, (11, 4, 2), false), Some(55));
        assert_eq!(length(113, (3, 2, 0), false), Some(56));
        assert_eq!(length(112, (3, 2, 0), false), Some(55));
        assert_eq!(length(112, (3, 2, 0), true), Some(56));
        // Rounded up, a window may stick out as long as it starts inside.
        assert_eq!(length(2, (3, 2, 0), true), Some(1));
        assert_eq!(length(1, (3, 2, 0), true), None);
        assert_eq!(length(2, (3, 2, 0), false), None);
        // Of 5 positions and a padding of 1, the fourth window of 2 would start at 5, behind the last position.
        assert_eq!(length(5, (2, 2, 1), true), Some(3));
        assert_eq!(length(4, (1, 3, 1), true), Some(2));
        assert_eq!(length(7, (3, 1, 1), true), Some(7));
    }

    #[test]
    fn a_branch_that_does_not_fit_takes_its_concatenation_with_it() {
        let mut graph = Graph::new();
        let image = graph.normalized();
        let relu = graph.relu(image, "relu");
        let pool = graph.max_pool(image, "pool", window(3, 1, 0), false);
        let concat = graph.concat(&[relu, pool], "concat");
        let small = shapes(&graph.nodes, 2, 5);
        assert!(small[relu.0].is_some());
        assert_eq!(small[pool.0], None);
        assert_eq!(small[concat.0], None);
        assert_eq!(minimum_side(&graph.nodes, concat), 3);
        assert_eq!(minimum_side(&graph.nodes, relu), 1);
    }
}
