//! quantiles: the reference against a case by hand and the definition, the shader against it.

use pixgrad::engine::kernels::Quantiles;

use crate::common::oracle::wide;
use crate::common::{Data, check, random, uniform};

#[test]
fn quantiles_by_hand() {
    let kernel = Quantiles {
        images: 1,
        rows: 1,
        len: 2,
        goals: 3,
    };
    let data = [
        Data::Reals(vec![1.0, 3.0]),
        Data::Words(vec![1, 0]),
        Data::Reals(vec![0.0, 2.0, 4.0]),
        Data::PoisonedReals(2),
        Data::PoisonedReals(1),
    ];
    // Thirds against halves: they differ by 1 everywhere, of one sign on 1/3 and of the other on 1/6 of each half.
    let found = check(&kernel, &data);
    let [slopes, value] = [found[0].reals(), found[1].reals()];
    assert!((slopes[1] - 1.0 / 3.0).abs() < 1e-12 && (slopes[0] + 1.0 / 3.0).abs() < 1e-12);
    assert!((value[0] - 2.0).abs() < 1e-12);
}

/// Sizes of every proportion, and two whose product has more than 32 bits.
#[test]
fn quantiles_of_sets_of_any_size() {
    for (images, rows, len, goals) in [
        (1, 1, 1, 1),
        (2, 3, 1, 1000),
        (1, 2, 700, 1),
        (2, 4, 256, 256),
        (1, 3, 257, 100),
        (2, 5, 100, 613),
        (1, 1, 70_000, 70_001),
        (1, 1, 90_000, 61),
    ] {
        let mut rng = random(u64::from(len));
        let mut sorted = |each: u32| {
            let mut numbers = uniform(&mut rng, (images * rows * each) as usize);
            for row in numbers.chunks_mut(each as usize) {
                row.sort_by(f32::total_cmp);
            }
            numbers
        };
        let kernel = Quantiles {
            images,
            rows,
            len,
            goals,
        };
        let (own, other) = (sorted(len), sorted(goals));
        // Any permutation.
        let order = (0..images * rows).flat_map(|_| (0..len).map(|i| len - 1 - i));
        let data = [
            Data::Reals(own.clone()),
            Data::Words(order.collect()),
            Data::Reals(other.clone()),
            Data::PoisonedReals((images * rows * len) as usize),
            Data::PoisonedReals((images * rows * kernel.parts()) as usize),
        ];
        let found = check(&kernel, &data);
        if len <= 1000 {
            let parts = found[1].reals().chunks(kernel.parts() as usize);
            for (row, parts) in parts.enumerate() {
                let of = |numbers: &[f32], each: u32| {
                    let each = each as usize;
                    wide(&numbers[row * each..][..each])
                };
                let expected = f64::from(len) * distance(&of(&own, len), &of(&other, goals));
                let got: f64 = parts.iter().sum();
                assert!((got - expected).abs() <= 1e-9 * expected, "{kernel:?}");
            }
        }
    }
}

/// ∫ (p(u) − q(u))² du of two sorted sets: both repeated to one size, number by number.
pub fn distance(p: &[f64], q: &[f64]) -> f64 {
    let size = p.len() * q.len();
    let squares = (0..size).map(|i| (p[i / q.len()] - q[i / p.len()]).powi(2));
    squares.sum::<f64>() / size as f64
}
