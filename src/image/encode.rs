//! The bytes of picture files.

use std::borrow::Cow;
use std::io::{Seek, Write};

use ::exif::Context;
use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::webp::WebPEncoder;
use ::image::error::ImageError as CodecError;
use ::image::{ExtendedColorType, ImageEncoder};
use tiff::encoder::colortype::{ColorType, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind, TiffValue};
use tiff::tags::{Tag, Type};

use super::exif::Fields;
use super::save::{BitDepth, OutputFormat, SaveOptions};
use super::text::KEYWORD;
use super::{Image, to_u8, to_u16};

/// TIFF's "the extra sample is alpha, and the colours are not multiplied by it".
const UNASSOCIATED_ALPHA: u16 = 2;

/// What a file holds besides pixels.
pub struct Extras {
    pub profile: Option<Vec<u8>>,
    pub exif: Option<Fields>,
    /// In formats other than PNG the EXIF fields have it.
    pub text: Option<String>,
}

/// Interleaved values of 8 or 16 bits.
enum Values {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// Writes the image, which has alpha only if the format holds it.
pub fn encode(
    file: &mut (impl Write + Seek),
    image: &Image,
    extras: &Extras,
    format: OutputFormat,
    options: &SaveOptions,
) -> Result<(), CodecError> {
    let values = match options.depth_of(format) {
        BitDepth::Eight => Values::Eight(interleaved(image, to_u8)),
        BitDepth::Sixteen => Values::Sixteen(interleaved(image, to_u16)),
    };
    match format {
        OutputFormat::Png => write_png(file, image, &values, extras)
            .map_err(|error| CodecError::IoError(error.into())),
        // The encoder never subsamples chroma: 4:4:4.
        OutputFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(file, options.jpeg_quality);
            write(encoder, image, &values, extras)
        }
        OutputFormat::WebP => write(WebPEncoder::new_lossless(file), image, &values, extras),
        OutputFormat::Tiff => {
            let has_alpha = image.alpha.is_some();
            let written = match (&values, has_alpha) {
                (Values::Eight(v), false) => write_tiff::<RGB8>(file, image, v, extras),
                (Values::Eight(v), true) => write_tiff::<RGBA8>(file, image, v, extras),
                (Values::Sixteen(v), false) => write_tiff::<RGB16>(file, image, v, extras),
                (Values::Sixteen(v), true) => write_tiff::<RGBA16>(file, image, v, extras),
            };
            written.map_err(|error| match error {
                tiff::TiffError::IoError(error) => CodecError::IoError(error),
                other => CodecError::IoError(std::io::Error::other(other)),
            })
        }
    }
}

/// R, G and B of each pixel, and alpha if there is any.
fn interleaved<T>(image: &Image, to: fn(f32) -> T) -> Vec<T> {
    match &image.alpha {
        Some(alpha) => {
            let pixels = image.rgb.chunks_exact(3).zip(alpha);
            let values = pixels.flat_map(|(p, &a)| [p[0], p[1], p[2], a].map(to));
            values.collect()
        }
        None => image.rgb.iter().copied().map(to).collect(),
    }
}

fn write_png(
    file: impl Write,
    image: &Image,
    values: &Values,
    extras: &Extras,
) -> Result<(), png::EncodingError> {
    let mut info = png::Info::with_size(image.width, image.height);
    info.icc_profile = extras.profile.as_deref().map(Cow::Borrowed);
    info.exif_metadata = extras.exif.as_ref().and_then(Fields::block).map(Cow::Owned);
    let mut encoder = png::Encoder::with_info(file, info)?;
    encoder.set_color(match image.alpha {
        Some(_) => png::ColorType::Rgba,
        None => png::ColorType::Rgb,
    });
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Adaptive);
    if let Some(text) = &extras.text {
        encoder.add_itxt_chunk(KEYWORD.to_string(), text.clone())?;
    }
    match values {
        Values::Eight(values) => encoder.write_header()?.write_image_data(values),
        Values::Sixteen(values) => {
            encoder.set_depth(png::BitDepth::Sixteen);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_be_bytes())
                .collect();
            encoder.write_header()?.write_image_data(&bytes)
        }
    }
}

fn write(
    mut encoder: impl ImageEncoder,
    image: &Image,
    values: &Values,
    extras: &Extras,
) -> Result<(), CodecError> {
    if let Some(profile) = &extras.profile {
        encoder
            .set_icc_profile(profile.clone())
            .map_err(CodecError::Unsupported)?;
    }
    if let Some(block) = extras.exif.as_ref().and_then(Fields::block) {
        encoder
            .set_exif_metadata(block)
            .map_err(CodecError::Unsupported)?;
    }
    let has_alpha = image.alpha.is_some();
    let (bytes, colour): (&[u8], _) = match (values, has_alpha) {
        (Values::Eight(values), false) => (values, ExtendedColorType::Rgb8),
        (Values::Eight(values), true) => (values, ExtendedColorType::Rgba8),
        (Values::Sixteen(values), false) => {
            (bytemuck::cast_slice(values), ExtendedColorType::Rgb16)
        }
        (Values::Sixteen(values), true) => {
            (bytemuck::cast_slice(values), ExtendedColorType::Rgba16)
        }
    };
    encoder.write_image(bytes, image.width, image.height, colour)
}

fn write_tiff<C: ColorType>(
    file: &mut (impl Write + Seek),
    image: &Image,
    values: &[C::Inner],
    extras: &Extras,
) -> Result<(), tiff::TiffError>
where
    [C::Inner]: TiffValue,
{
    let mut tiff = TiffEncoder::new(file)?;
    // EXIF and GPS have directories of their own, which the picture's own points to.
    let mut pointers = Vec::new();
    for (context, pointer) in [
        (Context::Exif, Tag::ExifDirectory),
        (Context::Gps, Tag::GpsDirectory),
    ] {
        if let Some(exif) = extras
            .exif
            .as_ref()
            .filter(|exif| exif.of(context).next().is_some())
        {
            let mut directory = tiff.extra_directory()?;
            write_fields(&mut directory, exif, context)?;
            pointers.push((pointer, directory.finish_with_offsets()?.offset));
        }
    }
    let mut picture = tiff.new_image::<C>(image.width, image.height)?;
    let tags = picture.encoder();
    if let Some(exif) = &extras.exif {
        write_fields(tags, exif, Context::Tiff)?;
    }
    for (tag, offset) in pointers {
        tags.write_tag(tag, offset)?;
    }
    if image.alpha.is_some() {
        tags.write_tag(Tag::ExtraSamples, &[UNASSOCIATED_ALPHA][..])?;
    }
    if let Some(profile) = &extras.profile {
        tags.write_tag(Tag::IccProfile, &profile[..])?;
    }
    picture.write_data(values)
}

/// Writes the EXIF fields that belong into a directory.
fn write_fields<K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, impl Write + Seek, K>,
    exif: &Fields,
    context: Context,
) -> Result<(), tiff::TiffError> {
    let mut entries = Vec::new();
    for (tag, kind, bytes) in exif.of(context) {
        if let Some(kind) = Type::from_u16(kind).filter(|_| !bytes.is_empty()) {
            entries.push((
                Tag::from_u16_exhaustive(tag),
                directory.write_entry_bytes(kind, &bytes)?,
            ));
        }
    }
    let mut all = tiff::Directory::empty();
    all.extend(entries);
    directory.extend_from(&all);
    Ok(())
}
