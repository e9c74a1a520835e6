//! Formats that the crate `image` reads for us: WebP, GIF, BMP, QOI, TGA, PNM and OpenEXR.

use std::error::Error;
use std::io::{self, Cursor, ErrorKind};

use ::image::codecs::bmp::BmpDecoder;
use ::image::codecs::gif::GifDecoder;
use ::image::codecs::pnm::PnmDecoder;
use ::image::codecs::qoi::QoiDecoder;
use ::image::codecs::tga::TgaDecoder;
use ::image::codecs::webp::WebPDecoder;
use ::image::error::ImageError as CodecError;
use ::image::{DynamicImage, ImageDecoder, Limits};

use super::colour::Encoding;
use super::exif;
use super::format::Format;
use super::png::split_alpha;
use super::raster::{Fault, Header, Raster, Space, check_size};

pub fn header(bytes: &[u8], format: Format) -> Result<Header, Fault> {
    Ok(open(bytes, format)?.1)
}

pub fn decode(bytes: &[u8], format: Format) -> Result<Raster, Fault> {
    let (mut decoder, header) = open(bytes, format)?;
    // Broken metadata is no reason to refuse a picture that can be read.
    let icc = decoder.icc_profile().ok().flatten();
    let exif = decoder.exif_metadata().ok().flatten();
    let picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
    let colour = picture.color();
    let (space, samples, alpha) = match (colour.has_color(), colour.has_alpha()) {
        (false, false) => (Space::Grey, grey(&picture), None),
        (true, false) => (Space::Rgb, picture.into_rgb32f().into_raw(), None),
        // Grey with alpha has no float type there; as RGB it is the same.
        (_, true) => {
            let (colours, alpha) = split_alpha(&picture.into_rgba32f().into_raw(), 3);
            (Space::Rgb, colours, Some(alpha))
        }
    };
    Ok(Raster {
        header,
        space,
        samples,
        alpha,
        premultiplied: false,
        encoding: Encoding::of_icc(icc.as_deref()),
        icc,
        exif,
        warnings: Vec::new(),
    })
}

fn grey(picture: &DynamicImage) -> Vec<f32> {
    let values = picture.to_luma16().into_raw();
    values.iter().map(|v| f32::from(*v) / 65535.0).collect()
}

fn open(bytes: &[u8], format: Format) -> Result<(Box<dyn ImageDecoder + '_>, Header), Fault> {
    let file = Cursor::new(bytes);
    let decoder: Result<Box<dyn ImageDecoder + '_>, CodecError> = match format {
        Format::WebP => WebPDecoder::new(file).map(|d| Box::new(d) as _),
        Format::Gif => GifDecoder::new(file).map(|d| Box::new(d) as _),
        Format::Bmp => BmpDecoder::new(file).map(|d| Box::new(d) as _),
        Format::Qoi => QoiDecoder::new(file).map(|d| Box::new(d) as _),
        Format::Tga => TgaDecoder::new(file).map(|d| Box::new(d) as _),
        _ => PnmDecoder::new(file).map(|d| Box::new(d) as _),
    };
    let mut decoder = decoder.map_err(fault)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(super::MAX_DECODER_BYTES);
    decoder.set_limits(limits).map_err(fault)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let header = Header {
        width,
        height,
        orientation: exif::orientation(exif.as_deref()),
    };
    Ok((decoder, header))
}

/// Says in our words what a decoder has to say.
fn fault(error: CodecError) -> Fault {
    let ends_early = |e: &io::Error| e.kind() == ErrorKind::UnexpectedEof;
    match &error {
        CodecError::IoError(e) if ends_early(e) => Fault::Truncated,
        CodecError::Unsupported(e) => Fault::variant(e),
        CodecError::Limits(_) => {
            Fault::damaged("it asks for more memory than the largest image can need")
        }
        _ => {
            // The wrappers of a decoder's error only repeat its format; the innermost says what is wrong.
            let mut inner: &dyn Error = &error;
            while let Some(source) = inner.source() {
                inner = source;
            }
            match inner.downcast_ref::<io::Error>() {
                Some(e) if ends_early(e) => Fault::Truncated,
                _ => Fault::damaged(inner),
            }
        }
    }
}
