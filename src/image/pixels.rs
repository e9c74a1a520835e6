//! Pixels as a host program keeps them: rows of 8-bit, 16-bit or float values, with a stride.

use super::{Image, ImageError, pixel_count, to_u8, to_u16};

/// What one value of a pixel is, in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelDepth {
    /// `u8`; 255 is 1.0.
    U8,
    /// `u16`; 65535 is 1.0.
    U16,
    /// `f32`, nominally in `[0,1]`.
    F32,
}

impl PixelDepth {
    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Where the pixels of a picture are in a block of memory. Values are sRGB-encoded, alpha is straight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLayout {
    /// Pixels in a row.
    pub width: u32,
    /// Rows, top to bottom.
    pub height: u32,
    /// Values of a pixel: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    pub channels: usize,
    /// What a value is.
    pub depth: PixelDepth,
    /// Bytes from the start of a row to that of the next.
    pub row_bytes: usize,
}

impl PixelLayout {
    /// Rows without space between them.
    #[must_use]
    pub fn packed(width: u32, height: u32, channels: usize, depth: PixelDepth) -> Self {
        Self {
            width,
            height,
            channels,
            depth,
            row_bytes: (width as usize)
                .saturating_mul(channels)
                .saturating_mul(depth.bytes()),
        }
    }

    /// Bytes of the whole picture: the last row ends with its last pixel.
    ///
    /// # Errors
    /// [`ImageError::NoPixels`] or [`ImageError::TooLarge`] for a size that no image has,
    /// [`ImageError::Channels`], [`ImageError::RowTooShort`].
    pub fn bytes(&self) -> Result<usize, ImageError> {
        pixel_count(u64::from(self.width), u64::from(self.height))?;
        if !(1..=4).contains(&self.channels) {
            return Err(ImageError::Channels {
                channels: self.channels,
            });
        }
        let row = self.width as usize * self.channels * self.depth.bytes();
        if self.row_bytes < row {
            return Err(ImageError::RowTooShort {
                needed: row,
                found: self.row_bytes,
            });
        }
        self.row_bytes
            .checked_mul(self.height as usize - 1)
            .and_then(|before| before.checked_add(row))
            .ok_or(ImageError::TooLarge {
                width: u64::from(self.width),
                height: u64::from(self.height),
            })
    }

    fn check(&self, found: usize) -> Result<(), ImageError> {
        let needed = self.bytes()?;
        if found < needed {
            return Err(ImageError::TooFewBytes { needed, found });
        }
        Ok(())
    }

    /// The picture in a block of memory.
    ///
    /// # Errors
    /// As [`PixelLayout::bytes`]; [`ImageError::TooFewBytes`], and [`ImageError::NotFinite`] for a float that is none.
    pub fn read(&self, bytes: &[u8]) -> Result<Image, ImageError> {
        self.check(bytes.len())?;
        let pixels = self.width as usize * self.height as usize;
        let has_alpha = matches!(self.channels, 2 | 4);
        let mut rgb = Vec::with_capacity(3 * pixels);
        let mut alpha = has_alpha.then(|| Vec::with_capacity(pixels));
        let size = self.depth.bytes();
        for row in bytes.chunks(self.row_bytes).take(self.height as usize) {
            let row = &row[..self.width as usize * self.channels * size];
            for pixel in row.chunks_exact(self.channels * size) {
                let value = |i: usize| self.depth.value(&pixel[i * size..(i + 1) * size]);
                match self.channels {
                    1 | 2 => rgb.extend([value(0); 3]),
                    _ => rgb.extend([value(0), value(1), value(2)]),
                }
                if let Some(alpha) = &mut alpha {
                    alpha.push(value(self.channels - 1));
                }
            }
        }
        let image = Image::new(self.width, self.height, rgb)?;
        match alpha {
            Some(alpha) => image.with_alpha(alpha),
            None => Ok(image),
        }
    }

