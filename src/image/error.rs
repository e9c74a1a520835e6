//! What can go wrong with an image or its file, in words a user can act on.

use std::path::PathBuf;

use thiserror::Error;

/// The formats that [`load`](super::load) reads, as messages name them.
pub(super) const READABLE: &str = "JPEG, PNG, TIFF, WebP, GIF, BMP, QOI, TGA and PNM";

/// The file name extensions that [`save`](super::save) takes, as messages name them.
pub(super) const WRITABLE: &str = ".png, .jpg, .jpeg, .webp, .tif and .tiff";

/// An error of this module. Every message stands alone: it names the file where there is one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    // Reading.
    #[error("'{}': there is no such file", path.display())]
    NotFound { path: PathBuf },
    #[error("'{}' is a directory, not an image file", path.display())]
    IsDirectory { path: PathBuf },
    #[error("'{}': no permission to read this file", path.display())]
    ReadDenied { path: PathBuf },
    #[error("'{}' cannot be read", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("'{}' is empty (0 bytes), not an image", path.display())]
    EmptyFile { path: PathBuf },
    #[error("'{}' is not an image that can be read: the formats read are {READABLE}", path.display())]
    NotAnImage { path: PathBuf },
    #[error("'{}' is {what}, which is not supported: the formats read are {READABLE}", path.display())]
    Unsupported { path: PathBuf, what: String },
    #[error("'{}' is truncated: the file ends before the picture does", path.display())]
    Truncated { path: PathBuf },
    #[error("'{}' is damaged: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        /// The decoder's words.
        reason: String,
    },
    #[error(
        "'{}' is too large: {width}x{height} pixels, at most {} megapixels are read",
        path.display(),
        super::MAX_PIXELS >> 20
    )]
    FileTooLarge {
        path: PathBuf,
        width: u32,
        height: u32,
    },

    #[error(
        "'{}' takes {} of memory to decode, and {} are allowed: --decode-memory {} allows it, in a program \
         `limit_decoding`",
        path.display(), mebibytes(*needed), mebibytes(*limit), option(*needed)
    )]
    OverBudget {
        path: PathBuf,
        /// Bytes that decoding takes.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
    },

    // Writing.
    #[error("'{}': cannot tell the image format from {extension}: the extensions known are {WRITABLE}", path.display())]
    UnknownExtension { path: PathBuf, extension: String },
    #[error("'{}' cannot be written: there is no directory '{}'", path.display(), directory.display())]
    NoDirectory { path: PathBuf, directory: PathBuf },
    #[error("'{}' cannot be written: it is a directory, a file name is needed", path.display())]
    TargetIsDirectory { path: PathBuf },
    #[error("'{}' cannot be written: the file exists and is read-only", path.display())]
    TargetReadOnly { path: PathBuf },
    #[error("standard output is a terminal: send the picture to a file or to another program")]
    Terminal,
    #[error("'{}' cannot be written", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("'{}' cannot be encoded", path.display())]
    Encode {
        path: PathBuf,
        source: ::image::ImageError,
    },
    #[error("'{}' cannot be encoded: its ICC profile does not say how RGB colours come to it", path.display())]
    OutputProfile { path: PathBuf },
    #[error(
        "'{}' cannot be encoded: {width}x{height} pixels, but {format} holds at most {limit} on a side: use .png or .tif",
        path.display()
    )]
    FormatTooSmall {
        path: PathBuf,
        format: &'static str,
        limit: u32,
        width: u32,
        height: u32,
    },

    // Images in memory.
    #[error("an image cannot be {width}x{height} pixels: both sides must be at least 1")]
    NoPixels { width: u64, height: u64 },
    #[error(
        "an image cannot be {width}x{height} pixels: at most {} megapixels are handled",
        super::MAX_PIXELS >> 20
    )]
    TooLarge { width: u64, height: u64 },
    #[error("a {width}x{height} image needs {expected} {what} values, found {found}")]
    Length {
        what: &'static str,
        width: u32,
        height: u32,
        expected: usize,
        found: usize,
    },
    #[error(
        "the image holds a value that is not a finite number ({what} of pixel column {x}, row {y})"
    )]
    NotFinite { what: &'static str, x: u32, y: u32 },
    #[error(
        "a pixel cannot have {channels} values: it is RGB or RGB and alpha, or gray where it is read"
    )]
    Channels { channels: usize },
    #[error("a row has {found} bytes, its pixels need {needed}")]
    RowTooShort { needed: usize, found: usize },
    #[error("the picture has {found} bytes, its size needs {needed}")]
    TooFewBytes { needed: usize, found: usize },
    #[error("the images differ in size: {}x{} and {}x{} pixels", a.0, a.1, b.0, b.1)]
    SizesDiffer { a: (u32, u32), b: (u32, u32) },
    #[error("cannot crop {}x{} pixels out of an image of {}x{}", crop.0, crop.1, size.0, size.1)]
    CropTooLarge { crop: (u32, u32), size: (u32, u32) },
    #[error("a contact sheet needs at least one image and one column")]
    EmptySheet,
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// A number of bytes as the option takes it.
fn option(bytes: u64) -> String {
    format!("{}M", bytes.div_ceil(1 << 20))
}
