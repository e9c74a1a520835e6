//! How the samples of a TIFF file lie in it. Variants that are not read are told here, by name.

use super::super::raster::{Fault, check_size};
use super::directory::{Directory, Order, tag};
use crate::image::MAX_PIXELS;

/// How the bytes of a chunk are packed (tag 259).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
    WebP,
    Fax3,
    Fax4,
}

/// What the numbers of a pixel mean (tag 262).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
    /// a* and b* are signed.
    CieLab,
    /// a* and b* are shifted to begin at 0.
    IccLab,
}

/// How one sample is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Unsigned,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predictor {
    None,
    Horizontal,
    Float,
}

/// Which of the samples of a pixel is its alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alpha {
    pub sample: usize,
    /// Whether the colours are multiplied by it.
    pub premultiplied: bool,
}

#[derive(Debug)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    pub order: Order,
    pub bits: usize,
    pub number: Number,
    /// Samples per pixel, alpha and all others included.
    pub samples: usize,
    /// Whether each sample has chunks of its own.
    pub planar: bool,
    pub photometric: Photometric,
    pub alpha: Option<Alpha>,
    pub compression: Compression,
    pub predictor: Predictor,
    pub reversed_bits: bool,
    /// The size of a chunk, a strip or a tile. The last strip may be lower.
    pub chunk: (usize, usize),
    pub is_tiled: bool,
    /// Pixels of luma per pixel of chroma, of YCbCr that is not packed as JPEG.
    pub subsampling: (usize, usize),
    /// Where each chunk lies in the file, and its bytes.
    pub chunks: Vec<(u64, u64)>,
}

