//! Writing image files, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::png::{CompressionType, FilterType, PngEncoder};
use ::image::codecs::tiff::TiffEncoder;
use ::image::codecs::webp::WebPEncoder;
use ::image::error::ImageError as CodecError;
use ::image::{ExtendedColorType, ImageEncoder};
use moxcms::ColorProfile;

use super::{Image, ImageError, to_u8, to_u16};

/// A file format that [`save`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// 8 or 16 bits per channel, with alpha. Lossless.
    Png,
    /// 8 bits, 4:4:4, no alpha.
    Jpeg,
    /// 8 bits, with alpha. Lossless.
    WebP,
    /// 16 bits, with alpha, not compressed.
    Tiff,
}

impl OutputFormat {
    /// The format that a file name's extension asks for, in upper or lower case.
    ///
    /// # Errors
    /// An extension that is missing or unknown; the message lists those known.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("png") => Ok(OutputFormat::Png),
            Some("jpg" | "jpeg") => Ok(OutputFormat::Jpeg),
            Some("webp") => Ok(OutputFormat::WebP),
            Some("tif" | "tiff") => Ok(OutputFormat::Tiff),
            other => Err(ImageError::UnknownExtension {
                path: path.into(),
                extension: match other {
                    Some(other) => format!("the extension '.{other}'"),
                    None => "a file name without an extension".into(),
                },
            }),
        }
    }

    /// The format's name and the longest side it can hold, in pixels.
    fn limit(self) -> (&'static str, u32) {
        match self {
            OutputFormat::Png => ("PNG", i32::MAX as u32),
            OutputFormat::Jpeg => ("JPEG", 65535),
            OutputFormat::WebP => ("WebP", 16383),
            OutputFormat::Tiff => ("TIFF", u32::MAX),
        }
    }
}

/// Bits per channel of a PNG file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BitDepth {
    #[default]
    Eight,
    Sixteen,
}

/// How [`save`] encodes. Each option matters to one format only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveOptions {
    /// PNG: bits per channel; 8 by default.
    pub bit_depth: BitDepth,
    /// JPEG: quality from 1 to 100; 95 by default.
    pub jpeg_quality: u8,
}

impl Default for SaveOptions {
    fn default() -> Self {
        SaveOptions {
            bit_depth: BitDepth::Eight,
            jpeg_quality: 95,
        }
    }
}

/// What a file that was written lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "tell the user"]
pub enum SaveWarning {
    /// The image has an alpha channel and JPEG holds none.
    AlphaDropped,
}

impl std::fmt::Display for SaveWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SaveWarning::AlphaDropped => {
                f.write_str("JPEG holds no transparency: the alpha channel was left out")
            }
        }
    }
}

/// Writes the image in the format of the path's extension, clamped to [0, 1] and rounded to the
/// nearest step, with an sRGB colour profile. Alpha is written where the format holds it; JPEG
/// does not: there it is left out, and the warning that comes back says so.
///
/// The file appears whole or not at all, see [`write_atomically`].
///
/// # Errors
/// All of [`check_writable`], a side too long for the format, an image whose fields do not agree
/// (see [`Image::check`]), or a write that fails (a full disk, say).
pub fn save(
    path: impl AsRef<Path>,
    image: &Image,
    options: SaveOptions,
) -> Result<Option<SaveWarning>, ImageError> {
    let path = path.as_ref();
    let format = check_target(path)?;
    image.check()?;
    let (name, limit) = format.limit();
    if image.width.max(image.height) > limit {
        return Err(ImageError::FormatTooSmall {
            path: path.into(),
            format: name,
            limit,
            width: image.width,
            height: image.height,
        });
    }
    write_atomically(path, |file| encode(file, image, format, options)).map_err(
        |error| match error {
            CodecError::IoError(source) => write_error(path, source),
            other => ImageError::Encode {
                path: path.into(),
                reason: other.to_string(),
            },
        },
    )?;
    let dropped = format == OutputFormat::Jpeg && image.alpha.is_some();
    Ok(dropped.then_some(SaveWarning::AlphaDropped))
}

/// Checks, before a long run, that [`save`] will be able to write to `path`: the extension is
/// known, the directory exists and takes new files, and the target is neither a directory nor
/// read-only. Leaves nothing behind.
///
/// # Errors
/// Whichever of these fails; the message says what is wrong.
pub fn check_writable(path: impl AsRef<Path>) -> Result<OutputFormat, ImageError> {
    let path = path.as_ref();
    let format = check_target(path)?;
    // The one sure way to know whether a directory takes a file is to make one.
    Temporary::beside(path).map_err(|source| write_error(path, source))?;
    Ok(format)
}

