//! sum: hand-computed, in one slot only, and accurate over long arrays.

use pixgrad::engine::kernels::Sum;
use rand::Rng;

use crate::common::{Data, check, check_within, random, uniform};

#[test]
fn writes_its_slot_and_no_other() {
    let sum = Sum {
        n: 2,
        parts: 3,
        scale: 0.5.into(),
        slots: 3,
        slot: 1,
    };
    // The seventh partial is beyond the two images' three.
    let data = [
        Data::Reals(vec![1.0, 2.0, 4.0, -6.0, 3.0, 1.0, 100.0]),
        Data::Reals(vec![7.0, 8.0, 9.0, 10.0, 11.0, 12.0]),
    ];
    assert_eq!(
        check(&sum, &data)[0].reals(),
        [7.0, 3.5, 9.0, 10.0, -1.0, 12.0]
    );
}

#[test]
fn every_length() {
    for (seed, len) in [1, 2, 255, 256, 257, 1000].into_iter().enumerate() {
        let partials = uniform(&mut random(seed as u64), len as usize);
        let expected: f64 = partials.iter().map(|&v| f64::from(v)).sum();
        let sum = Sum {
            n: 1,
            parts: len,
            scale: 2.0.into(),
            slots: 1,
            slot: 0,
        };
        // The terms have either sign: what is left of them must not be smaller than they are.
        let offset = Data::Reals(partials.iter().map(|v| v + 2.0).collect());
        let total = check(&sum, &[offset, Data::Reals(vec![0.0])])[0].reals()[0];
        let expected = 2.0 * (expected + 2.0 * f64::from(len));
        assert!(
            (total - expected).abs() <= 1e-6 * expected,
            "{len}: {total} should be {expected}"
        );
    }
}

#[test]
fn long_sums_are_accurate() {
    let mut rng = random(9);
    let len = 1 << 17;
    let partials = (0..len).map(|_| rng.random_range(0.0..1.0)).collect();
    let sum = Sum {
        n: 1,
        parts: len,
        scale: 1.0.into(),
        slots: 1,
        slot: 0,
    };
    check_within(&sum, &[Data::Reals(partials), Data::Reals(vec![0.0])], 1e-6);
}
