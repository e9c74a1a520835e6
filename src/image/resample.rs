//! Resampling, cropping and the sizes for both.

use fast_image_resize as fir;
use fir::pixels::{F32, F32x3};

use super::{Image, ImageError, pixel_count, with_hidden_filled};

/// An antialiased resampling filter: when an image shrinks, its support is stretched by the scale
/// factor, as PIL's `Image.resize` and torchvision's `Resize(antialias=True)` do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// Triangle of support 1.
    #[default]
    Bilinear,
    /// Cubic convolution with a = -0.5 and support 2 (Keys, "Cubic convolution interpolation for
    /// digital image processing", 1981). Overshoots at edges.
    Bicubic,
    /// Lanczos-windowed sinc of support 3. Overshoots at edges.
    Lanczos,
}

impl From<Filter> for fir::FilterType {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Bilinear => fir::FilterType::Bilinear,
            Filter::Bicubic => fir::FilterType::CatmullRom,
            Filter::Lanczos => fir::FilterType::Lanczos3,
        }
    }
}

impl Image {
    /// The image resampled to `width` x `height` pixels on its sRGB-encoded values, as PIL and
    /// torchvision do. A pixel counts by its opacity: the colour of a transparent one shows nowhere.
    /// Nothing is clamped: [`Filter::Bicubic`] and [`Filter::Lanczos`] may overshoot `[0, 1]`, see
    /// [`Image::clamp`].
    ///
    /// # Errors
    /// A side of 0, more than [`MAX_PIXELS`](super::MAX_PIXELS), or an image whose fields do not
    /// agree (see [`Image::check`]).
    pub fn resize(&self, width: u32, height: u32, filter: Filter) -> Result<Image, ImageError> {
        self.check()?;
        pixel_count(u64::from(width), u64::from(height))?;
        let target = (width, height);
        let colours = |rgb: &[f32]| resample_rgb(rgb, self.size(), target, filter);
        let Some(alpha) = &self.alpha else {
            return Ok(Image {
                width,
                height,
                rgb: colours(&self.rgb),
                alpha: None,
            });
        };
        // The colours of what is transparent mean nothing. Where all is, they are still those of the result.
        let seen = with_hidden_filled(self);
        let mut rgb = colours(&seen.rgb);
        let opacity = resample_alpha(alpha, self.size(), target, filter);
        if alpha.iter().any(|a| *a < 1.0) {
            let weighted = seen.rgb.chunks_exact(3).zip(alpha);
            let weighted: Vec<f32> = weighted
                .flat_map(|(p, a)| [0, 1, 2].map(|c| p[c] * a))
                .collect();
            let weighted = colours(&weighted);
            let pixels = rgb.chunks_exact_mut(3).zip(weighted.chunks_exact(3));
            for ((pixel, weighted), opacity) in pixels.zip(&opacity) {
                // Next to nothing is seen of a pixel below half a step of 8 bits, and the quotient would be noise.
                if *opacity >= 0.5 / 255.0 {
                    pixel
                        .iter_mut()
                        .zip(weighted)
                        .for_each(|(v, w)| *v = w / opacity);
                }
            }
        }
        Ok(Image {
            width,
            height,
            rgb,
            alpha: Some(opacity),
        })
    }

    /// The middle `width` x `height` pixels. Where the margin is odd, the offset is rounded half to
    /// even, as torchvision's `center_crop` does.
    ///
    /// # Errors
    /// A side of 0, or a crop larger than the image.
    pub fn center_crop(&self, width: u32, height: u32) -> Result<Image, ImageError> {
        pixel_count(u64::from(width), u64::from(height))?;
        if width > self.width || height > self.height {
            return Err(ImageError::CropTooLarge {
                crop: (width, height),
                size: self.size(),
            });
        }
        let offset = |margin: u32| (f64::from(margin) / 2.0).round_ties_even() as usize;
        let (left, top) = (offset(self.width - width), offset(self.height - height));
        let crop = |values: &[f32], channels: usize| {
            let rows = values.chunks_exact(self.width as usize * channels);
            rows.skip(top)
                .take(height as usize)
                .flat_map(|row| &row[left * channels..(left + width as usize) * channels])
                .copied()
                .collect()
        };
        Ok(Image {
            width,
            height,
            rgb: crop(&self.rgb, 3),
            alpha: self.alpha.as_ref().map(|alpha| crop(alpha, 1)),
        })
    }
}

