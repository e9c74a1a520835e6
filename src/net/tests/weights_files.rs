//! Weights files, good and bad, and the networks they make.

use std::collections::{BTreeMap, HashSet};

use safetensors::{Dtype, tensor::TensorView};

use crate::layer::{Conv, Normalize};
use crate::net::*;

/// One tensor of a weights file to be.
#[derive(Clone)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

type Tensors = BTreeMap<String, Tensor>;

/// f16 tensors for the first `convs` convolutions; element i of each is i % 7 / 8 - 0.25.
fn tensors(architecture: Architecture, classes: u32, convs: usize) -> Tensors {
    let f16 = |shape: Vec<usize>| {
        let values = (0..shape.iter().product()).map(|i: usize| (i % 7) as f32 / 8.0 - 0.25);
        let bytes = values.flat_map(|v| half::f16::from_f32(v).to_le_bytes());
        Tensor {
            dtype: Dtype::F16,
            bytes: bytes.collect(),
            shape,
        }
    };
    // A weight and a bias of each convolution.
    let parameters = architecture.graph(classes).parameters().into_iter();
    let first = parameters.take(convs.saturating_mul(2));
    first.map(|p| (p.name, f16(p.shape))).collect()
}

fn squeezenet() -> Tensors {
    tensors(Architecture::SqueezeNet1_1, 10, usize::MAX)
}

fn file(tensors: &Tensors, metadata: &[(&str, &str)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, t)| {
        let view = TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap();
        (name, view)
    });
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    safetensors::serialize(views, Some(metadata.collect())).unwrap()
}

fn open(tensors: &Tensors, metadata: &[(&str, &str)]) -> Network {
    Network::from_bytes("test", &file(tensors, metadata)).unwrap()
}

/// What is wrong with a file, as a value and as the user's message.
fn problem(bytes: &[u8]) -> (WeightsProblem, String) {
    match Network::from_bytes("test", bytes) {
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("`test`"), "{message}");
            match error {
                NetError::Weights(error) => (error.problem, message),
                other => panic!("{other:?}"),
            }
        }
        Ok(network) => panic!("opened as {:?}", network.architecture),
    }
}

#[test]
fn a_file_needs_no_metadata() {
    let network = open(&squeezenet(), &[]);
    assert_eq!(network.architecture, Some(Architecture::SqueezeNet1_1));
    assert_eq!(network.preprocessing.mean, [0.485, 0.456, 0.406]);
    let alexnet = open(&tensors(Architecture::AlexNet, 10, 5), &[]);
    assert_eq!(alexnet.architecture, Some(Architecture::AlexNet));
    let googlenet = open(&tensors(Architecture::GoogLeNetBvlc, 10, 20), &[]);
    assert_eq!(googlenet.architecture, Some(Architecture::GoogLeNetBvlc));
}

#[test]
fn the_common_start_of_the_vggs_is_either_of_them() {
    for convs in 1..=7 {
        let start = tensors(Architecture::Vgg16, 10, convs);
        if convs == 1 {
            // SqueezeNet starts with the same shape, but a stride.
            let (problem, message) = problem(&file(&start, &[]));
            assert!(matches!(
                problem,
                WeightsProblem::AmbiguousArchitecture { .. }
            ));
            assert!(
                message.contains("squeezenet1_1") && message.contains("vgg19"),
                "{message}"
            );
        } else {
            assert!(open(&start, &[]).find("relu1_2").is_ok());
        }
        let named = open(&start, &[("architecture", "vgg16")]);
        assert_eq!(named.architecture, Some(Architecture::Vgg16));
    }
    // After seven convolutions VGG-16 has a pool and VGG-19 another convolution.
    let seven = open(&tensors(Architecture::Vgg16, 10, 7), &[]);
    assert!(seven.find("relu3_3").is_ok());
    assert!(seven.find("pool3").is_err());
    let eight = open(&tensors(Architecture::Vgg16, 10, 8), &[]);
    assert_eq!(eight.architecture, Some(Architecture::Vgg16));
}

#[test]
fn preprocessing_comes_from_the_metadata() {
    let text = "RGB/255 - mean(0.5,0.25,0), / std(0.5,1,2)";
    let network = open(&squeezenet(), &[("preprocessing", text)]);
    let expected = Normalize {
        scale: [2.0, 1.0, 0.5],
        bias: [-1.0, -0.25, 0.0],
    };
    let node = network.node(network.find("data").unwrap());
    assert_eq!(node.layer.of_kind(), Some(&expected));
    assert_eq!(node.inputs, [network.input()]);
    assert_eq!(network.metadata["preprocessing"], text);
    let (problem, _) = problem(&file(&squeezenet(), &[("preprocessing", "BGR")]));
    assert!(matches!(problem, WeightsProblem::Preprocessing { .. }));
}

