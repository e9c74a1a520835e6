//! YCbCr that is not packed as JPEG (TIFF 6.0, section 21).

use super::directory::{Directory, tag};

/// Bytes of `rows` rows of pixels, whose chroma is sampled once per `across` × `down` pixels.
pub fn length(width: usize, rows: usize, (across, down): (usize, usize)) -> usize {
    width.div_ceil(across) * rows.div_ceil(down) * (across * down + 2)
}

/// Units of luma and one chroma each become pixels with their own Y, Cb and Cr.
pub fn spread(packed: &[u8], width: usize, rows: usize, (across, down): (usize, usize)) -> Vec<u8> {
    let mut pixels = vec![0; width * rows * 3];
    let per_row = width.div_ceil(across);
    for (i, unit) in packed.chunks_exact(across * down + 2).enumerate() {
        let (left, top) = (i % per_row * across, i / per_row * down);
        let (luma, chroma) = unit.split_at(across * down);
        for (k, y) in luma.iter().enumerate() {
            let (x, row) = (left + k % across, top + k / across);
            if x < width && row < rows {
                let at = 3 * (row * width + x);
                pixels[at..at + 3].copy_from_slice(&[*y, chroma[0], chroma[1]]);
            }
        }
    }
    pixels
}

/// Luma's weights of R, G and B (ITU-R BT.601), and black and white of Y, Cb and Cr where a file tells none.
const WEIGHTS: [f64; 3] = [0.299, 0.587, 0.114];
const RANGE: [f64; 6] = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];

/// Y, Cb and Cr of 8 bits (as 0 to 1) to RGB, by the file's own weights, black and white.
pub fn to_rgb(directory: &Directory<'_>) -> impl Fn(Vec<f32>) -> Vec<f32> + Send + use<> {
    let weights = directory.fractions(tag::YCBCR_COEFFICIENTS);
    let mut weights: [f64; 3] = weights.try_into().unwrap_or(WEIGHTS);
    let range = directory.fractions(tag::REFERENCE_BLACK_WHITE);
    let mut range: [f64; 6] = range.try_into().unwrap_or(RANGE);
    let makes_sense = weights.iter().all(|v| *v > 0.0 && *v < 1.0)
        && range.chunks(2).all(|ends| ends[1] > ends[0]);
    if !makes_sense {
        (weights, range) = (WEIGHTS, RANGE);
    }
    let [lr, lg, lb] = weights;
    // A code of a component, from its black and white to its full range.
    let spread = move |v: f32, c: usize, full: f64| {
        (f64::from(v) * 255.0 - range[2 * c]) / (range[2 * c + 1] - range[2 * c]) * full
    };
    move |mut samples: Vec<f32>| {
        for pixel in samples.chunks_exact_mut(3) {
            let y = spread(pixel[0], 0, 255.0);
            let (cb, cr) = (spread(pixel[1], 1, 127.0), spread(pixel[2], 2, 127.0));
            let r = cr * (2.0 - 2.0 * lr) + y;
            let b = cb * (2.0 - 2.0 * lb) + y;
            let g = (y - lb * b - lr * r) / lg;
            for (to, v) in pixel.iter_mut().zip([r, g, b]) {
                *to = (v / 255.0).clamp(0.0, 1.0) as f32;
            }
        }
        samples
    }
}
