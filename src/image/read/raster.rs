//! What a decoder hands over: the samples of a file, before colours are converted and the picture is turned.

use ::image::metadata::Orientation;

use super::colour::{self, Encoding};
use crate::image::{Image, ImageError, MAX_PIXELS};

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

/// The samples of a file.
#[derive(Debug)]
pub struct Raster {
    pub header: Header,
    pub space: Space,
    /// `[height][width][channels]`, from 0 to 1 (but for Lab, and floats in a file of floats).
    pub samples: Vec<f32>,
    /// `[height][width]`.
    pub alpha: Option<Vec<f32>>,
    /// Whether the samples are multiplied by alpha.
    pub premultiplied: bool,
    pub encoding: Encoding,
    /// The ICC profile of the file, as it stands there.
    pub icc: Option<Vec<u8>>,
    /// The EXIF block of the file, as it stands there.
    pub exif: Option<Vec<u8>>,
    /// What the user should know, each in a sentence that can follow the file's name.
    pub warnings: Vec<String>,
}

impl Raster {
    /// The picture as sRGB, upright, with straight alpha. Warnings of the conversion are added to `warnings`.
    pub fn into_image(self, warnings: &mut Vec<String>) -> Result<Image, ImageError> {
        let Raster {
            header,
            space,
            mut samples,
            alpha,
            premultiplied,
            encoding,
            warnings: own,
            ..
        } = self;
        warnings.extend(own);
        if let (true, Some(alpha)) = (premultiplied, &alpha) {
            divide(&mut samples, alpha, space.channels());
        }
        let rgb = colour::to_srgb(samples, space, encoding, warnings);
        let mut image = Image::new(header.width, header.height, rgb)?;
        if let Some(alpha) = alpha {
            image = image.with_alpha(alpha)?;
        }
        Ok(upright(image.clamp(), header.orientation))
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

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(
        orientation,
        Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH
    )
}

/// The image turned and mirrored as its orientation asks for.
fn upright(image: Image, orientation: Orientation) -> Image {
    use Orientation::{
        FlipHorizontal, FlipVertical, NoTransforms, Rotate90, Rotate90FlipH, Rotate180, Rotate270,
        Rotate270FlipH,
    };
    if orientation == NoTransforms {
        return image;
    }
    let (width, height) = (image.width as usize, image.height as usize);
    let (new_width, new_height) = if swaps_sides(orientation) {
        (height, width)
    } else {
        (width, height)
    };
    // Where the pixel at (x, y) of the result comes from.
    let source = |x: usize, y: usize| {
        let (x, y) = match orientation {
            NoTransforms => (x, y),
            FlipHorizontal => (width - 1 - x, y),
            Rotate180 => (width - 1 - x, height - 1 - y),
            FlipVertical => (x, height - 1 - y),
            Rotate90FlipH => (y, x),
            Rotate90 => (y, height - 1 - x),
            Rotate270FlipH => (width - 1 - y, height - 1 - x),
            Rotate270 => (width - 1 - y, x),
        };
        y * width + x
    };
    let pixels = || (0..new_height).flat_map(|y| (0..new_width).map(move |x| (x, y)));
    let rgb = pixels().flat_map(|(x, y)| {
        let at = 3 * source(x, y);
        [image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]]
    });
    let alpha = |alpha: &Vec<f32>| pixels().map(|(x, y)| alpha[source(x, y)]).collect();
    Image {
        width: new_width as u32,
        height: new_height as u32,
        rgb: rgb.collect(),
        alpha: image.alpha.as_ref().map(alpha),
    }
}