/// What can be said about a target by looking at it.
fn check_target(path: &Path) -> Result<OutputFormat, ImageError> {
    if path.is_dir() {
        return Err(ImageError::TargetIsDirectory { path: path.into() });
    }
    let format = OutputFormat::from_path(path)?;
    let directory = directory_of(path);
    if !directory.is_dir() {
        return Err(ImageError::NoDirectory {
            path: path.into(),
            directory: directory.into(),
        });
    }
    // Renaming would replace a read-only file without a word; its owner meant otherwise.
    if fs::metadata(path).is_ok_and(|file| file.permissions().readonly()) {
        return Err(ImageError::TargetReadOnly { path: path.into() });
    }
    Ok(format)
}

fn write_error(path: &Path, source: io::Error) -> ImageError {
    ImageError::Write {
        path: path.into(),
        source,
    }
}

/// The directory a file lies in; `.` for a bare file name.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Writes a file of any kind whole or not at all: `write` fills a temporary file in the directory
/// of `path`, which is then renamed to `path`. Whatever fails, the temporary file is removed and an
/// older file at `path` stays as it was. A symbolic link at `path` stays one: its target is
/// written.
///
/// # Errors
/// What `write` returns, or the error of making, flushing or renaming the temporary file.
pub fn write_atomically<E: From<io::Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&File>) -> Result<(), E>,
) -> Result<(), E> {
    let path = path.as_ref();
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let temporary = Temporary::beside(&target)?;
    let mut writer = BufWriter::new(&temporary.file);
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    // Before the rename, or a power cut could leave the new name with no content behind it.
    temporary.file.sync_all()?;
    Ok(temporary.rename(&target)?)
}

/// A file that is removed when dropped, unless it was renamed.
struct Temporary {
    file: File,
    path: PathBuf,
}

impl Temporary {
    /// A new file in the directory of `target`: a rename only stays whole within one file system.
    fn beside(target: &Path) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!(".pixgrad-{}-{number}.tmp", std::process::id());
            let path = directory_of(target).join(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok(Temporary { file, path }),
                // Left by a process of the same number that was killed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.path = PathBuf::new();
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            // Nothing can be done about a failure, and the error that led here is the one to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn encode(
    file: &mut (impl io::Write + io::Seek),
    image: &Image,
    format: OutputFormat,
    options: SaveOptions,
) -> Result<(), CodecError> {
    match format {
        OutputFormat::Png => {
            let encoder =
                PngEncoder::new_with_quality(file, CompressionType::Default, FilterType::Adaptive);
            match options.bit_depth {
                BitDepth::Eight => encode_8(encoder, image, true),
                BitDepth::Sixteen => encode_16(encoder, image),
            }
        }
        // The encoder never subsamples chroma: 4:4:4.
        OutputFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(file, options.jpeg_quality);
            encode_8(encoder, image, false)
        }
        OutputFormat::WebP => encode_8(WebPEncoder::new_lossless(file), image, true),
        OutputFormat::Tiff => encode_16(TiffEncoder::new(file), image),
    }
}

fn encode_8(encoder: impl ImageEncoder, image: &Image, with_alpha: bool) -> Result<(), CodecError> {
    let (values, has_alpha) = quantize(image, with_alpha, to_u8);
    let colour = if has_alpha {
        ExtendedColorType::Rgba8
    } else {
        ExtendedColorType::Rgb8
    };
    write_pixels(encoder, image, &values, colour)
}

fn encode_16(encoder: impl ImageEncoder, image: &Image) -> Result<(), CodecError> {
    let (values, has_alpha) = quantize(image, true, to_u16);
    let colour = if has_alpha {
        ExtendedColorType::Rgba16
    } else {
        ExtendedColorType::Rgb16
    };
    write_pixels(encoder, image, bytemuck::cast_slice(&values), colour)
}

/// Interleaved RGB or, if the image has alpha and it is wanted, RGBA (told by the second value).
fn quantize<T>(image: &Image, with_alpha: bool, to: fn(f32) -> T) -> (Vec<T>, bool) {
    match &image.alpha {
        Some(alpha) if with_alpha => {
            let pixels = image.rgb.chunks_exact(3).zip(alpha);
            let values = pixels.flat_map(|(p, &a)| [p[0], p[1], p[2], a].map(to));
            (values.collect(), true)
        }
        _ => (image.rgb.iter().copied().map(to).collect(), false),
    }
}

fn write_pixels(
    mut encoder: impl ImageEncoder,
    image: &Image,
    bytes: &[u8],
    colour: ExtendedColorType,
) -> Result<(), CodecError> {
    if let Ok(profile) = ColorProfile::new_srgb().encode() {
        // An encoder without profiles still writes a good file: untagged means sRGB.
        let _ = encoder.set_icc_profile(profile);
    }
    encoder.write_image(bytes, image.width, image.height, colour)
}
