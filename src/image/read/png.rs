//! PNG files.

use std::borrow::Cow;
use std::io::{Cursor, ErrorKind};

use moxcms::{
    Chromaticity, CicpColorPrimaries, CicpProfile, ColorPrimaries, ColorProfile,
    MatrixCoefficients, TransferCharacteristics,
};
use png::{BitDepth, ColorType, Decoder, DecodingError, Info, Limits, Transformations};

use super::colour::{Encoding, with_curve};
use super::exif;
use super::raster::{Fault, Header, Meaning, Raster, Samples, Space, check_size, plain_meaning};

/// The gAMA value that files of sRGB have.
const SRGB_GAMMA: f32 = 0.454_55;

/// Bytes that chunks of other things than pixels, such as a profile, may take when they are unpacked.
const MOST_OF_CHUNKS: usize = 64 << 20;

/// The file signature and the chunk that ends a file.
const SIGNATURE: usize = 8;
const IEND: [u8; 12] = *b"\0\0\0\0IEND\xaeB`\x82";

pub fn header(bytes: &[u8]) -> Result<Header, Fault> {
    let mut decoder = Decoder::new(Cursor::new(bytes));
    let info = decoder.read_header_info().map_err(fault)?;
    check_size(info.width, info.height)?;
    let exif = chunks(bytes).find(|chunk| chunk.kind == *b"eXIf");
    // As the decoder expands it: palettes to RGB, transparent colours to alpha.
    let transparent = info.trns.is_some() || chunks(bytes).any(|chunk| chunk.kind == *b"tRNS");
    let channels = match info.color_type {
        ColorType::Indexed => 3,
        other => other.samples() as u64,
    } + u64::from(transparent);
    let bytes_per_pixel = channels
        * if info.bit_depth == BitDepth::Sixteen {
            2
        } else {
            1
        };
    Ok(Header {
        bytes_per_pixel,
        width: info.width,
        height: info.height,
        orientation: exif::orientation(exif.map(|chunk| chunk.data)),
    })
}

pub fn decode(bytes: &[u8]) -> Result<Raster, Fault> {
    let header = header(bytes)?;
    let mut warnings = Vec::new();
    let mut whole = with_end(bytes);
    let is_cut = matches!(whole, Cow::Owned(_));
    let bad_points = bad_code_points(bytes);
    if let Some((start, end, _)) = bad_points {
        whole.to_mut().drain(start..end);
    }
    // What the decoder says of a file that was given an end does not say what is wrong with it.
    let fault = |error| {
        if is_cut {
            Fault::Truncated
        } else {
            fault(error)
        }
    };

    let limits = Limits {
        bytes: MOST_OF_CHUNKS,
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(&whole[..]), limits);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(fault)?;
    let size = reader.output_buffer_size();
    let size = size.ok_or_else(|| Fault::damaged("it asks for more memory than there is"))?;
    let mut values = vec![0; size];
    let frame = reader.next_frame(&mut values).map_err(fault)?;
    values.truncate(frame.buffer_size());
    if is_cut {
        warnings.push("has no end marker (IEND); all pixels are there".into());
    }

    let (space, has_alpha) = match frame.color_type {
        ColorType::Grayscale => (Space::Grey, false),
        ColorType::GrayscaleAlpha => (Space::Grey, true),
        // The decoder expands palettes.
        ColorType::Rgb | ColorType::Indexed => (Space::Rgb, false),
        ColorType::Rgba => (Space::Rgb, true),
    };
    let samples = match frame.bit_depth {
        BitDepth::Sixteen => Samples::U16Bytes(values),
        _ => Samples::U8(values),
    };
    let find = |kind: &[u8; 4]| chunks(bytes).find(|chunk| chunk.kind == *kind);
    let info = reader.info();
    let icc = info.icc_profile.as_deref().map(<[u8]>::to_vec);
    if icc.is_none() && find(b"iCCP").is_some() {
        warnings.push("has an ICC profile that cannot be unpacked".into());
    }
    let (mut encoding, narrow) = encoding(info);
    if let Some((_, _, why)) = bad_points {
        encoding = Encoding::Unusable(why.into());
    }
    Ok(Raster {
        header,
        space,
        samples,
        per_pixel: space.channels() + usize::from(has_alpha),
        meaning: meaning(space, has_alpha, narrow),
        premultiplied: false,
        encoding,
        icc,
        exif: find(b"eXIf").map(|chunk| chunk.data.to_vec()),
        warnings,
    })
}

struct Chunk<'a> {
    kind: [u8; 4],
    /// Without the checksum; of a chunk that is cut, what is there.
    data: &'a [u8],
    /// Where the chunk begins.
    start: usize,
    is_whole: bool,
}

fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = SIGNATURE;
    std::iter::from_fn(move || {
        let start = at;
        let head = bytes.get(start..start + 8)?;
        let (length, kind) = head.split_at(4);
        let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
        at = start.checked_add(length)?.checked_add(12)?;
        let end = (start + 8 + length).min(bytes.len());
        Some(Chunk {
            kind: kind.try_into().ok()?,
            data: &bytes[start + 8..end],
            start,
            is_whole: at <= bytes.len(),
        })
    })
}

