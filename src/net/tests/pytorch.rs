//! PyTorch's files, good and bad, and the networks they make.

use std::path::Path;

use crate::net::*;

/// A tensor of a file to be: its name, its shape and its values.
type Tensor = (String, Vec<usize>, Vec<f32>);

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) {
    pickle.push(b'J');
    pickle.extend((number as i32).to_le_bytes());
}

fn numbers(pickle: &mut Vec<u8>, numbers: &[usize]) {
    pickle.push(b'(');
    numbers.iter().for_each(|n| number(pickle, *n));
    pickle.push(b't');
}

/// What `torch.save` pickles of a dictionary of tensors, inside dictionaries under `keys`.
fn pickle(keys: &[&str], tensors: &[Tensor]) -> Vec<u8> {
    let mut pickle = vec![0x80, 2];
    for key in keys {
        pickle.extend(b"}(");
        text(&mut pickle, key);
    }
    pickle.extend(b"}(");
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nFloatStorage\n");
        text(&mut pickle, &index.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, values.len());
        pickle.extend(b"tQ");
        number(&mut pickle, 0);
        numbers(&mut pickle, shape);
        let strides: Vec<usize> = (1..=shape.len())
            .map(|axis| shape[axis..].iter().product())
            .collect();
        numbers(&mut pickle, &strides);
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.push(b'u');
    keys.iter().for_each(|_| pickle.push(b'u'));
    pickle.push(b'.');
    pickle
}

/// A zip archive whose entries are stored as they are.
fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let mut about = vec![0_u8; 10];
        about.extend(crc32fast::hash(bytes).to_le_bytes());
        about.extend((bytes.len() as u32).to_le_bytes());
        about.extend((bytes.len() as u32).to_le_bytes());
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0; 2]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&about);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&about);
        file.extend(name.as_bytes());
        file.extend(bytes);
    }
    let (start, count) = (file.len() as u32, entries.len() as u16);
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

fn archive(pickle: Vec<u8>, tensors: &[Tensor]) -> Vec<u8> {
    let mut entries = vec![
        ("archive/data.pkl".to_owned(), pickle),
        ("archive/version".to_owned(), b"3\n".to_vec()),
    ];
    for (index, (_, _, values)) in tensors.iter().enumerate() {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        entries.push((format!("archive/data/{index}"), bytes));
    }
    zip(&entries)
}

/// A file as torch has written it since 1.6.
fn file(keys: &[&str], tensors: &[Tensor]) -> Vec<u8> {
    archive(pickle(keys, tensors), tensors)
}

fn tensor(name: &str, shape: &[usize], seed: usize) -> Tensor {
    let count = shape.iter().product();
    let values = (0..count).map(|i: usize| ((i + seed) % 11) as f32 / 8.0 - 0.5);
    (name.to_owned(), shape.to_vec(), values.collect())
}

/// The first convolution of a ResNet and its batch normalization.
fn stem(prefix: &str) -> Vec<Tensor> {
    let name = |name: &str| format!("{prefix}{name}");
    let variance = (0..64).map(|i| 0.25 + i as f32 / 16.0).collect();
    vec![
        tensor(&name("conv1.weight"), &[64, 3, 7, 7], 0),
        tensor(&name("bn1.weight"), &[64], 1),
        tensor(&name("bn1.bias"), &[64], 2),
        tensor(&name("bn1.running_mean"), &[64], 3),
        (name("bn1.running_var"), vec![64], variance),
        (name("bn1.num_batches_tracked"), vec![1], vec![7.0]),
    ]
}

fn open(bytes: &[u8]) -> Network {
    Network::from_bytes("test", bytes).unwrap()
}

fn message(bytes: &[u8]) -> String {
    let error = Network::from_bytes("test", bytes).unwrap_err();
    crate::Error::from(error).with_causes()
}

#[test]
fn a_batch_normalization_becomes_part_of_the_convolution() {
    let tensors = stem("");
    let network = open(&file(&[], &tensors));
    assert_eq!(network.architecture, Some(Architecture::ResNet18));
    assert_eq!(network.preprocessing_source, PreprocessingSource::Assumed);
    let find = |name: &str| &network.parameters().get(name).unwrap().values;
    let (weight, bias) = (find("conv1.weight"), find("conv1.bias"));
    let [conv, gain, shift, mean, variance] = [0, 1, 2, 3, 4].map(|i| &tensors[i].2);
    for c in 0..64 {
        let scale = f64::from(gain[c]) / (f64::from(variance[c]) + 1e-5).sqrt();
        let expected = f64::from(shift[c]) - f64::from(mean[c]) * scale;
        assert!((f64::from(bias[c]) - expected).abs() < 1e-6, "{c}");
        for i in c * 147..(c + 1) * 147 {
            let expected = f64::from(conv[i]) * scale;
            assert!((f64::from(weight[i]) - expected).abs() < 1e-6, "{i}");
        }
    }
}

#[test]
fn state_dicts_are_found_in_what_they_are_wrapped_in() {
    let plain = open(&file(&[], &stem("")));
    for (keys, prefix) in [
        (&["state_dict"][..], ""),
        (&["state_dict"], "module."),
        (&["model"], ""),
        (&["model_state"], "model."),
        (&["model"], "module.model."),
        (&[], "module."),
    ] {
        let network = open(&file(keys, &stem(prefix)));
        assert_eq!(
            network.parameters(),
            plain.parameters(),
            "{keys:?} {prefix}"
        );
    }
    // The same tensors in a safetensors file.
    let tensors = stem("");
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape, values)| {
            let bytes: &[u8] = bytemuck::cast_slice(values);
            let dtype = safetensors::Dtype::F32;
            let view = safetensors::tensor::TensorView::new(dtype, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        })
        .collect();
    let bytes = safetensors::serialize(views, None).unwrap();
    assert_eq!(open(&bytes).parameters(), plain.parameters());
}

