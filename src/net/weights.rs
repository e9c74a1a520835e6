//! Reads a weights file: safetensors in f32, f16 or bf16, or a state dict of PyTorch's, under torchvision's tensor
//! names, for the whole network or its first layers.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use safetensors::{SafeTensorError, SafeTensors};

use super::arch::Architecture;
use super::defaults::Purpose;
use super::error::WeightsProblem;
use super::graph::{Graph, Node};
use super::parameters::Parameter;
use super::preprocessing::Preprocessing;
use super::pytorch;
use super::stored::{Entry, Format, Stored, check_finite};
use crate::layer::{ChannelAffine, Conv, ParameterShape, Softmax};

/// Outputs of a classifier that a file does not hold: those of ImageNet.
const USUAL_CLASSES: u32 = 1000;

/// The tensors that a file holds, by name.
type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// A weights file's contents, checked and complete.
pub(super) struct Weights {
    pub architecture: Architecture,
    /// Cut where the weights end.
    pub graph: Graph,
    /// Those of the graph, in its order.
    pub parameters: Vec<Parameter>,
    /// If the metadata say it.
    pub preprocessing: Option<Preprocessing>,
    pub metadata: BTreeMap<String, String>,
}

/// Reads and checks the bytes of a weights file of either format.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Weights, WeightsProblem> {
    if pytorch::is_start(bytes) {
        return read(pytorch::from_bytes(bytes)?);
    }
    let (metadata, tensors) = parse(bytes)?;
    let tensors = tensors.iter();
    read(Stored {
        metadata,
        tensors: tensors
            .map(|(name, view)| (name.to_owned(), Entry::Safetensors(view)))
            .collect(),
        format: Format::Safetensors,
    })
}

/// As [`from_bytes`], of a file, which is not read at once where it is one of PyTorch's.
pub(super) fn from_file(path: &Path) -> Result<Result<Weights, WeightsProblem>, io::Error> {
    let mut start = Vec::new();
    File::open(path)?.take(512).read_to_end(&mut start)?;
    if pytorch::is_start(&start) {
        return Ok(pytorch::open(path).and_then(read));
    }
    Ok(from_bytes(&std::fs::read(path)?))
}

/// Checks what a file holds and makes a network's parameters of it.
fn read(stored: Stored<'_>) -> Result<Weights, WeightsProblem> {
    let shapes = stored.shapes();
    let named = stored.metadata.get("architecture");
    let (architecture, graph) = match named {
        Some(name) => fit_named(name, &shapes)?,
        None => recognize(&shapes).map_err(|problem| no_graph(problem, &stored))?,
    };
    let preprocessing = stored.metadata.get("preprocessing");
    let preprocessing = preprocessing
        .map(|text| Preprocessing::parse(text))
        .transpose()?;
    for purpose in Purpose::ALL {
        super::defaults::named(purpose, &stored.metadata, &graph)?;
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    for id in graph.trained() {
        let source = Source::of(architecture, graph.node(id), &shapes, named.is_some());
        parameters.extend(source.read(&stored, architecture)?);
    }
    Ok(Weights {
        architecture,
        graph,
        parameters,
        preprocessing,
        metadata: stored.metadata,
    })
}

/// What is wrong with a state dict that is of no architecture known here: it says how its tensors are called, but not
/// what is computed with them. One that is nearly of an architecture has the problem of that.
fn no_graph(problem: WeightsProblem, stored: &Stored<'_>) -> WeightsProblem {
    let shapes = stored.shapes();
    let is_near = Architecture::ALL.into_iter().any(|known| {
        let alike = belonging(known, &shapes);
        alike > 0 && 2 * alike >= shapes.len()
    });
    if stored.format == Format::Safetensors || is_near {
        return problem;
    }
    WeightsProblem::StateDict {
        examples: examples(&shapes),
        known: Architecture::names(),
    }
}

/// What a weights file says in its header.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Which network it is.
    pub architecture: Architecture,
    /// Number of classes; none where the network ends before its classifier.
    pub classes: Option<u32>,
    /// The name of the last layer.
    pub last_layer: String,
    /// Number of weights that the network has once its normalizations are part of its convolutions.
    pub parameters: usize,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
}

