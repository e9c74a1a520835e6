//! A picture that a recipe names: a file, or one in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::image::{self, Image};

/// A picture, by path or in memory.
#[derive(Debug, Clone, PartialEq)]
pub enum Picture {
    /// A file, read when the recipe is compiled.
    File(PathBuf),
    /// An image of the host program; such a recipe runs, but cannot be written to a file.
    Memory(Arc<Image>),
}

/// What a picture file holds besides its pixels, for results that keep it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Embedded {
    /// The ICC profile. The pixels that are loaded are converted to sRGB.
    pub icc_profile: Option<Vec<u8>>,
    /// The EXIF block, from its byte order mark on.
    pub exif: Option<Vec<u8>>,
}

impl Picture {
    /// The image.
    ///
    /// # Errors
    /// [`Error::Image`] when the file cannot be read.
    pub fn load(&self) -> Result<Arc<Image>, Error> {
        Ok(self.load_all()?.0)
    }

    /// The image, and what its file holds besides.
    ///
    /// # Errors
    /// [`Error::Image`] when the file cannot be read.
    pub fn load_all(&self) -> Result<(Arc<Image>, Embedded), Error> {
        match self {
            Self::File(path) => {
                let loaded = image::load_all(path)?;
                for warning in loaded.warnings {
                    log::warn!("'{}' {warning}", path.display());
                }
                let embedded = Embedded {
                    icc_profile: loaded.icc_profile,
                    exif: loaded.exif,
                };
                Ok((Arc::new(loaded.image), embedded))
            }
            Self::Memory(image) => Ok((Arc::clone(image), Embedded::default())),
        }
    }

    /// The file, but for standard input, which lies in no folder.
    pub(crate) fn file_mut(&mut self) -> Option<&mut PathBuf> {
        match self {
            Self::File(path) if !image::is_stdin(&*path) => Some(path),
            _ => None,
        }
    }

    /// Makes a relative path start at `folder`.
    pub(crate) fn relative_to(&mut self, folder: &Path) {
        if let Some(path) = self.file_mut() {
            *path = folder.join(&*path);
        }
    }
}

impl std::fmt::Display for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "'{}'", path.display()),
            Self::Memory(_) => f.write_str("in memory"),
        }
    }
}

impl From<Image> for Picture {
    fn from(image: Image) -> Self {
        Self::Memory(Arc::new(image))
    }
}

impl From<Arc<Image>> for Picture {
    fn from(image: Arc<Image>) -> Self {
        Self::Memory(image)
    }
}

impl From<PathBuf> for Picture {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Picture {
    fn from(path: &Path) -> Self {
        Self::File(path.to_path_buf())
    }
}

impl From<&str> for Picture {
    fn from(path: &str) -> Self {
        Self::File(PathBuf::from(path))
    }
}

impl Serialize for Picture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File(path) => path.serialize(serializer),
            Self::Memory(_) => Err(serde::ser::Error::custom(
                "a picture in memory has no path to write",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Picture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PathBuf::deserialize(deserializer).map(Self::File)
    }
}
