//! Networks from ONNX files: small models of each operator against the answers of other programs
//! (`kernels-tests/onnx/make.py`), whole networks against theirs, and files that are damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pixgrad::Network;
use pixgrad::engine::device::Device;
use pixgrad::engine::image::load;
use pixgrad::engine::kernels::{View, from_quads, to_quads};
use pixgrad::engine::net::{self, NetError, NodeId, Opening};
use pixgrad::engine::objective::{Content, CrossEntropy, Labels, Term};
use pixgrad::engine::plan::{Iteration, Placed, Problem, Program};
use pixgrad::engine::schedule::{Executor, Loaded};
use safetensors::SafeTensors;

use crate::common::{GPU, distance, root};
use crate::networks::evaluate;

fn folder() -> PathBuf {
    root().join("kernels-tests/onnx")
}

fn open(path: &Path) -> Result<net::Network, NetError> {
    net::Network::open(path.to_str().expect("a name of text"))
}

/// A layer's activations at an image `[3, H, W]` of `[height, width]`.
fn activations(
    device: &Device,
    network: &net::Network,
    node: NodeId,
    [height, width]: [u32; 2],
    image: &[f64],
) -> Vec<f64> {
    let view = View::new(1, height, width, 3);
    let network = Network::new(device, network.clone());
    let (program, input, layers) = Program::forward(&network, view, &[node]).expect("a program");
    let mut loaded = Loaded::new(device, program).expect("memory for it");
    device
        .upload_f64(loaded.buffer(input.value), &to_quads(view, image))
        .expect("the image fits");
    loaded.run_once().expect("a forward pass");
    let [layer] = layers[..] else {
        panic!("one layer")
    };
    let values = device
        .download_f64(loaded.buffer(layer.value))
        .expect("activations");
    from_quads(layer.view, &values)
}

/// The gradient of the mean of a layer's squares.
fn gradient(
    device: &Device,
    network: &net::Network,
    node: NodeId,
    size: [u32; 2],
    image: &[f64],
) -> Vec<f64> {
    slope(device, network, node, size, image, |network, layer| {
        let device = network.device();
        let zeros = device
            .buffer_from("zeros", &vec![0.0; layer.len()])
            .expect("a buffer");
        (Box::new(Content::new(zeros, layer, 1.0)), None)
    })
    .1
}

/// A term's value at a layer, and its gradient with respect to the image.
fn slope(
    device: &Device,
    network: &net::Network,
    node: NodeId,
    [height, width]: [u32; 2],
    image: &[f64],
    term: impl Fn(&Network, View) -> (Box<dyn Term>, Option<Labels>),
) -> (f64, Vec<f64>) {
    let view = View::new(1, height, width, 3);
    let shape = network.shape(node, height, width).expect("a shape");
    let layer = View::new(1, shape.height, shape.width, shape.channels);
    let network = Network::new(device, network.clone());
    let (term, labels) = term(&network, layer);
    let terms = [Placed {
        node,
        term,
        group: 0,
        labels,
    }];
    let plan = Iteration::new(&Problem::new(&network, view, &terms)).expect("a plan");
    let mut executor = Executor::new(device, plan).expect("an executor");
    let (value, gradient) = evaluate(&mut executor, &to_quads(view, image));
    (value, from_quads(view, &gradient))
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f64>) {
    let view = tensors
        .tensor(name)
        .unwrap_or_else(|_| panic!("no answer {name}"));
    let values = view.data().as_chunks().0.iter();
    let values = values
        .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
        .collect();
    (view.shape().to_vec(), values)
}

