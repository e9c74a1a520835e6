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

/// Mean and (population) standard deviation of R, G and B over all pixels.
pub fn mean_std(image: &Image) -> ([f32; 3], [f32; 3]) {
    let n = (image.rgb.len() / 3) as f64;
    // Two passes in f64: the variance of a nearly flat image must not drown in cancellation.
    let mut mean = [0f64; 3];
    for pixel in image.rgb.chunks_exact(3) {
        (0..3).for_each(|c| mean[c] += f64::from(pixel[c]) / n);
    }
    let mut variance = [0f64; 3];
    for pixel in image.rgb.chunks_exact(3) {
        (0..3).for_each(|c| variance[c] += (f64::from(pixel[c]) - mean[c]).powi(2) / n);
    }
    (mean.map(|v| v as f32), variance.map(|v| v.sqrt() as f32))
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
