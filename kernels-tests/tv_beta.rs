//! tv_beta: value and gradient against plain loops, finite differences and the shaders; the term.

use pixgrad::device::Device;
use pixgrad::kernels::{TvBeta, TvBetaBackward, View, pack, unpack};
use pixgrad::objective::{self, Term};

use crate::common::{Data, check, random, tensor};
use crate::oracle::wide;
use crate::term::Case;

/// x and dx: one pixel, one row, one column, batches, more than one workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(1, 1, 9, 3),
        same(2, 9, 1, 3),
        same(2, 7, 5, 3),
        same(2, 47, 51, 3),
        same(1, 20, 30, 22),
        (
            View::new(2, 6, 7, 16).slice(4, 6),
            View::new(2, 6, 7, 12).slice(0, 6),
        ),
    ]
}

/// The definition over one [C,H,W] array.
fn plain(x: &[f64], h: usize, w: usize, beta: f64) -> f64 {
    let mut sum = 0.0;
    for plane in x.chunks(h * w) {
        for i in 0..h {
            for j in 0..w {
                // Beyond the edge the image repeats its last pixel.
                let across = plane[i * w + (j + 1).min(w - 1)] - plane[i * w + j];
                let down = plane[(i + 1).min(h - 1) * w + j] - plane[i * w + j];
                sum += (across * across + down * down).powf(beta / 2.0);
            }
        }
    }
    sum
}

#[test]
fn by_hand() {
    // (dx, dy) with the edges repeated: (3, 4), (0, −3), (−4, 0), (0, 0); β = 1: 5 + 3 + 4.
    let x = View::new(1, 2, 2, 1);
    let values = pack(x, &[1.0, 4.0, 5.0, 1.0]);
    let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
    let kernel = TvBeta { x, beta: 1.0 };
    assert!((check(&kernel, &data)[0].reals()[0] - 12.0).abs() <= 1e-12);
    let backward = TvBetaBackward {
        forward: kernel,
        dx: x,
        alpha: 1.0,
        accumulate: false,
    };
    let out = check(&backward, &[Data::Reals(values), Data::Poisoned(x)]);
    // √(dx² + dy²) falls by (3 + 4)/5 at the first pixel; the others have a share of it and their own ±1.
    let expected = [-7.0 / 5.0, 3.0 / 5.0 + 1.0, 4.0 / 5.0 + 1.0, -1.0 - 1.0];
    for (got, expected) in unpack(x, out[0].reals()).iter().zip(expected) {
        assert!(
            (got - expected).abs() <= 1e-12,
            "{got} should be {expected}"
        );
    }
}

#[test]
fn the_value_is_the_definition_everywhere() {
    for (seed, (x, _)) in shapes().into_iter().enumerate() {
        for beta in [1.0, 1.5, 2.0, 3.0] {
            let kernel = TvBeta { x, beta };
            let values = tensor(&mut random(seed as u64), x);
            let planes = unpack(x, &wide(&values));
            let partials = Data::PoisonedReals((x.n * kernel.parts()) as usize);
            let out = check(&kernel, &[Data::Reals(values), partials]);
            let each = planes.len() / x.n as usize;
            for (i, parts) in out[0].reals().chunks(kernel.parts() as usize).enumerate() {
                let image = &planes[i * each..][..each];
                let expected = plain(image, x.h as usize, x.w as usize, f64::from(beta));
                let value: f64 = parts.iter().sum();
                assert!(
                    (value - expected).abs() <= 1e-12 * expected,
                    "{kernel:?}: image {i} has {value}, should be {expected}"
                );
            }
        }
    }
}

#[test]
fn shaders_of_the_gradient() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        for (accumulate, beta) in [(false, 1.0), (true, 1.5), (false, 2.0), (true, 3.0)] {
            let mut rng = random(90 + seed as u64);
            let kernel = TvBetaBackward {
                forward: TvBeta { x, beta },
                dx,
                alpha: -2.5,
                accumulate,
            };
            let values = Data::Reals(tensor(&mut rng, x));
            let target = if accumulate {
                Data::Reals(tensor(&mut rng, dx))
            } else {
                Data::Poisoned(dx)
            };
            check(&kernel, &[values, target]);
        }
    }
}

/// Where neighbours are equal there is neither value nor gradient, and close to it the gradient stays small.
#[test]
fn flat_images_have_no_gradient() {
    let x = View::new(2, 4, 5, 3);
    for beta in [0.5, 1.0, 2.0, 3.0] {
        let forward = TvBeta { x, beta };
        let backward = TvBetaBackward {
            forward,
            dx: x,
            alpha: 1.0,
            accumulate: false,
        };
        let flat = pack(x, &vec![0.4; x.elements()]);
        let data = [Data::Reals(flat.clone()), Data::PoisonedReals(2)];
        assert_eq!(check(&forward, &data)[0].reals(), [0.0, 0.0]);
        let data = [Data::Reals(flat.clone()), Data::Poisoned(x)];
        let dx = unpack(x, check(&backward, &data)[0].reals());
        assert!(dx.iter().all(|v| *v == 0.0));
        if beta == 1.0 {
            // One pixel lower by 2⁻²⁰, far less than the floor √(10⁻⁵)/255 of a difference: the slope of the floor.
            let step = f64::from(2.0_f32.powi(-20));
            let mut values = vec![0.0; x.elements()];
            values[0] = -(step as f32);
            let data = [Data::Reals(pack(x, &values)), Data::Poisoned(x)];
            let dx = unpack(x, check(&backward, &data)[0].reals());
            let expected = -2.0 * step * 255.0 / 1e-5_f64.sqrt();
            assert!(
                (dx[0] - expected).abs() <= 1e-6 * expected.abs(),
                "{} {expected}",
                dx[0]
            );
        }
    }
}

#[test]
fn the_term() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        for beta in [1.0, 2.0, 2.5] {
            let input = tensor(&mut random(seed as u64), x);
            Case {
                name: &format!("tv_beta {seed}, beta {beta}"),
                x,
                dx,
                input: &input,
                make: &|_: &Device| -> Box<dyn Term> {
                    Box::new(objective::TvBeta::new(beta, 1.75).expect("an exponent"))
                },
                plain: &|_, image| 1.75 * plain(image, x.h as usize, x.w as usize, f64::from(beta)),
                step: 1e-6,
                error: 1e-7,
            }
            .check();
        }
    }
    for beta in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let why = objective::TvBeta::new(beta, 1.0).expect_err("no exponent");
        assert!(why.to_string().ends_with("it must be greater than 0"));
    }
}