#[test]
fn each_operator_is_what_other_programs_make_of_it() {
    let bytes = std::fs::read(folder().join("answers.safetensors")).expect("the answers");
    let answers = SafeTensors::deserialize(&bytes).expect("the answers");
    let files = std::fs::read_dir(folder().join("models")).expect("the models");
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let names = files.filter_map(|file| stem(file.expect("a model").path()));
    let names: BTreeSet<String> = names.collect();
    assert!(names.len() > 100, "{}", names.len());
    let oracle = Device::oracle();
    let mut wrong = Vec::new();
    for name in names {
        let path = folder().join(format!("models/{name}.onnx"));
        let network = open(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let node = match network.find("y") {
            Ok(node) => node,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let (shape, mut image) = numbers(&answers, &format!("{name}.x"));
        let (_, expected) = numbers(&answers, &format!("{name}.y"));
        let (_, mut slope) = numbers(&answers, &format!("{name}.g"));
        let size = [shape[1] as u32, shape[2] as u32];
        if shape[0] == 1 {
            // A grey network sees the grey of an image, which is the same in each channel here.
            image = [&image[..]; 3].concat();
            let grey = [0.299, 0.587, 0.114];
            slope = grey
                .iter()
                .flat_map(|g| slope.iter().map(move |s| s * g))
                .collect();
        }
        let devices = [
            ("f64", &oracle, 2e-6),
            ("cpu", &Device::cpu(), 1e-5),
            ("gpu", &*GPU, 1e-5),
        ];
        for (on, device, tolerance) in devices {
            let found = activations(device, &network, node, size, &image);
            if found.len() != expected.len() {
                wrong.push(format!(
                    "{name}: {} numbers in place of {}",
                    found.len(),
                    expected.len()
                ));
                break;
            }
            let error = distance(&found, &expected);
            if error.is_nan() || error > tolerance {
                wrong.push(format!("{name} on {on}: off by {error:.2e}"));
            }
            let error = distance(&gradient(device, &network, node, size, &image), &slope);
            if error.is_nan() || error > 2.0 * tolerance {
                wrong.push(format!("{name} on {on}: gradient off by {error:.2e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Numbers at some places of a tensor.
#[derive(serde::Deserialize)]
struct Sampled {
    shape: Vec<usize>,
    idx: Vec<usize>,
    val: Vec<f64>,
}

impl Sampled {
    /// ‖a − b‖/‖b‖ at the samples.
    fn distance(&self, found: &[f64]) -> f64 {
        assert_eq!(found.len(), self.shape.iter().product::<usize>());
        let found: Vec<f64> = self.idx.iter().map(|&place| found[place]).collect();
        distance(&found, &self.val)
    }
}

#[derive(serde::Deserialize)]
struct Golden {
    file: String,
    input: String,
    cls: Option<u32>,
    logits: Option<Sampled>,
    cross_entropy: Option<f64>,
    gradient: Option<Sampled>,
    #[serde(default)]
    values: BTreeMap<String, Sampled>,
}

/// Networks that others made, with the answers of other programs; where the files are there.
#[test]
fn networks_of_others_are_what_other_programs_make_of_them() {
    let shared = root().join("../shared/nets");
    let Ok(text) = std::fs::read_to_string(shared.join("golden.json")) else {
        eprintln!("{} is not here: nothing to compare with", shared.display());
        return;
    };
    let golden: BTreeMap<String, Golden> = serde_json::from_str(&text).expect("answers");
    let preprocessing = |file: &str| match file {
        "cifar10_resnet_2b.onnx" => "mean=0.485/0.456/0.406,std=0.225/0.225/0.225",
        "face_rfb_320.onnx" => "mean=127/127/127,std=128/128/128,scale=255",
        "text_direction_ppocr.onnx" => "minus-one-one",
        "mtcnn_rnet.onnx" => "mean=127.5/127.5/127.5,std=128/128/128,scale=255",
        _ => "torchvision",
    };
    let (mut wrong, mut compared) = (Vec::new(), 0);
    // State dicts have a test of their own.
    let golden = golden
        .values()
        .filter(|golden| golden.file.ends_with(".onnx"));
    for golden in golden {
        let opening = Opening {
            preprocessing: Some(
                preprocessing(&golden.file)
                    .parse()
                    .expect("a preprocessing"),
            ),
            labels: None,
        };
        let path = shared.join(&golden.file);
        let network = net::Network::open_with(path.to_str().expect("text"), &opening);
        let network = match network {
            Ok(network) => network,
            Err(error) => {
                wrong.push(format!("{}: {error}", golden.file));
                continue;
            }
        };
        let image = load(shared.join(&golden.input)).expect("an image");
        let size = [image.height, image.width];
        let plane = |c: usize| image.rgb[c..].iter().step_by(3).map(|&v| f64::from(v));
        let pixels: Vec<f64> = (0..3).flat_map(plane).collect();
        let cpu = Device::cpu();
        for (name, sampled) in &golden.values {
            let node = network.find(name).expect("a layer");
            let error = sampled.distance(&activations(&cpu, &network, node, size, &pixels));
            if error.is_nan() || error > 1e-4 {
                wrong.push(format!("{} {name}: {error:e}", golden.file));
            }
            compared += 1;
        }
        let (Some(logits), Some(class)) = (&golden.logits, golden.cls) else {
            continue;
        };
        let node = network.logits().expect("scores");
        let error = logits.distance(&activations(&cpu, &network, node, size, &pixels));
        if error.is_nan() || error > 1e-4 {
            wrong.push(format!("{} logits: {error:e}", golden.file));
        }
        let (value, gradient) = slope(&cpu, &network, node, size, &pixels, |network, layer| {
            let labels = Labels::new(network.device(), layer, &[class], &[1.0]).expect("labels");
            (
                Box::new(CrossEntropy::new(labels.clone(), 1.0)),
                Some(labels),
            )
        });
        let expected = golden.cross_entropy.expect("a value");
        if (value - expected).abs() > 1e-4 * expected.max(1.0) {
            wrong.push(format!(
                "{}: cross-entropy {value} for {expected}",
                golden.file
            ));
        }
        let error = golden
            .gradient
            .as_ref()
            .expect("a gradient")
            .distance(&gradient);
        if error.is_nan() || error > 2e-4 {
            wrong.push(format!("{} gradient: {error:e}", golden.file));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(compared, 10);
}

/// Topologies of known networks whose weights are constants: every node is understood, whatever the size.
#[test]
fn topologies_of_known_networks_are_read_to_their_end() {
    let folder = root().join("../shared/nets/topology");
    if !folder.is_dir() {
        eprintln!("{} is not here: nothing to read", folder.display());
        return;
    }
    for (file, classes) in [
        ("light_resnet50", 1000),
        ("light_densenet121", 1000),
        ("light_inception_v2", 1000),
        ("light_shufflenet", 1000),
    ] {
        let network = open(&folder.join(format!("{file}.onnx"))).expect("a network");
        assert_eq!(network.classes(), Some(classes), "{file}");
        let layers = network.default_layers(net::Purpose::Style).expect("layers");
        assert!(layers.len() >= 3, "{file}: {layers:?}");
        let deepest = network.find(&layers[layers.len() - 1].0).expect("a layer");
        // The maps before the classifier, not its scores.
        assert_ne!(network.node(deepest).channels, classes, "{file}");
        assert!(network.shape(deepest, 320, 256).is_ok(), "{file}");
    }
}

#[test]
fn sizes_are_brought_to_those_that_fit() {
    let device = pixgrad::Device::cpu();
    let file = folder().join("models/unshuffle_reshaped.onnx");
    let network = Network::load(&device, file.to_str().expect("text")).expect("a network");
    let recipe = |size: &str| {
        let here = tempfile::tempdir().expect("a folder");
        let picture = |name: &str, width, height| {
            let path = here.path().join(name);
            let image = pixgrad::Image::filled(width, height, [0.25, 0.5, 0.75]);
            image.expect("an image").save(&path).expect("written");
            path.display().to_string()
        };
        let (photo, painting) = (picture("a.png", 41, 27), picture("b.png", 21, 19));
        let text = format!(
            "[image]\ninit = {photo:?}\n{size}\n[[term]]\nkind = \"gram\"\ntarget = {painting:?}\nlayers = [\"y\"]\n\
             [optimizer]\niterations = 1\n"
        );
        let path = here.path().join("r.toml");
        std::fs::write(&path, text).expect("written");
        let recipe = pixgrad::Recipe::read(&path).expect("a recipe");
        recipe.compile(&device, &network)
    };

    // 41x27 asked for at 37 is 37x24; its painting of 21x19 goes through the network as well.
    let mut run = recipe("size = 37\noctaves = 2").expect("a run");
    let notes = run.notes();
    assert_eq!(
        notes,
        [
            "the result is 36x24 pixels, not 37x24: the network joins layers whose sizes agree for some images only"
        ]
    );
    run.run(|_| std::ops::ControlFlow::Continue(()))
        .expect("a result");
    let image = run.image().expect("an image");
    assert_eq!((image.width, image.height), (36, 24));

    // A picture at its own size stays as it is.
    let error = recipe("").expect_err("a size that does not fit");
    let text = error.to_string();
    assert!(text.ends_with("40x26 and 42x28 fit"), "{text}");
}
