//! The graph of a network: layers that read layers, in an order in which all that a layer reads comes before it.

use std::collections::HashMap;
use std::sync::Arc;

use super::builder::GraphBuilder;
use super::error::{GraphError, GraphProblem, ImageTooSmall, UnevenImageSize, WrongImageSize};
use super::{NetError, Preprocessing};
use crate::layer::{Input, Layer, Normalize, ParameterShape, ReceptiveField, Shape, SizeError};

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One layer of a network. Every tensor is a batch of `[channels, height, width]`.
#[derive(Clone, Debug)]
pub struct Node {
    /// The field's name, e.g. `relu4_2` or `fire2/concat`.
    pub name: String,
    /// Further names for the same values: torchvision's, Keras', Lucid's, and of identity layers after it.
    pub aliases: Vec<String>,
    /// What it computes from its inputs.
    pub layer: Arc<dyn Layer>,
    /// All have smaller ids.
    pub inputs: Vec<NodeId>,
    /// Output channels.
    pub channels: u32,
    /// Whether it is there for its names only: nothing of the network depends on it.
    pub is_aside: bool,
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let names = self.name == other.name && self.aliases == other.aliases;
        names && self.inputs == other.inputs && *self.layer == *other.layer
    }
}

impl Node {
    /// Whether `layer` is one of this node's names. A dotted name may also be written with underscores
    /// (`features_21`), as tools do for which a dot is not part of a name.
    pub fn answers_to(&self, layer: &str) -> bool {
        self.name == layer
            || self
                .aliases
                .iter()
                .any(|alias| alias == layer || alias.contains('.') && is_underscored(alias, layer))
    }

    /// Whether the layer is of a certain kind.
    pub fn is<L: Layer>(&self) -> bool {
        self.layer.is::<L>()
    }
}

/// Whether `layer` is `alias` with underscores for its dots.
fn is_underscored(alias: &str, layer: &str) -> bool {
    let underscored = alias.bytes().map(|b| if b == b'.' { b'_' } else { b });
    alias.len() == layer.len() && underscored.eq(layer.bytes())
}

/// A network without its numbers: what [`GraphBuilder::build`] found to be right.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
    trained_size: Option<[u32; 2]>,
}

/// The largest square that is tried where layers are for one size.
const LARGEST_FIXED: u32 = 512;

/// So many pixels to either side an image size is looked for that fits; the largest stride of networks in use.
const NEAR: u32 = 64;

/// A node's size, or the node that has none and why.
type Sized = Result<Shape, (NodeId, SizeError)>;

impl Graph {
    /// An empty graph, to be filled.
    #[must_use]
    pub fn builder() -> GraphBuilder {
        GraphBuilder::default()
    }

    /// Of nodes that are known to be right.
    pub(super) fn of_nodes(nodes: Vec<Node>, trained_size: Option<[u32; 2]>) -> Self {
        Self {
            nodes,
            trained_size,
        }
    }

    /// Height and width of the images that the network was trained on, where that is known.
    #[must_use]
    pub fn trained_size(&self) -> Option<[u32; 2]> {
        self.trained_size
    }

    /// All nodes, each after those that it reads.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of that id. Panics on another graph's.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The ids of the nodes, in their order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The node of that name.
    #[must_use]
    pub fn find(&self, layer: &str) -> Option<NodeId> {
        self.ids().find(|id| self.node(*id).answers_to(layer))
    }

    /// What the graph is given.
    pub fn inputs(&self) -> impl Iterator<Item = NodeId> {
        self.ids().filter(|id| self.node(*id).is::<Input>())
    }

    /// The parameters of all layers in their order; those that layers share are there once.
    #[must_use]
    pub fn parameters(&self) -> Vec<ParameterShape> {
        let mut all: Vec<ParameterShape> = Vec::new();
        for shape in self.nodes.iter().flat_map(|node| node.layer.parameters()) {
            if all.iter().all(|known| known.name != shape.name) {
                all.push(shape);
            }
        }
        all
    }

    /// The layers that have parameters.
    pub(super) fn trained(&self) -> impl Iterator<Item = NodeId> {
        self.ids()
            .filter(|id| !self.node(*id).layer.parameters().is_empty())
    }

    /// One more name of a node, unless there is such a name.
    pub(super) fn alias(&mut self, id: NodeId, name: String) {
        if self.find(&name).is_none() {
            self.nodes[id.0].aliases.push(name);
        }
    }

    /// Keeps the first `count` layers that have parameters, and every node before the next one.
    pub(super) fn cut(&mut self, count: usize) {
        let end = self.trained().nth(count);
        if let Some(end) = end {
            self.nodes.truncate(end.0);
        }
    }