/// MadryLab's checkpoints hold the network twice, and what it was trained to see.
#[test]
fn a_robust_network_brings_its_preprocessing() {
    let mut tensors = stem("module.model.");
    tensors.extend(stem("module.attacker.model."));
    for (name, value) in [("new_mean", 0.25), ("new_std", 0.5)] {
        for part in ["module.normalizer", "module.attacker.normalize"] {
            tensors.push((format!("{part}.{name}"), vec![3, 1, 1], vec![value; 3]));
        }
    }
    tensors.push(("epoch".to_owned(), vec![1], vec![3.0]));
    let network = open(&file(&["model"], &tensors));
    assert_eq!(network.preprocessing.mean, [0.25; 3]);
    assert_eq!(network.preprocessing.std, [0.5; 3]);
    assert_eq!(network.preprocessing_source, PreprocessingSource::File);
    let (plain, robust) = (open(&file(&[], &stem(""))), network);
    assert_eq!(robust.parameters(), plain.parameters());
}

#[test]
fn a_convolution_that_has_its_normalization_already_is_taken_from_a_file_that_says_so() {
    let tensors = stem("");
    let folded = open(&file(&[], &tensors));
    let views = folded.parameters().iter().map(|parameter| {
        let bytes: &[u8] = bytemuck::cast_slice(&parameter.values);
        let dtype = safetensors::Dtype::F32;
        let view = safetensors::tensor::TensorView::new(dtype, parameter.shape.clone(), bytes);
        (parameter.name.clone(), view.unwrap())
    });
    let metadata = [("architecture".to_owned(), "resnet50".to_owned())];
    let bytes = safetensors::serialize(views, Some(metadata.into_iter().collect())).unwrap();
    assert_eq!(open(&bytes).parameters(), folded.parameters());
}

#[test]
fn a_pickle_that_wants_code_run_is_refused_by_its_name() {
    let attack = b"\x80\x02cposix\nsystem\nX\x04\0\0\0echo\x85R.".to_vec();
    let inside = {
        let mut pickle = b"\x80\x02}(".to_vec();
        text(&mut pickle, "weights");
        pickle.extend(&attack[2..attack.len() - 1]);
        pickle.extend(b"u.");
        pickle
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("plain.pth", attack.clone()),
        ("root.pth", archive(attack, &[])),
        ("inside.pth", archive(inside, &[])),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = Network::open(path.to_str().unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("posix.system"), "{name}: {error}");
        assert!(error.contains("Nothing was executed"), "{name}: {error}");
    }
}

#[test]
fn files_that_are_cut_or_damaged_are_refused() {
    let whole = file(&[], &stem(""));
    for length in (0..whole.len()).step_by(997).skip(1) {
        let message = message(&whole[..length]);
        assert!(message.contains("`test`"), "{length}: {message}");
    }
    // Wherever a byte is another one, there is a network or an error.
    let mut damaged = whole.clone();
    for place in (0..whole.len()).step_by(131) {
        damaged[place] ^= 0x55;
        drop(Network::from_bytes("test", &damaged));
        damaged[place] = whole[place];
    }
}

#[test]
fn a_tensor_that_repeats_a_number_without_end_takes_no_memory() {
    let mut tensors = stem("");
    tensors[0].2.truncate(1);
    let mut pickle = pickle(&[], &tensors);
    // The strides of the first tensor: 147, 49, 7, 1.
    let strides: Vec<u8> = [147_i32, 49, 7, 1]
        .iter()
        .flat_map(|n| [&[b'J'][..], &n.to_le_bytes()].concat())
        .collect();
    let place = pickle.windows(strides.len()).position(|w| w == strides);
    let place = place.expect("the strides");
    for number in 0..4 {
        pickle[place + 5 * number + 1] = 0;
    }
    let small = archive(pickle, &tensors);
    let message = message(&small);
    assert!(message.contains("more than the whole file"), "{message}");
}

#[test]
fn a_state_dict_of_something_else_has_no_graph() {
    let other = vec![
        tensor("encoder.0.weight", &[4, 3, 3, 3], 0),
        tensor("encoder.0.bias", &[4], 0),
    ];
    let message = message(&file(&["state_dict"], &other));
    for part in ["encoder.0.bias", "resnet50", "torch.onnx.export("] {
        assert!(message.contains(part), "{message}");
    }
    // What is nearly one of those known says what keeps it from being that.
    let mut near = stem("");
    near.push(tensor("extra.weight", &[3], 0));
    let message = self::message(&file(&[], &near));
    assert!(message.contains("extra.weight"), "{message}");
}

/// Real files, which stand beside the project where it is developed.
#[test]
fn real_state_dicts_without_a_graph_say_how_to_export_one() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/nets");
    if !folder.is_dir() {
        eprintln!("{} is absent", folder.display());
        return;
    }
    for name in ["cifar10_resnet20.th", "cifar10_resnet_2b.pth"] {
        let path = folder.join(name).display().to_string();
        let message = Network::open(&path).unwrap_err().to_string();
        assert!(message.contains("torch.onnx.export("), "{message}");
    }
}
