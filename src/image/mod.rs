//! Images on the host: files in and out, resampling, colour statistics and contact sheets.
//!
//! Everything the engine sees of a picture file passes through [`Image`]. No GPU code lives here.

mod animation;
mod atomic;
mod colour;
mod encode;
mod error;
mod exif;
mod mask;
mod match_colour;
mod pixels;
mod profile;
mod read;
mod resample;
mod save;
mod sheet;
mod text;

pub use animation::save_gif;
pub use atomic::{place_of, remove_unfinished, write_atomically};
pub use colour::{luma, mean_std, psnr, with_hidden_filled, with_luma};
pub use error::ImageError;
pub use mask::{Grid, Mask};
pub use match_colour::{gray_like, match_colours};
pub use pixels::{PixelDepth, PixelLayout};
pub use profile::is_of_rgb;
pub use read::{
    Loaded, Reduction, decode, decoding_memory, limit_decoding, load, load_all, load_reduced,
    read_bytes, size_of,
};
pub use resample::{Filter, size_for_long_side, size_for_short_side};
pub use save::{
    BitDepth, OutputFormat, SaveOptions, SaveWarning, check_file, check_writable, is_stdout, png,
    save,
};
pub use sheet::{sheet, side_by_side};
pub use text::{MAX_TEXT, is_picture, text_of};

/// Whether the path stands for standard input.
pub fn is_stdin(path: impl AsRef<std::path::Path>) -> bool {
    path.as_ref().as_os_str() == "-"
}

/// The most pixels an [`Image`] may have: 256 Mi, 3 GiB of RGB values.
pub const MAX_PIXELS: u64 = 1 << 28;

/// An RGB image in memory, with an optional alpha channel.
///
/// Values are sRGB-encoded and nominally in `[0, 1]`; a bicubic or Lanczos resize may overshoot
/// that range, and [`clamp`](Image::clamp) brings values back. Rows run from top to bottom,
/// pixels from left to right. Alpha is straight, never premultiplied into `rgb`.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Pixels in a row, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Interleaved R, G, B: `[height][width][3]`.
    pub rgb: Vec<f32>,
    /// Opacity, `[height][width]`; 0 is transparent, 1 opaque.
    pub alpha: Option<Vec<f32>>,
}

impl Image {
    /// An opaque image from interleaved RGB values `[height][width][3]`.
    ///
    /// # Errors
    /// A side of 0, more than [`MAX_PIXELS`] pixels, a wrong number of values, or a value that is
    /// not finite.
    pub fn new(width: u32, height: u32, rgb: Vec<f32>) -> Result<Self, ImageError> {
        let image = Image {
            width,
            height,
            rgb,
            alpha: None,
        };
        image.check()?;
        Ok(image)
    }

