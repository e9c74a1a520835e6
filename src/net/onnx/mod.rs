//! Networks from ONNX files.
//!
//! [`read`] decodes a file ([`proto`]), walks its graph ([`import`]) and makes a [`Graph`] of it. The walk computes
//! what depends on constants ([`fold`]), keeps account of how axes lie ([`layout`]) and turns every other node into
//! layers ([`lower`]). Operators and their versions are those of the ONNX project's `Operators.md`.
//!
//! A file is walked at one image size: the one that it fixes, else 224×224. Layers do not keep that size, so that a
//! network runs at any size; only a linear layer behind a Flatten, and what is resized to a fixed size, ask for theirs.

mod error;
mod fold;
mod import;
mod layout;
mod lower;
mod node;
mod proto;
mod shapes;
mod statistics;
mod tensor;
#[cfg(test)]
mod tests;
mod unfold;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;

pub use error::{Obstacle, OnnxError, TensorProblem, Unsupported};
use import::{Activation, Import, Value};
use layout::Layout;

use super::{Graph, NetError, NodeId, Parameter, defaults};
use crate::layer::{Conv, Input, Layer, Normalize, Shape, Softmax, Window};

/// The side of images where the file leaves it open: that of most classifiers.
const USUAL_SIDE: u32 = 224;

/// Largest side of an image that a file may fix.
const MOST_SIDE: i64 = 1 << 14;

/// How much of red, green and blue is in grey (ITU-R BT.601, section 2.5.1).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// A network as a file describes it.
pub(super) struct Onnx {
    pub graph: Graph,
    pub parameters: Vec<Parameter>,
    pub metadata: BTreeMap<String, String>,
    /// What keeps names of the file from being layers.
    pub obstacles: BTreeMap<String, Arc<Obstacle>>,
}

