//! Files that are damaged, that want too much, or that are understood in part.

use std::path::Path;

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::error::{OnnxError, TensorProblem, Unsupported};
use super::proto;
use crate::net::{NetError, Network};

fn node(operator: &str, inputs: &[&str], output: &str) -> proto::Node {
    proto::Node {
        operator: operator.to_owned(),
        name: format!("{operator}:{output}"),
        inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
        outputs: vec![output.to_owned()],
        ..Default::default()
    }
}

fn weight(name: &str, dims: &[i64]) -> proto::Tensor {
    let count = dims.iter().product::<i64>().clamp(0, 1000);
    proto::Tensor {
        name: name.to_owned(),
        dims: dims.to_vec(),
        kind: 1,
        floats: (0..count).map(|i| (i % 7) as f32 - 3.0).collect(),
        ..Default::default()
    }
}

fn value(name: &str, dims: &[i64]) -> proto::ValueInfo {
    let dims = dims.iter().map(|&dim| proto::Dim { value: Some(dim) });
    let shape = proto::Dims {
        dims: dims.collect(),
    };
    let tensor = proto::TensorKind {
        element: 1,
        shape: Some(shape),
    };
    proto::ValueInfo {
        name: name.to_owned(),
        kind: Some(proto::ValueKind {
            tensor: Some(tensor),
        }),
    }
}

/// An image of 8×8, a convolution and a ReLU; `change` makes something else of it.
fn model(change: impl FnOnce(&mut proto::Graph)) -> Vec<u8> {
    let mut graph = proto::Graph {
        nodes: vec![
            node("Conv", &["image", "w"], "hidden"),
            node("Relu", &["hidden"], "seen"),
        ],
        initializers: vec![weight("w", &[4, 3, 3, 3])],
        inputs: vec![value("image", &[1, 3, 8, 8])],
        outputs: vec![value("seen", &[])],
    };
    change(&mut graph);
    let model = proto::Model {
        ir_version: 8,
        graph: Some(graph),
        opsets: vec![proto::Opset {
            domain: String::new(),
            version: 17,
        }],
        ..Default::default()
    };
    model.encode_to_vec()
}

fn read(bytes: &[u8]) -> Result<Network, NetError> {
    Network::from_onnx("mine", bytes, Some(Path::new("/nowhere")))
}