/// What methods look at where they are not told.
#[test]
fn the_metadata_may_name_the_layers_to_look_at() {
    let metadata = [
        ("style_layers", "relu_conv1:0.5, fire2"),
        ("dream_layers", "features_7"),
    ];
    let network = open(&squeezenet(), &metadata);
    let layers = |purpose| network.default_layers(purpose).unwrap();
    let named = |layer: &str, weight| (layer.to_owned(), weight);
    assert_eq!(
        layers(Purpose::Style),
        [named("relu_conv1", 0.5), named("fire2", 1.0)]
    );
    assert_eq!(layers(Purpose::Dream), [named("features_7", 1.0)]);
    // The architecture's own where they say nothing.
    assert_eq!(layers(Purpose::Content), [named("fire3/concat", 0.08)]);
    for (text, part) in [("relu_conv1, fire20", "`fire20`"), ("fire2:much", "`much`")] {
        let (_, message) = problem(&file(&squeezenet(), &[("content_layers", text)]));
        assert!(
            message.contains(part) && message.contains("content_layers"),
            "{message}"
        );
    }
}

#[test]
fn all_dtypes_become_the_same_f32() {
    let f16 = squeezenet();
    let values = |t: &Tensor| -> Vec<f32> {
        let pairs = t.bytes.chunks_exact(2);
        pairs
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()
    };
    let converted = |dtype, bytes: &dyn Fn(f32) -> Vec<u8>| -> Tensors {
        let convert = |t: &Tensor| Tensor {
            dtype,
            shape: t.shape.clone(),
            bytes: values(t).into_iter().flat_map(bytes).collect(),
        };
        f16.iter().map(|(n, t)| (n.clone(), convert(t))).collect()
    };
    let f32s = converted(Dtype::F32, &|v| v.to_le_bytes().to_vec());
    // The values are exact in bf16 too.
    let bf16s = converted(Dtype::BF16, &|v| {
        half::bf16::from_f32(v).to_le_bytes().to_vec()
    });
    for tensors in [&f16, &f32s, &bf16s] {
        let network = open(tensors, &[]);
        assert_eq!(network.parameters().iter().len(), f16.len());
        for Parameter {
            name, values: v, ..
        } in network.parameters().iter()
        {
            assert_eq!(*v, values(&f16[name]), "{name}");
        }
    }
}

#[test]
fn every_convolution_finds_its_own_weights() {
    let network = open(&squeezenet(), &[]);
    let mut used = HashSet::new();
    for node in network.layers() {
        let Some(conv) = node.layer.of_kind::<Conv>() else {
            continue;
        };
        assert!(node.answers_to(&conv.tensor), "{}", node.name);
        assert_eq!(conv.out_channels, node.channels);
        assert_eq!(conv.in_channels, network.node(node.inputs[0]).channels);
        let size = conv.out_channels * conv.in_channels * conv.window.taps();
        let [weight, bias] = ["weight", "bias"].map(|part| {
            let name = format!("{}.{part}", conv.tensor);
            assert!(used.insert(name.clone()));
            network.parameters().get(&name).unwrap().values.len()
        });
        assert_eq!((weight, bias), (size as usize, conv.out_channels as usize));
    }
    assert_eq!(used.len(), network.parameters().iter().len());
}

#[test]
fn a_file_may_end_after_any_convolution() {
    let whole = Architecture::SqueezeNet1_1.graph(10).trained().count();
    for convs in 1..=whole {
        let network = open(
            &tensors(Architecture::SqueezeNet1_1, 10, convs),
            &[("architecture", "squeezenet1_1")],
        );
        assert_eq!(network.parameters().iter().len(), 2 * convs);
        assert_eq!(network.has_classifier(), convs == whole);
        assert!(network.find("relu_conv1").is_ok());
    }
    // fire2 without its last branch has no concatenation.
    let cut = open(&tensors(Architecture::SqueezeNet1_1, 10, 3), &[]);
    assert!(cut.find("fire2/expand1x1").is_ok());
    let message = cut.find("fire2/concat").unwrap_err().to_string();
    assert!(message.contains("`fire2/expand1x1`"), "{message}");
}

#[test]
fn names_that_are_not_there_get_their_messages() {
    let cut = open(
        &tensors(Architecture::Vgg19, 10, 3),
        &[("architecture", "vgg19")],
    );
    let error = cut.find("relu5_1").unwrap_err();
    assert!(matches!(error, NetError::LayerCutOff { .. }));
    let message = error.to_string();
    assert!(
        message.contains("vgg19") && message.contains("relu2_1"),
        "{message}"
    );
    let error = cut.find("mixed4c").unwrap_err();
    assert!(matches!(error, NetError::UnknownLayer { .. }));
    let message = error.to_string();
    for layer in ["input", "conv1_1, relu1_1", "pool1", "relu2_1"] {
        assert!(message.contains(layer), "{message}");
    }
    assert!(cut.logits().is_err());
    let message = cut.class_index("3").unwrap_err().to_string();
    assert!(message.contains("no classifier"), "{message}");
}

