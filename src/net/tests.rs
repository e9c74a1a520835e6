//! Whole networks: graphs against published sizes, receptive fields and names; weights files good and bad.

use std::collections::{BTreeMap, HashSet};

use safetensors::{Dtype, tensor::TensorView};

use super::*;

/// Output sizes of some layers for a 224×224 image.
const SIZES: &[(Architecture, &[(&str, [u32; 3])])] = &[
    (
        Architecture::SqueezeNet1_0,
        &[
            ("conv1", [96, 109, 109]),
            ("pool1", [96, 54, 54]),
            ("fire4/concat", [256, 54, 54]),
            ("pool4", [256, 27, 27]),
            ("fire8/concat", [512, 27, 27]),
            ("pool8", [512, 13, 13]),
            ("conv10", [1000, 13, 13]),
            ("logits", [1000, 1, 1]),
        ],
    ),
    (
        Architecture::SqueezeNet1_1,
        &[
            ("input", [3, 224, 224]),
            ("conv1", [64, 111, 111]),
            ("pool1", [64, 55, 55]),
            ("fire2/squeeze1x1", [16, 55, 55]),
            ("fire2", [128, 55, 55]),
            ("pool3", [128, 27, 27]),
            ("pool5", [256, 13, 13]),
            ("fire9/concat", [512, 13, 13]),
            ("conv10", [1000, 13, 13]),
            ("prob", [1000, 1, 1]),
        ],
    ),
    (
        Architecture::Vgg16,
        &[
            ("relu1_2", [64, 224, 224]),
            ("relu3_3", [256, 56, 56]),
            ("conv5_3", [512, 14, 14]),
            ("pool5", [512, 7, 7]),
            ("fc6", [4096, 1, 1]),
            ("fc8", [1000, 1, 1]),
        ],
    ),
    (
        Architecture::Vgg19,
        &[
            ("relu1_1", [64, 224, 224]),
            ("relu4_1", [512, 28, 28]),
            ("conv5_4", [512, 14, 14]),
            ("avgpool", [512, 7, 7]),
            ("relu7", [4096, 1, 1]),
            ("logits", [1000, 1, 1]),
        ],
    ),
    (
        Architecture::AlexNet,
        &[
            ("conv1", [64, 55, 55]),
            ("pool1", [64, 27, 27]),
            ("conv2", [192, 27, 27]),
            ("pool2", [192, 13, 13]),
            ("conv5", [256, 13, 13]),
            ("pool5", [256, 6, 6]),
            ("fc6", [4096, 1, 1]),
            ("fc8", [1000, 1, 1]),
        ],
    ),
    (
        Architecture::GoogLeNetBvlc,
        &[
            ("conv1/7x7_s2", [64, 112, 112]),
            ("pool1/norm1", [64, 56, 56]),
            ("conv2/norm2", [192, 56, 56]),
            ("inception_3a/output", [256, 28, 28]),
            ("inception_3b/output", [480, 28, 28]),
            ("inception_4a/output", [512, 14, 14]),
            ("inception_4d/output", [528, 14, 14]),
            ("inception_4e/output", [832, 14, 14]),
            ("inception_5b/output", [1024, 7, 7]),
            ("pool5", [1024, 1, 1]),
            ("logits", [1000, 1, 1]),
        ],
    ),
];

