//! Reading picture files.

mod budget;
mod colour;
mod exif;
mod format;
mod jpeg;
mod other;
mod png;
mod raster;
mod reduce;
mod source;
mod tiff;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::{Image, ImageError};
use format::{Format, Kind};
use raster::{Fault, Header, Raster};

pub use budget::limit_decoding;
pub use reduce::Reduction;
pub use source::read as read_bytes;

/// Pictures of more pixels are reduced while they are decoded, where they are needed small.
const LARGE: u64 = 1 << 25;

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
/// truncated or damaged, or more than [`MAX_PIXELS`](crate::image::MAX_PIXELS) pixels.
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
    let failed = |fault| error(path, format, fault);
    let header = header(format, bytes).map_err(failed)?;
    budget::check(header, bytes.len(), false).map_err(failed)?;
    let mut raster = raster(format, bytes).map_err(failed)?;
    let icc_profile = raster.icc.take();
    let exif = raster.exif.take();
    let mut warnings = Vec::new();
    let image = raster.into_image(&mut warnings).map_err(failed)?;
    Ok(Loaded {
        image,
        icc_profile,
        exif: exif.map(|block| exif::bare(&block).to_vec()),
        warnings,
    })
}

/// As [`load`], of a picture that is needed small: `reduction` says for its width and height what is needed of it. A
/// large picture is cropped and resampled while it is decoded, so that it is never in memory as a whole [`Image`].
///
/// # Errors
/// As [`load`].
pub fn load_reduced(
    path: impl AsRef<Path>,
    reduction: impl FnOnce((u32, u32)) -> Reduction,
) -> Result<Image, ImageError> {
    let path = path.as_ref();
    let bytes = source::read(path)?;
    let format = format_of(path, &bytes)?;
    let failed = |fault| error(path, format, fault);
    let header = header(format, &bytes).map_err(failed)?;
    let reduction = reduction(header.upright_size());
    let is_large = u64::from(header.width) * u64::from(header.height) > LARGE;
    budget::check(header, bytes.len(), is_large).map_err(failed)?;
    let raster = raster(format, &bytes).map_err(failed)?;
    // A decoder has made what is needed of the file's bytes.
    drop(bytes);
    let mut warnings = Vec::new();
    let image = if is_large {
        raster
            .into_reduced(&reduction, &mut warnings)
            .map_err(failed)?
    } else {
        reduction.of(&raster.into_image(&mut warnings).map_err(failed)?)?
    };
    for warning in warnings {
        log::warn!("'{}' {warning}", path.display());
    }
    Ok(image)
}

/// Bytes that [`load_reduced`] takes at most while it decodes, and the bytes that it may take. 0 of what cannot be
/// read.
pub fn decoding_memory(path: impl AsRef<Path>) -> (u64, u64) {
    let needed = || {
        let bytes = source::read(path.as_ref()).ok()?;
        let header = header(format_of(path.as_ref(), &bytes).ok()?, &bytes).ok()?;
        let pixels = u64::from(header.width) * u64::from(header.height);
        Some(budget::needed(header, bytes.len(), pixels > LARGE))
    };
    (needed().unwrap_or(0), budget::limit())
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
        Fault::OverBudget { needed } => ImageError::OverBudget {
            path,
            needed,
            limit: budget::limit(),
        },
        Fault::TooLarge { width, height } => ImageError::FileTooLarge {
            path,
            width,
            height,
        },
    }
}
