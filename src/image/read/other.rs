//! Formats that the crate `image` reads for us: WebP, GIF, BMP, QOI, TGA and PNM.

use std::borrow::Cow;
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

use super::budget;
use super::colour::Encoding;
use super::exif;
use super::format::Format;
use super::raster::{Fault, Header, Raster, Samples, Space, check_size, plain_meaning};

pub fn header(bytes: &[u8], format: Format) -> Result<Header, Fault> {
    Ok(open(bytes, format)?.1)
}

pub fn decode(bytes: &[u8], format: Format) -> Result<Raster, Fault> {
    let (bytes, warnings) = match end_of(bytes, format) {
        Some(end) => {
            let warning = format!("has no {}; all pixels are there", end.name);
            (Cow::Owned([bytes, end.bytes].concat()), vec![warning])
        }
        None => (Cow::Borrowed(bytes), Vec::new()),
    };
    // The decoder takes what is missing of the coded pixels for zeros.
    if format == Format::WebP && webp_is_cut(&bytes) {
        return Err(Fault::Truncated);
    }
    let (mut decoder, header) = open(&bytes, format)?;
    // Broken metadata is no reason to refuse a picture that can be read.
    let icc = decoder.icc_profile().ok().flatten();
    let exif = decoder.exif_metadata().ok().flatten();
    let picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
    // Every GIF comes with alpha, whether it has a transparent colour or not.
    let picture = match picture {
        DynamicImage::ImageRgba8(rgba)
            if format == Format::Gif && rgba.pixels().all(|p| p.0[3] == 255) =>
        {
            DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(rgba).into_rgb8())
        }
        other => other,
    };
    let (space, has_alpha, samples) = match picture {
        DynamicImage::ImageLuma8(p) => (Space::Grey, false, Samples::U8(p.into_raw())),
        DynamicImage::ImageLumaA8(p) => (Space::Grey, true, Samples::U8(p.into_raw())),
        DynamicImage::ImageRgb8(p) => (Space::Rgb, false, Samples::U8(p.into_raw())),
        DynamicImage::ImageRgba8(p) => (Space::Rgb, true, Samples::U8(p.into_raw())),
        DynamicImage::ImageLuma16(p) => (Space::Grey, false, Samples::U16(p.into_raw())),
        DynamicImage::ImageLumaA16(p) => (Space::Grey, true, Samples::U16(p.into_raw())),
        DynamicImage::ImageRgb16(p) => (Space::Rgb, false, Samples::U16(p.into_raw())),
        DynamicImage::ImageRgba16(p) => (Space::Rgb, true, Samples::U16(p.into_raw())),
        DynamicImage::ImageRgb32F(p) => (Space::Rgb, false, Samples::F32(p.into_raw())),
        other => {
            let p = other.into_rgba32f();
            (Space::Rgb, true, Samples::F32(p.into_raw()))
        }
    };
    Ok(Raster {
        header,
        space,
        samples,
        per_pixel: space.channels() + usize::from(has_alpha),
        meaning: plain_meaning(space, has_alpha),
        premultiplied: false,
        encoding: Encoding::of_icc(icc.as_deref()),
        icc,
        exif,
        warnings,
    })
}

/// What ends a file of a format.
struct End {
    name: &'static str,
    bytes: &'static [u8],
}

/// The end that a file lacks. Whether all pixels are there is for the decoder to say.
fn end_of(bytes: &[u8], format: Format) -> Option<End> {
    let end = match format {
        Format::Qoi => End {
            name: "end marker",
            bytes: &[0, 0, 0, 0, 0, 0, 0, 1],
        },
        Format::Gif => End {
            name: "trailer",
            bytes: &[0x3B],
        },
        _ => return None,
    };
    let has_it = match format {
        Format::Gif => gif_has_trailer(bytes).unwrap_or(false),
        _ => bytes.ends_with(end.bytes),
    };
    (!has_it).then_some(end)
}

/// Whether the blocks of a GIF file (GIF89a, appendix B) end with its trailer. `None` if they end in the middle.
fn gif_has_trailer(bytes: &[u8]) -> Option<bool> {
    // A table of 2^(n + 1) colours, where the flags say that there is one.
    let table = |flags: u8| {
        if flags & 0x80 == 0 {
            0
        } else {
            3 << ((flags & 7) + 1)
        }
    };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            0x3B => return Some(true),
            // An extension: its label.
            0x21 => at += 2,
            // A picture: its place, its own table, and the size of its codes.
            0x2C => at += 11 + table(*bytes.get(at + 9)?),
            _ => return Some(false),
        }
        // Parts of up to 255 bytes, the last of none.
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// Whether the file ends within the chunks that hold its picture, or the first one of an animation.
fn webp_is_cut(bytes: &[u8]) -> bool {
    let mut at = 12;
    while let Some(&[a, b, c, d, ref size @ ..]) = bytes.get(at..at + 8) {
        let size = size.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b));
        let end = at + 8 + size;
        match &[a, b, c, d] {
            b"VP8 " | b"VP8L" | b"ANMF" => return end > bytes.len(),
            b"ALPH" if end > bytes.len() => return true,
            _ => at = end + size % 2,
        }
    }
    false
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
    limits.max_alloc = Some(budget::limit());
    decoder.set_limits(limits).map_err(fault)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let header = Header {
        width,
        height,
        orientation: exif::orientation(exif.as_deref()),
        bytes_per_pixel: u64::from(decoder.color_type().bytes_per_pixel()),
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
