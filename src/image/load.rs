//! Reading image files.

use std::io::{Cursor, ErrorKind};
use std::path::Path;
use std::{fs, io};

use ::image::error::{ImageError as CodecError, ImageFormatHint};
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

use super::{Image, ImageError, MAX_PIXELS};

/// What a decoder may allocate: room for the largest image in its widest type (16-bit RGBA), and
/// as much again to work in.
const MAX_DECODER_BYTES: u64 = MAX_PIXELS * 16;

/// Reads a JPEG, PNG, WebP or TIFF file of 8 or 16 bits per channel: grey, palette or RGB, with or
/// without alpha. The format is told by the content, never by the extension.
///
/// - Grey becomes three equal channels. Alpha is kept, fully opaque or not.
/// - The EXIF (in TIFF: the file's own) orientation is applied, all eight values.
/// - An embedded RGB colour profile other than sRGB is converted to sRGB (relative to what the
///   profile's rendering intent says, to 14 bits). Grey and CMYK profiles, PNG gamma and unreadable
///   profiles are ignored; CMYK is converted by the plain formula.
/// - The first frame of an animation is taken. Float TIFF values are taken as they are, in [0, 1].
///
/// # Errors
/// Always names the file: missing, a directory, empty, unreadable, not an image, a format not
/// read, truncated or damaged, or more than [`MAX_PIXELS`] pixels.
pub fn load(path: impl AsRef<Path>) -> Result<Image, ImageError> {
    let path = path.as_ref();
    let bytes = read(path)?;
    let format = format_of(path, &bytes)?;
    if format == ImageFormat::Jpeg && !has_end_of_image(&bytes) {
        return Err(ImageError::Truncated { path: path.into() });
    }
    decode(path, &bytes, format)
}

fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    let failed = |source| read_error(path, source);
    // Asked first: reading a directory gives a different error on every system.
    if fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(ImageError::IsDirectory { path: path.into() });
    }
    let bytes = fs::read(path).map_err(failed)?;
    if bytes.is_empty() {
        return Err(ImageError::EmptyFile { path: path.into() });
    }
    Ok(bytes)
}

fn read_error(path: &Path, source: io::Error) -> ImageError {
    let path = path.to_path_buf();
    match source.kind() {
        ErrorKind::NotFound => ImageError::NotFound { path },
        ErrorKind::PermissionDenied => ImageError::ReadDenied { path },
        _ => ImageError::Read { path, source },
    }
}

fn format_of(path: &Path, bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    use ImageFormat::{Jpeg, Png, Tiff, WebP};
    match ::image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | Tiff | WebP)) => Ok(format),
        Ok(other) => Err(ImageError::Unsupported {
            path: path.into(),
            what: format!("a file in {other:?} format"),
        }),
        Err(_) => Err(ImageError::NotAnImage { path: path.into() }),
    }
}

/// Whether a JPEG file reaches its end-of-image marker (ITU-T T.81, B.1.1). The decoder fills what
/// is missing of a truncated picture with grey and reports success, so this is asked first.
///
/// The search steps over marker segments, for a thumbnail inside one has an end marker of its own.
fn has_end_of_image(jpeg: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[prefix, marker]) = jpeg.get(at..at + 2) {
        match (prefix, marker) {
            (0xFF, 0xD9) => return true,
            // A fill byte: the second 0xFF may itself be the prefix of a marker.
            (0xFF, 0xFF) => at += 1,
            // A stuffed zero in coded data, and the markers that stand alone.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => match jpeg.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
            // Coded data.
            _ => at += 1,
        }
    }
    false
}

fn decode(path: &Path, bytes: &[u8], format: ImageFormat) -> Result<Image, ImageError> {
    let failed = |error| decode_error(path, error);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;

    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImageError::FileTooLarge {
            path: path.into(),
            width,
            height,
        });
    }
    // Broken metadata is no reason to refuse a picture that can be read.
    let orientation = decoder.orientation().ok();
    let profile = decoder.icc_profile().ok().flatten();

    let mut picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    let has_colour = picture.color().has_color();
    let image = to_image(picture).map_err(|error| ImageError::Damaged {
        path: path.into(),
        reason: error.to_string(),
    })?;
    Ok(match profile {
        Some(profile) if has_colour => to_srgb(image, &profile),
        _ => image,
    })
}

fn to_image(picture: DynamicImage) -> Result<Image, ImageError> {
    let (width, height) = (picture.width(), picture.height());
    let image = if picture.color().has_alpha() {
        let rgba = picture.into_rgba32f().into_raw();
        let alpha = rgba.iter().skip(3).step_by(4).copied().collect();
        let rgb = rgba.chunks_exact(4).flat_map(|p| &p[..3]).copied();
        Image::new(width, height, rgb.collect())?.with_alpha(alpha)?
    } else {
        Image::new(width, height, picture.into_rgb32f().into_raw())?
    };
    // Only a float file can hold values outside [0, 1].
    Ok(image.clamp())
}

/// The image, whose RGB values are those of an ICC `profile`, in sRGB.
fn to_srgb(mut image: Image, profile: &[u8]) -> Image {
    let options = TransformOptions {
        prefer_fixed_point: false,
        ..TransformOptions::default()
    };
    let transform = match ColorProfile::new_from_slice(profile) {
        Ok(profile) if profile.color_space == DataColorSpace::Rgb => {
            let srgb = ColorProfile::new_srgb();
            profile.create_transform_f32(Layout::Rgb, &srgb, Layout::Rgb, options)
        }
        _ => return image,
    };
    let Ok(transform) = transform else {
        return image;
    };
    // The many profiles that say sRGB each their own way must leave the file's values exactly as
    // they are: a profile that moves no colour by half an 8-bit step is one of them.
    let level = |i: usize| (i % 9) as f32 / 8.0;
    let probe: Vec<f32> = (0..9 * 9 * 9)
        .flat_map(|i| [level(i), level(i / 9), level(i / 81)])
        .collect();
    let mut converted = vec![0.0; probe.len()];
    if transform.transform(&probe, &mut converted).is_err() {
        return image;
    }
    let moved = |(a, b): (&f32, &f32)| (a - b).abs() > 0.5 / 255.0;
    if !probe.iter().zip(&converted).any(moved) {
        return image;
    }
    let mut rgb = vec![0.0; image.rgb.len()];
    if transform.transform(&image.rgb, &mut rgb).is_ok() {
        image.rgb = rgb;
    }
    image.clamp()
}

/// Says in our words what a decoder has to say.
fn decode_error(path: &Path, error: CodecError) -> ImageError {
    let path = path.to_path_buf();
    let ends_early = |e: &io::Error| e.kind() == ErrorKind::UnexpectedEof;
    match &error {
        CodecError::IoError(e) if ends_early(e) => ImageError::Truncated { path },
        CodecError::Unsupported(e) => ImageError::Unsupported {
            path,
            what: match e.format_hint() {
                ImageFormatHint::Exact(format) => format!("a variant of {format:?} ({e})"),
                _ => e.to_string(),
            },
        },
        CodecError::Limits(_) => ImageError::Damaged {
            path,
            reason: "it asks for more memory than the largest image can need".into(),
        },
        _ => {
            // The wrappers of a decoder's error only repeat its format; the innermost says what
            // is wrong.
            let mut inner: &dyn std::error::Error = &error;
            while let Some(source) = inner.source() {
                inner = source;
            }
            match inner.downcast_ref::<io::Error>() {
                Some(e) if ends_early(e) => ImageError::Truncated { path },
                _ => ImageError::Damaged {
                    path,
                    reason: inner.to_string(),
                },
            }
        }
    }
}
