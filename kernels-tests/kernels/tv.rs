//! tv: value and gradient against plain loops, finite differences and the shaders.

use pixgrad::engine::kernels::{Tv, TvBackward, View, from_quads, to_quads};

use crate::common::oracle::{assert_derivative, derivative, dot, run_f64, wide};
use crate::common::{Data, check, check_within, random, tensor};

/// Inside the image only, and around it.
const BOTH: [bool; 2] = [false, true];

/// x and dx: one pixel, one row, one column, batches, more than one workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(1, 1, 9, 3),
        same(2, 9, 1, 3),
        same(1, 2, 2, 1),
        same(2, 7, 5, 3),
        same(3, 31, 47, 3),
        same(1, 20, 30, 22),
        (
            View::new(2, 6, 7, 16).slice(4, 6),
            View::new(2, 6, 7, 12).slice(0, 6),
        ),
    ]
}

/// The definition over an [N,C,H,W] array, summed over its images.
fn plain(view: View, wrap: bool, x: &[f64]) -> f64 {
    let (h, w) = (view.h as usize, view.w as usize);
    let (mut sums, mut counts) = ([0.0; 2], [0.0; 2]);
    for plane in x.chunks(h * w) {
        for i in 0..h {
            for j in 0..w {
                if wrap || j + 1 < w {
                    sums[0] += (plane[i * w + (j + 1) % w] - plane[i * w + j]).powi(2);
                    counts[0] += 1.0;
                }
                if wrap || i + 1 < h {
                    sums[1] += (plane[(i + 1) % h * w + j] - plane[i * w + j]).powi(2);
                    counts[1] += 1.0;
                }
            }
        }
    }
    let mean = |i: usize| {
        if counts[i] > 0.0 {
            sums[i] / counts[i]
        } else {
            0.0
        }
    };
    // All images are of one size: the sum of their means.
    f64::from(view.n) * (mean(0) + mean(1))
}

#[test]
fn by_hand() {
    let x = View::new(1, 2, 2, 1);
    // dx: 2, 1; dy: 3, 2; the means of their squares: 2.5 and 6.5.
    let values = to_quads(x, &[1.0, 3.0, 4.0, 5.0]);
    let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
    let tv = |wrap| Tv { x, wrap };
    assert_eq!(check(&tv(false), &data)[0].reals(), [9.0]);
    // Around: each difference twice, there and back; the means are the same.
    assert_eq!(check(&tv(true), &data)[0].reals(), [9.0]);
    let backward = TvBackward {
        x,
        wrap: false,
        dx: x,
        alpha: 1.0f32.into(),
        accumulate: false,
    };
    let out = check(&backward, &[Data::Reals(values), Data::Poisoned(x)]);
    assert_eq!(from_quads(x, out[0].reals()), [-5.0, 0.0, 2.0, 3.0]);
}

#[test]
fn the_value_is_the_definition_everywhere() {
    for (seed, ((x, _), wrap)) in shapes()
        .into_iter()
        .flat_map(|s| BOTH.map(|w| (s, w)))
        .enumerate()
    {
        let kernel = Tv { x, wrap };
        let values = tensor(&mut random(seed as u64), x);
        let expected = plain(x, wrap, &from_quads(x, &wide(&values)));
        let partials = Data::PoisonedReals((x.n * kernel.parts()) as usize);
        let out = check_within(&kernel, &[Data::Reals(values), partials], 1e-6);
        let value: f64 = out[0].reals().iter().sum();
        assert!(
            (value - expected).abs() <= 1e-12 * expected,
            "{kernel:?}: {value} should be {expected}"
        );
    }
}

#[test]
fn the_gradient_is_the_derivative_of_the_value() {
    for (seed, ((x, dx), wrap)) in shapes()
        .into_iter()
        .flat_map(|s| BOTH.map(|w| (s, w)))
        .enumerate()
    {
        let mut rng = random(50 + seed as u64);
        let values = wide(&tensor(&mut rng, x));
        let direction = wide(&tensor(&mut rng, x));
        let upstream = 1.75;
        let kernel = Tv { x, wrap };
        let partials = vec![f64::NAN; (x.n * kernel.parts()) as usize];
        let numeric = derivative(&values, &direction, |x| {
            upstream * run_f64(&kernel, &[x, &partials])[1].iter().sum::<f64>()
        });
        let backward = TvBackward {
            x,
            wrap,
            dx,
            alpha: (upstream as f32).into(),
            accumulate: false,
        };
        let gradient = run_f64(&backward, &[&values, &vec![f64::NAN; dx.len()]]).remove(1);
        let analytic = dot(&from_quads(dx, &gradient), &from_quads(x, &direction));
        assert_derivative(&backward, numeric, analytic);
        // The gradient of every element, not only along one direction: it is linear in x and its own adjoint.
        let along = run_f64(&backward, &[&direction, &vec![f64::NAN; dx.len()]]).remove(1);
        let turned = dot(&from_quads(dx, &along), &from_quads(x, &values));
        assert!((turned - analytic).abs() <= 1e-10 * analytic.abs().max(1.0));
    }
}

#[test]
fn shaders_of_the_gradient() {
    for (seed, ((x, dx), wrap)) in shapes()
        .into_iter()
        .flat_map(|s| BOTH.map(|w| (s, w)))
        .enumerate()
    {
        for accumulate in [false, true] {
            let mut rng = random(90 + seed as u64);
            let kernel = TvBackward {
                x,
                wrap,
                dx,
                alpha: (-2.5f32).into(),
                accumulate,
            };
            let values = Data::Reals(tensor(&mut rng, x));
            let before = tensor(&mut rng, dx);
            let target = if accumulate {
                Data::Reals(before.clone())
            } else {
                Data::Poisoned(dx)
            };
            let out = check(&kernel, &[values, target]);
            if accumulate && x.pixels() == 1 {
                assert_eq!(out[0].reals(), wide(&before), "no differences, no gradient");
            }
        }
    }
}