fn problem(change: impl FnOnce(&mut proto::Graph)) -> OnnxError {
    match read(&model(change)) {
        Err(NetError::Onnx { problem, .. }) => *problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn layers_have_the_names_of_the_file_and_systematic_ones() {
    let network = read(&model(|_| {})).unwrap();
    for name in ["hidden", "Conv:hidden", "conv1"] {
        assert_eq!(network.find(name).unwrap(), network.find("conv1").unwrap());
    }
    for name in ["seen", "Relu:seen", "relu1", "stage1"] {
        assert_eq!(network.find(name).unwrap(), network.find("relu1").unwrap());
    }
    assert!(network.find("image").is_ok());
    assert!(!network.has_classifier());
}

/// The file's own names go before those that are made here.
#[test]
fn names_of_the_file_are_the_file_s() {
    let bytes = model(|graph| {
        graph.nodes[0].outputs[0] = "relu1".to_owned();
        graph.nodes[1].inputs[0] = "relu1".to_owned();
    });
    let network = read(&bytes).unwrap();
    assert_eq!(
        network.find("relu1").unwrap(),
        network.find("conv1").unwrap()
    );
    assert_eq!(
        network.find("relu1_").unwrap(),
        network.find("seen").unwrap()
    );
}

#[test]
fn only_what_lies_on_the_way_must_be_understood() {
    let bytes = model(|graph| {
        graph
            .nodes
            .push(node("NonMaxSuppression", &["seen"], "boxes"));
        graph.nodes.push(node("Relu", &["boxes"], "behind"));
    });
    let network = read(&bytes).unwrap();
    assert!(network.find("seen").is_ok());
    assert_eq!(network.obstacles().len(), 1);
    for layer in ["boxes", "behind", "Relu:behind"] {
        let message = network.find(layer).unwrap_err().to_string();
        for part in [
            layer,
            "NonMaxSuppression:boxes",
            "(NonMaxSuppression)",
            "`relu1`",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn a_file_without_a_layer_says_why() {
    let first = problem(|graph| graph.nodes[0].operator = "Einsum".to_owned());
    let OnnxError::NothingReached { first } = first else {
        panic!("{first:?}")
    };
    assert_eq!(
        (&first.operator[..], first.why.clone()),
        ("Einsum", Unsupported::Operator)
    );
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let found = |change: fn(&mut proto::Graph), wanted: &str| {
        let error = crate::Error::from(read(&model(change)).unwrap_err());
        let message = error.with_causes().to_string();
        assert!(message.contains(wanted), "{message}\nhas not: {wanted}");
    };
    found(|g| g.nodes.reverse(), "has a cycle or is out of order");
    found(
        |g| g.nodes[0].inputs[0] = "nothing".to_owned(),
        "reads `nothing`",
    );
    found(
        |g| g.initializers[0].dims[0] = -4,
        "[-4, 3, 3, 3], which cannot be",
    );
    found(
        |g| g.initializers[0].dims[0] = 1 << 40,
        "1099511627776, 3, 3, 3], which cannot be",
    );
    found(
        |g| g.initializers[0].dims[0] = 5,
        "holds 108 numbers where its shape [5, 3, 3, 3] asks for 135",
    );
    found(
        |g| g.initializers[0].kind = 8,
        "`w`, which is of string, which are not read",
    );
    found(
        |g| g.initializers[0].floats[5] = f32::NAN,
        "element 5 that is not a number",
    );
    found(
        |g| g.initializers.push(weight("w", &[1])),
        "two values called `w`",
    );
    found(|g| g.inputs.clear(), "has no input that is an image");
    found(
        |g| g.inputs[0] = value("image", &[1, 4, 8, 8]),
        "of 4 channels",
    );
    found(
        |g| g.inputs[0] = value("image", &[1, 3, 1 << 40, 8]),
        "which is no image's",
    );
    found(
        |g| g.nodes[1].outputs[0] = "hidden".to_owned(),
        "two values called `hidden`",
    );
    let elsewhere = |location: &str| {
        let location = location.to_owned();
        problem(move |g| {
            let entry = |key: &str, value: String| proto::Entry {
                key: key.to_owned(),
                value,
            };
            g.initializers[0].location = 1;
            g.initializers[0].external = vec![entry("location", location)];
        })
    };
    let missing = elsewhere("weights.bin");
    assert!(
        matches!(
            &missing,
            OnnxError::Tensor {
                problem: TensorProblem::Unreadable { .. },
                ..
            }
        ),
        "{missing:?}"
    );
    for outside in ["../weights.bin", "/etc/passwd"] {
        let outside = elsewhere(outside);
        assert!(
            matches!(
                &outside,
                OnnxError::Tensor {
                    problem: TensorProblem::Outside { .. },
                    ..
                }
            ),
            "{outside:?}"
        );
    }
}

#[test]
fn external_numbers_are_read_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: Vec<u8> = (0..110).flat_map(|i| (i as f32).to_le_bytes()).collect();
    std::fs::write(folder.path().join("w.bin"), &numbers).unwrap();
    let bytes = |offset: &str| {
        let offset = offset.to_owned();
        model(move |g| {
            let entry = |key: &str, value: String| proto::Entry {
                key: key.to_owned(),
                value,
            };
            g.initializers[0].location = 1;
            g.initializers[0].floats.clear();
            g.initializers[0].external = vec![
                entry("location", "w.bin".to_owned()),
                entry("offset", offset),
            ];
        })
    };
    let network = Network::from_onnx("mine", &bytes("8"), Some(folder.path())).unwrap();
    let weight = network.parameters().get("conv1.weight").unwrap();
    assert_eq!(weight.values[..3], [2.0, 3.0, 4.0]);
    for bad in ["12", "18446744073709551615", "many"] {
        assert!(
            Network::from_onnx("mine", &bytes(bad), Some(folder.path())).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn what_would_take_too_much_is_refused() {
    let million = problem(|g| {
        g.nodes = (0..1_000_000)
            .map(|i| node("Relu", &["image"], &i.to_string()))
            .collect();
    });
    assert!(matches!(
        million,
        OnnxError::TooManyNodes {
            found: 1_000_000,
            ..
        }
    ));
    // Constants that each are small enough, and together are not.
    let constants = problem(|g| {
        let dims = proto::Tensor {
            name: "dims".to_owned(),
            dims: vec![2],
            kind: 7,
            longs: vec![1 << 13, 1 << 13],
            ..Default::default()
        };
        g.initializers.push(dims);
        let made = (0..40).map(|i| node("ConstantOfShape", &["dims"], &format!("c{i}")));
        g.nodes.extend(made);
    });
    assert!(matches!(constants, OnnxError::TooManyConstants { .. }));
    let huge = read(&model(|g| {
        let dims = proto::Tensor {
            name: "dims".to_owned(),
            dims: vec![2],
            kind: 7,
            longs: vec![1 << 40, 1 << 40],
            ..Default::default()
        };
        g.initializers.push(dims);
        g.nodes.push(node("ConstantOfShape", &["dims"], "c"));
        g.nodes.push(node("Mul", &["seen", "c"], "y"));
    }));
    assert!(
        huge.unwrap()
            .find("y")
            .unwrap_err()
            .to_string()
            .contains("(ConstantOfShape)")
    );
}

#[test]
fn old_files_are_refused() {
    let mut old = proto::Model::decode(&model(|_| {})[..]).unwrap();
    old.opsets[0].version = 6;
    let error = read(&old.encode_to_vec()).unwrap_err().to_string();
    assert!(error.contains("opset 6"), "{error}");
}

/// Cut files and files with altered bytes: a network or an error.
#[test]
fn damaged_files_never_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels-tests/onnx/models");
    let files = [
        "squeeze_and_excite",
        "shuffle",
        "channels_last",
        "shape_arithmetic",
        "resize_linear",
        "slice",
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut refused = 0;
    for file in files {
        let bytes = std::fs::read(format!("{folder}/{file}.onnx")).unwrap();
        assert!(read(&bytes).is_ok(), "{file}");
        for length in 0..bytes.len() {
            refused += usize::from(read(&bytes[..length]).is_err());
        }
        for _ in 0..500 {
            let mut altered = bytes.clone();
            for _ in 0..rng.random_range(1..4) {
                let place = rng.random_range(0..altered.len());
                altered[place] = rng.random();
            }
            refused += usize::from(read(&altered).is_err());
        }
    }
    assert!(refused > 1000, "{refused}");
    let problem = |bytes: &[u8]| match read(bytes) {
        Err(NetError::Onnx { problem, .. }) => *problem,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        problem(b"not a network"),
        OnnxError::NotOnnx { .. }
    ));
    assert!(matches!(problem(b""), OnnxError::Empty));
}
