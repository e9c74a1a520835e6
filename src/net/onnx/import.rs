//! Walks an ONNX graph from its image to its ends and makes layers of its nodes.
//!
//! A node whose inputs are constants becomes a constant ([`fold`](super::fold)); any other becomes layers
//! ([`lower`](super::lower)), or only another [`Layout`] of a layer that is there. What is not understood is an
//! [`Obstacle`]: all that lies behind it is out of reach, and the rest of the network stays usable.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::error::{Obstacle, OnnxError, Unsupported};
use super::fold::fold;
use super::layout::Layout;
use super::node::Node;
use super::proto;
use super::shapes::shape_of;
use super::tensor::{self, External, Tensor};
use super::unfold::Unfolded;
use crate::layer::{Layer, Shape};
use crate::net::Parameter;

/// Most nodes of a file. The largest of known image networks have some 10^4.
const MOST_NODES: usize = 50_000;

/// Most numbers that are computed from constants, all nodes together.
const MOST_FOLDED: usize = 1 << 28;

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Constant(Tensor),
    Activation(Activation),
    /// An activation as it was before it was repeated along rows or columns, and the shape that the file gives it.
    /// Arithmetic repeats by itself, whatever the image's size; nothing else reads it.
    Repeated(Activation, Vec<usize>),
    Unknown(Arc<Obstacle>),
}

/// A layer's output, as the file's axes have it.
#[derive(Clone, Debug)]
pub(super) struct Activation {
    /// Which of [`Import::drafts`].
    pub draft: usize,
    /// The layer's output size at the size that the file was made for.
    pub shape: Shape,
    pub layout: Layout,
}

impl Activation {
    /// `[N, C, H, W]` of a layer.
    pub fn image(draft: usize, shape: Shape) -> Self {
        let layout = Layout::image(shape);
        Self {
            draft,
            shape,
            layout,
        }
    }
}

/// A layer to be.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The systematic name: `relu7`.
    pub name: String,
    pub layer: Arc<dyn Layer>,
    pub inputs: Vec<usize>,
    pub shape: Shape,
    pub parameters: Vec<Parameter>,
    /// The names of the file's values that it is, the first the one that it was made for.
    pub values: Vec<String>,
    /// The names of the file's nodes that make these values.
    pub nodes: Vec<String>,
    /// What it was before constants were multiplied into its weights.
    pub unfolded: Vec<Unfolded>,
}

/// The walk.
pub(super) struct Import<'a> {
    graph: &'a proto::Graph,
    opset: i64,
    external: External<'a>,
    pub drafts: Vec<Draft>,
    values: HashMap<&'a str, Value>,
    /// How many nodes and ends of the graph read a value.
    readers: HashMap<&'a str, usize>,
    /// How many layers of a kind there are.
    counts: HashMap<&'static str, usize>,
    /// Numbers computed so far.
    folded: usize,
    /// Layers that nodes read which are not understood.
    ends: Vec<usize>,
    /// What keeps names of the file from being layers.
    pub obstacles: BTreeMap<String, Arc<Obstacle>>,
}

impl<'a> Import<'a> {
    /// A walk over the nodes of `graph`, which are those of `opset`. `folder` is where numbers in other files are.
    pub fn new(
        graph: &'a proto::Graph,
        opset: i64,
        folder: Option<&'a Path>,
    ) -> Result<Self, OnnxError> {
        let found = graph.nodes.len();
        if found > MOST_NODES {
            let most = MOST_NODES;
            return Err(OnnxError::TooManyNodes { found, most });
        }
        let mut readers: HashMap<&str, usize> = HashMap::new();
        let inputs = graph.nodes.iter().flat_map(|node| &node.inputs);
        for name in inputs.chain(graph.outputs.iter().map(|output| &output.name)) {
            *readers.entry(name).or_default() += 1;
        }
        let mut import = Self {
            graph,
            opset,
            external: External::new(folder),
            drafts: Vec::new(),
            values: HashMap::new(),
            readers,
            counts: HashMap::new(),
            folded: 0,
            ends: Vec::new(),
            obstacles: BTreeMap::new(),
        };
        for initializer in &graph.initializers {
            let value = tensor::read(&initializer.name, initializer, &mut import.external)?;
            import.set(&initializer.name, Value::Constant(value))?;
        }
        Ok(import)
    }

