//! The activations of a layer for the images of a folder, kept in the folder: a safetensors file with the tensors
//! `mean` and `max`, `[images, C]`, and as metadata a JSON text that says what they belong to, and a checksum.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::image::write_atomically;
use crate::net;
use crate::run::fingerprint::Fingerprint;

/// Counts the changes of the file's contents.
const FORMAT: u32 = 4;

/// The metadata's key for the JSON text.
const KEY: &str = "pixgrad";

/// The metadata's key for the checksum.
const CHECKSUM: &str = "checksum";

/// An image file, as far as it can be told without reading all of it. A file with the same stamp is taken for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub name: String,
    pub bytes: u64,
    /// Since 1970, in seconds and nanoseconds.
    pub modified: (u64, u32),
    /// A hash of the beginning and the end: a picture that replaces another may have its size and its time.
    pub ends: u64,
}

impl Stamp {
    /// Bytes at the beginning and at the end that are hashed: those that tell pictures of one size and time apart.
    const END: u64 = 16 << 10;

    /// Reads the stamp of a regular file; `about` is its metadata.
    pub fn read(path: &Path, name: &str, about: &fs::Metadata) -> io::Result<Self> {
        let mut file = fs::File::open(path)?;
        let mut bytes = Vec::new();
        Read::by_ref(&mut file)
            .take(Self::END)
            .read_to_end(&mut bytes)?;
        let tail = about
            .len()
            .saturating_sub(Self::END)
            .max(bytes.len() as u64);
        file.seek(SeekFrom::Start(tail))?;
        file.take(Self::END).read_to_end(&mut bytes)?;
        let since = about.modified()?.duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        Ok(Self {
            name: name.to_string(),
            bytes: about.len(),
            modified: (since.as_secs(), since.subsec_nanos()),
            ends: xxh3_64(&bytes),
        })
    }
}

/// What is kept of an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub stamp: Stamp,
    /// The most probable class, where the network has classes.
    pub class: Option<usize>,
    /// Each channel's mean over all positions, `[C]`.
    pub mean: Vec<f32>,
    /// Each channel's maximum over all positions, `[C]`.
    pub max: Vec<f32>,
}

/// What the activations depend on besides the images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    format: u32,
    network: String,
    weights: String,
    layer: String,
    preparation: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(flatten)]
    key: Key,
    images: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    #[serde(flatten)]
    stamp: Stamp,
    class: Option<usize>,
}

/// Why a file of earlier activations is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Useless {
    #[error(transparent)]
    Unreadable(io::Error),
    #[error("it is damaged")]
    Damaged,
    #[error("it is not a file of `search`")]
    NoCache,
    /// It was made with another key.
    #[error("{0}")]
    Other(&'static str),
}

impl Key {
    pub fn new(graph: &net::Network, layer: &str) -> Self {
        Self {
            format: FORMAT,
            network: graph.name.clone(),
            weights: Fingerprint::of_network(graph).to_string(),
            layer: layer.to_string(),
            preparation: "short side 256, centre 224x224".to_string(),
        }
    }

    /// The file in `folder`.
    pub fn path(&self, folder: &Path) -> PathBuf {
        let plain = |text: &str| -> String {
            let fits = |c: char| c.is_alphanumeric() || c == '_';
            text.chars()
                .map(|c| if fits(c) { c } else { '-' })
                .collect()
        };
        let (network, layer) = (plain(&self.network), plain(&self.layer));
        folder.join(format!(".pixgrad-{network}-{layer}.safetensors"))
    }

    /// What is wrong with a file that was made with `other`.
    fn differs(&self, other: &Self) -> Option<&'static str> {
        [
            (self.format != other.format, "another version made it"),
            (
                self.network != other.network || self.weights != other.weights,
                "it is of another network",
            ),
            (self.layer != other.layer, "it is of another layer"),
            (
                self.preparation != other.preparation,
                "its images were prepared in another way",
            ),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }

