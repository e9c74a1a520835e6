//! TIFF files (TIFF 6.0, BigTIFF, and what libtiff adds): the first picture of a file.

mod directory;
mod layout;
mod unpack;
mod ycbcr;

use ::image::metadata::Orientation;

use super::colour::Encoding;
use super::raster::{Fault, Header, Meaning, Raster, Samples, Space};
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
        bytes_per_pixel: layout::bytes_per_pixel(directory)?,
    })
}

pub fn decode(file: &[u8]) -> Result<Raster, Fault> {
    let directory = Directory::of(file)?;
    let header = header_of(&directory)?;
    let layout = Layout::of(&directory, file.len())?;
    let samples = read(file, &directory, &layout)?;
    let mut warnings = Vec::new();
    let (space, meaning) = meaning(&samples, &directory, &layout, &mut warnings)?;
    let (per_pixel, alpha) = (layout.samples, layout.alpha);
    let icc = directory.bytes(tag::ICC_PROFILE).map(<[u8]>::to_vec);
    if icc.is_none() && directory.has(tag::ICC_PROFILE) {
        warnings.push("has an ICC profile that is cut".into());
    }
    Ok(Raster {
        header,
        space,
        samples,
        per_pixel,
        meaning,
        premultiplied: alpha.is_some_and(|alpha| alpha.premultiplied),
        encoding: Encoding::of_icc(icc.as_deref()),
        icc,
        exif: crate::image::exif::of_tiff(file),
        warnings,
    })
}

/// All numbers of the picture, `[height][width][samples]`. Whole numbers become fractions of the largest there can be,
/// but for those that stand for entries of a palette: they become fractions of 255 or 65535, as [`Samples`] has them.
fn read(file: &[u8], directory: &Directory<'_>, layout: &Layout) -> Result<Samples, Fault> {
    let count = layout.width * layout.height * layout.samples;
    let is_palette = layout.photometric == Photometric::Palette;
    let largest = (u64::MAX >> (64 - layout.bits)) as f64;
    Ok(match (layout.number, layout.bits) {
        (Number::Float, _) => {
            let mut all = vec![0f32; count];
            fill(file, directory, layout, &mut all, |v| v as f32)?;
            Samples::F32(all)
        }
        (_, 8) if layout.is_one_strip() => {
            let mut bytes = unpack::chunk(file, directory, layout, 0, (layout.height, count))?;
            for line in bytes.chunks_exact_mut(layout.width * layout.samples) {
                unpack::undo_predictor(line, layout);
            }
            bytes.truncate(count);
            Samples::U8(bytes)
        }
        (_, bits) if matches!(bits, 1 | 2 | 4 | 8) || (is_palette && bits < 8) => {
            // The steps of so many bits are whole numbers of 255.
            let step = if is_palette { 1 } else { 255 / largest as u8 };
            let mut all = vec![0u8; count];
            fill(file, directory, layout, &mut all, |v| v as u8 * step)?;
            Samples::U8(all)
        }
        (_, 16) => {
            let mut all = vec![0u16; count];
            fill(file, directory, layout, &mut all, |v| v as u16)?;
            Samples::U16(all)
        }
        _ => {
            let mut all = vec![0f32; count];
            let largest = if is_palette { 65535.0 } else { largest };
            fill(file, directory, layout, &mut all, |v| (v / largest) as f32)?;
            Samples::F32(all)
        }
    })
}

/// Puts every number of the picture where it belongs.
fn fill<T>(
    file: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    picture: &mut [T],
    value: impl Fn(f64) -> T,
) -> Result<(), Fault> {
    let (chunk_width, chunk_height) = layout.chunk;
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
    Ok(())
}

