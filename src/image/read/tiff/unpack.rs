//! The chunks of a TIFF file: decompressed, and the predictor undone.

use std::io::Read;

use super::super::jpeg;
use super::super::raster::Fault;
use super::directory::{Directory, Order, tag};
use super::layout::{Compression, Layout, Number, Photometric, Predictor};

/// The bytes of the `index`th chunk, `length` of them: rows of samples, each row beginning at a byte.
pub fn chunk(
    file: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    index: usize,
    (rows, length): (usize, usize),
) -> Result<Vec<u8>, Fault> {
    let (offset, size) = layout.chunks[index];
    // What is not compressed has the size that it needs, whatever the file says.
    let size = match layout.compression {
        Compression::None => length as u64,
        _ => size,
    };
    let start = usize::try_from(offset).map_err(|_| Fault::Truncated)?;
    let end = usize::try_from(offset.saturating_add(size)).map_err(|_| Fault::Truncated)?;
    let packed = file.get(start..end).ok_or(Fault::Truncated)?;
    let turned: Vec<u8>;
    let bits = matches!(
        layout.compression,
        Compression::Jpeg | Compression::WebP | Compression::Zstd
    );
    let packed = if layout.reversed_bits && !bits {
        turned = packed.iter().map(|b| b.reverse_bits()).collect();
        &turned
    } else {
        packed
    };
    let bytes = match layout.compression {
        Compression::None => packed.to_vec(),
        Compression::Lzw => lzw(packed, length)?,
        Compression::Deflate => take(flate2::read::ZlibDecoder::new(packed), length)?,
        Compression::Zstd => {
            let decoder =
                ruzstd::decoding::StreamingDecoder::new(packed).map_err(Fault::damaged)?;
            take(decoder, length)?
        }
        Compression::PackBits => pack_bits(packed, length),
        Compression::Jpeg => jpeg(packed, directory, layout, rows)?,
        Compression::WebP => webp(packed, layout, rows)?,
        Compression::Fax3 | Compression::Fax4 => fax(packed, layout, rows),
    };
    if bytes.len() < length {
        return Err(Fault::damaged(
            "a strip or tile holds fewer pixels than it should",
        ));
    }
    Ok(bytes)
}

/// At most `length` bytes of what is read.
fn take(decoder: impl Read, length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(length);
    decoder
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(Fault::damaged)?;
    Ok(bytes)
}

fn lzw(packed: &[u8], length: usize) -> Result<Vec<u8>, Fault> {
    use weezl::BitOrder::{Lsb, Msb};
    // Files of before 1988 have their bits the other way round, and change to longer codes one code later.
    let mut decoder = match packed {
        [0, second, ..] if second & 1 == 1 => weezl::decode::Decoder::new(Lsb, 8),
        _ => weezl::decode::Decoder::with_tiff_size_switch(Msb, 8),
    };
    let mut bytes = vec![0; length];
    let mut packed = packed;
    let mut written = 0;
    while written < length {
        let step = decoder.decode_bytes(packed, &mut bytes[written..]);
        packed = &packed[step.consumed_in..];
        written += step.consumed_out;
        match step.status {
            Ok(weezl::LzwStatus::Ok) => {}
            Ok(_) => break,
            Err(error) => return Err(Fault::damaged(error)),
        }
    }
    bytes.truncate(written);
    Ok(bytes)
}

/// Section 9 of the standard.
fn pack_bits(mut packed: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while let (Some((&head, rest)), true) = (packed.split_first(), bytes.len() < length) {
        packed = match head {
            0..=127 => {
                let count = (usize::from(head) + 1).min(rest.len());
                bytes.extend(&rest[..count]);
                &rest[count..]
            }
            128 => rest,
            129..=255 => match rest.split_first() {
                Some((&value, rest)) => {
                    bytes.extend(std::iter::repeat_n(value, 257 - usize::from(head)));
                    rest
                }
                None => rest,
            },
        };
    }
    bytes
}

/// Colours of a JPEG chunk. YCbCr becomes RGB.
fn jpeg(
    packed: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    rows: usize,
) -> Result<Vec<u8>, Fault> {
    if layout.bits != 8 {
        return Err(Fault::Variant(format!("JPEG of {} bits", layout.bits)));
    }
    let transform = layout.photometric == Photometric::YCbCr;
    let pixels = jpeg::decode_stream(packed, directory.bytes(tag::JPEG_TABLES), transform)?;
    if pixels.channels != layout.chunk_samples() {
        return Err(Fault::Variant(format!(
            "JPEG of {} components for {} samples",
            pixels.channels,
            layout.chunk_samples()
        )));
    }
    fitted(
        &pixels.values,
        pixels.width as usize,
        pixels.height as usize,
        layout,
        rows,
    )
}

fn webp(packed: &[u8], layout: &Layout, rows: usize) -> Result<Vec<u8>, Fault> {
    use ::image::{DynamicImage, codecs::webp::WebPDecoder};
    let decoder = WebPDecoder::new(std::io::Cursor::new(packed)).map_err(Fault::damaged)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(Fault::damaged)?;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let values = match layout.chunk_samples() {
        3 => picture.into_rgb8().into_raw(),
        4 => picture.into_rgba8().into_raw(),
        other => return Err(Fault::Variant(format!("WebP of {other} samples"))),
    };
    fitted(&values, width, height, layout, rows)
}