/// Reads an ONNX file from memory. `folder` is where its other files are, if it has any.
pub(super) fn read(name: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Onnx, NetError> {
    let wrong = |problem| NetError::Onnx {
        network: name.to_owned(),
        problem: Box::new(problem),
    };
    if bytes.is_empty() {
        return Err(wrong(OnnxError::Empty));
    }
    let model = proto::Model::decode(prost::bytes::Bytes::copy_from_slice(bytes))
        .map_err(|source| wrong(OnnxError::NotOnnx { source }))?;
    let metadata = model
        .metadata
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    let graph = model.graph.as_ref().ok_or(wrong(OnnxError::NoGraph))?;
    if graph.nodes.is_empty() && graph.inputs.is_empty() {
        return Err(wrong(OnnxError::NoGraph));
    }
    let opset = opset(&model).map_err(wrong)?;
    let mut import = Import::new(graph, opset, folder).map_err(wrong)?;
    let (image, size) = begin(&mut import, graph).map_err(wrong)?;
    import.walk().map_err(wrong)?;
    if let Some((_, first)) = import.obstacles.iter().next()
        && !import
            .drafts
            .iter()
            .skip(image + 1)
            .any(|draft| !draft.values.is_empty())
    {
        let first = Arc::clone(first);
        return Err(wrong(OnnxError::NothingReached { first }));
    }
    let scores = scores(&import, graph);
    finish(import, scores, size, metadata)
}

/// The files that hold numbers of an ONNX file, as paths in its folder, sorted.
pub(super) fn data_files(bytes: &[u8]) -> Result<Vec<PathBuf>, OnnxError> {
    let model = proto::Model::decode(prost::bytes::Bytes::copy_from_slice(bytes))
        .map_err(|source| OnnxError::NotOnnx { source })?;
    let graph = model.graph.as_ref().ok_or(OnnxError::NoGraph)?;
    let of_nodes = graph.nodes.iter().flat_map(|node| &node.attributes);
    let tensors = of_nodes
        .filter_map(|attribute| attribute.tensor.as_ref())
        .chain(&graph.initializers)
        .filter(|tensor| tensor.location == 1);
    let mut files: Vec<PathBuf> = tensors
        .flat_map(|tensor| &tensor.external)
        .filter(|entry| entry.key == "location")
        .map(|entry| PathBuf::from(&entry.value))
        .filter(|path| tensor::is_inside(path))
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

fn opset(model: &proto::Model) -> Result<i64, OnnxError> {
    let own = model
        .opsets
        .iter()
        .find(|opset| ["", "ai.onnx"].contains(&&opset.domain[..]));
    // Files of IR version 1 and 2 do not say it; they are of opset 1.
    match own.map_or(1, |opset| opset.version) {
        found if found < 7 => Err(OnnxError::Opset { found }),
        found => Ok(found),
    }
}

/// Lets the image be the input of the graph: pushes what comes before the file's own layers. Returns the layer that
/// the file's input is, and the size that the file was made for, if it says so.
fn begin<'a>(
    import: &mut Import<'a>,
    graph: &'a proto::Graph,
) -> Result<(usize, Option<[u32; 2]>), OnnxError> {
    let inputs = import.inputs();
    let dims = |input: &proto::ValueInfo| -> Option<Vec<Option<i64>>> {
        let tensor = input.kind.as_ref()?.tensor.as_ref()?;
        let dims = tensor.shape.as_ref()?.dims.iter();
        // Exporters write a free size as 0 or -1, too.
        Some(
            dims.map(|dim| dim.value.filter(|&value| value > 0))
                .collect(),
        )
    };
    let is_image = |input: &&&proto::ValueInfo| dims(input).is_none_or(|dims| dims.len() == 4);
    let Some(&input) = inputs.iter().find(is_image) else {
        let found = inputs
            .iter()
            .map(|input| format!("`{}` {:?}", input.name, dims(input)));
        let found: Vec<String> = found.collect();
        return Err(OnnxError::NoImage {
            found: if found.is_empty() {
                "it has none".to_owned()
            } else {
                found.join(", ")
            },
        });
    };
    let dims = dims(input).unwrap_or_else(|| vec![None; 4]);
    let is_colour = |dim: Option<i64>| dim.is_some_and(|dim| dim == 1 || dim == 3);
    let last = is_colour(dims[3]) && !is_colour(dims[1])
        || !is_colour(dims[1]) && !is_colour(dims[3]) && begins_with_transpose(graph, &input.name);
    let [channels, height, width] = if last { [3, 1, 2] } else { [1, 2, 3] }.map(|axis| dims[axis]);
    let channels = match channels.unwrap_or(3) {
        channels @ (1 | 3) => channels as u32,
        channels => {
            let name = input.name.clone();
            return Err(OnnxError::ImageChannels { name, channels });
        }
    };
    let side = |dim: Option<i64>| match dim {
        None => Ok(USUAL_SIDE),
        Some(dim) if dim <= MOST_SIDE => Ok(dim as u32),
        Some(_) => Err(OnnxError::ImageDims {
            name: input.name.clone(),
            dims: dims.iter().map(|dim| dim.unwrap_or(-1)).collect(),
        }),
    };
    let size = [side(height)?, side(width)?];
    let place = push_image(import, channels, size);
    let shape = import.drafts[place].shape;
    let activation = Activation {
        draft: place,
        shape,
        layout: if last {
            Layout::channels_last(shape)
        } else {
            Layout::image(shape)
        },
    };
    import.start(&input.name, activation)?;
    Ok((place, (height.is_some() || width.is_some()).then_some(size)))
}

/// Whether all that reads a value of unknown axes transposes it as `[N, H, W, C]`.
fn begins_with_transpose(graph: &proto::Graph, value: &str) -> bool {
    let mut readers = graph
        .nodes
        .iter()
        .filter(|node| node.inputs.iter().any(|input| input == value));
    readers.next().is_some_and(|node| {
        let perm = node
            .attributes
            .iter()
            .find(|attribute| attribute.name == "perm");
        node.operator == "Transpose" && perm.is_some_and(|perm| perm.ints == [0, 3, 1, 2])
    })
}

/// The image, normalized, and grey if the network sees one channel.
fn push_image(import: &mut Import<'_>, channels: u32, [height, width]: [u32; 2]) -> usize {
    let shape = Shape {
        channels: 3,
        height,
        width,
    };
    let input: Arc<dyn Layer> = Arc::new(Input { channels: 3 });
    import.push_input("input".to_owned(), input, &[], shape, Vec::new());
    let normalize: Arc<dyn Layer> = Arc::new(Normalize::IDENTITY);
    import.push_input("normalize".to_owned(), normalize, &[0], shape, Vec::new());
    if channels == 1 {
        let name = "grey".to_owned();
        let parameter = |suffix: &str, shape: Vec<usize>, values: Vec<f32>| Parameter {
            name: format!("{name}.{suffix}"),
            shape,
            values,
        };
        let parameters = vec![
            parameter("weight", vec![1, 3, 1, 1], GREY.to_vec()),
            parameter("bias", vec![1], vec![0.0]),
        ];
        let grey: Arc<dyn Layer> = Arc::new(Conv {
            tensor: name.clone(),
            in_channels: 3,
            out_channels: 1,
            window: Window::square(1, 1, 0),
            groups: 1,
            linear: false,
        });
        let shape = Shape {
            channels: 1,
            ..shape
        };
        import.push_input(name, grey, &[1], shape, parameters);
    }
    import.drafts.len() - 1
}

/// The layer that scores classes: what the first softmax that is an output of the graph reads, or else the first
/// output of one position.
fn scores(import: &Import<'_>, graph: &proto::Graph) -> Option<usize> {
    let outputs = graph
        .outputs
        .iter()
        .filter_map(|output| match import.value(&output.name) {
            Some(Value::Activation(x)) => Some(x.draft),
            _ => None,
        });
    let is_flat = |&draft: &usize| {
        let Shape {
            channels,
            height,
            width,
        } = import.drafts[draft].shape;
        [height, width] == [1, 1] && channels > 1
    };
    let flat: Vec<usize> = outputs.filter(is_flat).collect();
    let softmax = flat
        .iter()
        .find(|&&draft| import.drafts[draft].layer.is::<Softmax>());
    softmax
        .map(|&draft| import.drafts[draft].inputs[0])
        .or_else(|| {
            // The logarithms of probabilities have the softmax before them.
            let first = *flat.first()?;
            let before = import.drafts[first].inputs.first().copied();
            let softmax = before.filter(|&draft| import.drafts[draft].layer.is::<Softmax>());
            Some(softmax.map_or(first, |draft| import.drafts[draft].inputs[0]))
        })
}

/// The graph of all layers under all their names.
fn finish(
    mut import: Import<'_>,
    scores: Option<usize>,
    size: Option<[u32; 2]>,
    metadata: BTreeMap<String, String>,
) -> Result<Onnx, NetError> {
    import
        .unfold()
        .expect("a layer of the convolution's own channels");
    let names = import.names();
    let used = import.used();
    let of_file: HashSet<String> = names.iter().flatten().cloned().collect();
    let mut builder = Graph::builder();
    let mut parameters = Vec::new();
    let drafts = std::mem::take(&mut import.drafts).into_iter();
    for ((draft, mut aliases), is_used) in drafts.zip(names).zip(used) {
        let mut name = draft.name;
        // What the file calls so goes before what is called so here.
        while of_file.contains(&name) && !aliases.contains(&name) {
            name.push('_');
        }
        aliases.retain(|alias| *alias != name);
        let inputs: Vec<NodeId> = draft.inputs.into_iter().map(NodeId).collect();
        let node = builder.push_layer(&name, draft.layer, &inputs);
        builder.alias(node, aliases);
        if !is_used {
            builder.set_aside(node);
        }
        parameters.extend(draft.parameters);
    }
    if let Some(size) = size {
        builder.trained_size(size);
    }
    if let Some(scores) = scores.map(NodeId) {
        let free = |name: &str| !of_file.contains(name);
        if free("logits") {
            builder.alias(scores, ["logits"]);
        }
        builder.softmax(if free("prob") { "prob" } else { "prob_" }, scores);
    }
    let mut graph = builder.build()?;
    defaults::name_stages(&mut graph);
    Ok(Onnx {
        graph,
        parameters,
        metadata,
        obstacles: import.obstacles,
    })
}
