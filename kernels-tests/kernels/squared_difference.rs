//! squared_difference: value and gradient against plain loops, finite differences and the shaders.

use pixgrad::engine::kernels::{
    SquaredDifference, SquaredDifferenceBackward, View, from_quads, to_quads,
};

use crate::common::oracle::{assert_derivative, derivative, dot, run_f64, wide};
use crate::common::{Data, check, check_within, random, tensor};

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

#[test]
fn by_hand() {
    let view = View::new(1, 1, 2, 2);
    let a = to_quads(view, &[1.0, 2.0, 3.0, 4.0]);
    let b = to_quads(view, &[1.0, 1.0, 1.0, 1.0]);
    let kernel = SquaredDifference { a: view, b: view };
    assert_eq!(kernel.parts(), 1);
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
        alpha: 2.0.into(),
        accumulate: false,
    };
    let data = [Data::Reals(a), Data::Reals(b), Data::Poisoned(view)];
    let da = from_quads(view, check(&kernel, &data)[0].reals());
    assert_eq!(da, [0.0, 2.0, 4.0, 6.0]);
}

#[test]
fn the_value_is_the_definition_everywhere() {
    for (seed, (a, b, _)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let kernel = SquaredDifference { a, b };
        let (av, bv) = (tensor(&mut rng, a), tensor(&mut rng, b));
        let expected = plain(&from_quads(a, &wide(&av)), &from_quads(b, &wide(&bv)));
        let partials = Data::PoisonedReals((a.n * kernel.parts()) as usize);
        let out = check_within(
            &kernel,
            &[Data::Reals(av.clone()), Data::Reals(bv.clone()), partials],
            1e-6,
        );
        let value: f64 = out[0].reals().iter().sum();
        assert!(
            (value - expected).abs() <= 1e-12 * expected,
            "{kernel:?}: {value} should be {expected}"
        );
        // The parts of each image are its own.
        let (an, bn) = (from_quads(a, &wide(&av)), from_quads(b, &wide(&bv)));
        let each = a.elements() / a.n as usize;
        for (i, parts) in out[0].reals().chunks(kernel.parts() as usize).enumerate() {
            let target = if b.n == 1 {
                &bn[..]
            } else {
                &bn[i * each..][..each]
            };
            let expected = plain(&an[i * each..][..each], target);
            let value: f64 = parts.iter().sum();
            assert!((value - expected).abs() <= 1e-12 * expected, "image {i}");
        }
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
                alpha: (-0.75f32).into(),
                accumulate,
            };
            let (av, bv) = (tensor(&mut rng, a), tensor(&mut rng, b));
            let before = tensor(&mut rng, da);
            let (an, bn) = (from_quads(a, &wide(&av)), from_quads(b, &wide(&bv)));
            let base = from_quads(da, &wide(&before));
            let target = if accumulate {
                Data::Reals(before)
            } else {
                Data::Poisoned(da)
            };
            let out = check(&kernel, &[Data::Reals(av), Data::Reals(bv), target]);
            for (i, got) in from_quads(da, out[0].reals()).iter().enumerate() {
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
    for (seed, (a, b, da)) in shapes().into_iter().enumerate() {
        let mut rng = random(100 + seed as u64);
        let upstream = 1.75;
        let (av, bv) = (wide(&tensor(&mut rng, a)), wide(&tensor(&mut rng, b)));
        let direction = wide(&tensor(&mut rng, a));
        let kernel = SquaredDifference { a, b };
        let partials = vec![f64::NAN; (a.n * kernel.parts()) as usize];
        let numeric = derivative(&av, &direction, |a| {
            upstream
                * run_f64(&kernel, &[a, &bv, &partials])[2]
                    .iter()
                    .sum::<f64>()
        });
        let backward = SquaredDifferenceBackward {
            a,
            b,
            da,
            alpha: (2.0 * upstream).into(),
            accumulate: false,
        };
        let gradient = run_f64(&backward, &[&av, &bv, &vec![f64::NAN; da.len()]]).remove(2);
        let analytic = dot(&from_quads(da, &gradient), &from_quads(a, &direction));
        assert_derivative(&backward, numeric, analytic);
    }
}