/// The rows of a picture of its own, which may be larger than the chunk that it fills.
fn fitted(
    values: &[u8],
    width: usize,
    height: usize,
    layout: &Layout,
    rows: usize,
) -> Result<Vec<u8>, Fault> {
    if width < layout.chunk.0 || height < rows {
        return Err(Fault::damaged(
            "a strip or tile holds fewer pixels than it should",
        ));
    }
    let samples = layout.chunk_samples();
    let lines = values.chunks_exact(width * samples).take(rows);
    Ok(lines
        .flat_map(|row| &row[..layout.chunk.0 * samples])
        .copied()
        .collect())
}

/// Rows of bits, 1 for black as fax machines have it. A file whose 0 is black has them the other way round.
fn fax(packed: &[u8], layout: &Layout, rows: usize) -> Vec<u8> {
    let width = layout.chunk.0 as u16;
    let mut bytes = Vec::new();
    // Of a photometric "white is zero", a black pixel is 1; `BlackIsZero` means that the meaning of 0 and 1 is swapped,
    // while the codes stay.
    let mut line = |changes: &[u16]| {
        let mut row = vec![0u8; usize::from(width).div_ceil(8)];
        for (x, colour) in fax::decoder::pels(changes, width).enumerate() {
            if colour == fax::Color::Black {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
        bytes.extend(row);
    };
    let input = packed.iter().copied();
    if layout.compression == Compression::Fax4 {
        fax::decoder::decode_g4(input, width, Some(rows as u16), &mut line);
    } else {
        let bytes = input.map(Ok::<u8, std::convert::Infallible>);
        if let Ok(mut decoder) = fax::decoder::Group3Decoder::new(bytes) {
            // The last row need not be followed by the mark that ends the others.
            for _ in 0..rows {
                let ended = decoder.advance().is_err();
                line(decoder.transitions());
                if ended {
                    break;
                }
            }
        }
    }
    bytes
}

/// Undoes what was done to a row to make it compress better (sections 14; Adobe's technical note 3). Afterwards the
/// bytes of each number are in the file's order.
pub fn undo_predictor(row: &mut [u8], layout: &Layout) {
    let samples = layout.chunk_samples();
    let size = layout.bits / 8;
    match layout.predictor {
        Predictor::None => {}
        Predictor::Horizontal => {
            let mask = u64::MAX >> (64 - layout.bits);
            for at in (samples * size..row.len()).step_by(size) {
                let before = layout.order.number(&row[at - samples * size..][..size]);
                let own = layout.order.number(&row[at..][..size]);
                let sum = before.wrapping_add(own) & mask;
                let bytes = sum.to_be_bytes();
                let target = &mut row[at..at + size];
                target.copy_from_slice(&bytes[8 - size..]);
                if layout.order == Order::Little {
                    target.reverse();
                }
            }
        }
        Predictor::Float => {
            for at in samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - samples]);
            }
            // First all highest bytes, then all second ones, and so on.
            let count = row.len() / size;
            let planes = row.to_vec();
            for (i, number) in row.chunks_exact_mut(size).enumerate() {
                for (byte, target) in number.iter_mut().enumerate() {
                    *target = planes[byte * count + i];
                }
                if layout.order == Order::Little {
                    number.reverse();
                }
            }
        }
    }
}

/// The numbers of a row, as they are: whole numbers count from 0.
pub fn numbers(row: &[u8], layout: &Layout, count: usize) -> impl Iterator<Item = f64> {
    let (bits, order) = (layout.bits, layout.order);
    let is_float = layout.number == Number::Float;
    (0..count).map(move |i| {
        if !bits.is_multiple_of(8) {
            return packed_bits(row, i * bits, bits) as f64;
        }
        let size = bits / 8;
        let number = order.number(&row[i * size..][..size]);
        match (is_float, bits) {
            (false, _) => number as f64,
            (true, 16) => half::f16::from_bits(number as u16).to_f64(),
            (true, 24) => float_24(number as u32),
            (true, 32) => f64::from(f32::from_bits(number as u32)),
            (true, _) => f64::from_bits(number),
        }
    })
}

/// `bits` bits from bit `at` on, the highest first, whatever the order of the file's bytes.
fn packed_bits(row: &[u8], at: usize, bits: usize) -> u64 {
    (at..at + bits).fold(0, |n, i| n << 1 | u64::from(row[i / 8] >> (7 - i % 8) & 1))
}

/// 1 bit of sign, 7 of exponent, 16 of mantissa (Adobe's technical note 3).
fn float_24(bits: u32) -> f64 {
    let sign = if bits >> 23 & 1 == 1 { -1.0 } else { 1.0 };
    let exponent = (bits >> 16 & 0x7F) as i32;
    let mantissa = f64::from(bits & 0xFFFF) / 65536.0;
    sign * match exponent {
        0 => mantissa * 2f64.powi(-62),
        127 if mantissa == 0.0 => f64::INFINITY,
        127 => f64::NAN,
        _ => (1.0 + mantissa) * 2f64.powi(exponent - 63),
    }
}