    /// The images that the file knows, of a layer of so many channels and a network of so many classes; none where
    /// there is no file. An error says why the file is of no use.
    pub fn read(
        &self,
        path: &Path,
        channels: usize,
        classes: usize,
    ) -> Result<Vec<Entry>, Useless> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Useless::Unreadable(error)),
        };
        let damaged = || Useless::Damaged;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|_| damaged())?;
        let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
        let text = text.ok_or(Useless::NoCache)?;
        let header: Header = serde_json::from_str(text).map_err(|_| damaged())?;
        if let Some(what) = self.differs(&header.key) {
            return Err(Useless::Other(what));
        }
        // A network with classes has one for every image.
        let known = |row: &Row| match row.class {
            Some(class) => class < classes,
            None => classes == 0,
        };
        if !header.images.iter().all(known) {
            return Err(damaged());
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|_| damaged())?;
        let tensor = |name: &str| tensors.tensor(name).map_err(|_| damaged());
        let (mean, max) = (tensor("mean")?, tensor("max")?);
        let sum = metadata.metadata().as_ref().and_then(|m| m.get(CHECKSUM));
        if sum != Some(&checksum(text, mean.data(), max.data())) {
            return Err(damaged());
        }
        let values = |tensor: TensorView| -> Option<Vec<f32>> {
            let expected = tensor.dtype() == Dtype::F32
                && tensor.shape() == [header.images.len(), channels].as_slice();
            let (values, _) = tensor.data().as_chunks::<4>();
            let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (expected && values.iter().all(|v| v.is_finite())).then_some(values)
        };
        let (mean, max) = values(mean).zip(values(max)).ok_or_else(damaged)?;
        let rows = mean.chunks_exact(channels).zip(max.chunks_exact(channels));
        let entry = |(row, (mean, max)): (Row, (&[f32], &[f32]))| Entry {
            stamp: row.stamp,
            class: row.class,
            mean: mean.to_vec(),
            max: max.to_vec(),
        };
        Ok(header.images.into_iter().zip(rows).map(entry).collect())
    }

    /// Writes the file, whole or not at all.
    pub fn write<'a>(
        &self,
        path: &Path,
        channels: usize,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> io::Result<()> {
        let (mut images, mut mean, mut max) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            images.push(Row {
                stamp: entry.stamp.clone(),
                class: entry.class,
            });
            mean.extend(entry.mean.iter().flat_map(|v| v.to_le_bytes()));
            max.extend(entry.max.iter().flat_map(|v| v.to_le_bytes()));
        }
        let shape = vec![images.len(), channels];
        let header = Header {
            key: self.clone(),
            images,
        };
        let view =
            |data| TensorView::new(Dtype::F32, shape.clone(), data).map_err(io::Error::other);
        let tensors = [("mean", view(&mean)?), ("max", view(&max)?)];
        let text = serde_json::to_string(&header)?;
        let sum = checksum(&text, &mean, &max);
        let metadata = HashMap::from([(KEY.to_string(), text), (CHECKSUM.to_string(), sum)]);
        let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(io::Error::other)?;
        write_atomically(path, |file| file.write_all(&bytes))
    }
}

/// Of all that is read from the file: XXH3 of 128 bits, in hexadecimal digits.
fn checksum(text: &str, mean: &[u8], max: &[u8]) -> String {
    let mut hash = Xxh3::new();
    for part in [text.as_bytes(), mean, max] {
        hash.update(part);
    }
    format!("{:032x}", hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_replaces_another_of_its_size_and_time_has_another_stamp() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let stamp = |bytes: &[u8]| {
            fs::write(&path, bytes).expect("written");
            let file = fs::File::options().write(true).open(&path).expect("opened");
            file.set_modified(UNIX_EPOCH).expect("a time");
            let about = fs::metadata(&path).expect("metadata");
            Stamp::read(&path, "a.png", &about).expect("a stamp")
        };
        // Of one byte, of the beginning, and of the end of a file that is larger than both ends.
        for len in [1, 100, 100_000] {
            let mut bytes = vec![7; len];
            let first = stamp(&bytes);
            assert_eq!(stamp(&bytes), first);
            bytes[len - 1] = 8;
            let second = stamp(&bytes);
            assert_eq!(
                (first.bytes, first.modified),
                (second.bytes, second.modified)
            );
            assert_ne!(first, second);
            bytes[0] = 9;
            assert_ne!(stamp(&bytes), second);
        }
    }
}
