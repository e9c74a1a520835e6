//! JPEG files. The pixels are decoded by libjpeg-turbo's code (MozJPEG's copy of it), which every other decoder is
//! measured by; where no C library can be linked, by a decoder in Rust that reads fewer kinds of files.

#[cfg(not(target_arch = "wasm32"))]
mod library;
#[cfg(any(target_arch = "wasm32", test))]
mod portable;
mod segments;

use super::colour::Encoding;
use super::exif;
use super::raster::{Fault, Header, Meaning, Raster, Samples, Space, check_size, plain_meaning};
use segments::{Segments, is_progressive};

#[cfg(not(target_arch = "wasm32"))]
use library as decoder;
#[cfg(target_arch = "wasm32")]
use portable as decoder;

/// The values of a JPEG stream.
#[derive(Debug)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    /// 1 (grey), 3 (RGB) or 4 (CMYK as stored).
    pub channels: usize,
    /// `[height][width][channels]`.
    pub values: Vec<u8>,
    /// Whether the stream lacks its end marker.
    pub no_end: bool,
    /// Bytes were found that belong to nothing.
    pub stray_bytes: bool,
}

pub fn header(bytes: &[u8]) -> Result<Header, Fault> {
    header_of(&Segments::of(bytes)?)
}

fn header_of(segments: &Segments) -> Result<Header, Fault> {
    if let Some(what) = segments.unsupported() {
        return Err(Fault::Variant(what));
    }
    check_size(segments.width, segments.height)?;
    Ok(Header {
        width: segments.width,
        height: segments.height,
        orientation: exif::orientation(segments.exif.as_deref()),
        // All coefficients of a progressive file are kept until its last scan.
        bytes_per_pixel: segments.components.len() as u64
            * if is_progressive(segments.frame) { 3 } else { 1 },
    })
}

pub fn decode(bytes: &[u8]) -> Result<Raster, Fault> {
    let segments = Segments::of(bytes)?;
    let header = header_of(&segments)?;
    let pixels = pixels(bytes, &segments)?;
    let mut warnings = Vec::new();
    if pixels.no_end {
        warnings.push("has no end marker; all pixels are there".into());
    }
    if pixels.stray_bytes {
        warnings.push("holds bytes that belong to no part of it; they were skipped".into());
    }
    if !segments.refined {
        warnings.push("is a progressive JPEG without its last details".into());
    }
    let icc = match segments.icc {
        Some(Ok(profile)) => Some(profile),
        Some(Err(reason)) => {
            warnings.push(format!("{reason}; its colours are taken for sRGB"));
            None
        }
        None => None,
    };
    let (space, meaning) = match pixels.channels {
        1 => (Space::Grey, plain_meaning(Space::Grey, false)),
        3 => (Space::Rgb, plain_meaning(Space::Rgb, false)),
        // Adobe's programs store 255 for no ink, and all others follow them.
        _ => {
            let inks = |mut all: Vec<f32>| {
                all.iter_mut().for_each(|v| *v = 1.0 - *v);
                Ok((all, None))
            };
            (Space::Cmyk, Box::new(inks) as Meaning)
        }
    };
    Ok(Raster {
        header,
        space,
        samples: Samples::U8(pixels.values),
        per_pixel: pixels.channels,
        meaning,
        premultiplied: false,
        encoding: Encoding::of_icc(icc.as_deref()),
        icc,
        exif: segments.exif,
        warnings,
    })
}

/// Decodes a stream that is part of another file. `transform` says whether three components are YCbCr, four YCCK: what
/// Adobe's marker says in a file of its own.
pub fn decode_stream(
    stream: &[u8],
    tables: Option<&[u8]>,
    transform: bool,
) -> Result<Pixels, Fault> {
    // Tables are a stream without a picture: between its start and its end marker.
    let tables = tables.map_or(&[][..], |t| t.strip_prefix(&[0xFF, 0xD8]).unwrap_or(t));
    let tables = tables.strip_suffix(&[0xFF, 0xD9]).unwrap_or(tables);
    let adobe = [
        0xFF,
        0xEE,
        0,
        14,
        b'A',
        b'd',
        b'o',
        b'b',
        b'e',
        0,
        100,
        0,
        0,
        0,
        0,
        u8::from(transform),
    ];
    let body = stream.strip_prefix(&[0xFF, 0xD8]).unwrap_or(stream);
    let whole = [&[0xFF, 0xD8], &adobe[..], tables, body].concat();
    let segments = Segments::of(&whole)?;
    header_of(&segments)?;
    pixels(&whole, &segments)
}

fn pixels(bytes: &[u8], segments: &Segments) -> Result<Pixels, Fault> {
    // Only an end marker may be missing. A decoder would fill in what else is.
    if !segments.complete || !(segments.has_end || segments.refined) {
        return Err(Fault::Truncated);
    }
    let pixels = decoder::decode(&bytes[..segments.length], segments)?;
    if (pixels.width, pixels.height) != (segments.width, segments.height) {
        return Err(Fault::damaged("it tells two sizes"));
    }
    Ok(Pixels {
        no_end: !segments.has_end,
        ..pixels
    })
}

/// What the decoder in Rust makes of a file.
#[cfg(test)]
pub fn portable_decode(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let pixels = portable::decode(bytes, &Segments::of(bytes)?)?;
    Ok(pixels.values)
}