impl Outline {
    fn of(architecture: Architecture, graph: &Graph, metadata: BTreeMap<String, String>) -> Self {
        let parameters = graph
            .trained()
            .flat_map(|id| graph.node(id).layer.parameters());
        // Layers may share them.
        let counts: BTreeMap<String, usize> = parameters
            .map(|parameter| (parameter.name, parameter.shape.iter().product()))
            .collect();
        let last = graph.nodes().last();
        Self {
            architecture,
            classes: last
                .filter(|node| node.is::<Softmax>())
                .map(|node| node.channels),
            last_layer: last.map(|node| node.name.clone()).unwrap_or_default(),
            parameters: counts.values().sum(),
            metadata,
        }
    }
}

/// What the header of a safetensors file says, which is all that is read. Where the `length` of the file in bytes is
/// given, it is compared with the header's.
pub(super) fn outline(
    mut reader: impl Read,
    length: Option<u64>,
) -> Result<Outline, WeightsProblem> {
    let mut bytes = Vec::new();
    let mut read = |most: u64, bytes: &mut Vec<u8>| {
        let read = reader.by_ref().take(most).read_to_end(bytes);
        read.map_err(|source| WeightsProblem::BadHeader {
            source: SafeTensorError::IoError(source),
        })
    };
    read(8, &mut bytes)?;
    if bytes.is_empty() {
        return Err(WeightsProblem::Empty);
    }
    if let Ok(header) = <[u8; 8]>::try_from(&bytes[..]) {
        // As much as the format allows.
        read(u64::from_le_bytes(header).min(100_000_000), &mut bytes)?;
    }
    match SafeTensors::read_metadata(&bytes) {
        Ok(_) | Err(SafeTensorError::MetadataIncompleteBuffer) => {}
        Err(error) => return Err(explain(&bytes, error)),
    }
    let header = &bytes[8..];
    let ends = tensor_ends(header);
    let expected = bytes.len() as u64 + ends.last().map_or(0, |(end, _)| *end);
    match length {
        Some(found) if found > expected => return Err(WeightsProblem::TooLong { expected, found }),
        Some(found) if found < expected => {
            let data = bytes.len() as u64;
            let cut = ends.into_iter().find(|(end, _)| data + end > found);
            return Err(WeightsProblem::Truncated {
                expected,
                found,
                tensor: cut.map(|(_, name)| name),
            });
        }
        _ => {}
    }
    let mut header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap_or_default();
    let metadata = header.remove("__metadata__").unwrap_or_default();
    let metadata: BTreeMap<String, String> = serde_json::from_value(metadata).unwrap_or_default();
    let tensors: BTreeMap<String, Vec<usize>> = header
        .into_iter()
        .filter_map(|(name, about)| {
            Some((name, serde_json::from_value(about["shape"].clone()).ok()?))
        })
        .collect();
    let shapes: Shapes = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()))
        .collect();
    let (architecture, graph) = match metadata.get("architecture") {
        Some(name) => fit_named(name, &shapes)?,
        None => recognize(&shapes)?,
    };
    Ok(Outline::of(architecture, &graph, metadata))
}

/// Whether the safetensors file that begins with `reader`'s bytes goes all the way to its classes, judged by its header
/// alone; false also where it is no weights file.
pub(super) fn has_classifier(reader: impl Read) -> bool {
    outline(reader, None).is_ok_and(|outline| outline.classes.is_some())
}

/// As [`has_classifier`], of one of PyTorch's files, whose values are not read either.
pub(super) fn is_pytorch_classifier(path: &Path) -> bool {
    let Ok(stored) = pytorch::open(path) else {
        return false;
    };
    let fitting = recognize(&stored.shapes());
    fitting.is_ok_and(|(_, graph)| {
        let last = graph.nodes().last();
        last.is_some_and(|node| node.is::<Softmax>())
    })
}

/// The file's metadata and its tensors.
fn parse(bytes: &[u8]) -> Result<(BTreeMap<String, String>, SafeTensors<'_>), WeightsProblem> {
    if bytes.is_empty() {
        return Err(WeightsProblem::Empty);
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| explain(bytes, error))?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| explain(bytes, error))?;
    let metadata: HashMap<String, String> = header.metadata().clone().unwrap_or_default();
    Ok((metadata.into_iter().collect(), tensors))
}

