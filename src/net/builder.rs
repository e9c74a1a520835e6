//! Making a graph, and what can be wrong with it.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::{GraphError, GraphProblem};
use super::graph::{Graph, Node, NodeId};
use crate::layer::{
    AdaptiveAvgPool, Add, AvgPool, Concat, Conv, GlobalAvgPool, Input, Layer, MaxPool, Normalize,
    Relu, Softmax, Window,
};

/// Takes layer after layer and makes a [`Graph`] of them.
///
/// ```
/// use pixgrad::engine::layer::Window;
/// use pixgrad::engine::net::Graph;
///
/// let mut graph = Graph::builder();
/// let image = graph.input("image", 3);
/// let conv = graph.conv("conv1", image, "features.0", 16, Window::square(3, 1, 1));
/// let relu = graph.relu("relu1", conv);
/// graph.alias(relu, ["features.1"]);
/// graph.max_pool("pool1", relu, Window::square(2, 2, 0));
/// assert_eq!(graph.build()?.nodes().len(), 4);
/// # Ok::<(), pixgrad::engine::net::GraphError>(())
/// ```
///
/// Nothing is refused before [`GraphBuilder::build`], which names the layer that is wrong.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    trained_size: Option<[u32; 2]>,
}

impl GraphBuilder {
    /// A layer of any kind that reads `inputs`.
    pub fn push(&mut self, name: &str, layer: impl Layer, inputs: &[NodeId]) -> NodeId {
        self.push_layer(name, Arc::new(layer), inputs)
    }

    /// As [`GraphBuilder::push`], of a layer that may be another node's, too.
    pub fn push_layer(&mut self, name: &str, layer: Arc<dyn Layer>, inputs: &[NodeId]) -> NodeId {
        let channels: Vec<u32> = inputs.iter().map(|x| self.channels(*x)).collect();
        let fits = layer.inputs().contains(&inputs.len());
        // Where they are not known the graph is wrong, and building it says so.
        let channels = fits.then(|| layer.channels(&channels).ok()).flatten();
        self.nodes.push(Node {
            name: name.to_owned(),
            aliases: Vec::new(),
            layer,
            inputs: inputs.to_vec(),
            channels: channels.unwrap_or(0),
            is_aside: false,
        });
        NodeId(self.nodes.len() - 1)
    }

    /// Further names of a node that was pushed.
    pub fn alias<S: Into<String>>(&mut self, node: NodeId, names: impl IntoIterator<Item = S>) {
        let names = names.into_iter().map(Into::into);
        self.nodes[node.0].aliases.extend(names);
    }

    /// Height and width of the images that the network was trained on, for messages: layers may fit these only.
    pub fn trained_size(&mut self, size: [u32; 2]) {
        self.trained_size = Some(size);
    }

    /// Says of a node that it is there for its names only: no method looks at it unless it is told to.
    pub fn set_aside(&mut self, node: NodeId) {
        self.nodes[node.0].is_aside = true;
    }

    /// Channels of a node, 0 where there is no such node.
    pub fn channels(&self, node: NodeId) -> u32 {
        self.nodes.get(node.0).map_or(0, |node| node.channels)
    }

    /// The image.
    pub fn input(&mut self, name: &str, channels: u32) -> NodeId {
        self.push(name, Input { channels }, &[])
    }

    /// `x * scale + bias` for each of 3 channels.
    pub fn normalize(&mut self, name: &str, x: NodeId, scale: [f32; 3], bias: [f32; 3]) -> NodeId {
        self.push(name, Normalize { scale, bias }, &[x])
    }