/// RGB pixels of a size, resampled.
pub(super) fn resample_rgb(
    values: &[f32],
    size: (u32, u32),
    target: (u32, u32),
    filter: Filter,
) -> Vec<f32> {
    resample::<F32x3>(values, size, target, filter)
}

/// One value for each pixel of a size, resampled.
pub(super) fn resample_alpha(
    values: &[f32],
    size: (u32, u32),
    target: (u32, u32),
    filter: Filter,
) -> Vec<f32> {
    resample::<F32>(values, size, target, filter)
}

/// `values`, pixels of `size`, resampled to `target`.
///
/// The kind of the pixels is a type here: where the library is told at run time, its code for every kind that there is
/// becomes part of the program.
fn resample<P: fir::PixelTrait>(
    values: &[f32],
    size: (u32, u32),
    target: (u32, u32),
    filter: Filter,
) -> Vec<f32> {
    let channels = std::mem::size_of::<P>() / std::mem::size_of::<f32>();
    let mut result = vec![0f32; target.0 as usize * target.1 as usize * channels];
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(filter.into()))
        .use_alpha(false);
    // The caller has checked the sizes, and f32 slices are aligned: neither call can fail.
    let bytes = bytemuck::cast_slice(values);
    let source = fir::images::TypedImageRef::<P>::from_buffer(size.0, size.1, bytes)
        .expect("as many values as the size asks for");
    let bytes = bytemuck::cast_slice_mut(&mut result);
    let mut destination = fir::images::TypedImage::<P>::from_buffer(target.0, target.1, bytes)
        .expect("as many values as the size asks for");
    fir::Resizer::new()
        .resize_typed(&source, &mut destination, &options)
        .expect("the whole image");
    result
}

/// The size with the proportions of `width` x `height` whose long side is `size`; the short side
/// is rounded to nearest and at least 1.
///
/// Zero sides give zero sides, which every constructor of [`Image`] refuses.
pub fn size_for_long_side(width: u32, height: u32, size: u32) -> (u32, u32) {
    let (long, short) = (u64::from(width.max(height)), u64::from(width.min(height)));
    if short == 0 || size == 0 {
        return (0, 0);
    }
    let scaled = (2 * short * u64::from(size) + long) / (2 * long);
    let scaled = scaled.max(1) as u32;
    if width >= height {
        (size, scaled)
    } else {
        (scaled, size)
    }
}

