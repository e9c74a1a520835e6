//! The bytes of picture files.

use std::io::{Seek, Write};

use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::png::{CompressionType, FilterType, PngEncoder};
use ::image::codecs::webp::WebPEncoder;
use ::image::error::ImageError as CodecError;
use ::image::{ExtendedColorType, ImageEncoder};
use tiff::encoder::colortype::{ColorType, RGB8, RGB16, RGBA8, RGBA16};
use tiff::encoder::{TiffEncoder, TiffValue};
use tiff::tags::Tag;

use super::save::{BitDepth, OutputFormat, SaveOptions};
use super::{Image, to_u8, to_u16};

/// TIFF's "the extra sample is alpha, and the colours are not multiplied by it".
const UNASSOCIATED_ALPHA: u16 = 2;

/// Interleaved values of 8 or 16 bits.
enum Values {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
}

/// Writes the image, which has alpha only if the format holds it.
pub fn encode(
    file: &mut (impl Write + Seek),
    image: &Image,
    profile: Option<Vec<u8>>,
    format: OutputFormat,
    options: &SaveOptions,
) -> Result<(), CodecError> {
    let values = match options.depth_of(format) {
        BitDepth::Eight => Values::Eight(interleaved(image, to_u8)),
        BitDepth::Sixteen => Values::Sixteen(interleaved(image, to_u16)),
    };
    let exif = options.exif.clone();
    match format {
        OutputFormat::Png => {
            let (pace, filter) = (CompressionType::Default, FilterType::Adaptive);
            let encoder = PngEncoder::new_with_quality(file, pace, filter);
            write(encoder, image, &values, profile, exif)
        }
        // The encoder never subsamples chroma: 4:4:4.
        OutputFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(file, options.jpeg_quality);
            write(encoder, image, &values, profile, exif)
        }
        OutputFormat::WebP => write(
            WebPEncoder::new_lossless(file),
            image,
            &values,
            profile,
            exif,
        ),
        OutputFormat::Tiff => {
            let has_alpha = image.alpha.is_some();
            match (&values, has_alpha) {
                (Values::Eight(v), false) => write_tiff::<RGB8>(file, image, v, profile),
                (Values::Eight(v), true) => write_tiff::<RGBA8>(file, image, v, profile),
                (Values::Sixteen(v), false) => write_tiff::<RGB16>(file, image, v, profile),
                (Values::Sixteen(v), true) => write_tiff::<RGBA16>(file, image, v, profile),
            }
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

fn write(
    mut encoder: impl ImageEncoder,
    image: &Image,
    values: &Values,
    profile: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
) -> Result<(), CodecError> {
    if let Some(profile) = profile {
        encoder
            .set_icc_profile(profile)
            .map_err(CodecError::Unsupported)?;
    }
    if let Some(exif) = exif {
        encoder
            .set_exif_metadata(exif)
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
    profile: Option<Vec<u8>>,
) -> Result<(), CodecError>
where
    [C::Inner]: TiffValue,
{
    let written = || -> Result<(), tiff::TiffError> {
        let mut tiff = TiffEncoder::new(file)?;
        let mut picture = tiff.new_image::<C>(image.width, image.height)?;
        let tags = picture.encoder();
        if image.alpha.is_some() {
            tags.write_tag(Tag::ExtraSamples, &[UNASSOCIATED_ALPHA][..])?;
        }
        if let Some(profile) = &profile {
            tags.write_tag(Tag::IccProfile, &profile[..])?;
        }
        picture.write_data(values)
    };
    written().map_err(|error| match error {
        tiff::TiffError::IoError(error) => CodecError::IoError(error),
        other => CodecError::IoError(std::io::Error::other(other)),
    })
}