/// Says whether a file that cannot be parsed is cut short or something else altogether.
fn explain(bytes: &[u8], error: SafeTensorError) -> WeightsProblem {
    let found = bytes.len() as u64;
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return WeightsProblem::TooShort { bytes: found };
    };
    let header_length = u64::from_le_bytes(*length);
    match error {
        SafeTensorError::InvalidHeaderLength if rest.first().is_none_or(|&c| c == b'{') => {
            WeightsProblem::Truncated {
                expected: header_length.saturating_add(8),
                found,
                tensor: None,
            }
        }
        SafeTensorError::InvalidHeaderLength | SafeTensorError::HeaderTooLarge => {
            WeightsProblem::NoHeader
        }
        SafeTensorError::MetadataIncompleteBuffer => {
            let ends = tensor_ends(&rest[..header_length as usize]);
            let data_start = 8 + header_length;
            let expected = data_start + ends.last().map_or(0, |(end, _)| *end);
            if found > expected {
                return WeightsProblem::TooLong { expected, found };
            }
            WeightsProblem::Truncated {
                expected,
                found,
                tensor: ends
                    .into_iter()
                    .find(|(end, _)| data_start + end > found)
                    .map(|(_, name)| name),
            }
        }
        source => WeightsProblem::BadHeader { source },
    }
}

/// Where each tensor ends behind the header, in ascending order. The header is known to be well-formed.
fn tensor_ends(header: &[u8]) -> Vec<(u64, String)> {
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap_or_default();
    let mut ends: Vec<(u64, String)> = header
        .into_iter()
        .filter_map(|(name, entry)| Some((entry["data_offsets"][1].as_u64()?, name)))
        .collect();
    ends.sort();
    ends
}

/// The graph of the architecture that the metadata name, cut to the tensors there are.
fn fit_named(name: &str, shapes: &Shapes) -> Result<(Architecture, Graph), WeightsProblem> {
    let named =
        Architecture::from_name(name).ok_or_else(|| WeightsProblem::UnknownArchitecture {
            named: name.to_owned(),
            known: Architecture::names(),
        })?;
    match fit(named, shapes, true) {
        Ok(graph) => Ok((named, graph)),
        // One wrong tensor is worth its own message, another network's tensors are not.
        Err(problem) => match recognize(shapes) {
            Ok((found, _)) => Err(WeightsProblem::WrongArchitecture { named, found }),
            Err(_) => Err(problem),
        },
    }
}

/// Deduces the architecture from the tensors' names and shapes.
fn recognize(shapes: &Shapes) -> Result<(Architecture, Graph), WeightsProblem> {
    let mut fitting: Vec<(Architecture, Graph)> = Architecture::ALL
        .into_iter()
        .filter(|known| shapes.contains_key(known.known().stored.first))
        .filter_map(|known| Some((known, fit(known, shapes, false).ok()?)))
        .collect();
    if fitting.is_empty() {
        return Err(closest_misfit(shapes));
    }
    // The first layers of VGG-16 and VGG-19 are the same network, so that either name will do; that with the
    // fewest layers claims nothing that the other denies. Other networks that start with equal tensors differ
    // in strides or padding.
    fitting.sort_by_key(|(_, graph)| graph.nodes().len());
    let same = |a: &Graph, b: &Graph| {
        let mut pairs = a.nodes().iter().zip(b.nodes());
        pairs.all(|(a, b)| *a.layer == *b.layer && a.inputs == b.inputs)
    };
    let (_, shortest) = &fitting[0];
    if fitting.iter().all(|(_, graph)| same(shortest, graph)) {
        return Ok(fitting.swap_remove(0));
    }
    let names: Vec<&str> = fitting.iter().map(|(known, _)| known.name()).collect();
    Err(WeightsProblem::AmbiguousArchitecture {
        candidates: names.join(", "),
    })
}

/// What keeps the tensors from being those of the architecture that most of them belong to.
fn closest_misfit(shapes: &Shapes) -> WeightsProblem {
    // Of those that are as close the first one is told of.
    let misfits = Architecture::ALL
        .into_iter()
        .rev()
        .filter_map(|known| Some((known, fit(known, shapes, false).err()?)));
    let closest = misfits
        .map(|(known, problem)| (belonging(known, shapes), problem))
        .max_by_key(|(count, _)| *count)
        .filter(|(count, _)| *count > 0);
    closest.map_or_else(
        || WeightsProblem::UnrecognizedTensors {
            examples: examples(shapes),
            known: Architecture::names(),
        },
        |(_, problem)| problem,
    )
}