/// The size with the proportions of `width` x `height` whose short side is `size`; the long side
/// is rounded to nearest and saturates at `u32::MAX`. (Torchvision's `Resize(size)` rounds it down, which moves the
/// picture under a centre crop by half a pixel.)
///
/// Zero sides give zero sides, which every constructor of [`Image`] refuses.
pub fn size_for_short_side(width: u32, height: u32, size: u32) -> (u32, u32) {
    let (long, short) = (u64::from(width.max(height)), u64::from(width.min(height)));
    if short == 0 || size == 0 {
        return (0, 0);
    }
    let scaled = (long * u64::from(size) + short / 2) / short;
    let scaled = u32::try_from(scaled).unwrap_or(u32::MAX);
    if width <= height {
        (size, scaled)
    } else {
        (scaled, size)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The kernels by their definitions, apart from the library's.
    fn weight(filter: Filter, x: f64) -> f64 {
        let x = x.abs();
        match filter {
            Filter::Bilinear => (1.0 - x).max(0.0),
            Filter::Bicubic if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
            Filter::Bicubic if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
            Filter::Lanczos if x == 0.0 => 1.0,
            Filter::Lanczos if x < 3.0 => {
                let px = std::f64::consts::PI * x;
                3.0 * px.sin() * (px / 3.0).sin() / (px * px)
            }
            _ => 0.0,
        }
    }

    /// One axis, f64: every output is the normalised weighted sum of *all* inputs, weighted by
    /// their distance from its centre in units of max(scale, 1).
    fn resample_axis(values: &[f64], size: usize, filter: Filter) -> Vec<f64> {
        let scale = values.len() as f64 / size as f64;
        (0..size)
            .map(|o| {
                let centre = (o as f64 + 0.5) * scale;
                let weight = |i: usize| weight(filter, (i as f64 + 0.5 - centre) / scale.max(1.0));
                let total: f64 = (0..values.len()).map(weight).sum();
                let sum: f64 = values.iter().enumerate().map(|(i, v)| v * weight(i)).sum();
                sum / total
            })
            .collect()
    }

    /// A `[height][width]` plane, rows first, then columns.
    fn resample_plane(plane: &[f64], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<f64> {
        let rows: Vec<f64> = plane
            .chunks(from.0 as usize)
            .flat_map(|row| resample_axis(row, to.0 as usize, filter))
            .collect();
        let (width, height) = (to.0 as usize, to.1 as usize);
        let mut result = vec![0.0; width * height];
        for x in 0..width {
            let column: Vec<f64> = rows.iter().skip(x).step_by(width).copied().collect();
            for (y, v) in resample_axis(&column, height, filter).iter().enumerate() {
                result[y * width + x] = *v;
            }
        }
        result
    }

    fn random_image(width: u32, height: u32) -> Image {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let mut values = |n: u32| (0..n).map(|_| rng.random()).collect();
        let rgb = values(width * height * 3);
        Image::new(width, height, rgb).unwrap()
    }

    #[test]
    fn resize_is_the_antialiased_filter() {
        let image = random_image(37, 23);
        let channel = |values: &[f32], c: usize, n: usize| -> Vec<f64> {
            values
                .iter()
                .skip(c)
                .step_by(n)
                .map(|&v| v.into())
                .collect()
        };
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            // Down by non-integer factors, up, one axis each way, to one pixel, and unchanged.
            for to in [(13, 9), (81, 50), (20, 61), (36, 23), (1, 1), (37, 23)] {
                let resized = image.resize(to.0, to.1, filter).unwrap();
                assert_eq!(resized.size(), to);
                let compare = |from: Vec<f64>, found: Vec<f64>| {
                    let expected = resample_plane(&from, image.size(), to, filter);
                    assert_eq!(expected.len(), found.len());
                    for (e, f) in expected.iter().zip(&found) {
                        assert!((e - f).abs() < 1e-5, "{filter:?} {to:?}: {f} for {e}");
                    }
                };
                for c in 0..3 {
                    compare(channel(&image.rgb, c, 3), channel(&resized.rgb, c, 3));
                }
            }
        }
    }

    /// Colours are weighted by their opacity, by the definition: Σ w·a·colour / Σ w·a.
    #[test]
    fn colours_count_by_their_opacity() {
        let image = random_image(37, 23);
        // From 0.1 on, so that bicubic lobes leave every quotient well conditioned.
        let alpha: Vec<f32> = image.rgb.iter().step_by(3).map(|v| 0.1 + 0.9 * v).collect();
        let image = image.with_alpha(alpha.clone()).unwrap();
        let plane = |of: &dyn Fn(usize) -> f32| -> Vec<f64> {
            (0..37 * 23).map(|i| f64::from(of(i))).collect()
        };
        for filter in [Filter::Bilinear, Filter::Bicubic] {
            for to in [(13, 9), (81, 50)] {
                let resized = image.resize(to.0, to.1, filter).unwrap();
                let resampled = |plane: Vec<f64>| resample_plane(&plane, (37, 23), to, filter);
                let opacity = resampled(plane(&|i| alpha[i]));
                for c in 0..3 {
                    let weighted = resampled(plane(&|i| alpha[i] * image.rgb[3 * i + c]));
                    for (i, (w, a)) in weighted.iter().zip(&opacity).enumerate() {
                        let found = f64::from(resized.rgb[3 * i + c]);
                        assert!((found - w / a).abs() < 1e-4, "{filter:?} {to:?}: {found}");
                    }
                }
                let found = resized.alpha.unwrap();
                for (found, expected) in found.iter().zip(&opacity) {
                    assert!((f64::from(*found) - expected).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn no_hidden_colour_bleeds() {
        let with_ground = |ground: [f32; 3]| {
            let mut image = Image::filled(24, 24, ground).unwrap();
            let mut alpha = vec![0.0; 24 * 24];
            for i in (0..24 * 24).filter(|i| i % 24 >= 9 && i / 24 >= 9) {
                image.rgb[3 * i..3 * i + 3].copy_from_slice(&[0.2, 0.4, 0.6]);
                alpha[i] = 1.0;
            }
            image.with_alpha(alpha).unwrap()
        };
        let (red, black) = (with_ground([1.0, 0.0, 0.0]), with_ground([0.0; 3]));
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for to in [(11, 7), (50, 61)] {
                let image = red.resize(to.0, to.1, filter).unwrap();
                assert_eq!(image, black.resize(to.0, to.1, filter).unwrap());
                for pixel in image.rgb.chunks_exact(3) {
                    for (found, expected) in pixel.iter().zip([0.2, 0.4, 0.6]) {
                        assert!((found - expected).abs() < 1e-3, "{filter:?}: {pixel:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn bicubic_overshoots_until_clamped() {
        let mut image = Image::filled(8, 1, [0.0; 3]).unwrap();
        image.rgb[12..].fill(1.0);
        let resized = image.resize(32, 1, Filter::Bicubic).unwrap();
        assert!(resized.rgb.iter().any(|v| *v > 1.01) && resized.rgb.iter().any(|v| *v < -0.01));
        let clamped = resized.clamp();
        assert!(clamped.rgb.iter().all(|v| (0.0..=1.0).contains(v)));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let image = random_image(4, 4);
        assert!(matches!(
            image.resize(0, 4, Filter::Bilinear),
            Err(ImageError::NoPixels { .. })
        ));
        assert!(matches!(
            image.resize(u32::MAX, 4, Filter::Bilinear),
            Err(ImageError::TooLarge { .. })
        ));
        assert_eq!(
            image.center_crop(5, 4).unwrap_err().to_string(),
            "cannot crop 5x4 pixels out of an image of 4x4"
        );
        assert!(image.center_crop(4, 0).is_err());
    }

    #[test]
    fn sizes_keep_the_proportions() {
        assert_eq!(size_for_long_side(451, 300, 256), (256, 170)); // 170.29
        assert_eq!(size_for_long_side(300, 451, 256), (170, 256));
        assert_eq!(size_for_long_side(4, 3, 2), (2, 2)); // 1.5
        assert_eq!(size_for_long_side(1000, 1, 100), (100, 1)); // 0.1, but never 0
        assert_eq!(size_for_long_side(5, 5, 7), (7, 7));
        assert_eq!(size_for_short_side(451, 300, 256), (385, 256)); // 384.85
        assert_eq!(size_for_short_side(300, 451, 256), (256, 385));
        assert_eq!(size_for_short_side(4, 3, 1), (1, 1)); // 1.33
        assert_eq!(size_for_short_side(u32::MAX, 1, 2), (u32::MAX, 2));
        assert_eq!(size_for_long_side(5, 5, 0), (0, 0));
        assert_eq!(size_for_short_side(0, 5, 3), (0, 0));
    }

    #[test]
    fn centre_crop_takes_the_middle() {
        let mut image = Image::filled(5, 4, [0.0; 3]).unwrap();
        for (i, v) in image.rgb.iter_mut().enumerate() {
            *v = (i / 3) as f32;
        }
        let alpha = image.rgb.iter().step_by(3).copied().collect();
        let image = image.with_alpha(alpha).unwrap();
        // Margins 3 and 2: offsets 1.5, which rounds to 2, and 1.
        let crop = image.center_crop(2, 2).unwrap();
        assert_eq!(crop.alpha.as_deref(), Some(&[7.0, 8.0, 12.0, 13.0][..]));
        assert_eq!(crop.rgb[9..], [13.0; 3]);
        // Margins 1 and 1: offsets 0.5, which rounds to 0.
        assert_eq!(image.center_crop(4, 3).unwrap().pixel(0, 0), [0.0; 3]);
        assert_eq!(image.center_crop(5, 4).unwrap(), image);
    }
}
