//! Writing image files, whole or not at all.

use std::borrow::Cow;
use std::io::{self, Cursor, IsTerminal, Write};
use std::path::Path;
use std::{fmt, fs};

use ::image::error::ImageError as CodecError;

use super::atomic::{check_directory, directory_of, write_atomically};
use super::encode::{Extras, encode};
use super::exif::{Fields, Target};
use super::{Image, ImageError, profile};

/// What stands for standard output where a file is asked for, and its names on Linux and macOS.
const STANDARD_OUTPUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];

/// The longest EXIF block that a JPEG holds: a segment of 65533 bytes that begins with `Exif\0\0`.
const JPEG_EXIF: usize = 65533 - 6;

/// A file format that [`save`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// 8 or 16 bits per channel, with alpha. Lossless.
    Png,
    /// 8 bits, 4:4:4, no alpha.
    Jpeg,
    /// 8 bits, with alpha. Lossless.
    WebP,
    /// 8 or 16 bits, with alpha, not compressed.
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

    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            OutputFormat::Png => "PNG",
            OutputFormat::Jpeg => "JPEG",
            OutputFormat::WebP => "WebP",
            OutputFormat::Tiff => "TIFF",
        }
    }

    /// The extension that its files usually have.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            OutputFormat::Png => "png",
            OutputFormat::Jpeg => "jpg",
            OutputFormat::WebP => "webp",
            OutputFormat::Tiff => "tif",
        }
    }

    /// Whether its files can have so many bits per channel.
    #[must_use]
    pub fn holds(self, depth: BitDepth) -> bool {
        depth == BitDepth::Eight || matches!(self, OutputFormat::Png | OutputFormat::Tiff)
    }

    /// The longest side it can hold, in pixels.
    fn limit(self) -> u32 {
        match self {
            OutputFormat::Png => i32::MAX as u32,
            OutputFormat::Jpeg => 65535,
            OutputFormat::WebP => 16383,
            OutputFormat::Tiff => u32::MAX,
        }
    }

    /// Checks that the format can hold an image of `width` x `height` pixels; `path` is what the message names.
    ///
    /// # Errors
    /// A side that is too long; the message says which formats have room.
    pub fn check_size(
        self,
        path: impl AsRef<Path>,
        width: u32,
        height: u32,
    ) -> Result<(), ImageError> {
        let limit = self.limit();
        if width.max(height) <= limit {
            return Ok(());
        }
        Err(ImageError::FormatTooSmall {
            path: path.as_ref().into(),
            format: self.name(),
            limit,
            width,
            height,
        })
    }
}

/// Bits per channel of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitDepth {
    Eight,
    Sixteen,
}

/// How [`save`] encodes.
#[derive(Debug, Clone, PartialEq)]
pub struct SaveOptions {
    /// The format; by default that of the path's extension.
    pub format: Option<OutputFormat>,
    /// PNG and TIFF: bits per channel. By default 8, in a TIFF 16. All other formats have 8.
    pub bit_depth: Option<BitDepth>,
    /// JPEG: quality from 1 to 100; 95 by default.
    pub jpeg_quality: u8,
    /// JPEG: what an image with alpha is laid over, for the format holds no alpha; white by default.
    pub background: [f32; 3],
    /// The ICC profile of an RGB device that colours are converted to, and that is embedded; sRGB by default.
    pub icc_profile: Option<Vec<u8>>,
    /// The EXIF block of the picture that this one is made of, from its byte order mark on. What it says about the
    /// photo is kept; the orientation becomes upright, and the thumbnail is left out.
    pub exif: Option<Vec<u8>>,
    /// A text to embed: in PNG the chunk iTXt with the keyword `pixgrad`, elsewhere the EXIF user comment.
    pub text: Option<String>,
}

impl Default for SaveOptions {
    fn default() -> Self {
        SaveOptions {
            format: None,
            bit_depth: None,
            jpeg_quality: 95,
            background: [1.0; 3],
            icc_profile: None,
            exif: None,
            text: None,
        }
    }
}

