//! One picture in the colours of another: its mean and covariance, or its lights and darks (Gatys et al. 2016,
//! "Preserving Color in Neural Artistic Style Transfer").

use super::{Image, luma};

/// Added to the variances, so that a picture of few colours can be mapped, too.
const EPSILON: f64 = 1e-5;

type Matrix = [[f64; 3]; 3];

/// `image` with the colours of `reference`: x' = T(x − μ) + μ_r, T being the symmetric positive matrix with T·Σ·T = Σ_r
/// (the Monge map between normal distributions, the smallest change of colours that does it), Σ and Σ_r the 3×3
/// covariances with 1e-5 on their diagonals (section 3). The mean then is `reference`'s, and so is the covariance but
/// for what that 1e-5 does to it. Values may leave `[0, 1]`; see [`Image::clamp`].
#[must_use]
pub fn match_colours(image: &Image, reference: &Image) -> Image {
    let ((mean, own), (mean_r, wanted)) = (statistics(image), statistics(reference));
    let map = monge(&own, &wanted);
    let mut result = image.clone();
    for pixel in result.rgb.chunks_exact_mut(3) {
        let from: [f64; 3] = std::array::from_fn(|c| f64::from(pixel[c]) - mean[c]);
        for (c, value) in pixel.iter_mut().enumerate() {
            let moved: f64 = (0..3).map(|k| map[c][k] * from[k]).sum();
            *value = (moved + mean_r[c]) as f32;
        }
    }
    result
}

/// The Rec. BT.601 luma of `image` as a gray picture, scaled and shifted so that its mean and standard deviation are
/// those of `reference`'s luma: L' = σ_r/σ·(L − μ) + μ_r (section 4), within `[0, 1]`. An image of one luma only gets
/// the mean.
#[must_use]
pub fn gray_like(image: &Image, reference: &Image) -> Image {
    let own = luma(image);
    let ((mean, deviation), (mean_r, deviation_r)) = (spread(&own), spread(&luma(reference)));
    let scale = if deviation > 0.0 {
        deviation_r / deviation
    } else {
        1.0
    };
    let moved = own
        .iter()
        .map(|y| (scale * (f64::from(*y) - mean) + mean_r) as f32);
    let result = Image {
        rgb: moved.flat_map(|y| [y; 3]).collect(),
        ..image.clone()
    };
    result.clamp()
}

/// Mean and standard deviation.
fn spread(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = |v: &f32| (f64::from(*v) - mean).powi(2);
    (mean, (values.iter().map(square).sum::<f64>() / n).sqrt())
}

/// Mean colour and covariance of the colours over all pixels, in two passes.
fn statistics(image: &Image) -> ([f64; 3], Matrix) {
    let n = (image.rgb.len() / 3) as f64;
    let mut mean = [0.0; 3];
    for pixel in image.rgb.chunks_exact(3) {
        (0..3).for_each(|c| mean[c] += f64::from(pixel[c]) / n);
    }
    let mut covariance = [[0.0; 3]; 3];
    for pixel in image.rgb.chunks_exact(3) {
        let from: [f64; 3] = std::array::from_fn(|c| f64::from(pixel[c]) - mean[c]);
        for (row, a) in covariance.iter_mut().zip(from) {
            row.iter_mut()
                .zip(from)
                .for_each(|(sum, b)| *sum += a * b / n);
        }
    }
    (mean, covariance)
}

