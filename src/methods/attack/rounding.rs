//! Changed pictures rounded to 8 bits that stay in the ball around the picture they come from.

use super::{Attack, Distance};
use crate::Error;
use crate::image::Image;
use crate::methods::MethodError;
use crate::spec::BallNorm;

/// The image as an 8-bit file holds it.
pub(super) fn rounded(image: &Image) -> Result<Image, Error> {
    Ok(Image::from_rgb8(
        image.width,
        image.height,
        &image.to_rgb8(),
    )?)
}

/// The radius of the ball in which an attack moves. Where its images are rounded to 8 bits afterwards, it is smaller
/// than ε by as much as rounding may add:
/// - In the largest difference half a step, or nothing where the pictures are 8-bit images themselves and ε is a whole
///   number of steps.
/// - In l2 only what the nearest 8-bit image is away from the picture; [`rounded_within`] takes care of the rest.
///
/// # Errors
/// [`MethodError::SmallBall`] where the ball holds no 8-bit image but perhaps the picture itself.
pub(super) fn radius(images: &[Image], attack: &Attack) -> Result<f32, Error> {
    if !attack.survive_8bit {
        return Ok(attack.epsilon);
    }
    let mut offset = 0f64;
    for image in images {
        offset = offset.max(Distance::between(image, &rounded(image)?).l2);
    }
    let epsilon = f64::from(attack.epsilon);
    let steps = 255.0 * epsilon;
    let (radius, least) = match attack.norm {
        // Whole steps; a hair more than the quotient, which may be a hair too small.
        BallNorm::Linf if offset == 0.0 => ((steps + 1e-3).floor() / 255.0, 1.0 / 255.0),
        BallNorm::Linf => ((steps - 0.5) / 255.0, 1.0 / 255.0),
        BallNorm::L2 if steps < 1.0 => (0.0, offset.max(1.0 / 255.0)),
        BallNorm::L2 => (
            (epsilon * epsilon - offset * offset).max(0.0).sqrt(),
            offset,
        ),
    };
    if radius > 0.0 {
        return Ok(radius as f32);
    }
    Err(MethodError::SmallBall {
        epsilon: attack.epsilon,
        least,
    }
    .into())
}