/// How many of the tensors an architecture has under the same name and with the same shape.
fn belonging(architecture: Architecture, shapes: &Shapes) -> usize {
    let graph = architecture.graph(classes(architecture, shapes));
    let expected = graph
        .trained()
        .flat_map(|id| Source::of(architecture, graph.node(id), shapes, false).tensors());
    expected
        .filter(|(name, shape)| shapes.get(name.as_str()) == Some(&shape.as_slice()))
        .count()
}

fn examples(shapes: &Shapes) -> String {
    if shapes.is_empty() {
        return "none at all".to_owned();
    }
    let some: Vec<&str> = shapes.keys().copied().take(3).collect();
    some.join(", ") + if shapes.len() > 3 { ", ..." } else { "" }
}

/// The number of classes of the classifier that a file holds, or would hold.
fn classes(architecture: Architecture, shapes: &Shapes) -> u32 {
    match shapes.get(architecture.known().classes_tensor) {
        Some([count]) if *count > 0 => u32::try_from(*count).unwrap_or(USUAL_CLASSES),
        _ => USUAL_CLASSES,
    }
}

/// The architecture's graph, cut behind the last layer that there is a tensor for. All tensors up to
/// there must be present in their right shapes, and no others. `named`: the file itself says which architecture it is.
fn fit(architecture: Architecture, shapes: &Shapes, named: bool) -> Result<Graph, WeightsProblem> {
    let mut graph = architecture.graph(classes(architecture, shapes));
    let tensors =
        |graph: &Graph, id| Source::of(architecture, graph.node(id), shapes, named).tensors();
    let trained: Vec<_> = graph.trained().collect();
    // Without any tensor, the first one is missing.
    let kept = trained.iter().rposition(|id| {
        let mut needed = tensors(&graph, *id).into_iter();
        needed.any(|(name, _)| shapes.contains_key(name.as_str()))
    });
    graph.cut(kept.unwrap_or(0) + 1);

    let mut unexpected = shapes.clone();
    for (tensor, expected) in graph.trained().flat_map(|id| tensors(&graph, id)) {
        match unexpected.remove(tensor.as_str()) {
            None => {
                return Err(WeightsProblem::MissingTensor {
                    architecture,
                    tensor,
                    expected,
                });
            }
            Some(found) if found != expected => {
                return Err(WeightsProblem::WrongShape {
                    architecture,
                    tensor,
                    expected,
                    found: found.to_vec(),
                });
            }
            Some(_) => {}
        }
    }
    unexpected.retain(|tensor, _| !is_unused(architecture, tensor));
    match unexpected.first_key_value() {
        None => Ok(graph),
        Some((tensor, found)) => Err(WeightsProblem::ExtraTensor {
            architecture,
            tensor: (*tensor).to_owned(),
            found: found.to_vec(),
        }),
    }
}

/// What becomes of a tensor's name in the file to that of a parameter.
struct Source {
    /// The layer's own parameters.
    parameters: Vec<ParameterShape>,
    /// The batch normalization that becomes part of the layer, and whether the convolution has a bias beside it.
    norm: Option<(String, bool)>,
    /// Whether the file has no bias because another layer's normalization follows.
    is_bare: bool,
}

impl Source {
    /// What the parameters of a layer are made of, in a file that holds tensors of these names.
    fn of(architecture: Architecture, node: &Node, shapes: &Shapes, named: bool) -> Self {
        let parameters = node.layer.parameters();
        let norm = architecture.known().stored.norm.as_ref();
        let norm = norm.and_then(|norm| {
            if let Some(affine) = node.layer.of_kind::<ChannelAffine>() {
                // A file that says what it is may have the layer's own parameters.
                let has = |part| shapes.contains_key(format!("{}.{part}", affine.tensor).as_str());
                let is_made = named && has("scale") && !has("running_mean");
                return (!is_made).then(|| (affine.tensor.clone(), false));
            }
            let conv = node.layer.of_kind::<Conv>()?;
            let behind = (norm.behind)(&conv.tensor)?;
            let has = |tensor: String| shapes.contains_key(tensor.as_str());
            let has_bias = has(format!("{}.bias", conv.tensor));
            // A file that says what it is may have the normalization in the convolution already.
            let is_folded = named && has_bias && !has(format!("{behind}.running_mean"));
            (!is_folded).then_some((behind, norm.biased))
        });
        let bare = architecture.known().stored.norm.as_ref();
        let is_bare = norm.is_none()
            && bare.is_some_and(|known| {
                let conv = node.layer.of_kind::<Conv>();
                conv.is_some_and(|conv| {
                    let has_bias = shapes.contains_key(format!("{}.bias", conv.tensor).as_str());
                    let is_normed = (known.behind)(&conv.tensor).is_some();
                    !(known.biased || conv.linear || is_normed || named && has_bias)
                })
            });
        Self {
            parameters,
            norm,
            is_bare,
        }
    }