/// Receptive field: size, stride and centre of unit 0.
const FIELDS: &[(Architecture, &[(&str, u32, u32, f64)])] = &[
    (
        Architecture::SqueezeNet1_1,
        &[
            ("conv1", 3, 2, 1.0),
            ("pool1", 7, 4, 3.0),
            ("fire2/concat", 15, 4, 3.0),
            ("fire3/concat", 23, 4, 3.0),
            ("pool3", 31, 8, 7.0),
            ("fire4/concat", 47, 8, 7.0),
            ("fire5/concat", 63, 8, 7.0),
            ("pool5", 79, 16, 15.0),
            ("fire6/concat", 111, 16, 15.0),
            ("fire9/concat", 207, 16, 15.0),
        ],
    ),
    (
        Architecture::SqueezeNet1_0,
        &[
            ("conv1", 7, 2, 3.0),
            ("pool1", 11, 4, 5.0),
            ("fire2/concat", 19, 4, 5.0),
            ("fire4/concat", 35, 4, 5.0),
            ("pool4", 43, 8, 9.0),
            ("fire8/concat", 107, 8, 9.0),
            ("pool8", 123, 16, 17.0),
            ("fire9/concat", 155, 16, 17.0),
        ],
    ),
    (
        Architecture::Vgg16,
        &[
            ("relu1_1", 3, 1, 0.0),
            ("relu1_2", 5, 1, 0.0),
            ("pool1", 6, 2, 0.5),
            ("relu2_2", 14, 2, 0.5),
            ("relu3_3", 40, 4, 1.5),
            ("relu4_3", 92, 8, 3.5),
            ("relu5_3", 196, 16, 7.5),
            ("pool5", 212, 32, 15.5),
            ("fc6", 404, 32, 111.5),
        ],
    ),
    (
        Architecture::Vgg19,
        &[
            ("conv3_4", 48, 4, 1.5),
            ("relu4_1", 68, 8, 3.5),
            ("relu4_4", 116, 8, 3.5),
            ("relu5_4", 252, 16, 7.5),
            ("pool5", 268, 32, 15.5),
        ],
    ),
    (
        Architecture::AlexNet,
        &[
            ("conv1", 11, 4, 3.0),
            ("pool1", 19, 8, 7.0),
            ("conv2", 51, 8, 7.0),
            ("pool2", 67, 16, 15.0),
            ("conv3", 99, 16, 15.0),
            ("conv4", 131, 16, 15.0),
            ("conv5", 163, 16, 15.0),
            ("pool5", 195, 32, 31.0),
            ("fc6", 355, 32, 111.0),
        ],
    ),
    (
        Architecture::GoogLeNetBvlc,
        &[
            ("conv1", 7, 2, 0.0),
            ("inception_3a/output", 59, 8, 6.0),
            ("inception_3b/output", 91, 8, 6.0),
            ("inception_4a/output", 171, 16, 14.0),
            ("inception_4c/output", 299, 16, 14.0),
            ("inception_4e/output", 427, 16, 14.0),
            ("inception_5a/output", 587, 32, 30.0),
            ("inception_5b/output", 715, 32, 30.0),
        ],
    ),
];

/// Names that mean the same values.
const SYNONYMS: &[(Architecture, &[&[&str]])] = &[
    (
        Architecture::SqueezeNet1_1,
        &[
            &["conv1", "features.0", "features_0"],
            &["relu_conv1", "features.1"],
            &["pool1", "features.2"],
            &["fire2/squeeze1x1_pre_relu", "features.3.squeeze"],
            &[
                "fire2/squeeze1x1",
                "fire2/relu_squeeze1x1",
                "features.3.squeeze_activation",
            ],
            &["fire3/expand3x3", "features_4_expand3x3_activation"],
            &["pool3", "features.5"],
            &["fire5/concat", "fire5", "features.7"],
            &["fire9/concat", "features.12", "classifier.0"],
            &["conv10", "classifier.1"],
            &["relu_conv10", "classifier.2"],
            &["pool10", "classifier.3", "logits"],
        ],
    ),
    (
        Architecture::SqueezeNet1_0,
        &[
            &["pool4", "features.6"],
            &["fire5/concat", "features.7"],
            &["pool8", "features.11"],
            &["fire9/concat", "features.12"],
        ],
    ),
    (
        Architecture::Vgg16,
        &[
            &["conv1_1", "features.0"],
            &["relu4_2", "features.20", "block4_conv2"],
            &["conv4_3", "features.21"],
            &["pool5", "features.30", "block5_pool"],
            &["fc6", "classifier.0"],
            &["relu6", "classifier.1", "classifier.2", "fc1"],
            &["fc8", "classifier.6", "logits"],
        ],
    ),
    (
        Architecture::Vgg19,
        &[
            &["conv3_4", "features.16"],
            &["conv4_2", "features.21"],
            &["relu4_2", "features.22"],
            &["conv5_4", "features.34"],
            &["pool5", "features.36"],
        ],
    ),
    (
        Architecture::AlexNet,
        &[
            &["conv1", "features.0"],
            &["relu2", "features.4"],
            &["pool2", "features.5"],
            &["conv5", "features.10"],
            &["pool5", "features.12"],
            &["avgpool", "classifier.0"],
            &["fc6", "classifier.1"],
            &["relu6", "classifier.2", "classifier.3"],
            &["fc7", "classifier.4"],
            &["relu7", "classifier.5"],
            &["fc8", "classifier.6", "logits"],
        ],
    ),
    (
        Architecture::GoogLeNetBvlc,
        &[
            &["conv1/7x7_s2", "conv1", "conv2d0"],
            &["conv2/3x3", "conv3", "conv2d2"],
            &["pool2", "maxpool2", "pool2/3x3_s2"],
            &["inception_4c/output", "mixed4c", "inception4c"],
            &["inception_4c/1x1", "mixed4c_1x1", "inception4c.branch1"],
            &[
                "inception_4c/3x3_reduce",
                "mixed4c_3x3_bottleneck",
                "inception4c.branch2.0",
            ],
            &[
                "inception_4c/5x5_reduce_pre_relu",
                "mixed4c_5x5_bottleneck_pre_relu",
                "inception4c.branch3.0.conv",
            ],
            &["inception_4c/5x5", "mixed4c_5x5", "inception4c.branch3.1"],
            &[
                "inception_4c/pool_proj",
                "mixed4c_pool_reduce",
                "inception4c_branch4_1",
            ],
            &["loss3/classifier", "fc", "logits"],
        ],
    ),
];