/// `image` rounded to 8 bits so that its l2 distance from `start` is at most `epsilon`, as far as 8 bits allow it.
/// Every value takes the nearest level. Where that is too far, values take the next level towards the start, those
/// first which this brings nearest for the smallest deviation, then the level nearest to the start.
pub(super) fn rounded_within(start: &Image, image: &Image, epsilon: f32) -> Result<Image, Error> {
    let levels = |image: &Image| -> Vec<f64> {
        let bytes = image.to_rgb8();
        bytes.into_iter().map(f64::from).collect()
    };
    let (home, mut rounded) = (levels(start), levels(image));
    let exact = |image: &Image, i: usize| 255.0 * f64::from(image.rgb[i].clamp(0.0, 1.0));
    // A hair less than ε, so that rounding of sums leaves no image outside.
    let budget = (255.0 * f64::from(epsilon) * (1.0 - 1e-6)).powi(2);
    let squared = |level: f64, i: usize| (level - exact(start, i)).powi(2);
    let mut left: f64 = (0..home.len()).map(|i| squared(rounded[i], i)).sum();
    for whole_way in [false, true] {
        if left <= budget {
            break;
        }
        let nearer = |i: usize| match (rounded[i], home[i]) {
            (_, home) if whole_way => home,
            (level, home) if level > home => level - 1.0,
            (level, home) if level < home => level + 1.0,
            (level, _) => level,
        };
        // What is saved, and at which price.
        let mut choices: Vec<(f64, f64, usize)> = (0..home.len())
            .map(|i| {
                let saved = squared(rounded[i], i) - squared(nearer(i), i);
                let deviation = |level: f64| (level - exact(image, i)).abs();
                let price = deviation(nearer(i)) - deviation(rounded[i]);
                (price / saved, saved, i)
            })
            .filter(|(_, saved, _)| *saved > 0.0)
            .collect();
        choices.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
        let targets: Vec<(f64, f64, usize)> = choices
            .into_iter()
            .map(|(_, saved, i)| (nearer(i), saved, i))
            .collect();
        for (level, saved, i) in targets {
            if left <= budget {
                break;
            }
            rounded[i] = level;
            left -= saved;
        }
    }
    let bytes: Vec<u8> = rounded.into_iter().map(|level| level as u8).collect();
    Ok(Image::from_rgb8(image.width, image.height, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::AttackMethod;

    fn l2(epsilon: f32) -> Attack {
        Attack {
            norm: BallNorm::L2,
            epsilon,
            survive_8bit: true,
            ..Attack::new(AttackMethod::Pgd)
        }
    }

    /// Values from 0 to 1 that look random.
    fn noise(len: usize, seed: u32) -> impl Iterator<Item = f32> {
        let mut state = seed;
        (0..len).map(move |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        })
    }

    #[test]
    fn rounded_images_stay_within_epsilon() {
        let mut attack = Attack::new(AttackMethod::Bim);
        let radius_of = |image: Image, attack: &Attack| radius(&[image], attack);
        let at = |v: f32| Image::filled(1, 1, [v; 3]).expect("an image");
        assert_eq!(radius_of(at(0.5), &attack).ok(), Some(8.0 / 255.0));
        attack.survive_8bit = true;
        assert_eq!(
            radius_of(at(100.0 / 255.0), &attack).ok(),
            Some(8.0 / 255.0)
        );
        let smaller = radius_of(at(0.5), &attack).expect("a radius");
        assert!((smaller - 7.5 / 255.0).abs() < 1e-6, "{smaller}");
        attack.epsilon = 0.4 / 255.0;
        assert!(radius_of(at(0.5), &attack).is_err());
        assert!(radius_of(at(100.0 / 255.0), &attack).is_err());
    }

    #[test]
    fn an_l2_ball_is_kept_by_pictures_on_and_off_the_8_bit_grid() {
        const SIDE: u32 = 32;
        let len = (3 * SIDE * SIDE) as usize;
        let off_grid = Image::new(SIDE, SIDE, noise(len, 1).collect()).expect("an image");
        let on_grid = rounded(&off_grid).expect("an image");
        for (start, epsilon) in [(&on_grid, 0.06), (&on_grid, 0.3), (&off_grid, 0.08)] {
            let radius = radius(std::slice::from_ref(start), &l2(epsilon)).expect("a radius");
            // A change of which some values are large: to the nearest, the first picture would leave its ball.
            let change: Vec<f32> = noise(len, 2).map(|v| (v - 0.5).powi(9)).collect();
            let norm = change.iter().map(|v| v * v).sum::<f32>().sqrt();
            let rgb = start.rgb.iter().zip(&change);
            let rgb = rgb.map(|(x, d)| (x + radius / norm * d).clamp(0.0, 1.0));
            let moved = Image::new(SIDE, SIDE, rgb.collect()).expect("an image");
            let found = rounded_within(start, &moved, epsilon).expect("an image");
            assert_eq!(rounded(&found).expect("an image"), found, "8 bits");
            let distance = Distance::between(start, &found).l2;
            assert!(distance <= f64::from(epsilon), "{distance} for {epsilon}");
            assert!(
                distance > 0.8 * f64::from(epsilon),
                "{distance} for {epsilon}"
            );
        }
    }

    #[test]
    fn a_picture_in_the_ball_is_rounded_to_the_nearest() {
        let start = Image::filled(2, 2, [100.0 / 255.0; 3]).expect("an image");
        let moved = Image::filled(2, 2, [103.4 / 255.0; 3]).expect("an image");
        let found = rounded_within(&start, &moved, 1.0).expect("an image");
        assert_eq!(found.to_rgb8(), [103; 12]);
    }

    #[test]
    fn a_ball_without_an_8_bit_image_is_refused() {
        let off_grid = Image::filled(8, 8, [100.5 / 255.0; 3]).expect("an image");
        let error = radius(&[off_grid], &l2(0.02)).expect_err("nothing within");
        // √192 half steps.
        assert!(error.to_string().contains("at least 0.0272"), "{error}");
        let on_grid = Image::filled(8, 8, [100.0 / 255.0; 3]).expect("an image");
        assert!(radius(&[on_grid], &l2(0.003)).is_err());
    }
}