impl Layout {
    pub fn of(directory: &Directory<'_>, file_length: usize) -> Result<Self, Fault> {
        let (width, height) = size(directory)?;
        let bits = bits(directory)?;
        let number = number(directory)?;
        check_depth(bits, number)?;
        let samples = directory.number(tag::SAMPLES, 1) as usize;
        if samples == 0 || samples > 64 {
            return Err(Fault::Variant(format!("{samples} samples per pixel")));
        }
        let photometric = photometric(directory)?;
        let colours = match photometric {
            Photometric::WhiteIsZero | Photometric::BlackIsZero | Photometric::Palette => 1,
            Photometric::Cmyk => 4,
            _ => 3,
        };
        if samples < colours {
            return Err(Fault::damaged(
                "it has fewer samples per pixel than its colours need",
            ));
        }
        let compression = compression(directory)?;
        let planar = match directory.number(tag::PLANAR, 1) {
            1 => false,
            2 => samples > 1,
            other => {
                return Err(Fault::Damaged(format!(
                    "it has the planar configuration {other}"
                )));
            }
        };
        let predictor = match directory.number(tag::PREDICTOR, 1) {
            _ if !matches!(
                compression,
                Compression::Lzw | Compression::Deflate | Compression::Zstd
            ) =>
            {
                Predictor::None
            }
            1 => Predictor::None,
            2 if matches!(bits, 8 | 16 | 32 | 64) => Predictor::Horizontal,
            3 if number == Number::Float => Predictor::Float,
            other => return Err(Fault::Variant(format!("predictor {other} of {bits} bits"))),
        };
        let subsampled = photometric == Photometric::YCbCr && compression != Compression::Jpeg;
        let subsampling = match directory.numbers(tag::YCBCR_SUBSAMPLING)[..] {
            _ if !subsampled => (1, 1),
            [] => (2, 2),
            [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => (across as usize, down as usize),
            _ => {
                return Err(Fault::damaged(
                    "its chroma is sampled in a way that is not defined",
                ));
            }
        };
        if subsampled && (bits != 8 || samples != 3 || (planar && subsampling != (1, 1))) {
            return Err(Fault::variant("YCbCr that is neither 8 bits nor JPEG"));
        }
        let mut layout = Self {
            width,
            height,
            order: directory.order,
            bits,
            number,
            samples,
            planar,
            photometric,
            alpha: alpha(directory, samples, colours),
            compression,
            predictor,
            reversed_bits: directory.number(tag::FILL_ORDER, 1) == 2,
            chunk: (width, height),
            is_tiled: directory.has(tag::TILE_WIDTH),
            subsampling,
            chunks: Vec::new(),
        };
        layout.find_chunks(directory, file_length)?;
        Ok(layout)
    }

    fn find_chunks(&mut self, directory: &Directory<'_>, file_length: usize) -> Result<(), Fault> {
        let (offsets, sizes) = if self.is_tiled {
            let side = |tag| directory.number(tag, 0);
            let (width, height) = (side(tag::TILE_WIDTH), side(tag::TILE_HEIGHT));
            if width == 0 || height == 0 || width.saturating_mul(height) > MAX_PIXELS {
                return Err(Fault::damaged("its tiles have an impossible size"));
            }
            self.chunk = (width as usize, height as usize);
            (tag::TILE_OFFSETS, tag::TILE_BYTES)
        } else {
            let rows = directory.number(tag::ROWS_PER_STRIP, u64::MAX);
            self.chunk.1 = rows.clamp(1, self.height as u64) as usize;
            (tag::STRIP_OFFSETS, tag::STRIP_BYTES)
        };
        let offsets = directory.numbers(offsets);
        let sizes = directory.numbers(sizes);
        let expected = self.across() * self.down() * self.planes();
        if offsets.len() < expected {
            return Err(Fault::damaged("it has fewer strips or tiles than it needs"));
        }
        // Some old programs leave the sizes out. Then a chunk may reach to the end of the file.
        let rest = |offset: u64| (file_length as u64).saturating_sub(offset);
        let chunk = |(i, offset): (usize, &u64)| {
            let size = sizes.get(i).copied().filter(|size| *size > 0);
            (*offset, size.unwrap_or(rest(*offset)))
        };
        self.chunks = offsets
            .iter()
            .enumerate()
            .take(expected)
            .map(chunk)
            .collect();
        Ok(())
    }

    /// Chunks from left to right.
    pub fn across(&self) -> usize {
        self.width.div_ceil(self.chunk.0)
    }

    /// Chunks from top to bottom.
    pub fn down(&self) -> usize {
        self.height.div_ceil(self.chunk.1)
    }

    /// How often the picture is covered with chunks: once, or once per sample.
    pub fn planes(&self) -> usize {
        if self.planar { self.samples } else { 1 }
    }

    /// Samples per pixel within a chunk.
    pub fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Whether the picture is one strip of whole pixels, with nothing to spread or to interleave.
    pub fn is_one_strip(&self) -> bool {
        !self.is_tiled && !self.planar && self.chunks.len() == 1 && self.subsampling == (1, 1)
    }

    /// The rows of a chunk in the `row`th row of chunks: a tile is always whole.
    pub fn chunk_rows(&self, row: usize) -> usize {
        if self.is_tiled {
            self.chunk.1
        } else {
            self.chunk.1.min(self.height - row * self.chunk.1)
        }
    }
}

/// Bytes that a pixel of the decoded picture takes; see `read`.
pub fn bytes_per_pixel(directory: &Directory<'_>) -> Result<u64, Fault> {
    let is_palette = photometric(directory)? == Photometric::Palette;
    let per_sample = match (number(directory)?, bits(directory)?) {
        (Number::Unsigned, 1 | 2 | 4 | 8) => 1,
        (Number::Unsigned, bits) if is_palette && bits < 8 => 1,
        (Number::Unsigned, 16) => 2,
        _ => 4,
    };
    Ok(per_sample * directory.number(tag::SAMPLES, 1))
}

pub fn size(directory: &Directory<'_>) -> Result<(usize, usize), Fault> {
    let side = |tag| u32::try_from(directory.number(tag, 0)).unwrap_or(u32::MAX);
    let (width, height) = (side(tag::WIDTH), side(tag::HEIGHT));
    check_size(width, height)?;
    Ok((width as usize, height as usize))
}

fn bits(directory: &Directory<'_>) -> Result<usize, Fault> {
    let all = directory.numbers(tag::BITS);
    let first = all.first().copied().unwrap_or(1);
    if all.iter().any(|bits| *bits != first) {
        return Err(Fault::Variant(format!(
            "samples of different depths: {all:?} bits"
        )));
    }
    Ok(first as usize)
}

fn number(directory: &Directory<'_>) -> Result<Number, Fault> {
    let all = directory.numbers(tag::SAMPLE_FORMAT);
    let first = all.first().copied().unwrap_or(1);
    if all.iter().any(|format| *format != first) {
        return Err(Fault::variant("samples of different kinds"));
    }
    match first {
        // 4 is "undefined", which everybody reads as unsigned.
        1 | 4 => Ok(Number::Unsigned),
        2 => Err(Fault::variant("signed integers")),
        3 => Ok(Number::Float),
        5 | 6 => Err(Fault::variant("complex numbers")),
        other => Err(Fault::Variant(format!("sample format {other}"))),
    }
}

fn check_depth(bits: usize, number: Number) -> Result<(), Fault> {
    match number {
        Number::Unsigned if (1..=32).contains(&bits) || bits == 64 => Ok(()),
        Number::Float if matches!(bits, 16 | 24 | 32 | 64) => Ok(()),
        Number::Unsigned => Err(Fault::Variant(format!("{bits} bits per sample"))),
        Number::Float => Err(Fault::Variant(format!("floats of {bits} bits"))),
    }
}

fn photometric(directory: &Directory<'_>) -> Result<Photometric, Fault> {
    let unsupported = |what: &str| Err(Fault::variant(what));
    let Some(value) = directory.numbers(tag::PHOTOMETRIC).first().copied() else {
        return unsupported("it does not say what its samples mean");
    };
    match value {
        0 => Ok(Photometric::WhiteIsZero),
        1 => Ok(Photometric::BlackIsZero),
        2 => Ok(Photometric::Rgb),
        3 => Ok(Photometric::Palette),
        4 => unsupported("a transparency mask"),
        5 if directory.number(tag::INK_SET, 1) != 1 => unsupported("inks other than CMYK"),
        5 => Ok(Photometric::Cmyk),
        6 => Ok(Photometric::YCbCr),
        8 => Ok(Photometric::CieLab),
        9 => Ok(Photometric::IccLab),
        10 => unsupported("ITU L*a*b*"),
        32803 | 34892 => unsupported("the raw data of a camera"),
        32844 | 32845 => unsupported("SGI LogLuv"),
        other => Err(Fault::Variant(format!(
            "photometric interpretation {other}"
        ))),
    }
}

fn compression(directory: &Directory<'_>) -> Result<Compression, Fault> {
    let unsupported = |what: &str| Err(Fault::Variant(format!("{what} compression")));
    match directory.number(tag::COMPRESSION, 1) {
        1 => Ok(Compression::None),
        2 => unsupported("CCITT modified Huffman"),
        3 if directory.number(tag::GROUP3_OPTIONS, 0) & 1 == 1 => {
            unsupported("two-dimensional CCITT Group 3")
        }
        3 => Ok(Compression::Fax3),
        4 => Ok(Compression::Fax4),
        5 => Ok(Compression::Lzw),
        6 => unsupported("old-style JPEG"),
        7 => Ok(Compression::Jpeg),
        8 | 32946 => Ok(Compression::Deflate),
        32773 => Ok(Compression::PackBits),
        34712 | 33003 | 33005 => unsupported("JPEG 2000"),
        34661 => unsupported("JBIG"),
        34676 | 34677 => unsupported("SGI Log"),
        34887 => unsupported("LERC"),
        34925 => unsupported("LZMA"),
        50000 => Ok(Compression::Zstd),
        50001 => Ok(Compression::WebP),
        50002 | 52546 => unsupported("JPEG XL"),
        other => unsupported(&format!("number {other} as")),
    }
}

/// Which sample is alpha. Four samples of RGB without a word on the fourth are taken for RGBA, as files of this program
/// were once written.
fn alpha(directory: &Directory<'_>, samples: usize, colours: usize) -> Option<Alpha> {
    if samples == colours {
        return None;
    }
    let extra = directory.numbers(tag::EXTRA_SAMPLES);
    if extra.is_empty() {
        return (samples == 4 && colours == 3).then_some(Alpha {
            sample: 3,
            premultiplied: false,
        });
    }
    let found = extra.iter().position(|kind| matches!(kind, 1 | 2))?;
    let sample = colours + found;
    (sample < samples).then_some(Alpha {
        sample,
        premultiplied: extra[found] == 1,
    })
}