    /// Whether the layer is nothing but a batch normalization.
    fn is_affine(&self) -> bool {
        self.parameters.first().is_some_and(|p| p.shape.len() == 1)
    }

    /// The tensors of the file and their shapes.
    fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let all = self.parameters.iter();
        let mut all: Vec<_> = all.map(|p| (p.name.clone(), p.shape.clone())).collect();
        if self.is_bare {
            all.truncate(1);
        }
        if let Some((norm, has_bias)) = &self.norm {
            let (_, channels) = all[1].clone();
            if self.is_affine() {
                all.clear();
            } else if !has_bias {
                all.truncate(1);
            }
            let parts = NORM.map(|part| (format!("{norm}.{part}"), channels.clone()));
            all.extend(parts);
        }
        all
    }

    /// Reads the layer's parameters.
    fn read(
        self,
        stored: &Stored<'_>,
        architecture: Architecture,
    ) -> Result<Vec<Parameter>, WeightsProblem> {
        let tensors = self.tensors();
        let values = tensors.iter().map(|(name, _)| stored.values(name));
        let mut values: Vec<Vec<f32>> = values.collect::<Result<_, _>>()?;
        if let Some((norm, _)) = &self.norm {
            let epsilon = architecture.known().stored.norm.as_ref();
            let epsilon = epsilon.map_or(0.0, |norm| norm.epsilon);
            let of_norm = values.split_off(values.len() - NORM.len());
            let out = of_norm[0].len();
            if self.is_affine() {
                values.push(vec![1.0; out]);
            }
            values.resize(2, vec![0.0; out]);
            let [weight, bias] = &mut values[..] else {
                return Ok(Vec::new());
            };
            fold(weight, bias, &of_norm, epsilon);
            // A variance may be negative, or nothing.
            check_finite(&format!("{norm}.running_var"), bias)?;
            check_finite(&format!("{norm}.running_var"), weight)?;
        }
        if self.is_bare {
            let out = self.parameters.last().map_or(0, |bias| bias.shape[0]);
            values.push(vec![0.0; out]);
        }
        let parameters = self.parameters.into_iter().zip(values);
        Ok(parameters
            .map(|(shape, values)| Parameter {
                name: shape.name,
                shape: shape.shape,
                values,
            })
            .collect())
    }
}

/// The tensors of a batch normalization, each `[channels]`.
const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Makes a batch normalization part of the convolution before it, in f64: `y = (conv(x) - mean) * scale + shift` with
/// `scale = weight / sqrt(var + epsilon)` (Ioffe & Szegedy 2015, section 3.1).
fn fold(weight: &mut [f32], bias: &mut [f32], norm: &[Vec<f32>], epsilon: f64) {
    let per_channel = weight.len() / bias.len().max(1);
    let rows = weight.chunks_exact_mut(per_channel.max(1));
    for (channel, (filter, bias)) in rows.zip(bias).enumerate() {
        let [gain, shift, mean, variance] = [0, 1, 2, 3].map(|part| f64::from(norm[part][channel]));
        let scale = gain / (variance + epsilon).sqrt();
        for value in filter {
            *value = (f64::from(*value) * scale) as f32;
        }
        *bias = ((f64::from(*bias) - mean) * scale + shift) as f32;
    }
}

/// Whether a tensor of the file is of no use to a network that is not trained any more.
fn is_unused(architecture: Architecture, tensor: &str) -> bool {
    let stored = &architecture.known().stored;
    let counts = stored.norm.is_some() && tensor.ends_with(".num_batches_tracked");
    counts || stored.unused.iter().any(|start| tensor.starts_with(start))
}