fn node(graph: &graph::Graph, name: &str) -> NodeId {
    let index = graph.nodes.iter().position(|node| node.answers_to(name));
    NodeId(index.unwrap_or_else(|| panic!("no layer {name}")))
}

#[test]
fn layers_have_their_published_sizes() {
    for (architecture, sizes) in SIZES {
        let graph = architecture.graph(1000);
        for (layer, [channels, height, width]) in *sizes {
            let found = graph::shape(&graph.nodes, node(&graph, layer), 224, 224).unwrap();
            let found = (found.channels, found.height, found.width);
            assert_eq!(
                found,
                (*channels, *height, *width),
                "{architecture} {layer}"
            );
        }
    }
}

#[test]
fn receptive_fields_are_the_published_ones() {
    for (architecture, fields) in FIELDS {
        let graph = architecture.graph(1000);
        for &(layer, size, stride, start) in *fields {
            let found = graph::receptive_field(&graph.nodes, node(&graph, layer));
            let expected = ReceptiveField {
                size,
                stride,
                start,
            };
            assert_eq!(found, Some(expected), "{architecture} {layer}");
        }
    }
    let graph = Architecture::SqueezeNet1_1.graph(1000);
    for layer in ["pool10", "prob"] {
        assert_eq!(
            graph::receptive_field(&graph.nodes, node(&graph, layer)),
            None
        );
    }
}

#[test]
fn synonyms_mean_the_same_layer() {
    for (architecture, groups) in SYNONYMS {
        let graph = architecture.graph(1000);
        for group in *groups {
            for name in *group {
                let (first, this) = (node(&graph, group[0]), node(&graph, name));
                assert_eq!(first, this, "{architecture} {} {name}", group[0]);
            }
        }
    }
}

#[test]
fn no_two_layers_share_a_name() {
    for architecture in Architecture::ALL {
        let mut seen = HashSet::new();
        for node in architecture.graph(1000).nodes {
            let mut own: HashSet<String> = node.aliases.iter().cloned().collect();
            own.extend(node.aliases.iter().map(|alias| alias.replace('.', "_")));
            own.insert(node.name);
            for name in own {
                assert!(seen.insert(name.clone()), "{architecture} {name}");
            }
        }
    }
}

#[test]
fn parameters_are_as_many_as_published() {
    for (architecture, expected) in [
        (Architecture::SqueezeNet1_0, 1_248_424),
        (Architecture::SqueezeNet1_1, 1_235_496),
        (Architecture::Vgg16, 138_357_544),
        (Architecture::Vgg19, 143_667_240),
        (Architecture::AlexNet, 61_100_840),
        // Torchvision's without auxiliary classifiers has 6 624 904. A bias stands here for two numbers of batch
        // normalization there, 7280 times; and 25 weights for 9, at 23 808 pairs of channels.
        (Architecture::GoogLeNetBvlc, 6_998_552),
    ] {
        let convs = architecture.graph(1000).convs;
        let count = |spec: &graph::ConvSpec| {
            spec.weight_shape().iter().product::<usize>() + spec.out_channels as usize
        };
        let found: usize = convs.iter().map(count).sum();
        assert_eq!(found, expected, "{architecture}");
    }
}

#[test]
fn the_pools_of_caffes_googlenet_round_up() {
    let graph = Architecture::GoogLeNetBvlc.graph(1000);
    let side = |layer, size| graph::shape(&graph.nodes, node(&graph, layer), size, size).unwrap();
    // 129 → 65 → 32: (65-3)/2 is whole; 131 → 66 → 33, where rounding down gives 32.
    assert_eq!(side("pool1", 129).height, 32);
    assert_eq!(side("pool1", 131).height, 33);
}