/// What the numbers of the picture are as colours and alpha.
fn meaning(
    samples: &Samples,
    directory: &Directory<'_>,
    layout: &Layout,
    warnings: &mut Vec<String>,
) -> Result<(Space, Meaning), Fault> {
    let photometric = layout.photometric;
    let is_lab = matches!(photometric, Photometric::CieLab | Photometric::IccLab);
    if let Samples::F32(numbers) = samples {
        if let Some(bad) = numbers.iter().find(|v| !v.is_finite()) {
            return Err(Fault::Damaged(format!("it holds the value {bad}")));
        }
        let outside = |v: &&f32| **v < -1e-3 || **v > 1.001;
        let count = numbers.iter().filter(outside).count();
        if count > 0 && layout.number == Number::Float && !is_lab {
            let percent = 100.0 * count as f64 / numbers.len() as f64;
            warnings.push(format!(
                "holds numbers outside of 0 to 1 ({percent:.1} %); they are clipped"
            ));
        }
    }
    let space = match photometric {
        Photometric::BlackIsZero | Photometric::WhiteIsZero => Space::Grey,
        Photometric::Rgb | Photometric::Palette | Photometric::YCbCr => Space::Rgb,
        Photometric::Cmyk => Space::Cmyk,
        Photometric::CieLab | Photometric::IccLab => Space::Lab,
    };
    let stored = if photometric == Photometric::Palette {
        1
    } else {
        space.channels()
    };
    let to_colours = to_colours(directory, layout)?;
    let (per_pixel, alpha) = (layout.samples, layout.alpha.map(|alpha| alpha.sample));
    // Alpha beside indices is a fraction of the largest index.
    let largest_index = (u64::MAX >> (64 - layout.bits)) as f32;
    let of_alpha = match photometric {
        Photometric::Palette => index_of(layout) / largest_index,
        _ => 1.0,
    };
    let meaning = move |numbers: Vec<f32>| {
        let alpha = alpha.map(|sample| {
            let own = numbers.iter().skip(sample).step_by(per_pixel);
            own.map(|v| v * of_alpha).collect()
        });
        let colours = if per_pixel == stored {
            numbers
        } else {
            let pixels = numbers.chunks_exact(per_pixel);
            pixels.flat_map(|p| &p[..stored]).copied().collect()
        };
        Ok((to_colours(colours)?, alpha))
    };
    Ok((space, Box::new(meaning)))
}

/// What a fraction is multiplied by to be the index of a palette again.
fn index_of(layout: &Layout) -> f32 {
    if layout.bits <= 8 { 255.0 } else { 65535.0 }
}

type ToColours = Box<dyn Fn(Vec<f32>) -> Result<Vec<f32>, Fault> + Send>;

/// From the stored numbers of colours, without alpha, to the colours themselves.
fn to_colours(directory: &Directory<'_>, layout: &Layout) -> Result<ToColours, Fault> {
    Ok(match layout.photometric {
        Photometric::BlackIsZero | Photometric::Rgb | Photometric::Cmyk => Box::new(Ok),
        Photometric::WhiteIsZero => Box::new(|mut numbers| {
            numbers.iter_mut().for_each(|v| *v = 1.0 - *v);
            Ok(numbers)
        }),
        Photometric::Palette => {
            let (colours, scale) = (palette(directory, layout)?, index_of(layout));
            Box::new(move |numbers| {
                let mut rgb = Vec::with_capacity(3 * numbers.len());
                for number in numbers {
                    let colour = colours.get((number * scale).round() as usize);
                    let colour = colour.ok_or_else(|| {
                        Fault::damaged("it uses colours that its palette does not have")
                    })?;
                    rgb.extend(colour);
                }
                Ok(rgb)
            })
        }
        // The decoder of JPEG has made RGB of it.
        Photometric::YCbCr if layout.compression == Compression::Jpeg => Box::new(Ok),
        Photometric::YCbCr => {
            let to_rgb = ycbcr::to_rgb(directory);
            Box::new(move |numbers| Ok(to_rgb(numbers)))
        }
        Photometric::CieLab | Photometric::IccLab => {
            let lab = lab(layout)?;
            Box::new(move |numbers| Ok(lab(numbers)))
        }
    })
}

/// The colours of the palette.
fn palette(directory: &Directory<'_>, layout: &Layout) -> Result<Vec<[f32; 3]>, Fault> {
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
    let colour = |index| [0, 1, 2].map(|c| map[c * entries + index] as f32 / largest);
    Ok((0..entries).map(colour).collect())
}

/// L* from 0 to 100, and a* and b* as numbers with a sign (TIFF 6.0, section 23; ICC.1 for the other).
fn lab(layout: &Layout) -> Result<impl Fn(Vec<f32>) -> Vec<f32> + Send + use<>, Fault> {
    if layout.number == Number::Float || !matches!(layout.bits, 8 | 16) {
        return Err(Fault::variant("L*a*b* of neither 8 nor 16 bits"));
    }
    let steps = if layout.bits == 8 {
        255.0
    } else {
        65535.0 / 256.0
    };
    let is_shifted = layout.photometric == Photometric::IccLab;
    Ok(move |mut samples: Vec<f32>| {
        for pixel in samples.chunks_exact_mut(3) {
            pixel[0] *= 100.0;
            for v in &mut pixel[1..] {
                *v *= steps;
                if is_shifted {
                    *v -= 128.0;
                } else if *v >= 128.0 {
                    *v -= 256.0;
                }
            }
        }
        samples
    })
}
