//! Checkpoints as files: safetensors, written and read one tensor after the other, so that no more than one is in main
//! memory at a time. Only of a pipe all of it is.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use xxhash_rust::xxh3::Xxh3;

use super::{CheckpointError, CheckpointProblem};
use crate::Error;
use crate::device::{Buffer, Device, Kind};
use crate::image::{is_stdin, read_bytes};
use crate::schedule::Kept;

/// No header that the format allows is longer.
const MAX_HEADER: u64 = 100_000_000;

/// The metadata that tells a checkpoint from other files: the version of its format.
pub(super) const VERSION_KEY: &str = "checkpoint";

fn dtype(kind: Kind) -> Dtype {
    match kind {
        Kind::Word => Dtype::U32,
        _ => Dtype::F32,
    }
}

fn fail(path: &Path, problem: CheckpointProblem) -> CheckpointError {
    CheckpointError {
        path: path.to_path_buf(),
        problem,
    }
}

fn unreadable(path: &Path, error: io::Error) -> CheckpointError {
    let problem = match error.kind() {
        ErrorKind::NotFound => CheckpointProblem::NotFound,
        _ => CheckpointProblem::Unreadable(error),
    };
    fail(path, problem)
}

/// Writes the buffers: each a tensor of one axis, F32 or U32, little-endian.
pub(super) async fn write(
    file: &mut dyn Write,
    metadata: &BTreeMap<&str, String>,
    tensors: &[Kept<'_>],
    device: &Device,
) -> io::Result<()> {
    let mut header = header(metadata, tensors)?;
    // The tensors begin at a multiple of 8 bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    // `safetensors` itself writes to files, too, but neither waits for the disk nor can it be told that a device has
    // failed.
    let mut hash = Xxh3::new();
    let mut write = |bytes: &[u8]| {
        hash.update(bytes);
        file.write_all(bytes)
    };
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    for kept in tensors {
        write(&bytes(device, kept.buffer).await?)?;
    }
    file.write_all(&hash.digest128().to_le_bytes())
}

/// The header of a file with these tensors, one after the other, and the checksum behind them.
fn header(metadata: &BTreeMap<&str, String>, tensors: &[Kept<'_>]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let of_buffer = |kept: &Kept<'_>| {
        let (name, buffer) = (kept.name.clone(), kept.buffer);
        (name, dtype(buffer.kind()), buffer.len())
    };
    let checksum = (CHECKSUM.to_string(), Dtype::U32, CHECKSUM_BYTES / 4);
    let all = tensors.iter().map(of_buffer).chain([checksum]);
    let infos = all.map(|(name, dtype, len)| {
        let begin = end;
        end += len * 4;
        let info = TensorInfo {
            dtype,
            shape: vec![len],
            data_offsets: (begin, end),
        };
        (name, info)
    });
    let metadata = metadata
        .iter()
        .map(|(key, value)| (key.to_string(), value.clone()));
    let header =
        Metadata::new(Some(metadata.collect()), infos.collect()).map_err(io::Error::other)?;
    Ok(serde_json::to_vec(&header)?)
}

/// The tensor that a file ends with: XXH3 of 128 bits over all bytes before it.
const CHECKSUM: &str = "checksum";
const CHECKSUM_BYTES: usize = 16;

/// A buffer's elements, little-endian as is every platform with a GPU interface that we use.
async fn bytes(device: &Device, buffer: &Buffer) -> io::Result<Vec<u8>> {
    Ok(match buffer.kind() {
        Kind::Word => {
            let values = device.download_words_async(buffer).await;
            let values = values.map_err(io::Error::other)?;
            bytemuck::cast_slice(&values).to_vec()
        }
        _ => {
            let values = device.download_async(buffer).await;
            let values = values.map_err(io::Error::other)?;
            bytemuck::cast_slice(&values).to_vec()
        }
    })
}

/// Whether a file of so many bytes ends with the checksum of all that is before it.
fn is_sound(file: &mut (impl Read + Seek), length: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(0))?;
    let mut before = file.take(length - CHECKSUM_BYTES as u64);
    let mut hash = Xxh3::new();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match before.read(&mut bytes)? {
            0 => break,
            read => hash.update(&bytes[..read]),
        }
    }
    let mut written = [0; CHECKSUM_BYTES];
    before.into_inner().read_exact(&mut written)?;
    Ok(written == hash.digest128().to_le_bytes())
}

/// A file whose header has been read and found to describe all of it.
#[derive(Debug)]
pub(super) struct Stored {
    source: Source,
    pub metadata: HashMap<String, String>,
    header: Metadata,
    /// Where the tensors begin.
    data: u64,
}

trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Where a checkpoint is: in a file, or in memory under a name for errors.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    bytes: Option<Arc<[u8]>>,
}

impl Source {
    /// The file. What can be read only once, such as a pipe or standard input (`-`), is kept in memory.
    pub fn file(path: &Path) -> io::Result<Self> {
        let is_special = fs::metadata(path).is_ok_and(|about| !about.is_file());
        let bytes = if is_special || is_stdin(path) {
            Some(read_bytes(path).map_err(io::Error::other)?)
        } else {
            None
        };
        let path = path.to_path_buf();
        Ok(Self { path, bytes })
    }

