//! TIFF files (TIFF 6.0, BigTIFF, and what libtiff adds): the first picture of a file.

mod directory;
mod layout;
mod unpack;
mod ycbcr;

use ::image::metadata::Orientation;

use super::colour::Encoding;
use super::raster::{Fault, Header, Raster, Space};
use directory::{Directory, tag};
use layout::{Compression, Layout, Number, Photometric};

pub fn header(file: &[u8]) -> Result<Header, Fault> {
    header_of(&Directory::of(file)?)
}

fn header_of(directory: &Directory<'_>) -> Result<Header, Fault> {
    let (width, height) = layout::size(directory)?;
    let orientation = directory.number(tag::ORIENTATION, 1).min(255) as u8;
    Ok(Header {
        width: width as u32,
        height: height as u32,
        orientation: Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms),
    })
}

pub fn decode(file: &[u8]) -> Result<Raster, Fault> {
    let directory = Directory::of(file)?;
    let header = header_of(&directory)?;
    let layout = Layout::of(&directory, file.len())?;
    let numbers = read(file, &directory, &layout)?;
    let mut warnings = Vec::new();
    let (space, samples, alpha) = meaning(numbers, &directory, &layout, &mut warnings)?;
    let icc = directory.bytes(tag::ICC_PROFILE).map(<[u8]>::to_vec);
    if icc.is_none() && directory.has(tag::ICC_PROFILE) {
        warnings.push("has an ICC profile that is cut".into());
    }
    Ok(Raster {
        header,
        space,
        samples,
        alpha,
        premultiplied: layout.alpha.is_some_and(|alpha| alpha.premultiplied),
        encoding: Encoding::of_icc(icc.as_deref()),
        icc,
        exif: crate::image::exif::of_tiff(file),
        warnings,
    })
}

/// All numbers of the picture, `[height][width][samples]`; whole numbers divided by the largest there can be, but for
/// those that stand for entries of a palette.
fn read(file: &[u8], directory: &Directory<'_>, layout: &Layout) -> Result<Vec<f32>, Fault> {
    let (chunk_width, chunk_height) = layout.chunk;
    let largest = match (layout.number, layout.photometric) {
        (Number::Float, _) | (_, Photometric::Palette) => 1.0,
        _ => (u64::MAX >> (64 - layout.bits)) as f64,
    };
    let mut picture = vec![0f32; layout.width * layout.height * layout.samples];
    let samples = layout.chunk_samples();
    let row_bytes = (chunk_width * samples * layout.bits).div_ceil(8);
    let per_plane = layout.across() * layout.down();
    for index in 0..layout.chunks.len() {
        let (plane, index_in_plane) = (index / per_plane, index % per_plane);
        let (row, column) = (
            index_in_plane / layout.across(),
            index_in_plane % layout.across(),
        );
        let (left, top) = (column * chunk_width, row * chunk_height);
        let rows = layout.chunk_rows(row);
        let packed_length = match layout.subsampling {
            (1, 1) => rows * row_bytes,
            subsampling => ycbcr::length(chunk_width, rows, subsampling),
        };
        let mut bytes = unpack::chunk(file, directory, layout, index, (rows, packed_length))?;
        if layout.subsampling != (1, 1) {
            bytes = ycbcr::spread(&bytes, chunk_width, rows, layout.subsampling);
        }
        let width = chunk_width.min(layout.width - left);
        let height = rows.min(layout.height - top);
        for (y, line) in bytes.chunks_exact_mut(row_bytes).take(height).enumerate() {
            unpack::undo_predictor(line, layout);
            let target = ((top + y) * layout.width + left) * layout.samples;
            let target = &mut picture[target..target + width * layout.samples];
            let numbers = unpack::numbers(line, layout, width * samples);
            let value = |number: f64| (number / largest) as f32;
            if layout.planar {
                let own = target.iter_mut().skip(plane).step_by(layout.samples);
                own.zip(numbers)
                    .for_each(|(to, number)| *to = value(number));
            } else {
                target
                    .iter_mut()
                    .zip(numbers)
                    .for_each(|(to, number)| *to = value(number));
            }
        }
    }
    Ok(picture)
}

type Meaning = (Space, Vec<f32>, Option<Vec<f32>>);