    /// Reads a picture file, of any format that [`load`] reads. EXIF orientation is honoured; an alpha channel is kept.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, ImageError> {
        load(path)
    }

    /// Writes a picture file; the extension names the format. It is written whole or not at all.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<(), ImageError> {
        self.save_with(path, SaveOptions::default()).map(|_| ())
    }

    /// As [`Image::save`], with options. Returns what the file does not hold of the image and of the options.
    ///
    /// # Errors
    /// As [`Image::save`].
    pub fn save_with(
        &self,
        path: impl AsRef<std::path::Path>,
        options: SaveOptions,
    ) -> Result<Vec<SaveWarning>, ImageError> {
        save(path, self, options)
    }

    /// The bytes of a PNG file with 8 bits per channel.
    ///
    /// # Errors
    /// [`ImageError::Encode`] where a field is wrong.
    pub fn to_png(&self) -> Result<Vec<u8>, ImageError> {
        save::png(self, None)
    }

    /// An opaque image from interleaved 8-bit RGB values `[height][width][3]`; 255 becomes 1.0.
    ///
    /// # Errors
    /// A side of 0, more than [`MAX_PIXELS`] pixels, or a wrong number of values.
    pub fn from_rgb8(width: u32, height: u32, rgb: &[u8]) -> Result<Self, ImageError> {
        Image::new(
            width,
            height,
            rgb.iter().map(|&v| f32::from(v) / 255.0).collect(),
        )
    }

    /// An opaque image of one colour.
    ///
    /// # Errors
    /// A side of 0, more than [`MAX_PIXELS`] pixels, or a colour that is not finite.
    pub fn filled(width: u32, height: u32, colour: [f32; 3]) -> Result<Self, ImageError> {
        let pixels = pixel_count(u64::from(width), u64::from(height))?;
        Image::new(width, height, colour.repeat(pixels))
    }

    /// The same image with this alpha channel, `[height][width]`.
    ///
    /// # Errors
    /// A wrong number of values, or a value that is not finite.
    pub fn with_alpha(mut self, alpha: Vec<f32>) -> Result<Self, ImageError> {
        self.alpha = Some(alpha);
        self.check()?;
        Ok(self)
    }

    /// Checks what the fields promise: sides of at least 1, as many values as they ask for, and
    /// every value finite.
    pub fn check(&self) -> Result<(), ImageError> {
        let pixels = pixel_count(u64::from(self.width), u64::from(self.height))?;
        self.check_values("RGB", &self.rgb, pixels, 3)?;
        match &self.alpha {
            Some(alpha) => self.check_values("alpha", alpha, pixels, 1),
            None => Ok(()),
        }
    }

    fn check_values(
        &self,
        what: &'static str,
        values: &[f32],
        pixels: usize,
        channels: usize,
    ) -> Result<(), ImageError> {
        if values.len() != pixels * channels {
            return Err(ImageError::Length {
                what,
                width: self.width,
                height: self.height,
                expected: pixels * channels,
                found: values.len(),
            });
        }
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => {
                let (pixel, width) = (i / channels, self.width as usize);
                Err(ImageError::NotFinite {
                    what,
                    x: (pixel % width) as u32,
                    y: (pixel / width) as u32,
                })
            }
            None => Ok(()),
        }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// The R, G, B values of one pixel.
    ///
    /// # Panics
    /// If `x` or `y` lies outside the image.
    pub fn pixel(&self, x: u32, y: u32) -> [f32; 3] {
        assert!(
            x < self.width && y < self.height,
            "pixel ({x}, {y}) outside"
        );
        let i = 3 * (y as usize * self.width as usize + x as usize);
        [self.rgb[i], self.rgb[i + 1], self.rgb[i + 2]]
    }

    /// Every colour and alpha value brought into `[0, 1]`.
    pub fn clamp(mut self) -> Self {
        let values = self.rgb.iter_mut().chain(self.alpha.iter_mut().flatten());
        values.for_each(|v| *v = v.clamp(0.0, 1.0));
        self
    }

    /// The image laid over a background, without alpha.
    #[must_use]
    pub fn over(&self, background: [f32; 3]) -> Self {
        let mut rgb = self.rgb.clone();
        if let Some(alpha) = &self.alpha {
            for (pixel, alpha) in rgb.chunks_exact_mut(3).zip(alpha) {
                for (v, behind) in pixel.iter_mut().zip(background) {
                    *v = behind + alpha * (*v - behind);
                }
            }
        }
        Self {
            rgb,
            alpha: None,
            ..*self
        }
    }

    /// Interleaved 8-bit RGB `[height][width][3]`: clamped to `[0, 1]`, rounded to nearest.
    pub fn to_rgb8(&self) -> Vec<u8> {
        self.rgb.iter().map(|&v| to_u8(v)).collect()
    }
}

/// The number of pixels of a `width` x `height` image, if an [`Image`] can have that size.
fn pixel_count(width: u64, height: u64) -> Result<usize, ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::NoPixels { width, height });
    }
    match width.checked_mul(height) {
        Some(pixels) if pixels <= MAX_PIXELS && width.max(height) <= u64::from(u32::MAX) => {
            Ok(pixels as usize)
        }
        _ => Err(ImageError::TooLarge { width, height }),
    }
}

/// A value in `[0, 1]` as 8 bits, to nearest. `as` saturates, so that nothing wraps around.
fn to_u8(v: f32) -> u8 {
    (v * 255.0).round() as u8
}

/// A value in `[0, 1]` as 16 bits, to nearest.
fn to_u16(v: f32) -> u16 {
    (v * 65535.0).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rgb8_round_trips_every_value() {
        let bytes: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, v / 2]).collect();
        let image = Image::from_rgb8(16, 16, &bytes).unwrap();
        assert_eq!(image.to_rgb8(), bytes);
        assert_eq!(image.pixel(15, 15), [1.0, 0.0, 127.0 / 255.0]);
    }

    #[test]
    fn to_rgb8_rounds_to_nearest_and_clamps() {
        let values = vec![-0.5, 1.5, 100.49 / 255.0, 100.51 / 255.0, 0.0, 1.0];
        let image = Image::new(2, 1, values).unwrap();
        assert_eq!(image.to_rgb8(), [0, 255, 100, 101, 0, 255]);
        assert_eq!(
            image.clamp().rgb[..2],
            [0.0, 1.0],
            "clamp brings values back into [0, 1]"
        );
    }

    #[test]
    fn bad_images_are_refused_with_a_reason() {
        let message = |r: Result<Image, ImageError>| r.unwrap_err().to_string();
        assert_eq!(
            message(Image::new(2, 2, vec![0.0; 11])),
            "a 2x2 image needs 12 RGB values, found 11"
        );
        assert_eq!(
            message(Image::filled(0, 5, [0.0; 3])),
            "an image cannot be 0x5 pixels: both sides must be at least 1"
        );
        assert!(message(Image::filled(u32::MAX, u32::MAX, [0.0; 3])).contains("256 megapixels"));
        let mut rgb = vec![0.0; 12];
        rgb[10] = f32::NAN;
        assert_eq!(
            message(Image::new(2, 2, rgb)),
            "the image holds a value that is not a finite number (RGB of pixel column 1, row 1)"
        );
        let alpha = Image::filled(2, 2, [0.0; 3]).unwrap().with_alpha(vec![1.0]);
        assert_eq!(message(alpha), "a 2x2 image needs 4 alpha values, found 1");
    }
}