/// The file with an end chunk. A chunk of pixels that is cut short is closed behind what is there of it: all that
/// matters may be there.
fn with_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut end = SIGNATURE.min(bytes.len());
    let mut cut = None;
    for chunk in chunks(bytes) {
        match (chunk.is_whole, &chunk.kind) {
            (true, b"IEND") => return Cow::Borrowed(bytes),
            (true, _) => end = chunk.start + 12 + chunk.data.len(),
            (false, b"IDAT") => cut = Some(chunk.data),
            (false, _) => {}
        }
    }
    let mut whole = bytes[..end].to_vec();
    if let Some(data) = cut {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(b"IDAT");
        checksum.update(data);
        whole.extend((data.len() as u32).to_be_bytes());
        whole.extend(b"IDAT");
        whole.extend(data);
        whole.extend(checksum.finalize().to_be_bytes());
    }
    whole.extend(IEND);
    Cow::Owned(whole)
}

/// Colour code points (cICP) that the decoder would refuse the whole file for: from where to where they stand, and what
/// is wrong with them.
fn bad_code_points(bytes: &[u8]) -> Option<(usize, usize, &'static str)> {
    let chunk = chunks(bytes).find(|chunk| chunk.kind == *b"cICP" && chunk.is_whole)?;
    let why = match chunk.data {
        [_, _, 0, 0 | 1] => return None,
        [_, _, _, 0 | 1] => "colour code points (cICP) that are not RGB",
        _ => "colour code points (cICP) that make no sense",
    };
    Some((chunk.start, chunk.start + 12 + chunk.data.len(), why))
}

/// What the samples mean. Colours of a narrow range, as video has them, are spread.
fn meaning(space: Space, has_alpha: bool, narrow: bool) -> Meaning {
    let plain = plain_meaning(space, has_alpha);
    if !narrow {
        return plain;
    }
    Box::new(move |all| {
        let (mut colours, alpha) = plain(all)?;
        let spread = |v: &mut f32| *v = (*v * 255.0 - 16.0) / 219.0;
        colours.iter_mut().for_each(spread);
        Ok((colours, alpha))
    })
}

/// What the chunks say of the colours, the strongest first (PNG, third edition, 4.3), and whether they are of a narrow
/// range.
fn encoding(info: &Info<'_>) -> (Encoding, bool) {
    if let Some(points) = &info.coding_independent_code_points {
        return (of_code_points(points), !points.is_video_full_range_image);
    }
    let encoding = if info.icc_profile.is_some() {
        Encoding::of_icc(info.icc_profile.as_deref())
    } else if info.srgb.is_some() {
        Encoding::Srgb
    } else {
        of_gamma(info)
    };
    (encoding, false)
}

/// ITU-T H.273 code points.
fn of_code_points(points: &png::CodingIndependentCodePoints) -> Encoding {
    let unusable = |what: &str| {
        Encoding::Unusable(format!(
            "the colour code points (cICP) {} {} {}, {what}",
            points.color_primaries, points.transfer_function, points.matrix_coefficients
        ))
    };
    let (Ok(color_primaries), Ok(transfer_characteristics)) = (
        CicpColorPrimaries::try_from(points.color_primaries),
        TransferCharacteristics::try_from(points.transfer_function),
    ) else {
        return unusable("which nobody defined");
    };
    match transfer_characteristics {
        TransferCharacteristics::Smpte2084 | TransferCharacteristics::Hlg => {
            return unusable("a picture of high dynamic range");
        }
        _ => {}
    }
    let mut profile = ColorProfile::new_srgb();
    profile.cicp = None;
    // What it returns says nothing (moxcms 0.8); that it set the code points does.
    let _ = profile.update_rgb_colorimetry_from_cicp(CicpProfile {
        color_primaries,
        transfer_characteristics,
        matrix_coefficients: MatrixCoefficients::Identity,
        full_range: true,
    });
    if profile.cicp.is_some() {
        Encoding::Profile(Box::new(profile))
    } else {
        unusable("which are not supported")
    }
}

/// gAMA and cHRM; each may stand alone, and is sRGB's where it is missing.
fn of_gamma(info: &Info<'_>) -> Encoding {
    let gamma = info.gama_chunk.map(png::ScaledFloat::into_value);
    // As libpng has it: 5 % cannot be seen, and is what 1/2.2 and sRGB's curve differ by.
    let gamma = gamma.filter(|g| *g > 0.0 && (g / SRGB_GAMMA - 1.0).abs() > 0.05);
    if gamma.is_none() && info.chrm_chunk.is_none() {
        return Encoding::Srgb;
    }
    let mut profile = ColorProfile::new_srgb();
    if let Some(gamma) = gamma {
        profile = with_curve(profile, 1.0 / gamma);
    }
    if let Some(chrm) = &info.chrm_chunk {
        let point = |(x, y): (png::ScaledFloat, png::ScaledFloat)| Chromaticity {
            x: x.into_value(),
            y: y.into_value(),
        };
        let white = point(chrm.white);
        let primaries = ColorPrimaries {
            red: point(chrm.red),
            green: point(chrm.green),
            blue: point(chrm.blue),
        };
        let all = [white, primaries.red, primaries.green, primaries.blue];
        let area = {
            let [_, r, g, b] = all;
            (g.x - r.x) * (b.y - r.y) - (b.x - r.x) * (g.y - r.y)
        };
        if all.iter().any(|p| p.y <= 0.0) || area.abs() < 1e-4 {
            return Encoding::Unusable("primaries (cHRM) that span no colours".into());
        }
        profile.cicp = None;
        profile.update_rgb_colorimetry(white.to_xyyb(), primaries);
    }
    Encoding::Profile(Box::new(profile))
}

fn fault(error: DecodingError) -> Fault {
    match error {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => Fault::Truncated,
        DecodingError::LimitsExceeded => {
            Fault::damaged("it asks for more memory than the largest image can need")
        }
        other => Fault::damaged(other),
    }
}
