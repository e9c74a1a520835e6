//! Luma, channel statistics and the distance of two images.

use super::{Image, ImageError};

/// The weights of R, G and B in luma (ITU-R Rec. BT.601, section 2.5.1).
const LUMA_REC601: [f32; 3] = [0.299, 0.587, 0.114];

fn luma_of(pixel: &[f32]) -> f32 {
    pixel.iter().zip(LUMA_REC601).map(|(v, w)| v * w).sum()
}

/// Rec. BT.601 luma of the sRGB-encoded values, `[height][width]`, in the unit of the image.
pub fn luma(image: &Image) -> Vec<f32> {
    image.rgb.chunks_exact(3).map(luma_of).collect()
}

/// The image with its luma replaced by `luma` (`[height][width]`) and its chroma kept: the
/// luminance-only transfer of Gatys et al., "Preserving Color in Neural Artistic Style Transfer"
/// (2016), section 4. Values may leave `[0, 1]`; see [`Image::clamp`].
///
/// In YIQ and YCbCr alike, changing Y at constant chroma adds the same amount to R, G and B.
///
/// # Errors
/// A wrong number of luma values.
pub fn with_luma(image: &Image, luma: &[f32]) -> Result<Image, ImageError> {
    let pixels = image.rgb.len() / 3;
    if luma.len() != pixels {
        return Err(ImageError::Length {
            what: "luma",
            width: image.width,
            height: image.height,
            expected: pixels,
            found: luma.len(),
        });
    }
    let mut result = image.clone();
    for (pixel, y) in result.rgb.chunks_exact_mut(3).zip(luma) {
        let change = y - luma_of(pixel);
        pixel.iter_mut().for_each(|v| *v += change);
    }
    Ok(result)
}

/// Mean and standard deviation of each channel. Pixels count by their opacity; where all are transparent, alike.
pub fn mean_std(image: &Image) -> ([f32; 3], [f32; 3]) {
    let opacity = |i: usize| {
        image
            .alpha
            .as_ref()
            .map_or(1.0, |alpha| f64::from(alpha[i]))
    };
    let total: f64 = (0..image.rgb.len() / 3).map(opacity).sum();
    let share = |i: usize| match total > 0.0 {
        true => opacity(i) / total,
        false => 3.0 / image.rgb.len() as f64,
    };
    // Two passes in f64: the variance of a nearly flat image must not drown in cancellation.
    let mut mean = [0f64; 3];
    for (i, pixel) in image.rgb.chunks_exact(3).enumerate() {
        (0..3).for_each(|c| mean[c] += share(i) * f64::from(pixel[c]));
    }
    let mut variance = [0f64; 3];
    for (i, pixel) in image.rgb.chunks_exact(3).enumerate() {
        (0..3).for_each(|c| variance[c] += share(i) * (f64::from(pixel[c]) - mean[c]).powi(2));
    }
    (mean.map(|v| v as f32), variance.map(|v| v.sqrt() as f32))
}

/// The image with the mean colour of what is seen of it wherever it is transparent: the colour that a file has there
/// means nothing.
pub fn with_hidden_filled(image: &Image) -> Image {
    let mut filled = image.clone();
    if let Some(alpha) = &image.alpha {
        let (mean, _) = mean_std(image);
        for (pixel, opacity) in filled.rgb.chunks_exact_mut(3).zip(alpha) {
            if *opacity <= 0.0 {
                pixel.copy_from_slice(&mean);
            }
        }
    }
    filled
}

/// Peak signal-to-noise ratio over R, G and B in dB, the peak being 1; infinite for equal images.
/// Alpha plays no part.
///
/// # Errors
/// The images differ in size.
pub fn psnr(a: &Image, b: &Image) -> Result<f64, ImageError> {
    if a.size() != b.size() {
        return Err(ImageError::SizesDiffer {
            a: a.size(),
            b: b.size(),
        });
    }
    let square = |(x, y): (&f32, &f32)| (f64::from(*x) - f64::from(*y)).powi(2);
    let mse = a.rgb.iter().zip(&b.rgb).map(square).sum::<f64>() / a.rgb.len() as f64;
    Ok(-10.0 * mse.log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(rgb: &[f32]) -> Image {
        Image::new((rgb.len() / 3) as u32, 1, rgb.to_vec()).unwrap()
    }

    #[test]
    fn pixels_count_by_their_opacity() {
        let image = Image::new(3, 1, vec![0.2, 0.4, 0.6, 0.4, 0.6, 0.8, 1.0, 0.0, 0.0]);
        let image = image.and_then(|image| image.with_alpha(vec![1.0, 1.0, 0.0]));
        let image = image.expect("an image");
        let (mean, std) = mean_std(&image);
        for c in 0..3 {
            assert!((mean[c] - [0.3, 0.5, 0.7][c]).abs() < 1e-6, "{mean:?}");
            assert!((std[c] - 0.1).abs() < 1e-6, "{std:?}");
        }
        let filled = with_hidden_filled(&image);
        assert_eq!(filled.rgb[..6], image.rgb[..6]);
        assert_eq!(filled.rgb[6..], mean);
        let hidden = image.with_alpha(vec![0.0; 3]).expect("an image");
        assert!((mean_std(&hidden).0[0] - 1.6 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn luma_weighs_the_channels_and_can_be_replaced() {
        let primaries = image(&[1., 0., 0., 0., 1., 0., 0., 0., 1., 0.5, 0.5, 0.5]);
        let y = luma(&primaries);
        assert_eq!(y[..3], LUMA_REC601);
        assert!((y[3] - 0.5).abs() < 1e-6);

        let moved = with_luma(&primaries, &[0.25; 4]).unwrap();
        assert!(luma(&moved).iter().all(|y| (y - 0.25).abs() < 1e-6));
        // R - G and B - G are what chroma is made of.
        for (before, after) in primaries.rgb.chunks(3).zip(moved.rgb.chunks(3)) {
            assert!(((before[0] - before[1]) - (after[0] - after[1])).abs() < 1e-6);
            assert!(((before[2] - before[1]) - (after[2] - after[1])).abs() < 1e-6);
        }
        assert!(with_luma(&primaries, &[0.25; 3]).is_err());
    }

    #[test]
    fn mean_and_std_by_hand() {
        let (mean, std) = mean_std(&image(&[0.0, 0.2, 0.5, 1.0, 0.4, 0.5]));
        assert_eq!(mean, [0.5, 0.3, 0.5]);
        assert_eq!((std[0], std[2]), (0.5, 0.0));
        assert!((std[1] - 0.1).abs() < 1e-7);
    }

    #[test]
    fn psnr_by_hand() {
        let a = image(&[0.5; 6]);
        // An error of 0.1 everywhere is 20 dB; in one of six values, 10·log10(6) more.
        let db = psnr(&a, &image(&[0.6; 6])).unwrap();
        assert!((db - 20.0).abs() < 1e-5, "{db}");
        let db = psnr(&a, &image(&[0.5, 0.5, 0.5, 0.6, 0.5, 0.5])).unwrap();
        assert!((db - 20.0 - 10.0 * 6f64.log10()).abs() < 1e-5, "{db}");
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
        let error = psnr(&a, &image(&[0.5; 3])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the images differ in size: 2x1 and 1x1 pixels"
        );
    }
}