    /// The bytes of a file.
    pub fn memory(name: &str, bytes: &[u8]) -> Self {
        Self {
            path: name.into(),
            bytes: Some(bytes.into()),
        }
    }

    fn open(&self) -> io::Result<Box<dyn ReadSeek>> {
        Ok(match &self.bytes {
            Some(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            None => Box::new(File::open(&self.path)?),
        })
    }
}

impl Stored {
    /// Reads and checks the header of a file.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        if path.is_dir() {
            return Err(fail(path, CheckpointProblem::Directory));
        }
        let source = Source::file(path).map_err(|error| unreadable(path, error))?;
        Self::of(source)
    }

    /// Reads and checks the header.
    pub fn of(source: Source) -> Result<Self, CheckpointError> {
        let path = &*source.path;
        let unreadable = |error| unreadable(path, error);
        let not = || fail(path, CheckpointProblem::NotACheckpoint);
        let cut = |expected: u64, found: u64| {
            fail(path, CheckpointProblem::Truncated { expected, found })
        };
        let mut file = source.open().map_err(unreadable)?;
        let found = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        let mut start = [0; 9];
        if found < start.len() as u64 {
            return Err(not());
        }
        file.read_exact(&mut start).map_err(unreadable)?;
        let (length, brace) = (
            u64::from_le_bytes(start[..8].try_into().unwrap_or_default()),
            start[8],
        );
        if brace != b'{' || length > MAX_HEADER {
            return Err(not());
        }
        let data = 8 + length;
        if found < data {
            return Err(cut(data, found));
        }
        let mut header = vec![0; length as usize];
        file.seek(SeekFrom::Start(8)).map_err(unreadable)?;
        file.read_exact(&mut header).map_err(unreadable)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| {
            if error.is_data() {
                fail(path, CheckpointProblem::Header(error))
            } else {
                not()
            }
        })?;
        let metadata = header.metadata().clone().ok_or_else(not)?;
        if !metadata.contains_key(VERSION_KEY) {
            return Err(not());
        }
        let expected = data + header.data_len() as u64;
        if found < expected {
            return Err(cut(expected, found));
        }
        if found > expected {
            return Err(fail(path, CheckpointProblem::TooLong { expected, found }));
        }
        if let Some(checksum) = header.info(CHECKSUM) {
            let (begin, end) = checksum.data_offsets;
            let is_last = end - begin == CHECKSUM_BYTES && data + end as u64 == found;
            if !is_last || !is_sound(&mut file, found).map_err(unreadable)? {
                return Err(fail(path, CheckpointProblem::Checksum));
            }
        }
        Ok(Self {
            source,
            metadata,
            header,
            data,
        })
    }

    pub fn fail(&self, problem: CheckpointProblem) -> CheckpointError {
        fail(&self.source.path, problem)
    }

    /// Fills the buffers with the tensors of their names. They must be the very ones that the file holds.
    pub fn load(&self, device: &Device, tensors: &[Kept<'_>]) -> Result<(), Error> {
        let fits = |kept: &Kept<'_>| {
            self.header.info(&kept.name).is_some_and(|e| {
                e.dtype == dtype(kept.buffer.kind()) && e.shape == [kept.buffer.len()].as_slice()
            })
        };
        if let Some(kept) = tensors.iter().find(|kept| !fits(kept)) {
            let tensor = kept.name.clone();
            return Err(self.fail(CheckpointProblem::OtherTensor { tensor }).into());
        }
        let has_checksum = self.header.info(CHECKSUM).is_some();
        let found = self.header.tensors().len() - usize::from(has_checksum);
        let expected = tensors.len();
        if found != expected {
            let problem = CheckpointProblem::OtherTensors { expected, found };
            return Err(self.fail(problem).into());
        }
        let unreadable = |error| self.fail(CheckpointProblem::Unreadable(error));
        let mut file = self.source.open().map_err(unreadable)?;
        for Kept {
            name,
            buffer,
            below,
        } in tensors
        {
            let (begin, end) = self.header.info(name).map_or((0, 0), |e| e.data_offsets);
            let mut bytes = vec![0; end - begin];
            file.seek(SeekFrom::Start(self.data + begin as u64))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(unreadable)?;
            match buffer.kind() {
                Kind::Word => {
                    let words: Vec<u32> = bytemuck::pod_collect_to_vec(&bytes);
                    let mut pairs = words.iter().zip(below.iter().cycle());
                    if let Some((word, below)) = pairs.find(|(word, below)| word >= below) {
                        let problem = CheckpointProblem::Index {
                            tensor: name.clone(),
                            found: *word,
                            below: *below,
                        };
                        return Err(self.fail(problem).into());
                    }
                    device.upload_words(buffer, &words)?;
                }
                _ => device.upload(buffer, &bytemuck::pod_collect_to_vec(&bytes))?,
            }
        }
        Ok(())
    }
}
