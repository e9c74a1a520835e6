//! The bytes of a file, which may be a pipe.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::image::ImageError;

/// What stands for standard input where a file is asked for.
const STANDARD_INPUT: &str = "-";

/// What was read of things that can be read only once, by their paths. A run asks for the same picture several times.
static READ_ONCE: Mutex<Option<HashMap<PathBuf, Arc<[u8]>>>> = Mutex::new(None);

/// All bytes of the file. `-` is standard input. A pipe is read when it is first asked for, and kept.
pub fn read(path: &Path) -> Result<Arc<[u8]>, ImageError> {
    let failed = |source| read_error(path, source);
    if path.as_os_str() == STANDARD_INPUT {
        return read_once(path, || {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .map_err(failed);
    }
    let kind = fs::metadata(path).map_err(failed)?;
    // Asked first: reading a directory gives a different error on every system.
    if kind.is_dir() {
        return Err(ImageError::IsDirectory { path: path.into() });
    }
    if kind.is_file() {
        return Ok(fs::read(path).map_err(failed)?.into());
    }
    read_once(path, || fs::read(path)).map_err(failed)
}

fn read_once(path: &Path, read: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Arc<[u8]>> {
    // Held while reading: a second reader has to wait for the bytes that the first one takes.
    let mut kept = READ_ONCE.lock().unwrap_or_else(|e| e.into_inner());
    let kept = kept.get_or_insert_default();
    if let Some(bytes) = kept.get(path) {
        return Ok(Arc::clone(bytes));
    }
    let bytes: Arc<[u8]> = read()?.into();
    kept.insert(path.into(), Arc::clone(&bytes));
    Ok(bytes)
}

pub fn read_error(path: &Path, source: io::Error) -> ImageError {
    let path = path.to_path_buf();
    match source.kind() {
        ErrorKind::NotFound => ImageError::NotFound { path },
        ErrorKind::PermissionDenied => ImageError::ReadDenied { path },
        _ => ImageError::Read { path, source },
    }
}
