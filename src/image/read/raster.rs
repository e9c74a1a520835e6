//! What a decoder hands over: the samples of a file, before colours are converted and the picture is turned.

use std::ops::Range;

use ::image::metadata::Orientation;

use super::colour::{Converter, Encoding};
use super::reduce::{Narrow, Reduction};
use crate::image::{Image, MAX_PIXELS};

/// Why a file cannot be read, without its name.
#[derive(Debug)]
pub enum Fault {
    /// The file ends before the picture does.
    Truncated,
    /// The file breaks the rules of its format.
    Damaged(String),
    /// A variant of the format that is not read.
    Variant(String),
    /// More than [`MAX_PIXELS`].
    TooLarge { width: u32, height: u32 },
    /// More memory than there is for one picture.
    OverBudget { needed: u64 },
}

impl Fault {
    pub fn damaged(reason: impl std::fmt::Display) -> Self {
        Self::Damaged(reason.to_string())
    }

    pub fn variant(what: impl std::fmt::Display) -> Self {
        Self::Variant(what.to_string())
    }
}

/// Checks a size that a header claims, before anything is allocated for it.
pub fn check_size(width: u32, height: u32) -> Result<(), Fault> {
    match u64::from(width) * u64::from(height) {
        0 => Err(Fault::Damaged("it says that it has no pixels".into())),
        pixels if pixels > MAX_PIXELS => Err(Fault::TooLarge { width, height }),
        _ => Ok(()),
    }
}

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub width: u32,
    pub height: u32,
    pub orientation: Orientation,
    /// Bytes that the decoder takes for each pixel.
    pub bytes_per_pixel: u64,
}

impl Header {
    /// Width and height of the picture once it is turned upright.
    pub fn upright_size(self) -> (u32, u32) {
        if swaps_sides(self.orientation) {
            (self.height, self.width)
        } else {
            (self.width, self.height)
        }
    }
}

/// What the colour samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    Grey,
    Rgb,
    /// Amounts of ink: 0 is none, 1 is full.
    Cmyk,
    /// CIE L*a*b* of D50: 0 to 100, and about ±128.
    Lab,
}

impl Space {
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb | Self::Lab => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Samples as a decoder has them.
#[derive(Debug)]
pub enum Samples {
    /// Numbers of 255.
    U8(Vec<u8>),
    /// Numbers of 65535.
    U16(Vec<u16>),
    /// The same as pairs of bytes, the upper one first.
    U16Bytes(Vec<u8>),
    F32(Vec<f32>),
}

impl Samples {
    /// Some of them, as numbers from 0 to 1 (but for those of a file of floats).
    fn numbers(&self, range: Range<usize>) -> Vec<f32> {
        match self {
            Self::U8(all) => all[range].iter().map(|v| f32::from(*v) / 255.0).collect(),
            Self::U16(all) => all[range].iter().map(|v| f32::from(*v) / 65535.0).collect(),
            Self::U16Bytes(all) => all[2 * range.start..2 * range.end]
                .chunks_exact(2)
                .map(|v| f32::from(u16::from_be_bytes([v[0], v[1]])) / 65535.0)
                .collect(),
            Self::F32(all) => all[range].to_vec(),
        }
    }
}

/// What the samples of whole pixels are: colours of a [`Space`], and alpha.
pub type Meaning = Box<dyn Fn(Vec<f32>) -> Result<(Vec<f32>, Option<Vec<f32>>), Fault> + Send>;

/// The meaning of samples that are colours, each followed by alpha if `has_alpha`.
pub fn plain_meaning(space: Space, has_alpha: bool) -> Meaning {
    let channels = space.channels();
    Box::new(move |all| {
        if !has_alpha {
            return Ok((all, None));
        }
        let pixels = || all.chunks_exact(channels + 1);
        let colours = pixels().flat_map(|p| &p[..channels]).copied().collect();
        Ok((colours, Some(pixels().map(|p| p[channels]).collect())))
    })
}

/// The samples of a file. They stay as they are in the file until they are needed: there may be many.
pub struct Raster {
    pub header: Header,
    pub space: Space,
    /// `[height][width][samples per pixel]`.
    pub samples: Samples,
    pub per_pixel: usize,
    /// Colours have the channels of `space`, from 0 to 1 (but for Lab, and floats in a file of floats).
    pub meaning: Meaning,
    /// Whether the colours are multiplied by alpha.
    pub premultiplied: bool,
    pub encoding: Encoding,
    /// The ICC profile of the file, as it stands there.
    pub icc: Option<Vec<u8>>,
    /// The EXIF block of the file, as it stands there.
    pub exif: Option<Vec<u8>>,
    /// What the user should know, each in a sentence that can follow the file's name.
    pub warnings: Vec<String>,
}

/// Samples that are turned into colours at a time. In tests even small pictures have several bands.
const BAND: usize = if cfg!(test) { 1 << 10 } else { 1 << 22 };

impl Raster {
    /// The picture as sRGB, upright, with straight alpha. Warnings of the conversion are added to `warnings`.
    pub fn into_image(mut self, warnings: &mut Vec<String>) -> Result<Image, Fault> {
        let (header, pixels) = (self.header, self.pixels());
        let mut rgb = Vec::with_capacity(3 * pixels);
        let mut alpha: Option<Vec<f32>> = None;
        self.bands(warnings, |_, colours, opacity| {
            rgb.extend(colours);
            if let Some(opacity) = opacity {
                let alpha = alpha.get_or_insert_with(|| Vec::with_capacity(pixels));
                alpha.extend(opacity);
            }
            Ok(())
        })?;
        // Before the copy of a picture that is turned.
        drop(self);
        let image = Image {
            width: header.width,
            height: header.height,
            rgb,
            alpha,
        };
        image.check().map_err(Fault::damaged)?;
        Ok(upright(image.clamp(), header.orientation))
    }