impl SaveOptions {
    pub(super) fn depth_of(&self, format: OutputFormat) -> BitDepth {
        match (format, self.bit_depth) {
            (OutputFormat::Jpeg | OutputFormat::WebP, _) => BitDepth::Eight,
            (_, Some(depth)) => depth,
            (OutputFormat::Tiff, None) => BitDepth::Sixteen,
            (OutputFormat::Png, None) => BitDepth::Eight,
        }
    }
}

/// What a file that was written does not hold of the image and of the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "tell the user"]
pub enum SaveWarning {
    /// The image has an alpha channel and JPEG holds none: it was laid over the background.
    Flattened,
    /// The EXIF block is longer than those that JPEG holds.
    NoExif,
    /// The text is longer than those that JPEG holds.
    NoText,
}

impl fmt::Display for SaveWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SaveWarning::Flattened => {
                "JPEG holds no transparency: the picture was laid over the background (white by default)"
            }
            SaveWarning::NoExif => "the EXIF data is too long for JPEG (64 KiB) and was left out",
            SaveWarning::NoText => "the recipe is too long for JPEG (64 KiB) and was left out",
        })
    }
}

/// Whether the path stands for standard output.
pub fn is_stdout(path: impl AsRef<Path>) -> bool {
    STANDARD_OUTPUT
        .iter()
        .any(|name| path.as_ref() == Path::new(name))
}

/// Writes the image, clamped to `[0, 1]` and rounded to the nearest step, with an sRGB colour profile or the one of the
/// options. Alpha is written where the format holds it; JPEG does not: there the image is laid over the background.
/// What the file does not hold is told by the warnings that come back.
///
/// The file appears whole or not at all, see [`write_atomically`]. `-` is standard output.
///
/// # Errors
/// All of [`check_writable`], a side too long for the format, an image whose fields do not agree
/// (see [`Image::check`]), or a write that fails (a full disk, say).
pub fn save(
    path: impl AsRef<Path>,
    image: &Image,
    mut options: SaveOptions,
) -> Result<Vec<SaveWarning>, ImageError> {
    let path = path.as_ref();
    let format = check_target(path, options.format)?;
    image.check()?;
    format.check_size(path, image.width, image.height)?;
    let mut warnings = Vec::new();
    let mut image = Cow::Borrowed(image);
    if format == OutputFormat::Jpeg && image.alpha.is_some() {
        image = Cow::Owned(image.over(options.background));
        warnings.push(SaveWarning::Flattened);
    }
    let extras = Extras {
        exif: exif(&options, format, image.size(), &mut warnings),
        text: options.text.take(),
        profile: match options.icc_profile.take() {
            Some(profile) => {
                let rgb = profile::from_srgb(&image.rgb, &profile);
                let rgb = rgb.ok_or_else(|| ImageError::OutputProfile { path: path.into() })?;
                image.to_mut().rgb = rgb;
                Some(profile)
            }
            None => profile::srgb(),
        },
    };
    let written = if is_stdout(path) {
        let mut file = Cursor::new(Vec::new());
        encode(&mut file, &image, &extras, format, &options)
            .and_then(|()| Ok(write_to_stdout(file.get_ref())?))
    } else {
        write_atomically(path, |file| encode(file, &image, &extras, format, &options))
    };
    written.map_err(|error| match error {
        CodecError::IoError(source) => write_error(path, source),
        source => ImageError::Encode {
            path: path.into(),
            source,
        },
    })?;
    Ok(warnings)
}

