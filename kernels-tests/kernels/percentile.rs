//! percentile: against numpy's numbers and a sort.

use pixgrad::engine::kernels::Percentile;
use rand::Rng;

use crate::common::{Data, check, random, uniform};

/// numpy's default, of sorted numbers.
pub fn plain(numbers: &[f64], percentile: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let r = (sorted.len() - 1) as f64 * percentile / 100.0;
    let low = sorted[r.floor() as usize];
    let high = sorted[r.ceil() as usize];
    low + r.fract() * (high - low)
}

/// The percentile of each image.
fn percentiles(numbers: &[f32], n: u32, percentile: f32) -> Vec<f64> {
    let kernel = Percentile {
        n,
        len: numbers.len() as u32 / n,
        percentile,
    };
    let data = [
        Data::Reals(numbers.to_vec()),
        Data::PoisonedReals(n as usize),
    ];
    check(&kernel, &data)[0].reals().to_vec()
}

#[test]
fn by_hand() {
    let numbers = [3.0, 1.0, 2.0, -1.0, -5.0, -3.0, 0.0, 0.0, 0.0];
    for (percentile, expected) in [
        (0.0, [1.0, -5.0, 0.0]),
        (50.0, [2.0, -3.0, 0.0]),
        (75.0, [2.5, -2.0, 0.0]),
        (100.0, [3.0, -1.0, 0.0]),
    ] {
        assert_eq!(percentiles(&numbers, 3, percentile), expected);
    }
    assert_eq!(percentiles(&[7.0], 1, 33.0), [7.0]);
}

/// numpy 2.4 of the sixteenths of `blur`'s picture, shuffled as they stand there.
#[test]
fn numpy_agrees() {
    let numbers: Vec<f32> = (0..4u8)
        .flat_map(|i| (0..5).map(move |j| (7 * i * i + 3 * j * j * j + 5 * i * j) % 17))
        .map(|v| f32::from(v) / 16.0)
        .collect();
    for (percentile, expected) in [
        (0.0, 0.0),
        (10.0, 0.11875),
        (20.0, 0.1875),
        (50.0, 0.4375),
        (90.0, 0.9375),
        (100.0, 0.9375),
    ] {
        let got = percentiles(&numbers, 1, percentile)[0];
        assert!((got - expected).abs() < 1e-7, "{percentile}: {got}");
    }
}

/// Both signs and every size of number, many equal ones, lengths about a workgroup; each image has its own.
#[test]
fn a_sort_everywhere() {
    let mut rng = random(1);
    for len in [1, 2, 3, 17, 255, 256, 257, 1000, 5_003] {
        let wide = |exponent: f32, v: f32| v * exponent.exp2();
        let mut numbers = uniform(&mut rng, 3 * len);
        for v in &mut numbers[len..2 * len] {
            *v = wide(rng.random_range(-60.0..60.0), *v);
        }
        for v in &mut numbers[2 * len..] {
            *v = (*v * 4.0).round() / 4.0;
        }
        for percentile in [0.0, 0.01, 5.0, 20.0, 33.3, 50.0, 90.0, 99.99, 100.0] {
            let got = percentiles(&numbers, 3, percentile);
            for (got, own) in got.iter().zip(numbers.chunks(len)) {
                let own: Vec<f64> = own.iter().map(|&v| f64::from(v)).collect();
                let expected = plain(&own, percentile.into());
                // The fraction is rounded to f32: 2⁻²⁴ of a gap between neighbours.
                let scale = own.iter().fold(0.0, |m, v| f64::max(m, v.abs()));
                assert!(
                    (got - expected).abs() <= 6e-8 * scale,
                    "{len} numbers, percentile {percentile}: {got} should be {expected}"
                );
            }
        }
    }
}

/// Neighbours that share three of four digits, and the greatest number as the one above.
#[test]
fn the_last_digit_decides() {
    let base = 1.0f32.to_bits();
    for order in [[0u32, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
        let numbers = order.map(|i| f32::from_bits(base + 255 * i + i * i));
        let sorted = [0u32, 1, 2, 3].map(|i| f64::from(f32::from_bits(base + 255 * i + i * i)));
        for (percentile, expected) in [
            (0.0, sorted[0]),
            (50.0, 0.5 * (sorted[1] + sorted[2])),
            (100.0, sorted[3]),
        ] {
            let got = percentiles(&numbers, 1, percentile)[0];
            assert!((got - expected).abs() < 1e-12, "{percentile}: {got}");
        }
    }
}