    /// Writes a picture of this size into a block of memory, in colour; what is between rows stays as it is. A picture
    /// without alpha is opaque.
    ///
    /// # Errors
    /// As [`PixelLayout::read`]; [`ImageError::SizesDiffer`]; [`ImageError::Channels`] for a gray layout.
    pub fn write(&self, image: &Image, bytes: &mut [u8]) -> Result<(), ImageError> {
        self.check(bytes.len())?;
        if image.size() != (self.width, self.height) {
            return Err(ImageError::SizesDiffer {
                a: image.size(),
                b: (self.width, self.height),
            });
        }
        if self.channels < 3 {
            return Err(ImageError::Channels {
                channels: self.channels,
            });
        }
        let size = self.depth.bytes();
        let width = self.width as usize;
        let rows = bytes.chunks_mut(self.row_bytes).take(self.height as usize);
        for (y, row) in rows.enumerate() {
            let pixels = row[..width * self.channels * size].chunks_exact_mut(self.channels * size);
            for (x, pixel) in pixels.enumerate() {
                let at = y * width + x;
                let opacity = image.alpha.as_ref().map_or(1.0, |alpha| alpha[at]);
                let values = image.rgb[3 * at..3 * at + 3].iter().chain([&opacity]);
                for (place, value) in pixel.chunks_exact_mut(size).zip(values) {
                    self.depth.put(*value, place);
                }
            }
        }
        Ok(())
    }
}

impl PixelDepth {
    fn value(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Self::U8, [value]) => f32::from(*value) / 255.0,
            (Self::U16, [a, b]) => f32::from(u16::from_ne_bytes([*a, *b])) / 65535.0,
            (Self::F32, [a, b, c, d]) => f32::from_ne_bytes([*a, *b, *c, *d]),
            _ => unreachable!("the bytes of one value"),
        }
    }

    fn put(self, value: f32, bytes: &mut [u8]) {
        match self {
            Self::U8 => bytes.copy_from_slice(&[to_u8(value)]),
            Self::U16 => bytes.copy_from_slice(&to_u16(value).to_ne_bytes()),
            Self::F32 => bytes.copy_from_slice(&value.to_ne_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Image {
        let rgb = (0..3 * 5 * 3).map(|i| (i * 5) as f32 / 255.0).collect();
        let alpha = (0..15).map(|i| (i * 17) as f32 / 255.0).collect();
        let image = Image::new(5, 3, rgb).expect("an image");
        image.with_alpha(alpha).expect("an image")
    }

    #[test]
    fn a_picture_comes_back_from_every_layout() {
        let image = picture();
        for (depth, tolerance) in [
            (PixelDepth::U8, 1e-7),
            (PixelDepth::U16, 1.0 / 65535.0),
            (PixelDepth::F32, 0.0),
        ] {
            for (channels, gap) in [(3, 0), (4, 0), (4, 7)] {
                let mut layout = PixelLayout::packed(5, 3, channels, depth);
                layout.row_bytes += gap;
                let mut bytes = vec![0xab; layout.bytes().expect("a layout")];
                layout.write(&image, &mut bytes).expect("written");
                let again = layout.read(&bytes).expect("read");
                let same =
                    |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
                assert!(same(&again.rgb, &image.rgb), "{depth:?} {channels}");
                assert_eq!(again.alpha.is_some(), channels == 4);
                if let (Some(a), Some(b)) = (&again.alpha, &image.alpha) {
                    assert!(same(a, b), "{depth:?}");
                }
                let between = &bytes[layout.row_bytes - gap..layout.row_bytes];
                assert!(
                    between.iter().all(|b| *b == 0xab),
                    "what is between rows stays"
                );
            }
        }
    }

    #[test]
    fn gray_is_read_as_colour() {
        let layout = PixelLayout::packed(2, 1, 2, PixelDepth::U8);
        let image = layout.read(&[255, 0, 0, 255]).expect("an image");
        assert_eq!(image.rgb, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(image.alpha, Some(vec![0.0, 1.0]));
    }

    #[test]
    fn layouts_that_cannot_be_are_refused() {
        let image = picture();
        let told = |layout: PixelLayout, bytes: &mut [u8]| {
            let error = layout.write(&image, bytes).expect_err("wrong");
            error.to_string()
        };
        let good = PixelLayout::packed(5, 3, 4, PixelDepth::U8);
        assert_eq!(
            told(good, &mut [0; 59]),
            "the picture has 59 bytes, its size needs 60"
        );
        let bytes = &mut [0; 600];
        let short = PixelLayout {
            row_bytes: 19,
            ..good
        };
        assert_eq!(told(short, bytes), "a row has 19 bytes, its pixels need 20");
        let many = PixelLayout {
            channels: 5,
            ..good
        };
        assert_eq!(
            told(many, bytes),
            "a pixel cannot have 5 values: it is RGB or RGB and alpha, or gray where it is read"
        );
        let gray = PixelLayout {
            channels: 1,
            ..good
        };
        assert!(told(gray, bytes).starts_with("a pixel cannot have 1 values"));
        assert!(told(PixelLayout { height: 4, ..good }, bytes).contains("differ in size"));
        assert!(told(PixelLayout { width: 0, ..good }, bytes).contains("at least 1"));
        let huge = PixelLayout {
            row_bytes: usize::MAX,
            ..good
        };
        assert!(told(huge, bytes).contains("cannot be 5x3 pixels"));
        let floats = PixelLayout::packed(1, 1, 3, PixelDepth::F32);
        assert!(floats.read(&[0xff; 12]).is_err(), "not a number");
    }
}
