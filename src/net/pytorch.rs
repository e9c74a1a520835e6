//! PyTorch's files (`.pth`, `.pt`, `.ckpt`, `.th`, `.bin`): what `torch.save` writes of a state dict, as a zip archive,
//! as the older stream of pickles, or as a tar archive. No pickle is executed.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{PickleValue, PytorchError, PytorchReader, Tensor};

use super::error::WeightsProblem;
use super::stored::{Entry, Format, Stored};

/// Whether a file that begins so may be one of PyTorch's: at least 300 bytes are looked at, where there are so many.
pub(super) fn is_start(start: &[u8]) -> bool {
    const LEGACY: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
    let head = &start[..start.len().min(64)];
    let is_safetensors = start.get(8) == Some(&b'{');
    start.starts_with(b"PK\x03\x04")
        || start.get(257..262) == Some(b"ustar")
        || head.windows(LEGACY.len()).any(|bytes| bytes == LEGACY)
        // A pickle of protocol 2 to 5.
        || !is_safetensors && matches!(start, [0x80, 2..=5, ..])
}

/// The tensors of a file. Their values are read when they are needed.
pub(super) fn open(path: &Path) -> Result<Stored<'static>, WeightsProblem> {
    let bytes = std::fs::metadata(path).map_or(u64::MAX, |about| about.len());
    let reader = PytorchReader::new(path);
    let reader = reader.map_err(|error| explain(error, || values_of(path)))?;
    // What is no tensor is only looked at, in case it is an attack on programs that execute pickles.
    refuse_code(&values_of(path))?;
    Ok(stored(reader, bytes))
}

/// As [`open`], of a file in memory.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<Stored<'static>, WeightsProblem> {
    let reader = PytorchReader::from_bytes(bytes.to_vec(), None);
    let reader = reader.map_err(|error| explain(error, || PickleValue::None))?;
    Ok(stored(reader, bytes.len() as u64))
}

fn values_of(path: &Path) -> PickleValue {
    PytorchReader::read_pickle_data(path, None).unwrap_or(PickleValue::None)
}

fn explain(error: PytorchError, values: impl Fn() -> PickleValue) -> WeightsProblem {
    if let Err(code) = refuse_code(&values()) {
        return code;
    }
    WeightsProblem::Pytorch {
        source: Box::new(error),
    }
}

/// Modules whose functions a file of numbers has no use for.
const RUNNERS: [&str; 18] = [
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "importlib",
    "runpy",
    "shutil",
    "socket",
    "pty",
    "ctypes",
    "webbrowser",
    "code",
    "codeop",
    "pdb",
    "timeit",
    "multiprocessing",
    "pip",
];

/// Functions that Python has without a module.
const BUILTINS: [&str; 9] = [
    "eval",
    "exec",
    "execfile",
    "compile",
    "open",
    "getattr",
    "__import__",
    "breakpoint",
    "input",
];

fn runs_code(name: &str) -> bool {
    let Some((module, function)) = name.rsplit_once('.') else {
        return false;
    };
    let top = module.split('.').next().unwrap_or(module);
    RUNNERS.contains(&top)
        || matches!(module, "builtins" | "__builtin__") && BUILTINS.contains(&function)
}

/// Refuses a file that wants a function called which could do anything.
fn refuse_code(value: &PickleValue) -> Result<(), WeightsProblem> {
    match value {
        PickleValue::Unsupported(name) if runs_code(name) => Err(WeightsProblem::Code {
            wanted: name.clone(),
        }),
        PickleValue::List(values) => values.iter().try_for_each(refuse_code),
        PickleValue::Dict(values) => values.values().try_for_each(refuse_code),
        _ => Ok(()),
    }
}

/// What state dicts are kept under, and what wrapped modules are called.
const WRAPPERS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "state",
    "model",
    "module",
    "net",
    "network",
    "params",
];

/// The tensors under their own names: without what they are wrapped in.
fn stored(reader: PytorchReader, bytes: u64) -> Stored<'static> {
    let mut tensors: BTreeMap<String, Tensor> = reader.into_tensors().into_iter().collect();
    let mut metadata = BTreeMap::new();
    if let Some(preprocessing) = normalizer(&tensors) {
        metadata.insert("preprocessing".to_owned(), preprocessing);
    }
    while let Some(wrapper) = WRAPPERS.into_iter().find(|wrapper| {
        let prefix = format!("{wrapper}.");
        tensors.keys().any(|name| name.starts_with(&prefix))
    }) {
        let prefix = format!("{wrapper}.");
        let inside = tensors.into_iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(&prefix)?.to_owned();
            Some((name, tensor))
        });
        tensors = inside.collect();
    }
    let entries = tensors
        .into_iter()
        .map(|(name, tensor)| (todays_name(&name), Entry::Pytorch(tensor)));
    Stored {
        metadata,
        tensors: entries.collect(),
        format: Format::Pytorch { bytes },
    }
}

/// The preprocessing that MadryLab's `robustness` keeps among its tensors.
fn normalizer(tensors: &BTreeMap<String, Tensor>) -> Option<String> {
    let numbers = |end: &str| {
        let normalizers = ["normalizer", "normalize"];
        let is_it = |name: &str| {
            normalizers
                .iter()
                .any(|of| name.ends_with(&format!("{of}.{end}")))
        };
        let (_, tensor) = tensors.iter().find(|(name, _)| is_it(name))?;
        let values = Entry::Pytorch(tensor.clone()).small()?;
        <[f32; 3]>::try_from(values).ok()
    };
    let text = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join("/");
    let (mean, std) = (numbers("new_mean")?, numbers("new_std")?);
    Some(format!("mean={},std={}", text(mean), text(std)))
}

/// Torchvision's densenets of the first years are numbered inside their layers: `denselayer1.norm.1` is `norm1` now.
fn todays_name(name: &str) -> String {
    if !name.contains(".denselayer") {
        return name.to_owned();
    }
    [".norm.1.", ".norm.2.", ".conv.1.", ".conv.2."]
        .into_iter()
        .fold(name.to_owned(), |name, old| {
            let new = format!("{}{}", &old[..5], &old[6..]);
            name.replace(old, &new)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_could_do_anything_are_told_from_classes() {
        for name in [
            "posix.system",
            "os.popen",
            "builtins.eval",
            "subprocess.Popen",
        ] {
            assert!(runs_code(name), "{name}");
        }
        for name in [
            "torch.Tensor",
            "builtins.dict",
            "int",
            "argparse.Namespace",
            "cox.utils.Parameters",
        ] {
            assert!(!runs_code(name), "{name}");
        }
    }

    #[test]
    fn old_names_become_todays() {
        assert_eq!(
            todays_name("features.denseblock1.denselayer2.norm.1.running_mean"),
            "features.denseblock1.denselayer2.norm1.running_mean"
        );
        assert_eq!(
            todays_name("features.norm5.weight"),
            "features.norm5.weight"
        );
    }
}
