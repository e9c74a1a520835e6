//! alpha_norm: kernels by hand and on awkward shapes, the term against its definition and differences.

use pixgrad::engine::kernels::{AlphaNorm, AlphaNormBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{self, Term};

use crate::common::oracle::wide;
use crate::common::{Data, check, check_within, random, tensor};
use crate::term::Case;

const MEAN: [f32; 4] = [0.5, 0.25, -0.125, 7.0];

/// x and dx: one pixel, batches, more than one workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(2, 7, 5, 3),
        same(3, 31, 67, 3),
        same(2, 3, 5, 1),
        same(1, 3, 5, 4),
        (
            View::new(2, 6, 7, 12).slice(4, 3),
            View::new(2, 6, 7, 8).slice(0, 3),
        ),
    ]
}

/// Whole, half and other exponents.
const EXPONENTS: [f32; 8] = [1.0, 1.5, 2.0, 2.3, 3.0, 6.0, 6.5, 11.0];

#[test]
fn by_hand() {
    let x = View::new(1, 1, 2, 3);
    // Distances from the mean: 0, −1, 2 and −3, 1, ½.
    let values = to_quads(x, &[0.5, -2.5, -0.75, 1.25, 1.875, 0.375]);
    for (exponent, value, gradient) in [
        // |d|⁶, 6·d⁵
        (
            6.0,
            0.0 + 1.0 + 64.0 + 729.0 + 1.0 + 1.0 / 64.0,
            [0.0, -1458.0, -6.0, 6.0, 192.0, 0.1875],
        ),
        // |d|, the sign of d: 0 at the mean
        (1.0, 7.5, [0.0, -1.0, -1.0, 1.0, 1.0, 1.0]),
    ] {
        let norm = AlphaNorm {
            x,
            mean: MEAN,
            exponent,
        };
        let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
        assert_eq!(check(&norm, &data)[0].reals(), [value]);
        let backward = AlphaNormBackward {
            norm,
            dx: x,
            alpha: 1.0,
            accumulate: false,
        };
        let data = [Data::Reals(values.clone()), Data::Poisoned(x)];
        assert_eq!(from_quads(x, check(&backward, &data)[0].reals()), gradient);
    }
}

#[test]
fn at_the_mean_there_is_neither_value_nor_gradient() {
    let x = View::new(1, 2, 2, 3);
    let values: Vec<f32> = MEAN[..3].iter().flat_map(|m| [*m; 4]).collect();
    for exponent in EXPONENTS {
        let norm = AlphaNorm {
            x,
            mean: MEAN,
            exponent,
        };
        let values = to_quads(x, &values);
        let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
        assert_eq!(check(&norm, &data)[0].reals(), [0.0]);
        let backward = AlphaNormBackward {
            norm,
            dx: x,
            alpha: 1.0,
            accumulate: false,
        };
        let out = check(&backward, &[Data::Reals(values), Data::Poisoned(x)]);
        assert_eq!(out[0].reals(), [0.0; 16]);
    }
}

#[test]
fn shaders_everywhere() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        for exponent in EXPONENTS {
            let mut rng = random(seed as u64);
            let norm = AlphaNorm {
                x,
                mean: MEAN,
                exponent,
            };
            let values = tensor(&mut rng, x);
            let partials = Data::PoisonedReals((x.n * norm.parts()) as usize);
            check_within(&norm, &[Data::Reals(values.clone()), partials], 1e-6);
            for accumulate in [false, true] {
                let backward = AlphaNormBackward {
                    norm,
                    dx,
                    alpha: -2.5,
                    accumulate,
                };
                let target = if accumulate {
                    Data::Reals(tensor(&mut rng, dx))
                } else {
                    Data::Poisoned(dx)
                };
                check(&backward, &[Data::Reals(values.clone()), target]);
            }
        }
    }
}

#[test]
fn value_and_gradient_of_the_term() {
    let mean = [MEAN[0], MEAN[1], MEAN[2]];
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        if x.c != 3 {
            continue;
        }
        let mut input = tensor(&mut random(20 + seed as u64), x);
        for alpha in [1.0, 2.3, objective::AlphaNorm::DEFAULT_ALPHA] {
            // Nowhere so near the mean that a difference reaches across it.
            for v in &mut input {
                if MEAN.iter().any(|m| (*v - m).abs() < 0.01) && *v != 0.0 {
                    *v += 0.02;
                }
            }
            let exponent = f64::from(alpha as f32);
            let pixels = (x.h * x.w) as usize;
            let plain = |_: usize, x: &[f64]| -> f64 {
                let d = x.iter().enumerate();
                let d = d.map(|(i, v)| (v - wide(&mean)[i / pixels]).abs().powf(exponent));
                -1.75 * d.sum::<f64>()
            };
            Case {
                name: &format!("alpha_norm {alpha} of {x:?}"),
                x,
                dx,
                input: &input,
                make: &|_| -> Box<dyn Term> {
                    let term = objective::AlphaNorm::new(mean, alpha, -1.75);
                    Box::new(term.expect("an exponent"))
                },
                plain: &plain,
                step: 1e-4,
                error: 1e-6,
            }
            .check();
        }
    }
}

#[test]
fn refused_exponents() {
    for alpha in [0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        let why = objective::AlphaNorm::new([0.0; 3], alpha, 1.0).expect_err("refused");
        assert!(why.to_string().contains("at least 1"), "{why}");
    }
}