/// The bytes of a PNG file of 8 bits per channel with a text.
///
/// # Errors
/// An image whose fields do not agree (see [`Image::check`]).
pub fn png(image: &Image, text: Option<String>) -> Result<Vec<u8>, ImageError> {
    image.check()?;
    let extras = Extras {
        exif: None,
        text,
        profile: profile::srgb(),
    };
    let (mut file, options) = (Cursor::new(Vec::new()), SaveOptions::default());
    let written = encode(&mut file, image, &extras, OutputFormat::Png, &options);
    written.map_err(|source| ImageError::Encode {
        path: "picture.png".into(),
        source,
    })?;
    Ok(file.into_inner())
}

/// The EXIF block of the file, as far as its format holds it.
fn exif(
    options: &SaveOptions,
    format: OutputFormat,
    size: (u32, u32),
    warnings: &mut Vec<SaveWarning>,
) -> Option<Fields> {
    let text = options.text.as_deref();
    let target = Target {
        size,
        is_srgb: options.icc_profile.is_none(),
        // PNG has a chunk for it.
        comment: text.filter(|_| format != OutputFormat::Png),
    };
    let fits = |fields: &Fields| {
        format != OutputFormat::Jpeg || fields.block().is_some_and(|block| block.len() <= JPEG_EXIF)
    };
    let all = Fields::new(options.exif.as_deref(), target)?;
    if fits(&all) {
        return Some(all);
    }
    if options.exif.is_some() {
        warnings.push(SaveWarning::NoExif);
    }
    let text_alone = Fields::new(None, target)?;
    if fits(&text_alone) {
        return Some(text_alone);
    }
    warnings.push(SaveWarning::NoText);
    None
}

fn write_to_stdout(file: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(file)?;
    stdout.flush()
}

/// Checks, before a long run, that [`save`] will be able to write to `path`: the extension is
/// known, the directory exists and takes new files, and the target is neither a directory nor
/// read-only. Leaves nothing behind.
///
/// # Errors
/// Whichever of these fails; the message says what is wrong.
pub fn check_writable(path: impl AsRef<Path>) -> Result<OutputFormat, ImageError> {
    let path = path.as_ref();
    let format = check_target(path, None)?;
    check_directory(path).map_err(|source| write_error(path, source))?;
    Ok(format)
}

/// As [`check_writable`] for a file of any kind: says nothing about the extension.
///
/// # Errors
/// Whichever check fails; the message says what is wrong.
pub fn check_file(path: impl AsRef<Path>) -> Result<(), ImageError> {
    let path = path.as_ref();
    check_place(path)?;
    if is_stdout(path) {
        return Ok(());
    }
    check_directory(path).map_err(|source| write_error(path, source))
}

/// What can be said about a target by looking at it. Without a format the extension says which it is.
fn check_target(path: &Path, format: Option<OutputFormat>) -> Result<OutputFormat, ImageError> {
    if path.is_dir() {
        return Err(ImageError::TargetIsDirectory { path: path.into() });
    }
    let format = match format {
        Some(format) => format,
        None => OutputFormat::from_path(path)?,
    };
    check_place(path)?;
    Ok(format)
}

/// What can be said about a target, whatever its format.
fn check_place(path: &Path) -> Result<(), ImageError> {
    if is_stdout(path) {
        // Nobody wants to see a picture's bytes.
        return if io::stdout().is_terminal() {
            Err(ImageError::Terminal)
        } else {
            Ok(())
        };
    }
    if path.is_dir() {
        return Err(ImageError::TargetIsDirectory { path: path.into() });
    }
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
    Ok(())
}