/// What the numbers of the picture are as colours and alpha.
fn meaning(
    numbers: Vec<f32>,
    directory: &Directory<'_>,
    layout: &Layout,
    warnings: &mut Vec<String>,
) -> Result<Meaning, Fault> {
    let largest_index = (u64::MAX >> (64 - layout.bits)) as f32;
    let alpha = layout.alpha.map(|alpha| -> Vec<f32> {
        let own = numbers.iter().skip(alpha.sample).step_by(layout.samples);
        match layout.photometric {
            Photometric::Palette => own.map(|v| v / largest_index).collect(),
            _ => own.copied().collect(),
        }
    });
    if let Some(bad) = numbers.iter().find(|v| !v.is_finite()) {
        return Err(Fault::Damaged(format!("it holds the value {bad}")));
    }
    let is_lab = matches!(
        layout.photometric,
        Photometric::CieLab | Photometric::IccLab
    );
    let outside = |v: &&f32| **v < -1e-3 || **v > 1.001;
    if layout.number == Number::Float && !is_lab {
        let count = numbers.iter().filter(outside).count();
        if count > 0 {
            let percent = 100.0 * count as f64 / numbers.len() as f64;
            warnings.push(format!(
                "holds numbers outside of 0 to 1 ({percent:.1} %); they are clipped"
            ));
        }
    }
    let colours = |channels: usize| -> Vec<f32> {
        if layout.samples == channels {
            return numbers.clone();
        }
        let pixels = numbers.chunks_exact(layout.samples);
        pixels.flat_map(|p| &p[..channels]).copied().collect()
    };
    let (space, samples) = match layout.photometric {
        Photometric::BlackIsZero => (Space::Grey, colours(1)),
        Photometric::WhiteIsZero => (Space::Grey, colours(1).iter().map(|v| 1.0 - v).collect()),
        Photometric::Rgb => (Space::Rgb, colours(3)),
        Photometric::Cmyk => (Space::Cmyk, colours(4)),
        Photometric::Palette => (Space::Rgb, palette(&colours(1), directory, layout)?),
        Photometric::YCbCr if layout.compression == Compression::Jpeg => (Space::Rgb, colours(3)),
        Photometric::YCbCr => (Space::Rgb, ycbcr::to_rgb(colours(3), directory)),
        Photometric::CieLab | Photometric::IccLab => (Space::Lab, lab(colours(3), layout)?),
    };
    Ok((space, samples, alpha))
}

fn palette(indices: &[f32], directory: &Directory<'_>, layout: &Layout) -> Result<Vec<f32>, Fault> {
    let map = directory.numbers(tag::COLOUR_MAP);
    let entries = map.len() / 3;
    if entries == 0 || layout.number == Number::Float {
        return Err(Fault::damaged("it has no palette"));
    }
    // 16 bits by the standard; some programs write 8, others 8 bits and 8 zeros.
    let largest = if map.iter().all(|v| *v < 256) {
        255.0
    } else if map.iter().all(|v| v.is_multiple_of(256)) {
        65280.0
    } else {
        65535.0
    };
    let mut rgb = Vec::with_capacity(3 * indices.len());
    for index in indices {
        let index = *index as usize;
        if index >= entries {
            return Err(Fault::damaged(
                "it uses colours that its palette does not have",
            ));
        }
        rgb.extend([0, 1, 2].map(|c| map[c * entries + index] as f32 / largest));
    }
    Ok(rgb)
}

/// L* from 0 to 100, and a* and b* as numbers with a sign (TIFF 6.0, section 23; ICC.1 for the other).
fn lab(mut samples: Vec<f32>, layout: &Layout) -> Result<Vec<f32>, Fault> {
    if layout.number == Number::Float || !matches!(layout.bits, 8 | 16) {
        return Err(Fault::variant("L*a*b* of neither 8 nor 16 bits"));
    }
    let steps = if layout.bits == 8 {
        255.0
    } else {
        65535.0 / 256.0
    };
    for pixel in samples.chunks_exact_mut(3) {
        pixel[0] *= 100.0;
        for v in &mut pixel[1..] {
            *v *= steps;
            if layout.photometric == Photometric::IccLab {
                *v -= 128.0;
            } else if *v >= 128.0 {
                *v -= 256.0;
            }
        }
    }
    Ok(samples)
}