    /// Lets the image be normalized for a network that was trained with `preprocessing`.
    pub(super) fn normalize(&mut self, preprocessing: &Preprocessing) {
        let (scale, bias) = preprocessing.scale_and_bias();
        for node in self.nodes.iter_mut().filter(|node| node.is::<Normalize>()) {
            node.layer = Arc::new(Normalize { scale, bias });
        }
    }

    /// Every node's output size for images of `height`×`width` pixels, in the nodes' order.
    fn sizes(&self, height: u32, width: u32) -> Vec<Sized> {
        let mut sizes: Vec<Sized> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.ids().zip(&self.nodes) {
            let inputs: Result<Vec<[u32; 2]>, _> = node
                .inputs
                .iter()
                .map(|input| sizes[input.0].clone().map(|x| [x.height, x.width]))
                .collect();
            let size = inputs.and_then(|inputs| match inputs.is_empty() {
                true if height == 0 || width == 0 => {
                    let input = [height, width];
                    Err((id, SizeError::TooSmall { input }))
                }
                true => Ok([height, width]),
                false => node.layer.size(&inputs).map_err(|error| (id, error)),
            });
            sizes.push(size.map(|[height, width]| Shape {
                channels: node.channels,
                height,
                width,
            }));
        }
        sizes
    }

    /// Every node's output size for an image of `height`×`width` pixels, in the nodes' order; none where the image does
    /// not suit the node or one before it.
    #[must_use]
    pub fn shapes(&self, height: u32, width: u32) -> Vec<Option<Shape>> {
        self.sizes(height, width)
            .into_iter()
            .map(Result::ok)
            .collect()
    }

    /// The output size of one node.
    ///
    /// # Errors
    /// [`NetError::WrongImageSize`], with a size that fits, where only some do; [`NetError::ImageTooSmall`], with the
    /// least size that would do; [`NetError::Graph`] where layers that go together have different sizes.
    pub fn shape(&self, id: NodeId, height: u32, width: u32) -> Result<Shape, NetError> {
        let found = self.sizes(height, width).swap_remove(id.0);
        found.map_err(|(at, error)| {
            let layer = self.node(id).name.clone();
            if let Some(required) = self.required_size(id) {
                return NetError::WrongImageSize(WrongImageSize {
                    layer,
                    height,
                    width,
                    required,
                });
            }
            match error {
                SizeError::TooSmall { .. } => NetError::ImageTooSmall(ImageTooSmall {
                    layer,
                    height,
                    width,
                    minimum: self.minimum_side(id),
                }),
                SizeError::Different { first, other } => {
                    let joint = self.node(at).name.clone();
                    let image = [height, width];
                    let fitting = self.fitting_sizes(id, image);
                    if fitting.is_empty() {
                        let problem = GraphProblem::Size { error, image };
                        return NetError::Graph(GraphError {
                            layer: joint,
                            problem,
                        });
                    }
                    NetError::UnevenImageSize(UnevenImageSize {
                        joint,
                        height,
                        width,
                        sizes: [first, other],
                        fitting,
                    })
                }
                SizeError::Fixed { .. } => NetError::Graph(GraphError {
                    layer: self.node(at).name.clone(),
                    problem: GraphProblem::Size {
                        error,
                        image: [height, width],
                    },
                }),
            }
        })
    }

    /// The next smaller and the next larger height and width of an image that fits the node, if they are near. A side
    /// that fits in a square fits beside any other that does: rows and columns go through the layers apart.
    fn fitting_sizes(&self, id: NodeId, image: [u32; 2]) -> Vec<[u32; 2]> {
        let fits = |size: [u32; 2]| self.sizes(size[0], size[1]).swap_remove(id.0).is_ok();
        let is_side = |side: &u32| fits([*side; 2]);
        let smaller = image.map(|side| (side.saturating_sub(NEAR)..=side).rev().find(is_side));
        let larger = image.map(|side| (side..=side.saturating_add(NEAR)).find(is_side));
        let both = |[height, width]: [Option<u32>; 2]| height.zip(width).map(|(h, w)| [h, w]);
        let sizes = [both(smaller), both(larger)].into_iter().flatten();
        sizes.filter(|size| fits(*size)).collect()
    }

    /// For how many of [`NEAR`] successive sides of a square image each node has an output: for fewer than all behind a
    /// layer that joins others whose sizes agree for some images only, as a feature pyramid does.
    pub(super) fn fitting_sides(&self) -> Vec<u32> {
        let mut sides = vec![0; self.nodes.len()];
        for side in LARGEST_FIXED..LARGEST_FIXED + NEAR {
            for (sides, size) in sides.iter_mut().zip(self.sizes(side, side)) {
                let differ = matches!(size, Err((_, SizeError::Different { .. })));
                *sides += u32::from(!differ);
            }
        }
        sides
    }

