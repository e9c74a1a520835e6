//! Files that a command writes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use pixgrad::engine::image::{is_stdin, write_atomically};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

/// The name of an input without its extension, for files that are named after it.
pub fn stem(source: &Path) -> &OsStr {
    if is_stdin(source) {
        return "stdin".as_ref();
    }
    source.file_stem().unwrap_or("image".as_ref())
}

/// Where a result goes when nobody says: the current folder, under the source's name.
pub fn default_path(source: &Path) -> PathBuf {
    let mut name = stem(source).to_os_string();
    name.push("-pixgrad.png");
    name.into()
}

/// `out.png` and 123 → `out-000123.png`.
pub fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_os_string();
    name.push(format!("-{number:06}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// The number with which `path` is a [`numbered`] one of `of`.
pub fn numbering(of: &Path, path: &Path) -> Option<u64> {
    let own = path.file_stem()?.to_str()?;
    let number = own
        .strip_prefix(of.file_stem()?.to_str()?)?
        .strip_prefix('-')?
        .parse()
        .ok()?;
    (numbered(of, number) == path).then_some(number)
}

/// Writes a text file, whole or not at all.
pub fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    write_bytes(path, text.as_bytes())
}

/// Writes a JSON file, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    write_text(path, &text)
}

/// A tensor to be written: name, shape, values.
pub struct Tensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// Writes f32 tensors as a safetensors file, whole or not at all.
pub fn write_tensors(
    path: &Path,
    tensors: &[Tensor<'_>],
    metadata: &[(&str, String)],
) -> anyhow::Result<()> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|t| {
            t.values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|(t, bytes)| {
            Ok((
                t.name.as_str(),
                TensorView::new(Dtype::F32, t.shape.clone(), bytes)?,
            ))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_string(), value.clone()))
        .collect();
    write_bytes(path, &safetensors::serialize(views, Some(metadata))?)
}

fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_atomically(path, |file| file.write_all(bytes))
        .with_context(|| format!("'{}' cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            default_path(Path::new("a/b/photo.tar.jpg")),
            Path::new("photo.tar-pixgrad.png")
        );
        assert_eq!(default_path(Path::new("-")), Path::new("stdin-pixgrad.png"));
        assert_eq!(
            numbered(Path::new("a/out.png"), 123),
            Path::new("a/out-000123.png")
        );
        assert_eq!(
            numbered(Path::new("out.x.webp"), 1_234_567),
            Path::new("out.x-1234567.webp")
        );
        for number in [0, 123, 1_234_567] {
            let of = Path::new("a/out.png");
            assert_eq!(numbering(of, &numbered(of, number)), Some(number));
        }
        for other in [
            "a/out-123.png",
            "a/out-000123.jpg",
            "out-000123.png",
            "a/out.png",
        ] {
            assert_eq!(numbering(Path::new("a/out.png"), Path::new(other)), None);
        }
    }

    #[test]
    fn tensors_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.safetensors");
        let tensor = Tensor {
            name: "fire2/concat".into(),
            shape: vec![1, 2, 1],
            values: &[1.5, -2.0],
        };
        write_tensors(&path, &[tensor], &[("model", "m".into())]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = read.tensor("fire2/concat").unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::F32, &[1, 2, 1][..]));
        assert_eq!(
            view.data(),
            [1.5f32.to_le_bytes(), (-2f32).to_le_bytes()].concat()
        );
    }
}