#[test]
fn an_image_too_small_is_refused_only_where_it_matters() {
    let graph = Architecture::Vgg16.graph(1000);
    let shapes = graph::shapes(&graph.nodes, 8, 100);
    assert!(shapes[node(&graph, "pool3").0].is_some());
    assert!(shapes[node(&graph, "relu4_3").0].is_some());
    assert_eq!(shapes[node(&graph, "pool4").0], None);
    assert_eq!(shapes[node(&graph, "logits").0], None);
    let error = graph::shape(&graph.nodes, node(&graph, "pool4"), 8, 100).unwrap_err();
    let message = error.to_string();
    for part in ["100x8", "pool4", "16x16"] {
        assert!(message.contains(part), "{message}");
    }
}

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
    let specs = architecture.graph(classes).convs;
    let both = specs.iter().take(convs).flat_map(|spec| {
        [
            (format!("{}.weight", spec.tensor), f16(spec.weight_shape())),
            (
                format!("{}.bias", spec.tensor),
                f16(vec![spec.out_channels as usize]),
            ),
        ]
    });
    both.collect()
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
fn problem(bytes: &[u8]) -> (WeightsError, String) {
    match Network::from_bytes("test", bytes) {
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("`test`"), "{message}");
            match error {
                NetError::Weights { problem, .. } => (problem, message),
                other => panic!("{other:?}"),
            }
        }
        Ok(network) => panic!("opened as {}", network.architecture),
    }
}

#[test]
fn a_file_needs_no_metadata() {
    let network = open(&squeezenet(), &[]);
    assert_eq!(network.architecture, Architecture::SqueezeNet1_1);
    assert_eq!(network.preprocessing.mean, [0.485, 0.456, 0.406]);
    let alexnet = open(&tensors(Architecture::AlexNet, 10, 5), &[]);
    assert_eq!(alexnet.architecture, Architecture::AlexNet);
    let googlenet = open(&tensors(Architecture::GoogLeNetBvlc, 10, 20), &[]);
    assert_eq!(googlenet.architecture, Architecture::GoogLeNetBvlc);
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
                WeightsError::AmbiguousArchitecture { .. }
            ));
            assert!(
                message.contains("squeezenet1_1") && message.contains("vgg19"),
                "{message}"
            );
        } else {
            assert!(open(&start, &[]).find("relu1_2").is_ok());
        }
        let named = open(&start, &[("architecture", "vgg16")]);
        assert_eq!(named.architecture, Architecture::Vgg16);
    }
    // After seven convolutions VGG-16 has a pool and VGG-19 another convolution.
    let seven = open(&tensors(Architecture::Vgg16, 10, 7), &[]);
    assert!(seven.find("relu3_3").is_ok());
    assert!(seven.find("pool3").is_err());
    let eight = open(&tensors(Architecture::Vgg16, 10, 8), &[]);
    assert_eq!(eight.architecture, Architecture::Vgg16);
}

#[test]
fn preprocessing_comes_from_the_metadata() {
    let text = "RGB/255 - mean(0.5,0.25,0), / std(0.5,1,2)";
    let network = open(&squeezenet(), &[("preprocessing", text)]);
    let expected = Op::Normalize {
        scale: [2.0, 1.0, 0.5],
        bias: [-1.0, -0.25, 0.0],
    };
    assert_eq!(network.nodes[1].op, expected);
    assert_eq!(network.nodes[0].op, Op::Input);
    assert_eq!(network.metadata["preprocessing"], text);
    let (problem, _) = problem(&file(&squeezenet(), &[("preprocessing", "BGR")]));
    assert!(matches!(problem, WeightsError::Preprocessing { .. }));
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
        for conv in &network.convs {
            let weight = &f16[&format!("{}.weight", conv.name)];
            assert_eq!(conv.weight, values(weight), "{}", conv.name);
            assert_eq!(conv.bias, values(&f16[&format!("{}.bias", conv.name)]));
        }
    }
}

#[test]
fn every_convolution_finds_its_own_weights() {
    let network = open(&squeezenet(), &[]);
    let mut used = HashSet::new();
    for node in network.layers() {
        let Op::Conv {
            kernel, weights, ..
        } = node.op
        else {
            continue;
        };
        let conv = &network.convs[weights];
        assert!(node.answers_to(&conv.name), "{} {}", node.name, conv.name);
        assert_eq!((conv.out_channels, conv.kernel), (node.channels, kernel));
        assert_eq!(conv.in_channels, network.node(node.inputs[0]).channels);
        let size = conv.out_channels * conv.in_channels * kernel * kernel;
        assert_eq!(conv.weight.len(), size as usize);
        assert!(used.insert(weights));
    }
    assert_eq!(used.len(), network.convs.len());
}