    /// Height and width of an image that fits the node, where not every larger one does because a layer before it is
    /// for inputs of one size: those that the network was trained at, if they fit, else the smallest square.
    #[must_use]
    pub fn required_size(&self, id: NodeId) -> Option<[u32; 2]> {
        let size = |[height, width]: [u32; 2]| self.sizes(height, width).swap_remove(id.0);
        let squares = (1..=LARGEST_FIXED).map(|side| [side; 2]);
        let fitting = self
            .trained_size
            .into_iter()
            .chain(squares)
            .find(|image| size(*image).is_ok())?;
        let twice = size(fitting.map(|side| side.saturating_mul(2)));
        matches!(twice, Err((_, SizeError::Fixed { .. }))).then_some(fitting)
    }

    /// The smallest side of a square image that is not too small for the node. Sizes only grow with the image, so that
    /// bisection finds it.
    pub(super) fn minimum_side(&self, id: NodeId) -> u32 {
        let works = |side| {
            let size = self.sizes(side, side).swap_remove(id.0);
            !matches!(size, Err((_, SizeError::TooSmall { .. })))
        };
        let (mut low, mut high) = (0, 1);
        while !works(high) && high < 1 << 30 {
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

    /// Whether there is an image for which every node has an output: of the sides tried last, the node that has none
    /// and why.
    pub(super) fn check_sizes(&self) -> Result<(), GraphError> {
        // Powers of two suit most networks; some only fit a size of their own.
        let powers = (0..16).map(|log| 1 << log);
        let squares = powers.chain(1..=LARGEST_FIXED).map(|side| [side; 2]);
        let mut found = None;
        for image in squares.chain(self.trained_size) {
            let [height, width] = image;
            match self.sizes(height, width).into_iter().find_map(Result::err) {
                None => return Ok(()),
                Some(problem) => found = Some((image, problem)),
            }
        }
        let Some((image, (at, error))) = found else {
            return Ok(());
        };
        Err(GraphError {
            layer: self.node(at).name.clone(),
            problem: GraphProblem::Size { error, image },
        })
    }

    /// Which pixels a unit of the node sees along the rows' axis and along the columns'; none behind a global pool,
    /// where each sees the whole image.
    ///
    /// Layers behind an adaptive pool are given as at the size the network was trained at, where that pool changes
    /// nothing. What reads several layers sees all that they see, see [`ReceptiveField::union`]; it has no field if
    /// their strides differ.
    #[must_use]
    pub fn receptive_field(&self, id: NodeId) -> Option<[ReceptiveField; 2]> {
        self.fields_up_to(id.0 + 1, None).pop().flatten()
    }

    /// The receptive field of every node, in the nodes' order.
    #[must_use]
    pub fn receptive_fields(&self) -> Vec<Option<[ReceptiveField; 2]>> {
        self.fields_up_to(self.nodes.len(), None)
    }

    /// Where the units of every node lie: its receptive field as if the gates that it is multiplied with, which are
    /// made of all positions, were constants. None where a node knows no places.
    #[must_use]
    pub fn places(&self) -> Vec<Option<[ReceptiveField; 2]>> {
        let flat = self.flat_up_to(self.nodes.len());
        self.fields_up_to(self.nodes.len(), Some(&flat))
    }

    /// `flat` says which nodes' inputs are passed over beside others.
    fn fields_up_to(
        &self,
        count: usize,
        flat: Option<&[bool]>,
    ) -> Vec<Option<[ReceptiveField; 2]>> {
        let mut fields: Vec<Option<[ReceptiveField; 2]>> = Vec::with_capacity(count);
        for node in &self.nodes[..count] {
            let along = |axis: usize| {
                let is_gate = |x: NodeId| {
                    flat.is_some_and(|flat| flat[x.0] && !node.inputs.iter().all(|x| flat[x.0]))
                };
                let mut inputs = node
                    .inputs
                    .iter()
                    .filter(|x| !is_gate(**x))
                    .map(|x| fields[x.0].map(|field| field[axis]));
                let Some(first) = inputs.next() else {
                    return Some(ReceptiveField::PIXEL);
                };
                let all = inputs.fold(first, |all, field| all?.union(field?));
                node.layer.receptive_field(axis, all?)
            };
            fields.push(
                along(0)
                    .zip(along(1))
                    .map(|(rows, columns)| [rows, columns]),
            );
        }
        fields
    }

    /// Whether what a unit of the node sees is the same wherever it is: no layer before it sees the whole image, or
    /// beyond its edges.
    #[must_use]
    pub fn is_local(&self, id: NodeId) -> bool {
        self.before(id).all(|id| self.node(id).layer.is_local())
    }

    /// Whether the node knows no places: it sums up all positions, or all that it reads is behind a layer that does.
    /// What a gate made of all positions is multiplied with still has its places.
    #[must_use]
    pub fn is_behind_global(&self, id: NodeId) -> bool {
        self.flat_up_to(id.0 + 1)[id.0]
    }

    fn flat_up_to(&self, count: usize) -> Vec<bool> {
        let mut flat: Vec<bool> = Vec::with_capacity(count);
        for node in &self.nodes[..count] {
            let inputs = !node.inputs.is_empty() && node.inputs.iter().all(|input| flat[input.0]);
            flat.push(inputs || node.layer.is_global());
        }
        flat
    }

    /// The node and all that it depends on.
    pub(super) fn before(&self, id: NodeId) -> impl Iterator<Item = NodeId> {
        let mut needed = vec![false; id.0 + 1];
        needed[id.0] = true;
        for index in (0..=id.0).rev() {
            if needed[index] {
                self.nodes[index]
                    .inputs
                    .iter()
                    .for_each(|x| needed[x.0] = true);
            }
        }
        self.ids().take(id.0 + 1).filter(move |id| needed[id.0])
    }

    /// Whether no unit of the node is ever negative: a ReLU, and what only pools, pads, joins, adds or divides (local
    /// response normalization) such ones.
    #[must_use]
    pub fn is_rectified(&self, id: NodeId) -> bool {
        let mut rectified: HashMap<NodeId, bool> = HashMap::new();
        for id in self.before(id) {
            let node = self.node(id);
            let inputs = node.inputs.iter().all(|input| rectified[input]);
            rectified.insert(id, node.layer.is_rectified(inputs));
        }
        rectified[&id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Window;

    #[test]
    fn a_branch_that_does_not_fit_takes_its_concatenation_with_it() {
        let mut graph = Graph::builder();
        let image = graph.input("image", 3);
        let mean = graph.global_avg_pool("mean", image);
        let pool = graph.max_pool("pool", image, Window::square(3, 1, 0));
        let narrow = graph.global_avg_pool("narrow", pool);
        let concat = graph.concat("concat", &[mean, narrow]);
        let graph = graph.build().unwrap();
        let small = graph.shapes(2, 5);
        assert!(small[mean.0].is_some());
        assert_eq!(small[pool.0], None);
        assert_eq!(small[concat.0], None);
        assert_eq!(graph.minimum_side(concat), 3);
        assert_eq!(graph.minimum_side(mean), 1);
    }

    #[test]
    fn linear_layers_take_the_size_that_they_were_trained_at() {
        for trained in [None, Some([40, 40])] {
            let mut graph = Graph::builder();
            let image = graph.input("image", 3);
            let conv = graph.conv("conv", image, "conv", 4, Window::square(3, 1, 1));
            let pool = graph.max_pool("pool", conv, Window::square(4, 4, 0));
            let scores = graph.linear("scores", pool, "scores", 7, [10, 10]);
            if let Some(size) = trained {
                graph.trained_size(size);
            }
            let graph = graph.build().unwrap();
            assert_eq!(graph.required_size(pool), None);
            // The smallest, and the only one that is a multiple of the stride.
            assert_eq!(graph.required_size(scores), Some([40, 40]));
            assert!(graph.is_behind_global(scores) && !graph.is_local(scores));
            for (height, width) in [(41, 40), (42, 43)] {
                let shape = graph.shape(scores, height, width).unwrap();
                assert_eq!((shape.height, shape.width), (1, 1));
            }
            for (height, width) in [(80, 40), (3, 90), (2, 2)] {
                let error = graph.shape(scores, height, width).unwrap_err();
                let text = error.to_string();
                let image = format!("{width}x{height}");
                assert!(text.contains("40x40") && text.contains(&image), "{text}");
            }
            let [_, _, _, last] = graph.sizes(80, 40).try_into().unwrap();
            let (_, error) = last.unwrap_err();
            assert!(error.to_string().contains("10x10 positions, but is 10x20"));
        }
    }

    /// Pixels −1..=1 of one branch and −1..=3 of the other along the rows; −2..=2 and the pixel itself along the
    /// columns.
    #[test]
    fn what_reads_several_layers_sees_all_that_they_see() {
        let mut graph = Graph::builder();
        let image = graph.input("image", 3);
        let high = Window {
            kernel: [3, 5],
            before: [1, 2],
            after: [1, 2],
            ..Window::square(1, 1, 0)
        };
        let a = graph.conv("a", image, "a", 4, high);
        let down = Window {
            kernel: [5, 1],
            before: [1, 0],
            after: [3, 0],
            ..Window::square(1, 1, 0)
        };
        let b = graph.conv("b", image, "b", 4, down);
        let sum = graph.add("sum", &[a, b]);
        let both = graph.concat("both", &[sum, image]);
        let graph = graph.build().unwrap();
        for id in [sum, both] {
            let [rows, columns] = graph.receptive_field(id).unwrap();
            assert_eq!((rows.size, rows.start), (5, 1.0));
            assert_eq!((columns.size, columns.start), (5, 0.0));
        }
    }
}