    /// As [`Raster::into_image`], cropped and resampled band by band, so that the whole picture is never there in full
    /// precision.
    pub fn into_reduced(
        mut self,
        reduction: &Reduction,
        warnings: &mut Vec<String>,
    ) -> Result<Image, Fault> {
        let header = self.header;
        let (crop, size) = reduction.turned_back(header);
        let mut narrow = Narrow::new(crop, header.width, size.0, reduction.filter);
        self.bands(warnings, |first, colours, opacity| {
            narrow.add(first, &colours, opacity.as_deref());
            Ok(())
        })?;
        drop(self);
        let image = narrow.finish(size);
        image.check().map_err(Fault::damaged)?;
        Ok(upright(image, header.orientation))
    }

    fn pixels(&self) -> usize {
        self.header.width as usize * self.header.height as usize
    }

    /// Hands over rows from the top down, as sRGB with straight alpha: the first row's index, colours, alpha.
    fn bands(
        &mut self,
        warnings: &mut Vec<String>,
        mut take: impl FnMut(usize, Vec<f32>, Option<Vec<f32>>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        warnings.append(&mut self.warnings);
        let encoding = std::mem::replace(&mut self.encoding, Encoding::Srgb);
        let converter = Converter::new(self.space, encoding, warnings);
        let row = self.header.width as usize * self.per_pixel;
        let (height, rows) = (self.header.height as usize, (BAND / row).max(1));
        for first in (0..height).step_by(rows) {
            let last = (first + rows).min(height);
            let numbers = self.samples.numbers(first * row..last * row);
            let (mut colours, alpha) = (self.meaning)(numbers)?;
            if let (true, Some(alpha)) = (self.premultiplied, &alpha) {
                divide(&mut colours, alpha, self.space.channels());
            }
            take(first, converter.apply(colours), alpha)?;
        }
        Ok(())
    }
}

/// Divides colours by their alpha. What is fully transparent has no colour to bring back, and stays.
fn divide(samples: &mut [f32], alpha: &[f32], channels: usize) {
    for (pixel, alpha) in samples.chunks_exact_mut(channels).zip(alpha) {
        if *alpha > 0.0 {
            pixel.iter_mut().for_each(|v| *v /= alpha);
        }
    }
}

pub fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH
    )
}

/// Where the pixel (x, y) of the upright picture lies in one of `width`×`height` as it is stored.
pub fn stored(
    (x, y): (usize, usize),
    (width, height): (usize, usize),
    orientation: Orientation,
) -> (usize, usize) {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270,
        Rotate270FlipH,
    };
    match orientation {
        NoTransforms => (x, y),
        FlipHorizontal => (width - 1 - x, y),
        Rotate180 => (width - 1 - x, height - 1 - y),
        FlipVertical => (x, height - 1 - y),
        Rotate90FlipH => (y, x),
        Rotate90 => (y, height - 1 - x),
        Rotate270FlipH => (width - 1 - y, height - 1 - x),
        Rotate270 => (width - 1 - y, x),
    }
}

/// The image turned and mirrored as its orientation asks for.
fn upright(image: Image, orientation: Orientation) -> Image {
    if orientation == Orientation::NoTransforms {
        return image;
    }
    let (width, height) = (image.width as usize, image.height as usize);
    let (new_width, new_height) = if swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    };
    // Where the pixel at (x, y) of the result comes from.
    let source = |at: (usize, usize)| {
        let (x, y) = stored(at, (width, height), orientation);
        y * width + x
    };
    let pixels = || (0..new_height).flat_map(|y| (0..new_width).map(move |x| (x, y)));
    let mut rgb = Vec::with_capacity(image.rgb.len());
    for at in pixels() {
        rgb.extend_from_slice(&image.rgb[3 * source(at)..][..3]);
    }
    let alpha = |alpha: &Vec<f32>| pixels().map(|at| alpha[source(at)]).collect();
    Image {
        width: new_width as u32,
        height: new_height as u32,
        rgb,
        alpha: image.alpha.as_ref().map(alpha),
    }
}