/// Σ^(-½)·(Σ^½·Σ_r·Σ^½)^½·Σ^(-½), each with [`EPSILON`] on its diagonal.
fn monge(own: &Matrix, wanted: &Matrix) -> Matrix {
    let regular = |m: &Matrix| {
        let mut m = *m;
        (0..3).for_each(|i| m[i][i] += EPSILON);
        m
    };
    let (own, wanted) = (regular(own), regular(wanted));
    let root = function(&own, f64::sqrt);
    let inverse = function(&own, |v| 1.0 / v.sqrt());
    let middle = product(&root, &product(&wanted, &root));
    product(&inverse, &product(&function(&middle, f64::sqrt), &inverse))
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// A function of a symmetric positive matrix, by its eigenvalues: Jacobi rotations until nothing but them is left.
fn function(matrix: &Matrix, f: impl Fn(f64) -> f64) -> Matrix {
    let mut a = *matrix;
    let mut vectors: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(i == j)));
    // Convergence is quadratic: a handful of sweeps reaches the last digit.
    for _ in 0..16 {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            if a[p][q] == 0.0 {
                continue;
            }
            let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
            let (sin, cos) = angle.sin_cos();
            let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
            for row in a.iter_mut().chain(&mut vectors) {
                (row[p], row[q]) = turn(row[p], row[q]);
            }
            let (row_p, row_q) = (a[p], a[q]);
            a[p] = std::array::from_fn(|k| turn(row_p[k], row_q[k]).0);
            a[q] = std::array::from_fn(|k| turn(row_p[k], row_q[k]).1);
        }
    }
    // Rounding may leave the smallest eigenvalue a hair below zero.
    let values: [f64; 3] = std::array::from_fn(|k| f(a[k][k].max(f64::MIN_POSITIVE)));
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            (0..3)
                .map(|k| vectors[i][k] * values[k] * vectors[j][k])
                .sum()
        })
    })
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::image::with_luma;

    /// Pixels of correlated channels.
    fn picture(seed: u64, tint: [f32; 3]) -> Image {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let rgb = (0..40 * 30).flat_map(|_| {
            let shared: f32 = rng.random_range(0.0..0.6);
            tint.map(|t| shared * t + rng.random_range(0.0..0.4))
        });
        Image::new(40, 30, rgb.collect()).unwrap()
    }

    #[test]
    fn mean_and_covariance_become_those_of_the_other() {
        let (image, other) = (picture(1, [1.0, 0.3, 0.6]), picture(2, [0.2, 0.9, 0.5]));
        let (mean, covariance) = statistics(&match_colours(&image, &other));
        let (wanted_mean, wanted) = statistics(&other);
        for c in 0..3 {
            assert!(
                (mean[c] - wanted_mean[c]).abs() < 1e-6,
                "{mean:?} {wanted_mean:?}"
            );
            for k in 0..3 {
                // ε moves variances of some 0.03 by less than ε·(1 + ‖T‖²).
                let error = (covariance[c][k] - wanted[c][k]).abs();
                assert!(
                    error < 1e-4,
                    "{c} {k}: {} {}",
                    covariance[c][k],
                    wanted[c][k]
                );
            }
        }
    }

    #[test]
    fn the_map_is_symmetric_and_does_what_it_says() {
        let own = statistics(&picture(3, [1.0, 0.3, 0.6])).1;
        let wanted = statistics(&picture(4, [0.2, 0.9, 0.1])).1;
        let map = monge(&own, &wanted);
        let with = |m: &Matrix| {
            let mut m = *m;
            (0..3).for_each(|i| m[i][i] += EPSILON);
            m
        };
        let moved = product(&map, &product(&with(&own), &map));
        for i in 0..3 {
            for j in 0..3 {
                assert!((map[i][j] - map[j][i]).abs() < 1e-12);
                assert!((moved[i][j] - with(&wanted)[i][j]).abs() < 1e-14, "{i} {j}");
            }
        }
        // Positive definite: Sylvester's criterion.
        assert!(map[0][0] > 0.0 && map[0][0] * map[1][1] > map[0][1] * map[1][0]);
        // By hand: variances 0.04 and 0.09 in one channel are a factor of 1.5.
        let diagonal = |v: f64| -> Matrix {
            std::array::from_fn(|i| std::array::from_fn(|j| f64::from(i == j) * v))
        };
        let map = monge(&diagonal(0.04 - EPSILON), &diagonal(0.09 - EPSILON));
        for (i, row) in map.iter().enumerate() {
            for (j, value) in row.iter().enumerate() {
                let expected = if i == j { 1.5 } else { 0.0 };
                assert!((value - expected).abs() < 1e-14, "{map:?}");
            }
        }
    }

    #[test]
    fn a_picture_of_one_colour_can_be_mapped() {
        let flat = Image::filled(4, 4, [0.2, 0.4, 0.6]).unwrap();
        let other = picture(5, [0.3, 0.3, 0.9]);
        let (wanted, _) = statistics(&other);
        for pixel in match_colours(&flat, &other).rgb.chunks(3) {
            assert!((0..3).all(|c| (f64::from(pixel[c]) - wanted[c]).abs() < 1e-3));
        }
        let same = match_colours(&other, &other);
        for (a, b) in same.rgb.iter().zip(&other.rgb) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn luma_gets_the_others_mean_and_spread() {
        let (image, other) = (picture(6, [0.5, 0.2, 0.3]), picture(7, [0.7, 0.6, 0.4]));
        let gray = gray_like(&image, &other);
        assert!(gray.rgb.chunks(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        let (found, wanted) = (spread(&luma(&gray)), spread(&luma(&other)));
        assert!((found.0 - wanted.0).abs() < 1e-6 && (found.1 - wanted.1).abs() < 1e-6);
        // With itself: its luma.
        let own = gray_like(&image, &image);
        for (a, b) in luma(&own).iter().zip(luma(&image)) {
            assert!((a - b).abs() < 1e-6);
        }
        let flat = Image::filled(4, 4, [0.2, 0.4, 0.6]).unwrap();
        let (mean, deviation) = spread(&luma(&gray_like(&flat, &other)));
        assert!((mean - wanted.0).abs() < 1e-6 && deviation < 1e-6);
    }

    #[test]
    fn with_luma_keeps_the_chroma_of_every_pixel() {
        let image = picture(8, [0.4, 0.5, 0.3]);
        let other = luma(&picture(9, [0.6, 0.5, 0.4]));
        let result = with_luma(&image, &other).unwrap();
        for (before, after) in image.rgb.chunks(3).zip(result.rgb.chunks(3)) {
            // Rec. 601: Cb and Cr are multiples of B − Y and R − Y.
            let y = |p: &[f32]| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
            for c in [0, 2] {
                let (a, b) = (before[c] - y(before), after[c] - y(after));
                assert!((a - b).abs() < 1e-6);
            }
        }
    }
}
