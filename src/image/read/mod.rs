//! Reading picture files.

mod colour;
mod exif;
mod format;
mod jpeg;
mod other;
mod png;
mod raster;
mod source;
mod tiff;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::{Image, ImageError, MAX_PIXELS};
use format::{Format, Kind};
use raster::{Fault, Header, Raster};

pub use source::read as read_bytes;

/// What a decoder may allocate: room for the largest image in its widest type (16-bit RGBA), and as much again to work
/// in.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 16;

/// A picture file: its pixels, what else it holds, and what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The picture as sRGB, upright.
    pub image: Image,
    /// The ICC profile that the file had. Its colours are converted already.
    pub icc_profile: Option<Vec<u8>>,
    /// The EXIF block that the file had, from its byte order mark on. Its orientation is applied already.
    pub exif: Option<Vec<u8>>,
    /// What the user should know about the file, one sentence each, without its name: what was missing, and what could
    /// not be followed.
    pub warnings: Vec<String>,
}

/// Reads a picture file. `docs/pictures.md` lists what is read, how deep, and how colours are treated. The format is
/// told by the content, never by the extension.
///
/// - Grey becomes three equal channels. Alpha is kept, fully opaque or not, and never multiplied into the colours.
/// - The EXIF (in TIFF: the file's own) orientation is applied, all eight values.
/// - Colours become sRGB: by the ICC profile, or by what PNG says in other ways.
/// - The first frame of an animation, and the first page of a TIFF, is taken.
///
/// What there is to say about a file that was read is logged as a warning of the crate `log`, with the file's name;
/// [`load_all`] hands it over.
///
/// # Errors
/// Always names the file: missing, a directory, empty, unreadable, not an image, a format or a variant not read,
/// truncated or damaged, or more than [`MAX_PIXELS`] pixels.
pub fn load(path: impl AsRef<Path>) -> Result<Image, ImageError> {
    let path = path.as_ref();
    let loaded = load_all(path)?;
    for warning in loaded.warnings {
        log::warn!("'{}' {warning}", path.display());
    }
    Ok(loaded.image)
}

/// As [`load`], with all that the file holds besides the pixels. Nothing is logged.
///
/// # Errors
/// As [`load`].
pub fn load_all(path: impl AsRef<Path>) -> Result<Loaded, ImageError> {
    let path = path.as_ref();
    decode(path, &source::read(path)?)
}

/// As [`load_all`], of a file in memory; `name` is what messages call it.
///
/// # Errors
/// As [`load`].
pub fn decode(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Loaded, ImageError> {
    let path = name.as_ref();
    let format = format_of(path, bytes)?;
    let mut raster = raster(format, bytes).map_err(|fault| error(path, format, fault))?;
    let icc_profile = raster.icc.take();
    let exif = raster.exif.take();
    let mut warnings = Vec::new();
    let image = raster.into_image(&mut warnings);
    let image = image.map_err(|e| error(path, format, Fault::damaged(e)))?;
    Ok(Loaded {
        image,
        icc_profile,
        exif: exif.map(|block| exif::bare(&block).to_vec()),
        warnings,
    })
}

/// Width and height in pixels that [`load`] will give the image, from the file's header alone.
///
/// # Errors
/// As [`load`], save for what only the pixels can show.
pub fn size_of(path: impl AsRef<Path>) -> Result<(u32, u32), ImageError> {
    let path = path.as_ref();
    let bytes = source::read(path)?;
    let format = format_of(path, &bytes)?;
    let header = header(format, &bytes).map_err(|fault| error(path, format, fault))?;
    Ok(header.upright_size())
}

fn header(format: Format, bytes: &[u8]) -> Result<Header, Fault> {
    match format {
        Format::Jpeg => jpeg::header(bytes),
        Format::Png => png::header(bytes),
        Format::Tiff => tiff::header(bytes),
        other => other::header(bytes, other),
    }
}

fn raster(format: Format, bytes: &[u8]) -> Result<Raster, Fault> {
    match format {
        Format::Jpeg => jpeg::decode(bytes),
        Format::Png => png::decode(bytes),
        Format::Tiff => tiff::decode(bytes),
        other => other::decode(bytes, other),
    }
}

fn format_of(path: &Path, bytes: &[u8]) -> Result<Format, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::EmptyFile { path: path.into() });
    }
    match Kind::of(path, bytes) {
        Kind::Readable(format) => Ok(format),
        Kind::Known(name) => Err(ImageError::Unsupported {
            path: path.into(),
            what: format!("{name} file"),
        }),
        Kind::Unknown => Err(ImageError::NotAnImage { path: path.into() }),
    }
}

fn error(path: &Path, format: Format, fault: Fault) -> ImageError {
    let path = path.to_path_buf();
    match fault {
        Fault::Truncated => ImageError::Truncated { path },
        Fault::Damaged(reason) => ImageError::Damaged { path, reason },
        Fault::Variant(what) => ImageError::Unsupported {
            path,
            what: format!("a variant of {} ({what})", format.name()),
        },
        Fault::TooLarge { width, height } => ImageError::FileTooLarge {
            path,
            width,
            height,
        },
    }
}
