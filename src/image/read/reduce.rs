//! Pictures that are needed small: cropped and resampled band by band.

use super::raster::{Header, stored, swaps_sides};
use crate::image::resample::{resample_alpha, resample_rgb};
use crate::image::{Filter, Image, ImageError};

/// A part of a picture, and the size that it is brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    /// Width and height of the central part, as [`Image::center_crop`] takes it.
    pub crop: (u32, u32),
    /// Width and height of the result.
    pub size: (u32, u32),
    /// The filter that brings one to the other.
    pub filter: Filter,
}

/// Columns and rows of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

impl Reduction {
    /// The same of an image in memory.
    ///
    /// # Errors
    /// As [`Image::center_crop`] and [`Image::resize`].
    pub fn of(&self, image: &Image) -> Result<Image, ImageError> {
        let (width, height) = self.size;
        if image.size() == self.crop {
            return image.resize(width, height, self.filter);
        }
        let part = image.center_crop(self.crop.0, self.crop.1)?;
        part.resize(width, height, self.filter)
    }

    /// The part and the size in the picture as it is stored, before it is turned upright.
    pub fn turned_back(&self, header: Header) -> (Part, (u32, u32)) {
        let (width, height) = header.upright_size();
        let offset = |margin: u32| (f64::from(margin) / 2.0).round_ties_even() as usize;
        let (left, top) = (offset(width - self.crop.0), offset(height - self.crop.1));
        let (right, bottom) = (
            left + self.crop.0 as usize - 1,
            top + self.crop.1 as usize - 1,
        );
        let size = (header.width as usize, header.height as usize);
        let corners = [(left, top), (right, bottom)];
        let [a, b] = corners.map(|corner| stored(corner, size, header.orientation));
        let part = Part {
            left: a.0.min(b.0),
            top: a.1.min(b.1),
            width: a.0.abs_diff(b.0) + 1,
            height: a.1.abs_diff(b.1) + 1,
        };
        if swaps_sides(header.orientation) {
            (part, (self.size.1, self.size.0))
        } else {
            (part, self.size)
        }
    }
}

/// A part of a picture whose rows are as short as they will be. Its columns are resampled when all rows are there.
pub struct Narrow {
    part: Part,
    /// Pixels in a row of the picture.
    row: usize,
    /// Pixels in a row of the result.
    width: u32,
    filter: Filter,
    /// Colours; with alpha they are multiplied by it.
    rgb: Vec<f32>,
    alpha: Vec<f32>,
    /// The sum of all colours by their opacity, and that of the opacities.
    sum: ([f64; 3], f64),
}

impl Narrow {
    pub fn new(part: Part, row: u32, width: u32, filter: Filter) -> Self {
        Self {
            part,
            row: row as usize,
            width,
            filter,
            rgb: Vec::new(),
            alpha: Vec::new(),
            sum: ([0.0; 3], 0.0),
        }
    }

    /// Takes the rows from `first` on.
    pub fn add(&mut self, first: usize, rgb: &[f32], alpha: Option<&[f32]>) {
        let Part {
            left,
            top,
            width,
            height,
        } = self.part;
        let rows =
            (0..rgb.len() / (3 * self.row)).filter(|y| (top..top + height).contains(&(first + y)));
        let columns = |y: usize| y * self.row + left..y * self.row + left + width;
        let (mut colours, mut opacity) = (Vec::new(), Vec::new());
        for y in rows {
            let at = columns(y);
            let within = |v: &f32| v.clamp(0.0, 1.0);
            let row = rgb[3 * at.start..3 * at.end].iter().map(within);
            let Some(alpha) = alpha else {
                colours.extend(row);
                continue;
            };
            let start = colours.len();
            colours.extend(row);
            let alpha = alpha[at].iter().map(within);
            opacity.extend(alpha);
            let alpha = &opacity[opacity.len() - width..];
            for (pixel, alpha) in colours[start..].chunks_exact_mut(3).zip(alpha) {
                for (v, sum) in pixel.iter_mut().zip(&mut self.sum.0) {
                    *v *= alpha;
                    *sum += f64::from(*v);
                }
                self.sum.1 += f64::from(*alpha);
            }
        }
        let rows = (colours.len() / (3 * width)) as u32;
        if rows == 0 {
            return;
        }
        let (from, to) = ((width as u32, rows), (self.width, rows));
        self.rgb
            .extend(resample_rgb(&colours, from, to, self.filter));
        if alpha.is_some() {
            self.alpha
                .extend(resample_alpha(&opacity, from, to, self.filter));
        }
    }

    /// The picture of `size`.
    pub fn finish(self, size: (u32, u32)) -> Image {
        let from = (self.width, self.part.height as u32);
        let mut rgb = resample_rgb(&self.rgb, from, size, self.filter);
        let alpha =
            (!self.alpha.is_empty()).then(|| resample_alpha(&self.alpha, from, size, self.filter));
        if let Some(alpha) = &alpha {
            let mean = self.sum.0.map(|sum| (sum / self.sum.1.max(1e-9)) as f32);
            for (pixel, alpha) in rgb.chunks_exact_mut(3).zip(alpha) {
                for (v, mean) in pixel.iter_mut().zip(mean) {
                    // As `Image::resize` has it: next to nothing is seen of a pixel below half a step of 8 bits.
                    *v = if *alpha >= 0.5 / 255.0 {
                        *v / alpha
                    } else {
                        mean
                    };
                }
            }
        }
        Image {
            width: size.0,
            height: size.1,
            rgb,
            alpha,
        }
    }
}