fn write_error(path: &Path, source: io::Error) -> ImageError {
    ImageError::Write {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{load, load_all, psnr, to_u16};
    use super::*;

    /// A smooth picture with every 16-bit step in it, and alpha if asked.
    fn picture(alpha: bool) -> Image {
        let pixels = 256 * 256;
        let values = (0..3 * pixels).map(|i| match i % 3 {
            0 => (i / 3) as f32 / 65535.0,
            1 => (i / 3 % 256) as f32 / 255.0,
            _ => 0.5,
        });
        let image = Image::new(256, 256, values.collect()).unwrap();
        if alpha {
            let alpha = (0..pixels).map(|i| (i % 256) as f32 / 255.0).collect();
            image.with_alpha(alpha).unwrap()
        } else {
            image
        }
    }

    fn round_trip(name: &str, image: &Image, options: SaveOptions) -> Image {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        let warnings = save(&path, image, options).unwrap();
        let jpeg = name.ends_with("jpg") && image.alpha.is_some();
        assert_eq!(
            warnings,
            Vec::from_iter(jpeg.then_some(SaveWarning::Flattened))
        );
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, 1, "no temporary file stays");
        load(&path).unwrap()
    }

    #[test]
    fn sixteen_bits_come_back_exactly() {
        let deep = SaveOptions {
            bit_depth: Some(BitDepth::Sixteen),
            ..SaveOptions::default()
        };
        for alpha in [false, true] {
            let image = picture(alpha);
            for (name, options) in [("a.png", deep.clone()), ("a.TIF", SaveOptions::default())] {
                let back = round_trip(name, &image, options);
                let steps = |image: &Image| -> Vec<u16> {
                    let alpha = image.alpha.iter().flatten();
                    image.rgb.iter().chain(alpha).map(|v| to_u16(*v)).collect()
                };
                assert!(steps(&back) == steps(&image), "{name}");
            }
        }
    }

    #[test]
    fn eight_bits_come_back_exactly_with_their_alpha() {
        for alpha in [false, true] {
            let image = picture(alpha);
            for name in ["a.png", "a.webp"] {
                let back = round_trip(name, &image, SaveOptions::default());
                assert!(back.to_rgb8() == image.to_rgb8(), "{name}");
                assert_eq!(back.alpha, image.alpha, "{name}");
            }
        }
    }

    #[test]
    fn jpeg_is_fine_and_keeps_full_chroma() {
        let image = picture(true);
        let back = round_trip("a.jpg", &image, SaveOptions::default());
        assert_eq!(back.alpha, None);
        let image = image.over([1.0; 3]);
        // A picture that chroma subsampling would turn grey: red and blue columns.
        let stripes: Vec<u8> = [230, 40, 40, 40, 40, 230].repeat(32 * 64);
        let stripes = Image::from_rgb8(64, 64, &stripes).unwrap();
        let back_stripes = round_trip("b.jpeg", &stripes, SaveOptions::default());
        let image = image.over([1.0; 3]);
        for (image, back) in [(&image, &back), (&stripes, &back_stripes)] {
            let db = psnr(image, back).unwrap();
            assert!(db > 35.0, "{db} dB");
        }
        let rough = SaveOptions {
            jpeg_quality: 20,
            ..SaveOptions::default()
        };
        let worse = psnr(&stripes, &round_trip("c.jpeg", &stripes, rough)).unwrap();
        assert!(worse < psnr(&stripes, &back_stripes).unwrap() - 3.0);
    }

    #[test]
    fn one_pixel_and_values_out_of_range_are_written() {
        let image = Image::new(1, 1, vec![-0.5, 0.5, 1.5]).unwrap();
        for name in ["a.png", "a.webp", "a.tiff"] {
            let back = round_trip(name, &image, SaveOptions::default());
            assert_eq!(back.to_rgb8(), [0, 128, 255], "{name}");
        }
        assert_eq!(
            round_trip("a.jpg", &image, SaveOptions::default()).size(),
            (1, 1)
        );
    }

    #[test]
    fn targets_that_cannot_be_written_say_why() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let message = |path: &Path| {
            let found = check_writable(path).unwrap_err().to_string();
            let image = Image::filled(1, 1, [0.0; 3]).unwrap();
            let saved = save(path, &image, SaveOptions::default()).unwrap_err();
            assert_eq!(found, saved.to_string(), "both ways say the same");
            found
        };
        let extensions = "the extensions known are .png, .jpg, .jpeg, .webp, .tif and .tiff";
        let bmp = message(&at("a.bmp"));
        assert!(bmp.contains("'.bmp'") && bmp.ends_with(extensions), "{bmp}");
        let bare = message(&at("a"));
        assert!(bare.contains("without an extension") && bare.ends_with(extensions));

        let nowhere = message(&at("missing/a.png"));
        let missing = format!("there is no directory '{}'", at("missing").display());
        assert!(nowhere.ends_with(&missing), "{nowhere}");
        fs::create_dir(at("b.png")).unwrap();
        assert!(message(&at("b.png")).contains("it is a directory"));

        fs::write(at("c.png"), b"mine").unwrap();
        let mut permissions = fs::metadata(at("c.png")).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(at("c.png"), permissions).unwrap();
        assert!(message(&at("c.png")).contains("read-only"));
        assert_eq!(fs::read(at("c.png")).unwrap(), b"mine");

        // A directory that takes no file from anybody.
        #[cfg(target_os = "linux")]
        {
            let error = check_writable("/proc/a.png").unwrap_err();
            assert_eq!(error.to_string(), "'/proc/a.png' cannot be written");
            let source = std::error::Error::source(&error).expect("why");
            assert!(source.is::<std::io::Error>(), "{source:?}");
        }

        assert_eq!(check_writable(at("d.webp")).unwrap(), OutputFormat::WebP);
        assert_eq!(check_writable("here.jpg").unwrap(), OutputFormat::Jpeg);
        assert!(!at("d.webp").exists(), "checking writes nothing");
    }

    #[test]
    fn a_jpeg_without_room_for_the_metadata_is_written_without_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jpg");
        let image = Image::filled(2, 2, [0.5; 3]).unwrap();
        let written = |options| {
            (
                save(&path, &image, options).unwrap(),
                load_all(&path).unwrap(),
            )
        };
        let long = "# pixgrad ".repeat(7000);
        let text = |text: &str| SaveOptions {
            text: Some(text.into()),
            ..SaveOptions::default()
        };
        let (warnings, loaded) = written(text(&long));
        assert_eq!((warnings, loaded.exif), (vec![SaveWarning::NoText], None));
        let (warnings, loaded) = written(text(&long[..65000]));
        let exif = loaded.exif.expect("EXIF");
        assert_eq!((warnings, exif.len() > 65000), (vec![], true));
        // The long text is now the EXIF of a photo.
        let comment = [&exif[..], &[0; 600]].concat();
        let foreign = comment.iter().position(|b| *b == b'#').expect("the text");
        let mut foreign_exif = comment.clone();
        foreign_exif[foreign] = b'!';
        let (warnings, loaded) = written(SaveOptions {
            exif: Some(foreign_exif.clone()),
            ..text("short")
        });
        assert_eq!(warnings, []);
        assert!(loaded.exif.expect("the text alone").len() < 200);
    }

    #[test]
    fn the_format_may_be_given() {
        let directory = tempfile::tempdir().unwrap();
        let image = picture(false);
        for (format, start) in [
            (OutputFormat::Png, &b"\x89PNG"[..]),
            (OutputFormat::Jpeg, b"\xff\xd8"),
            (OutputFormat::WebP, b"RIFF"),
            (OutputFormat::Tiff, b"II*\0"),
        ] {
            let path = directory.path().join("a.bmp");
            let options = SaveOptions {
                format: Some(format),
                ..SaveOptions::default()
            };
            save(&path, &image, options).unwrap();
            assert!(
                fs::read(&path).unwrap().starts_with(start),
                "{}",
                format.name()
            );
        }
    }

    #[test]
    fn a_format_too_small_for_the_image_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.webp");
        let image = Image::filled(16384, 1, [0.0; 3]).unwrap();
        let error = save(&path, &image, SaveOptions::default()).unwrap_err();
        assert!(error.to_string().contains("WebP holds at most 16383"));
        assert!(!path.exists());
    }
}
