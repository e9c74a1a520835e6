//! Reads a weights file: safetensors in f32, f16 or bf16 under torchvision's tensor names, for the whole
//! network or its first layers.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};

use super::arch::Architecture;
use super::defaults::{Purpose, named};
use super::error::WeightsProblem;
use super::graph::Graph;
use super::parameters::Parameter;
use super::preprocessing::Preprocessing;
use crate::layer::{ParameterShape, Softmax};

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

/// Reads and checks the bytes of a weights file.
pub(super) fn read(bytes: &[u8]) -> Result<Weights, WeightsProblem> {
    let (metadata, tensors) = parse(bytes)?;
    let views: BTreeMap<&str, TensorView> = tensors.iter().collect();
    let shapes: Shapes = views
        .iter()
        .map(|(&name, view)| (name, view.shape()))
        .collect();

    let (architecture, graph) = match metadata.get("architecture") {
        Some(name) => fit_named(name, &shapes)?,
        None => recognize(&shapes)?,
    };
    let preprocessing = metadata.get("preprocessing");
    let preprocessing = preprocessing
        .map(|text| Preprocessing::parse(text))
        .transpose()?;
    for purpose in Purpose::ALL {
        named(purpose, &metadata, &graph)?;
    }
    let parameters = graph.parameters().into_iter().map(|expected| {
        Ok(Parameter {
            values: values(&views, &expected.name)?,
            name: expected.name,
            shape: expected.shape,
        })
    });
    let parameters = parameters.collect::<Result<_, WeightsProblem>>()?;
    Ok(Weights {
        architecture,
        graph,
        parameters,
        preprocessing,
        metadata,
    })
}

/// Whether the weights file that begins with `reader`'s bytes goes all the way to its classes, judged by its header
/// alone; false also where it is no weights file.
pub(super) fn has_classifier(mut reader: impl Read) -> bool {
    let header = || -> Option<BTreeMap<String, serde_json::Value>> {
        let mut length = [0; 8];
        reader.read_exact(&mut length).ok()?;
        let mut header = Vec::new();
        // As much as the format allows.
        let most = u64::from_le_bytes(length).min(100_000_000);
        reader.take(most).read_to_end(&mut header).ok()?;
        serde_json::from_slice(&header).ok()
    };
    let mut header = header().unwrap_or_default();
    let metadata = header.remove("__metadata__").unwrap_or_default();
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
    let fitting = match metadata["architecture"].as_str() {
        Some(name) => fit_named(name, &shapes),
        None => recognize(&shapes),
    };
    fitting.is_ok_and(|(_, graph)| {
        graph
            .nodes()
            .last()
            .is_some_and(|node| node.is::<Softmax>())
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
    match fit(named, shapes) {
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
        .filter_map(|known| Some((known, fit(known, shapes).ok()?)))
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
    let misfits = Architecture::ALL
        .into_iter()
        .filter_map(|known| Some((known, fit(known, shapes).err()?)));
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
    let expected = graph.parameters().into_iter();
    expected
        .filter(|ParameterShape { name, shape, .. }| {
            shapes.get(name.as_str()) == Some(&shape.as_slice())
        })
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
/// there must be present in their right shapes, and no others.
fn fit(architecture: Architecture, shapes: &Shapes) -> Result<Graph, WeightsProblem> {
    let mut graph = architecture.graph(classes(architecture, shapes));
    let present = |parameter: &ParameterShape| shapes.contains_key(parameter.name.as_str());
    let trained: Vec<_> = graph.trained().collect();
    // Without any tensor, the first one is missing.
    let kept = trained
        .iter()
        .rposition(|id| graph.node(*id).layer.parameters().iter().any(present));
    graph.cut(kept.unwrap_or(0) + 1);

    let mut unexpected = shapes.clone();
    for ParameterShape {
        name: tensor,
        shape: expected,
        ..
    } in graph.parameters()
    {
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
    match unexpected.first_key_value() {
        None => Ok(graph),
        Some((tensor, found)) => Err(WeightsProblem::ExtraTensor {
            architecture,
            tensor: (*tensor).to_owned(),
            found: found.to_vec(),
        }),
    }
}

/// A tensor's values as f32, all of them finite.
fn values(views: &BTreeMap<&str, TensorView>, tensor: &str) -> Result<Vec<f32>, WeightsProblem> {
    let view = &views[tensor];
    // The file is little-endian, as is every platform with a GPU interface that we use. Its tensors need not
    // be aligned, hence the copies.
    let values: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytemuck::pod_collect_to_vec(view.data()),
        Dtype::F16 => bytemuck::pod_collect_to_vec::<u8, half::f16>(view.data()).to_f32_vec(),
        Dtype::BF16 => bytemuck::pod_collect_to_vec::<u8, half::bf16>(view.data()).to_f32_vec(),
        other => {
            return Err(WeightsProblem::WrongDtype {
                tensor: tensor.to_owned(),
                found: format!("{other:?}"),
            });
        }
    };
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(index) => Err(WeightsProblem::NotFinite {
            tensor: tensor.to_owned(),
            index,
            value: values[index].to_string(),
        }),
    }
}
