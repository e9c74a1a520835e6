//! squared_difference: value and gradient against plain loops, finite differences and the shaders.

use pixgrad::device::Device;
use pixgrad::kernels::{SquaredDifference, SquaredDifferenceBackward, View, pack, unpack};

use crate::common::{Data, check, check_within, random, run_on, tensor, uniform};

/// a, b and da: batches, a target shared by a batch, slices, sizes around a workgroup's share.
fn shapes() -> Vec<(View, View, View)> {
    let plain = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let same = |(a, b)| (a, b, a);
    vec![
        same(plain(1, 1, 1, 1)),
        same(plain(1, 5, 7, 3)),
        same(plain(2, 9, 4, 6)),
        same(plain(1, 32, 64, 4)), // exactly one share
        same(plain(1, 33, 63, 5)),
        same(plain(3, 40, 41, 10)),
        same((View::new(3, 6, 5, 13), View::new(1, 6, 5, 13))),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(1, 5, 10, 20).slice(4, 11),
            View::new(2, 5, 10, 16).slice(4, 11),
        ),
    ]
}

/// Σ (a − b)² over [N,C,H,W] arrays, b repeated over the batch.
fn plain(a: &[f64], b: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, a) in a.iter().enumerate() {
        sum += (a - b[i % b.len()]) * (a - b[i % b.len()]);
    }
    sum
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn by_hand() {
    let view = View::new(1, 1, 2, 2);
    let a = pack(view, &[1.0, 2.0, 3.0, 4.0]);
    let b = pack(view, &[1.0, 1.0, 1.0, 1.0]);
    let kernel = SquaredDifference { a: view, b: view };
    assert_eq!(kernel.partials_len(), 1);
    let data = [
        Data::Reals(a.clone()),
        Data::Reals(b.clone()),
        Data::PoisonedReals(1),
    ];
    assert_eq!(check(&kernel, &data)[0].reals(), [14.0]);
    let kernel = SquaredDifferenceBackward {
        a: view,
        b: view,
        da: view,
        alpha: 2.0,
        accumulate: false,
    };
    let data = [Data::Reals(a), Data::Reals(b), Data::Poisoned(view)];
    let da = unpack(view, check(&kernel, &data)[0].reals());
    assert_eq!(da, [0.0, 2.0, 4.0, 6.0]);
}

#[test]
fn the_value_is_the_definition_everywhere() {
    for (seed, (a, b, _)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let kernel = SquaredDifference { a, b };
        let (av, bv) = (tensor(&mut rng, a), tensor(&mut rng, b));
        let expected = plain(&unpack(a, &wide(&av)), &unpack(b, &wide(&bv)));
        let partials = Data::PoisonedReals(kernel.partials_len() as usize);
        let out = check_within(&kernel, &[Data::Reals(av), Data::Reals(bv), partials], 1e-6);
        let value: f64 = out[0].reals().iter().sum();
        assert!(
            (value - expected).abs() <= 1e-12 * expected,
            "{kernel:?}: {value} should be {expected}"
        );
    }
}

#[test]
fn the_gradient_everywhere() {
    for (seed, (a, b, da)) in shapes().into_iter().enumerate() {
        for accumulate in [false, true] {
            let mut rng = random(50 + seed as u64);
            let kernel = SquaredDifferenceBackward {
                a,
                b,
                da,
                alpha: -0.75,
                accumulate,
            };
            let (av, bv) = (tensor(&mut rng, a), tensor(&mut rng, b));
            let before = tensor(&mut rng, da);
            let (an, bn) = (unpack(a, &wide(&av)), unpack(b, &wide(&bv)));
            let base = unpack(da, &wide(&before));
            let target = if accumulate {
                Data::Reals(before)
            } else {
                Data::Poisoned(da)
            };
            let out = check(&kernel, &[Data::Reals(av), Data::Reals(bv), target]);
            for (i, got) in unpack(da, out[0].reals()).iter().enumerate() {
                let expected =
                    -0.75 * (an[i] - bn[i % bn.len()]) + if accumulate { base[i] } else { 0.0 };
                assert!(
                    (got - expected).abs() <= 1e-12,
                    "{kernel:?} element {i}: {got} should be {expected}"
                );
            }
        }
    }
}

/// ∂/∂a of g·Σ(a − b)² by central differences, along a random direction.
#[test]
fn the_gradient_is_the_derivative_of_the_value() {
    let (view, target) = (View::new(2, 4, 5, 6), View::new(1, 4, 5, 6));
    let mut rng = random(7);
    let upstream = 1.75;
    let (a, b) = (tensor(&mut rng, view), tensor(&mut rng, target));
    let direction = pack(view, &uniform(&mut rng, view.elements()));
    let kernel = SquaredDifference { a: view, b: target };
    // Powers of two, so that stepping in f32 is exact in what matters: the step that was really taken is used below.
    let value = |step: f32| -> f64 {
        let moved: Vec<f32> = a
            .iter()
            .zip(&direction)
            .map(|(a, d)| a + step * d)
            .collect();
        let data = [
            Data::Reals(moved),
            Data::Reals(b.clone()),
            Data::PoisonedReals(kernel.partials_len() as usize),
        ];
        run_on(&Device::oracle(), &kernel, &data)[0]
            .reals()
            .iter()
            .sum()
    };
    let step = 1.0 / 16.0;
    let numeric = upstream * (value(step) - value(-step)) / (2.0 * f64::from(step));
    let backward = SquaredDifferenceBackward {
        a: view,
        b: target,
        da: view,
        alpha: 2.0 * upstream as f32,
        accumulate: false,
    };
    let data = [
        Data::Reals(a.clone()),
        Data::Reals(b.clone()),
        Data::Poisoned(view),
    ];
    let analytic: f64 = run_on(&Device::oracle(), &backward, &data)[0]
        .reals()
        .iter()
        .zip(&direction)
        .map(|(g, d)| g * f64::from(*d))
        .sum();
    // Exact for a quadratic but for the rounding of the moved points to f32.
    assert!(
        (numeric - analytic).abs() <= 1e-5 * analytic.abs(),
        "{numeric} should be {analytic}"
    );
}
