//! Every architecture's graph against published sizes, receptive fields, parameter counts and names.

use std::collections::HashSet;

use crate::layer::Conv;
use crate::net::*;

/// Facts about each architecture.
type Table<T> = &'static [(Architecture, &'static [T])];

/// Output sizes of some layers for a 224×224 image.
const SIZES: Table<(&str, [u32; 3])> = &[
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
const FIELDS: Table<(&str, u32, u32, f64)> = &[
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
const SYNONYMS: Table<&[&str]> = &[
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

fn node(graph: &Graph, name: &str) -> NodeId {
    graph
        .find(name)
        .unwrap_or_else(|| panic!("no layer {name}"))
}

#[test]
fn layers_have_their_published_sizes() {
    for (architecture, sizes) in SIZES {
        let graph = architecture.graph(1000);
        for (layer, [channels, height, width]) in *sizes {
            let found = graph.shape(node(&graph, layer), 224, 224).unwrap();
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
            let found = graph.receptive_field(node(&graph, layer));
            let expected = ReceptiveField {
                size,
                stride,
                start,
            };
            assert_eq!(found, Some([expected; 2]), "{architecture} {layer}");
        }
    }
    let graph = Architecture::SqueezeNet1_1.graph(1000);
    for layer in ["pool10", "prob"] {
        assert_eq!(graph.receptive_field(node(&graph, layer)), None);
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
        for node in architecture.graph(1000).nodes() {
            let mut own: HashSet<String> = node.aliases.iter().cloned().collect();
            own.extend(node.aliases.iter().map(|alias| alias.replace('.', "_")));
            own.insert(node.name.clone());
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
        (Architecture::GoogLeNet, 6_624_904),
        (Architecture::Vgg11, 132_863_336),
        (Architecture::Vgg13, 133_047_848),
        (Architecture::Vgg11Bn, 132_868_840),
        (Architecture::Vgg13Bn, 133_053_736),
        (Architecture::Vgg16Bn, 138_365_992),
        (Architecture::Vgg19Bn, 143_678_248),
        (Architecture::ResNet18, 11_689_512),
        (Architecture::ResNet34, 21_797_672),
        (Architecture::ResNet50, 25_557_032),
        (Architecture::ResNet101, 44_549_160),
        (Architecture::ResNet152, 60_192_808),
        (Architecture::WideResNet50, 68_883_240),
        (Architecture::WideResNet101, 126_886_696),
        (Architecture::ResNeXt50x32x4d, 25_028_904),
        (Architecture::ResNeXt101x32x8d, 88_791_336),
        (Architecture::ResNeXt101x64x4d, 83_455_272),
        (Architecture::MobileNetV2, 3_504_872),
        // Without its auxiliary classifier, of 3 326 696.
        (Architecture::InceptionV3, 27_161_264 - 3_326_696),
        (Architecture::DenseNet121, 7_978_856),
        (Architecture::DenseNet161, 28_681_000),
        (Architecture::DenseNet169, 14_149_480),
        (Architecture::DenseNet201, 20_013_928),
    ] {
        let graph = architecture.graph(1000);
        let count = |p: &crate::layer::ParameterShape| p.shape.iter().product::<usize>();
        let mut found: usize = graph.parameters().iter().map(count).sum();
        // A bias stands here for two numbers of batch normalization there, and for the bias of VGG's convolutions.
        let norm = architecture.known().stored.norm.as_ref();
        let normalized = graph.nodes().iter().filter(|node| {
            let conv = node.layer.of_kind::<Conv>();
            conv.zip(norm)
                .is_some_and(|(conv, norm)| (norm.behind)(&conv.tensor).is_some())
        });
        let channels: u32 = normalized.map(|node| node.channels).sum();
        // DenseNet's other convolutions have no bias there.
        let bare = graph.nodes().iter().filter(|node| {
            let conv = node.layer.of_kind::<Conv>().filter(|conv| !conv.linear);
            let both = conv.zip(norm.filter(|norm| !norm.biased));
            both.is_some_and(|(conv, norm)| (norm.behind)(&conv.tensor).is_none())
        });
        found -= bare.map(|node| node.channels as usize).sum::<usize>();
        let has_bias = norm.is_some_and(|norm| norm.biased);
        found += channels as usize * if has_bias { 2 } else { 1 };
        assert_eq!(found, expected, "{architecture}");
    }
}

#[test]
fn the_pools_of_caffes_googlenet_round_up() {
    let graph = Architecture::GoogLeNetBvlc.graph(1000);
    let side = |layer, size| graph.shape(node(&graph, layer), size, size).unwrap();
    // 129 → 65 → 32: (65-3)/2 is whole; 131 → 66 → 33, where rounding down gives 32.
    assert_eq!(side("pool1", 129).height, 32);
    assert_eq!(side("pool1", 131).height, 33);
}

#[test]
fn an_image_too_small_is_refused_only_where_it_matters() {
    let graph = Architecture::Vgg16.graph(1000);
    let shapes = graph.shapes(8, 100);
    assert!(shapes[node(&graph, "pool3").0].is_some());
    assert!(shapes[node(&graph, "relu4_3").0].is_some());
    assert_eq!(shapes[node(&graph, "pool4").0], None);
    assert_eq!(shapes[node(&graph, "logits").0], None);
    let error = graph.shape(node(&graph, "pool4"), 8, 100).unwrap_err();
    let message = error.to_string();
    for part in ["100x8", "pool4", "16x16"] {
        assert!(message.contains(part), "{message}");
    }
}

/// A linear layer's row is its kernel over all channels, row by row.
#[test]
fn linear_layers_are_convolutions_over_their_whole_input() {
    for (architecture, kernel, channels) in [
        (Architecture::Vgg16, 7, 512),
        (Architecture::AlexNet, 6, 256),
    ] {
        let graph = architecture.graph(10);
        let layer = &graph.node(node(&graph, "fc6")).layer;
        let conv = layer.of_kind::<Conv>().expect("fc6 is a convolution");
        assert_eq!(
            (conv.window.kernel, conv.in_channels),
            ([kernel; 2], channels)
        );
        let inputs = (kernel * kernel * channels) as usize;
        assert_eq!(layer.parameters()[0].shape, [4096, inputs]);
    }
}