#[test]
fn classes_are_found_by_number_or_name() {
    let ten = open(&squeezenet(), &[]);
    assert_eq!(ten.classes(), Some(10));
    assert_eq!(ten.class_index("9").unwrap(), 9);
    for (class, part) in [("10", "10 classes"), ("tabby", "0 to 9")] {
        let message = ten.class_index(class).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let imagenet = Network::open("squeezenet1_1").unwrap();
    assert_eq!(imagenet.class_index("egyptian cat").unwrap(), 285);
    assert_eq!(imagenet.class_index("285").unwrap(), 285);
    let message = imagenet.class_index("terrier").unwrap_err().to_string();
    assert!(message.contains("185 (Norfolk terrier)"), "{message}");
    assert!(imagenet.class_index("1000").is_err());
}

#[test]
fn missing_tensors_are_named() {
    for tensor in ["features.0.weight", "features.7.squeeze.bias"] {
        for metadata in [&[][..], &[("architecture", "squeezenet1_1")][..]] {
            let mut tensors = squeezenet();
            let shape = tensors.remove(tensor).unwrap().shape;
            let (found, message) = problem(&file(&tensors, metadata));
            assert!(
                matches!(&found, WeightsProblem::MissingTensor {
                    architecture: Architecture::SqueezeNet1_1,
                    tensor: missing,
                    expected,
                } if missing == tensor && *expected == shape),
                "{found:?}"
            );
            assert!(message.contains(tensor), "{message}");
        }
    }
}

#[test]
fn extra_tensors_are_named() {
    let mut tensors = squeezenet();
    tensors.insert("extra".to_owned(), tensors["features.0.bias"].clone());
    let (found, message) = problem(&file(&tensors, &[]));
    assert!(matches!(found, WeightsProblem::ExtraTensor { .. }));
    assert!(
        message.contains("`extra`") && message.contains("[64]"),
        "{message}"
    );

    let mut tensors = super::weights_files::tensors(Architecture::GoogLeNetBvlc, 10, 3);
    tensors.insert(
        "conv1.bn.weight".to_owned(),
        tensors["conv1.conv.bias"].clone(),
    );
    let (_, message) = problem(&file(&tensors, &[]));
    assert!(message.contains("batch normalization"), "{message}");
}

#[test]
fn misshaped_tensors_are_named_with_both_shapes() {
    let mut tensors = squeezenet();
    let tensor = tensors.get_mut("features.4.expand3x3.weight").unwrap();
    tensor.shape = vec![64, 48, 3, 1];
    let (found, message) = problem(&file(&tensors, &[]));
    assert!(matches!(found, WeightsProblem::WrongShape { .. }));
    for part in [
        "features.4.expand3x3.weight",
        "[64, 48, 3, 1]",
        "[64, 16, 3, 3]",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn values_that_are_not_finite_are_named() {
    for (value, text) in [(half::f16::NAN, "NaN"), (half::f16::INFINITY, "inf")] {
        let mut tensors = squeezenet();
        let tensor = tensors.get_mut("classifier.1.weight").unwrap();
        tensor.bytes[10..12].copy_from_slice(&value.to_le_bytes());
        let (found, _) = problem(&file(&tensors, &[]));
        assert!(
            matches!(&found, WeightsProblem::NotFinite { tensor, index: 5, value }
                if tensor == "classifier.1.weight" && value == text),
            "{found:?}"
        );
    }
}

#[test]
fn other_dtypes_are_refused() {
    let mut tensors = squeezenet();
    tensors.get_mut("features.0.bias").unwrap().dtype = Dtype::I16;
    let (_, message) = problem(&file(&tensors, &[]));
    for part in ["features.0.bias", "I16", "BF16"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_named_architecture_must_be_the_tensors_own() {
    let (found, _) = problem(&file(&squeezenet(), &[("architecture", "vgg16")]));
    assert!(
        matches!(
            found,
            WeightsProblem::WrongArchitecture {
                named: Architecture::Vgg16,
                found: Architecture::SqueezeNet1_1,
            }
        ),
        "{found:?}"
    );
    let (_, message) = problem(&file(&squeezenet(), &[("architecture", "resnet51")]));
    assert!(
        message.contains("resnet51") && message.contains("googlenet_bvlc"),
        "{message}"
    );
    let mut other = Tensors::new();
    other.insert(
        "layer1.weight".to_owned(),
        squeezenet()["features.0.bias"].clone(),
    );
    let (_, message) = problem(&file(&other, &[]));
    assert!(message.contains("layer1.weight"), "{message}");
    let (found, _) = problem(b"\x08\0\0\0\0\0\0\0{}      ");
    assert!(
        matches!(found, WeightsProblem::UnrecognizedTensors { .. }),
        "{found:?}"
    );
}

#[test]
fn files_that_are_cut_short_say_how_much_is_there() {
    let whole = file(&squeezenet(), &[]);
    let header_end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let (found, message) = problem(&whole[..whole.len() - 1]);
    assert!(
        matches!(&found, WeightsProblem::Truncated { expected, found, tensor: Some(_) }
            if *expected == whole.len() as u64 && *found == whole.len() as u64 - 1),
        "{message}"
    );
    // Every length gets a message: nothing panics, and the tensor that the file breaks off in is named.
    for length in (0..header_end).chain((header_end..whole.len()).step_by(50_021)) {
        let (found, message) = problem(&whole[..length]);
        match found {
            WeightsProblem::Empty => assert_eq!(length, 0),
            WeightsProblem::TooShort { .. } => assert!(length < 8, "{message}"),
            WeightsProblem::Truncated { tensor, .. } => {
                assert_eq!(
                    tensor.is_some(),
                    length >= header_end,
                    "{length}: {message}"
                );
            }
            other => panic!("{length}: {other:?}"),
        }
    }
}

#[test]
fn other_files_are_not_taken_for_weights() {
    let mut longer = file(&squeezenet(), &[]);
    longer.push(0);
    let png = b"\x89PNG\r\n\x1a\n and so on";
    let text = b"{\"this\": \"is only some text, though in braces\"}";
    let small = b"\x10\0\0\0\0\0\0\0plain text, long enough";
    for bytes in [&png[..], text, small, &longer] {
        let (found, message) = problem(bytes);
        assert!(
            message.contains("is not a safetensors file"),
            "{found:?}: {message}"
        );
    }
}

#[test]
fn what_safetensors_says_of_a_header_is_the_cause() {
    let mut bytes = 4u64.to_le_bytes().to_vec();
    bytes.extend(b"{[}]");
    let error = crate::Error::from(Network::from_bytes("test", &bytes).unwrap_err());
    let source = std::error::Error::source(&error).and_then(|e| e.downcast_ref());
    let source: &safetensors::SafeTensorError = source.expect("the reader's error");
    let message = "the weights file of `test` is not a safetensors file";
    assert_eq!(error.to_string(), message);
    assert_eq!(error.with_causes(), format!("{message}: {source}"));
}

/// Real weights, which stand beside the project where it is developed; what each must have as its last layer.
#[test]
fn real_weights_fit_their_graphs() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/weights");
    if !dir.is_dir() {
        eprintln!(
            "{} is absent: only the embedded networks are checked",
            dir.display()
        );
    }
    let files = [
        ("alexnet", Architecture::AlexNet, "avgpool"),
        ("googlenet_bvlc", Architecture::GoogLeNetBvlc, "prob"),
        ("squeezenet1_0", Architecture::SqueezeNet1_0, "prob"),
        ("squeezenet1_1", Architecture::SqueezeNet1_1, "prob"),
        ("squeezenet1_1_caffe", Architecture::SqueezeNet1_1, "prob"),
        ("vgg16", Architecture::Vgg16, "avgpool"),
        ("vgg19", Architecture::Vgg19, "avgpool"),
    ];
    let on_disk = files.map(|(name, architecture, last)| {
        let path = dir.join(name).with_extension("safetensors");
        (path.to_string_lossy().into_owned(), architecture, last)
    });
    let embedded = [
        (
            "squeezenet1_1".to_owned(),
            Architecture::SqueezeNet1_1,
            "prob",
        ),
        ("vgg19".to_owned(), Architecture::Vgg19, "relu4_1"),
    ];
    let on_disk = on_disk.into_iter().filter(|_| dir.is_dir());
    for (spec, architecture, last) in on_disk.chain(embedded) {
        let network = Network::open(&spec).unwrap();
        assert_eq!(network.architecture, Some(architecture), "{spec}");
        assert_eq!(network.nodes().last().unwrap().name, last, "{spec}");
        assert_eq!(network.preprocessing.std, [0.229, 0.224, 0.225]);
        for parameter in network.parameters().iter() {
            let count: usize = parameter.shape.iter().product();
            assert_eq!(parameter.values.len(), count, "{}", parameter.name);
        }
        assert!(network.shapes(224, 224).iter().all(Option::is_some));
    }
}