#[test]
fn a_file_may_end_after_any_convolution() {
    let whole = Architecture::SqueezeNet1_1.graph(10).convs.len();
    for convs in 1..=whole {
        let network = open(
            &tensors(Architecture::SqueezeNet1_1, 10, convs),
            &[("architecture", "squeezenet1_1")],
        );
        assert_eq!(network.convs.len(), convs);
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
            let expected = tensors.remove(tensor).unwrap().shape;
            let (found, message) = problem(&file(&tensors, metadata));
            assert_eq!(
                found,
                WeightsError::MissingTensor {
                    architecture: Architecture::SqueezeNet1_1,
                    tensor: tensor.to_owned(),
                    expected,
                }
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
    assert!(matches!(found, WeightsError::ExtraTensor { .. }));
    assert!(
        message.contains("`extra`") && message.contains("[64]"),
        "{message}"
    );

    let mut tensors = super::tests::tensors(Architecture::GoogLeNetBvlc, 10, 3);
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
    assert!(matches!(found, WeightsError::WrongShape { .. }));
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
        assert_eq!(
            found,
            WeightsError::NotFinite {
                tensor: "classifier.1.weight".to_owned(),
                index: 5,
                value: text.to_owned(),
            }
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
    assert_eq!(
        found,
        WeightsError::WrongArchitecture {
            named: Architecture::Vgg16,
            found: Architecture::SqueezeNet1_1,
        }
    );
    let (_, message) = problem(&file(&squeezenet(), &[("architecture", "resnet50")]));
    assert!(
        message.contains("resnet50") && message.contains("googlenet_bvlc"),
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
        matches!(found, WeightsError::UnrecognizedTensors { .. }),
        "{found:?}"
    );
}

#[test]
fn files_that_are_cut_short_say_how_much_is_there() {
    let whole = file(&squeezenet(), &[]);
    let header_end = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let (found, message) = problem(&whole[..whole.len() - 1]);
    assert!(
        matches!(&found, WeightsError::Truncated { expected, found, tensor: Some(_) }
            if *expected == whole.len() as u64 && *found == whole.len() as u64 - 1),
        "{message}"
    );
    // Every length gets a message: nothing panics, and the tensor that the file breaks off in is named.
    for length in (0..header_end).chain((header_end..whole.len()).step_by(50_021)) {
        let (found, message) = problem(&whole[..length]);
        match found {
            WeightsError::Empty => assert_eq!(length, 0),
            WeightsError::NotSafetensors { .. } => assert!(length < 8, "{message}"),
            WeightsError::Truncated { tensor, .. } => {
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
            matches!(found, WeightsError::NotSafetensors { .. }),
            "{message}"
        );
    }
}

/// A linear layer's row is its kernel over all channels, row by row.
#[test]
fn linear_layers_are_convolutions_over_their_whole_input() {
    let network = open(&tensors(Architecture::GoogLeNetBvlc, 10, usize::MAX), &[]);
    let fc = &network.convs.last().unwrap();
    assert_eq!((fc.in_channels, fc.kernel, fc.out_channels), (1024, 1, 10));
    for (architecture, kernel, channels) in [
        (Architecture::Vgg16, 7, 512),
        (Architecture::AlexNet, 6, 256),
    ] {
        let graph = architecture.graph(10);
        let Op::Conv { weights, .. } = graph.nodes[node(&graph, "fc6").0].op else {
            panic!("fc6 is a convolution");
        };
        let spec = &graph.convs[weights];
        assert_eq!((spec.kernel, spec.in_channels), (kernel, channels));
        let inputs = (kernel * kernel * channels) as usize;
        assert_eq!(spec.weight_shape(), [4096, inputs]);
    }
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
        assert_eq!(network.architecture, architecture, "{spec}");
        assert_eq!(network.nodes.last().unwrap().name, last, "{spec}");
        assert_eq!(network.preprocessing.std, [0.229, 0.224, 0.225]);
        for conv in &network.convs {
            let inputs = (conv.in_channels * conv.kernel * conv.kernel) as usize;
            assert_eq!(conv.weight.len(), inputs * conv.out_channels as usize);
            assert_eq!(conv.bias.len(), conv.out_channels as usize);
        }
        assert!(network.shapes(224, 224).iter().all(Option::is_some));
    }
}