    /// Inputs of the graph that are no weights.
    pub fn inputs(&self) -> Vec<&'a proto::ValueInfo> {
        let inputs = self.graph.inputs.iter();
        inputs
            .filter(|input| !self.values.contains_key(&input.name[..]))
            .collect()
    }

    /// Lets an input of the graph be a layer, and all others unknown.
    pub fn start(&mut self, image: &'a str, activation: Activation) -> Result<(), OnnxError> {
        for input in self.inputs() {
            let value = if input.name == image {
                self.drafts[activation.draft].values.push(image.to_owned());
                Value::Activation(activation.clone())
            } else {
                Value::Unknown(Arc::new(Obstacle {
                    node: input.name.clone(),
                    operator: "input".to_owned(),
                    why: Unsupported::OtherInput,
                    deepest: None,
                }))
            };
            self.set(&input.name, value)?;
        }
        Ok(())
    }

    /// Makes layers of all nodes that can be reached.
    pub fn walk(&mut self) -> Result<(), OnnxError> {
        for message in &self.graph.nodes {
            let opset = self.opset;
            let node = Node { message, opset };
            let inputs = self.values_of(node)?;
            let made = self.outputs(node, &inputs)?;
            self.name(node, &made);
            for (name, value) in message.outputs.iter().zip(made) {
                self.set(name, value)?;
            }
        }
        Ok(())
    }

    /// What a name of the file stands for.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn set(&mut self, name: &'a str, value: Value) -> Result<(), OnnxError> {
        // An output that is left out has no name.
        if !name.is_empty() && self.values.insert(name, value).is_some() {
            let name = name.to_owned();
            return Err(OnnxError::TwoValues { name });
        }
        Ok(())
    }

    fn values_of(&self, node: Node<'a>) -> Result<Vec<Option<Value>>, OnnxError> {
        let value = |name: &String| {
            if name.is_empty() {
                return Ok(None);
            }
            let value = self.values.get(&name[..]).cloned();
            value.map(Some).ok_or_else(|| OnnxError::UnknownValue {
                node: node.name().to_owned(),
                operator: node.operator().to_owned(),
                value: name.clone(),
                later: self
                    .graph
                    .nodes
                    .iter()
                    .any(|node| node.outputs.contains(name)),
            })
        };
        node.message.inputs.iter().map(value).collect()
    }

    /// The values of a node's outputs: unknown ones where it is not understood.
    fn outputs(
        &mut self,
        node: Node<'a>,
        inputs: &[Option<Value>],
    ) -> Result<Vec<Value>, OnnxError> {
        let count = node.message.outputs.len();
        let unknown = inputs.iter().flatten().find_map(|input| match input {
            Value::Unknown(obstacle) => Some(Arc::clone(obstacle)),
            _ => None,
        });
        // The shape of a value that is not known is not known, either.
        if let Some(obstacle) = unknown {
            return Ok(vec![Value::Unknown(obstacle); count]);
        }
        let read = inputs.iter().flatten().filter_map(|input| match input {
            Value::Activation(x) | Value::Repeated(x, _) => Some(x.draft),
            _ => None,
        });
        let read: Vec<usize> = read.collect();
        let deepest = read
            .iter()
            .max()
            .map(|&draft| self.drafts[draft].name.clone());
        let unknown = |why| Value::Unknown(Arc::new(node.obstacle(why, deepest.clone())));
        let domain = &node.message.domain;
        if !["", "ai.onnx"].contains(&&domain[..]) {
            let domain = domain.clone();
            self.ends.extend(read);
            return Ok(vec![unknown(Unsupported::Domain { domain }); count]);
        }
        let made = match self.constants(node, inputs)? {
            Some(made) => made.map(|all| all.into_iter().map(Value::Constant).collect()),
            None => self.lowered(node, inputs),
        };
        let mut made: Vec<Value> = made.unwrap_or_else(|why| {
            self.ends.extend(read);
            vec![unknown(why); count]
        });
        let rest = || unknown(Unsupported::Other("has outputs that are not supported"));
        made.resize_with(count.max(made.len()), rest);
        Ok(made)
    }

    fn lowered(
        &mut self,
        node: Node<'a>,
        inputs: &[Option<Value>],
    ) -> Result<Vec<Value>, Unsupported> {
        let before = self.drafts.len();
        let made = super::lower::lower(self, node, inputs);
        if made.is_err() {
            // Layers of a node that is not understood after all.
            self.drafts.truncate(before);
        }
        made
    }

    /// What the node makes if it depends on constants alone, or on the shape of a value.
    #[allow(
        clippy::type_complexity,
        reason = "the error of the file, none for a layer, the obstacle"
    )]
    fn constants(
        &mut self,
        node: Node<'a>,
        inputs: &[Option<Value>],
    ) -> Result<Option<Result<Vec<Tensor>, Unsupported>>, OnnxError> {
        let known: Option<Vec<Option<Tensor>>> = inputs
            .iter()
            .map(|input| match input {
                None => Some(None),
                Some(Value::Constant(tensor)) => Some(Some(tensor.clone())),
                Some(_) => None,
            })
            .collect();
        let made = match (node.operator(), known) {
            ("Constant", _) => match self.constant(node)? {
                Some(tensor) => Ok(vec![tensor]),
                None => Err(Unsupported::Other(
                    "holds a constant of a kind that is not supported",
                )),
            },
            ("ConstantOfShape", Some(inputs)) => self.constant_of_shape(node, &inputs)?,
            ("Shape", None) => match &inputs[0] {
                Some(Value::Activation(x)) => Ok(vec![shape_of(node, &x.layout.shape())]),
                Some(Value::Repeated(_, shape)) => Ok(vec![shape_of(node, shape)]),
                _ => Err(Unsupported::Missing { index: 0 }),
            },
            ("Size", None) => match &inputs[0] {
                Some(Value::Activation(x)) => {
                    let count: usize = x.layout.shape().iter().product();
                    Ok(vec![Tensor::ints(vec![], vec![count as i64])])
                }
                _ => Err(Unsupported::Missing { index: 0 }),
            },
            (_, Some(inputs)) if !inputs.is_empty() => fold(node, &inputs),
            (_, Some(_)) => Err(Unsupported::Operator),
            (_, None) => return Ok(None),
        };
        if let Ok(made) = &made {
            self.folded += made.iter().map(Tensor::len).sum::<usize>();
            if self.folded > MOST_FOLDED {
                return Err(OnnxError::TooManyConstants {
                    found: self.folded,
                    most: MOST_FOLDED,
                });
            }
        }
        Ok(Some(made))
    }

    fn constant(&mut self, node: Node<'a>) -> Result<Option<Tensor>, OnnxError> {
        if let Some(value) = node.tensor("value") {
            return tensor::read(node.name(), value, &mut self.external).map(Some);
        }
        let float = |value: f32| Tensor::floats(vec![], vec![value]);
        let int = |value: i64| Tensor::ints(vec![], vec![value]);
        let floats = |values: &[f32]| Tensor::floats(vec![values.len()], values.to_vec());
        Ok(node
            .float("value_float")
            .map(float)
            .or_else(|| node.int("value_int").map(int))
            .or_else(|| node.floats("value_floats").map(floats))
            .or_else(|| Some(Tensor::list(node.ints("value_ints")?.iter().copied()))))
    }

    fn constant_of_shape(
        &mut self,
        node: Node<'a>,
        inputs: &[Option<Tensor>],
    ) -> Result<Result<Vec<Tensor>, Unsupported>, OnnxError> {
        let Some(Some(dims)) = inputs.first() else {
            return Ok(Err(Unsupported::Missing { index: 0 }));
        };
        let value = node.tensor("value");
        let value = value.map(|value| tensor::read(node.name(), value, &mut self.external));
        let value = value
            .transpose()?
            .unwrap_or_else(|| Tensor::floats(vec![1], vec![0.0]));
        let shape: Option<Vec<usize>> = dims
            .to_i64()
            .iter()
            .map(|&dim| usize::try_from(dim).ok())
            .collect();
        let count = shape.as_deref().and_then(tensor::elements);
        let fits = count.filter(|&count| count <= MOST_FOLDED && value.len() == 1);
        Ok(match shape.zip(fits) {
            Some((shape, count)) => Ok(vec![value.picked(shape, std::iter::repeat_n(0, count))]),
            None => Err(Unsupported::Shape {
                shape: vec![],
                wanted: dims.to_i64().to_vec(),
            }),
        })
    }

    /// Gives the file's names to what a node made.
    fn name(&mut self, node: Node<'a>, made: &[Value]) {
        for (output, value) in node.message.outputs.iter().zip(made) {
            match value {
                Value::Constant(_) | Value::Repeated(..) => {}
                Value::Unknown(obstacle) => {
                    self.obstacles.insert(output.clone(), Arc::clone(obstacle));
                    if !node.message.name.is_empty() {
                        let name = node.message.name.clone();
                        self.obstacles.insert(name, Arc::clone(obstacle));
                    }
                }
                Value::Activation(activation) => {
                    let is_only = node.message.outputs.len() == 1;
                    let draft = &mut self.drafts[activation.draft];
                    draft.values.push(output.clone());
                    if is_only && !node.message.name.is_empty() {
                        draft.nodes.push(node.message.name.clone());
                    }
                }
            }
        }
    }

    /// Whether a layer's value is read by the node at hand alone, so that it may be changed.
    pub fn is_only_read_here(&self, value: &str, activation: &Activation) -> bool {
        let draft = &self.drafts[activation.draft];
        let is_own = draft.values.len() == 1 && draft.values[0] == value;
        is_own && self.readers.get(value) == Some(&1)
    }

    /// A systematic name for one more layer of a kind: `relu7`.
    pub fn numbered(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}{count}")
    }

    /// Adds a layer that reads others.
    ///
    /// # Errors
    /// Where the layer does not take such inputs.
    pub fn push(
        &mut self,
        name: String,
        layer: impl Layer,
        inputs: &[usize],
        parameters: Vec<Parameter>,
    ) -> Result<(usize, Shape), Unsupported> {
        let layer: Arc<dyn Layer> = Arc::new(layer);
        let shapes: Vec<Shape> = inputs
            .iter()
            .map(|&input| self.drafts[input].shape)
            .collect();
        let shape = if shapes.is_empty() {
            return Err(Unsupported::Missing { index: 0 });
        } else {
            layer.shape(&shapes)?
        };
        self.push_input(name, layer, inputs, shape, parameters);
        Ok((self.drafts.len() - 1, shape))
    }

    /// Adds a layer whose output size is known.
    pub fn push_input(
        &mut self,
        name: String,
        layer: Arc<dyn Layer>,
        inputs: &[usize],
        shape: Shape,
        parameters: Vec<Parameter>,
    ) {
        self.drafts.push(Draft {
            name,
            layer,
            inputs: inputs.to_vec(),
            shape,
            parameters,
            values: Vec::new(),
            nodes: Vec::new(),
            unfolded: Vec::new(),
        });
    }

    /// Of each layer whether an output of the graph depends on it, or a node that is not understood.
    pub fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.drafts.len()];
        let outputs =
            self.graph
                .outputs
                .iter()
                .filter_map(|output| match self.value(&output.name) {
                    Some(Value::Activation(x)) => Some(x.draft),
                    _ => None,
                });
        outputs
            .chain(self.ends.iter().copied())
            .for_each(|draft| used[draft] = true);
        for draft in (0..used.len()).rev() {
            if used[draft] {
                self.drafts[draft]
                    .inputs
                    .iter()
                    .for_each(|&input| used[input] = true);
            }
        }
        used
    }

    /// The file's names for each layer, none twice: those of values go before those of nodes.
    pub fn names(&self) -> Vec<Vec<String>> {
        let mut taken: HashSet<&str> = HashSet::new();
        let mut names: Vec<Vec<String>> = vec![Vec::new(); self.drafts.len()];
        let of_values = self.drafts.iter().map(|draft| &draft.values).enumerate();
        let of_nodes = self.drafts.iter().map(|draft| &draft.nodes).enumerate();
        for (place, all) in of_values.chain(of_nodes) {
            for name in all {
                if taken.insert(name) {
                    names[place].push(name.clone());
                }
            }
        }
        names
    }
}