    /// A convolution with the parameters `<tensor>.weight` and `<tensor>.bias`; `tensor` becomes an alias, unless
    /// another layer has that name.
    pub fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        tensor: &str,
        out_channels: u32,
        window: Window,
    ) -> NodeId {
        self.trained(name, x, tensor, out_channels, window, 1, false)
    }

    /// As [`GraphBuilder::conv`], in `groups` of channels that do not see each other.
    pub fn grouped_conv(
        &mut self,
        name: &str,
        x: NodeId,
        tensor: &str,
        out_channels: u32,
        window: Window,
        groups: u32,
    ) -> NodeId {
        self.trained(name, x, tensor, out_channels, window, groups, false)
    }

    /// A linear layer over `kernel` positions, as the convolution it is.
    pub fn linear(
        &mut self,
        name: &str,
        x: NodeId,
        tensor: &str,
        out_channels: u32,
        kernel: [u32; 2],
    ) -> NodeId {
        let window = Window {
            kernel,
            ..Window::square(1, 1, 0)
        };
        self.trained(name, x, tensor, out_channels, window, 1, true)
    }

    #[expect(clippy::too_many_arguments, reason = "what a convolution is")]
    fn trained(
        &mut self,
        name: &str,
        x: NodeId,
        tensor: &str,
        out_channels: u32,
        window: Window,
        groups: u32,
        linear: bool,
    ) -> NodeId {
        let conv = Conv {
            tensor: tensor.to_owned(),
            in_channels: self.channels(x),
            out_channels,
            window,
            groups,
            linear,
        };
        // Of layers that share their parameters the first is called like them.
        let is_taken = self.nodes.iter().any(|node| node.answers_to(tensor));
        let node = self.push(name, conv, &[x]);
        if tensor != name && !is_taken {
            self.alias(node, [tensor]);
        }
        node
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Relu, &[x])
    }

    /// The maximum of windows.
    pub fn max_pool(&mut self, name: &str, x: NodeId, window: Window) -> NodeId {
        self.push(name, MaxPool { window }, &[x])
    }

    /// `scale` times the mean of windows.
    pub fn avg_pool(&mut self, name: &str, x: NodeId, window: Window, scale: f32) -> NodeId {
        let pool = AvgPool {
            window,
            scale,
            count_padding: false,
        };
        self.push(name, pool, &[x])
    }

    /// Means that make any size `out`.
    pub fn adaptive_avg_pool(&mut self, name: &str, x: NodeId, out: [u32; 2]) -> NodeId {
        self.push(name, AdaptiveAvgPool { out }, &[x])
    }

    /// The mean of all positions.
    pub fn global_avg_pool(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, GlobalAvgPool::MEAN, &[x])
    }

    /// The channels of several layers one after another.
    pub fn concat(&mut self, name: &str, inputs: &[NodeId]) -> NodeId {
        self.push(name, Concat, inputs)
    }

    /// The sum of several layers.
    pub fn add(&mut self, name: &str, inputs: &[NodeId]) -> NodeId {
        self.push(name, Add, inputs)
    }

    /// Probabilities of classes.
    pub fn softmax(&mut self, name: &str, x: NodeId) -> NodeId {
        self.push(name, Softmax, &[x])
    }

    /// The graph, if all is right with it.
    ///
    /// # Errors
    /// Names the first layer that reads what is not there or comes after it, has the wrong number of inputs or of
    /// channels, options that cannot be, a name or a parameter of another shape that is another's, or no size whatever
    /// the image.
    pub fn build(self) -> Result<Graph, GraphError> {
        let graph = Graph::of_nodes(self.nodes, self.trained_size);
        if graph.nodes().is_empty() {
            return Err(problem("input", GraphProblem::Empty));
        }
        let mut names: HashMap<&str, usize> = HashMap::new();
        let mut parameters: HashMap<String, (Vec<usize>, &str)> = HashMap::new();
        for (index, node) in graph.nodes().iter().enumerate() {
            let wrong = |found| problem(&node.name, found);
            for input in &node.inputs {
                if input.0 >= index {
                    let place = input.0;
                    let later = graph.nodes().get(place).map(|node| node.name.clone());
                    return Err(wrong(GraphProblem::UnknownInput { place, later }));
                }
            }
            let expected = node.layer.inputs();
            if !expected.contains(&node.inputs.len()) {
                return Err(wrong(GraphProblem::Inputs {
                    kind: node.layer.kind(),
                    expected,
                    found: node.inputs.len(),
                }));
            }
            let channels: Vec<u32> = node
                .inputs
                .iter()
                .map(|x| graph.node(*x).channels)
                .collect();
            node.layer
                .channels(&channels)
                .map_err(|problem| wrong(GraphProblem::Layer(problem)))?;
            for name in std::iter::once(&node.name).chain(&node.aliases) {
                let owner = *names.entry(name).or_insert(index);
                if owner != index {
                    return Err(wrong(GraphProblem::Name {
                        name: name.clone(),
                        other: graph.nodes()[owner].name.clone(),
                    }));
                }
            }
            for parameter in node.layer.parameters() {
                let known = parameters
                    .entry(parameter.name.clone())
                    .or_insert_with(|| (parameter.shape.clone(), &node.name));
                if known.0 != parameter.shape {
                    return Err(wrong(GraphProblem::Shared {
                        parameter: parameter.name,
                        shape: parameter.shape,
                        other: known.1.to_owned(),
                        expected: known.0.clone(),
                    }));
                }
            }
        }
        graph.check_sizes()?;
        Ok(graph)
    }
}

fn problem(layer: &str, problem: GraphProblem) -> GraphError {
    GraphError {
        layer: layer.to_owned(),
        problem,
    }
}
