//! A decoder in Rust, for targets without a C library. It reads what cameras and browsers write. Kinds that it is known
//! to decode wrongly are refused.

use std::io::Cursor;

use ::image::ImageDecoder;
use ::image::codecs::jpeg::JpegDecoder;

use super::segments::{Segments, is_progressive};
use super::{Fault, Pixels};

pub fn decode(bytes: &[u8], segments: &Segments) -> Result<Pixels, Fault> {
    if let Some(what) = refused(segments) {
        return Err(Fault::Variant(what.into()));
    }
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(Fault::damaged)?;
    let (width, height) = decoder.dimensions();
    let channels = usize::from(decoder.color_type().channel_count());
    let mut values = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut values).map_err(Fault::damaged)?;
    Ok(Pixels {
        width,
        height,
        channels,
        values,
        no_end: false,
        stray_bytes: false,
    })
}

fn refused(segments: &Segments) -> Option<&'static str> {
    let parts = &segments.components;
    if segments.frame > 0xC2 {
        return Some("arithmetic coding");
    }
    if parts.len() > 3 {
        return Some("CMYK");
    }
    let plain = |c: &super::segments::Component| c.sampling == (1, 1);
    let [first, rest @ ..] = &parts[..] else {
        return Some("no components");
    };
    let powers = [1, 2, 4];
    let (across, down) = first.sampling;
    if !rest.iter().all(plain) || !powers.contains(&across) || !powers.contains(&down) {
        return Some("unusual sampling factors");
    }
    let separate = segments.scans.iter().any(|count| *count != parts.len());
    if separate && !is_progressive(segments.frame) && first.sampling != (1, 1) {
        return Some("one scan per component");
    }
    if across * down > 8 {
        return Some("unusual sampling factors");
    }
    None
}
