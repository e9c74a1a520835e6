//! tv_beta: kernels by hand and on awkward shapes, the term against its definition and differences.

use pixgrad::engine::kernels::{TvBeta, TvBetaBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{self, Term};

use crate::common::{Data, check, check_within, random, tensor};
use crate::term::Case;

/// x and dx: one pixel, one row, one column, batches, more than one workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(1, 1, 9, 3),
        same(2, 9, 1, 3),
        same(2, 7, 5, 3),
        same(3, 31, 67, 3),
        same(1, 20, 30, 22),
        (
            View::new(2, 6, 7, 16).slice(4, 6),
            View::new(2, 6, 7, 12).slice(0, 6),
        ),
    ]
}

const BETAS: [f32; 7] = [0.5, 1.0, 1.6, 2.0, 2.5, 3.0, 4.0];

/// The definition for an image as [C,H,W]; a tile's edges meet.
fn plain(view: View, beta: f64, wrap: bool, x: &[f64]) -> f64 {
    let (h, w) = (view.h as usize, view.w as usize);
    let mut sum = 0.0;
    for plane in x.chunks(h * w) {
        for i in 0..h {
            for j in 0..w {
                let here = plane[i * w + j];
                let next = |i: usize, size: usize| match i + 1 {
                    next if next < size => next,
                    _ if wrap => 0,
                    _ => i,
                };
                let across = plane[i * w + next(j, w)] - here;
                let down = plane[next(i, h) * w + j] - here;
                sum += (across * across + down * down).powf(beta / 2.0);
            }
        }
    }
    sum
}

#[test]
fn by_hand() {
    let x = View::new(1, 2, 2, 1);
    // (dx, dy): (3, 4), (0, 2) above; (1, 0), (0, 0) below.
    let values = to_quads(x, &[1.0, 4.0, 5.0, 6.0]);
    for (beta, value, gradient) in [
        // Roots 5, 2, 1, 0; their gradients (0.6, 0.8), (0, 1), (1, 0).
        (1.0, 8.0, [-1.4, -0.4, -0.2, 2.0]),
        // Squares: twice the differences.
        (2.0, 30.0, [-14.0, 2.0, 6.0, 6.0]),
        // v²: 4·v·(dx, dy) with v = 25, 4, 1.
        (4.0, 642.0, [-700.0, 268.0, 396.0, 36.0]),
    ] {
        let tv = TvBeta {
            x,
            beta,
            wrap: false,
        };
        let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
        assert_eq!(check(&tv, &data)[0].reals(), [value]);
        let backward = TvBetaBackward {
            tv,
            dx: x,
            floor: 1e-10,
            alpha: 1.0f32.into(),
            accumulate: false,
        };
        let out = check(&backward, &[Data::Reals(values.clone()), Data::Poisoned(x)]);
        for (got, expected) in from_quads(x, out[0].reals()).iter().zip(gradient) {
            assert!((got - expected).abs() < 1e-12, "{beta}: {got}, {expected}");
        }
    }
}

#[test]
fn a_tile_by_hand() {
    // A row of three that goes on with the first: dx = 3, 1, −4; a row has no other below.
    let x = View::new(1, 1, 3, 1);
    let tv = TvBeta {
        x,
        beta: 1.0,
        wrap: true,
    };
    let values = to_quads(x, &[1.0, 4.0, 5.0]);
    let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
    assert_eq!(check(&tv, &data)[0].reals(), [8.0]);
    let backward = TvBetaBackward {
        tv,
        dx: x,
        floor: 1e-10,
        alpha: 1.0f32.into(),
        accumulate: false,
    };
    let out = check(&backward, &[Data::Reals(values), Data::Poisoned(x)]);
    assert_eq!(from_quads(x, out[0].reals()), [-2.0, 0.0, 2.0]);
}

#[test]
fn the_floor_holds_below_two_only() {
    let x = View::new(1, 1, 2, 1);
    // dx = 1/8, v = 1/64 below a floor of 1: the slope is β·dx instead of β·v^(β/2−1)·dx.
    let values = to_quads(x, &[0.0, 0.125]);
    for (beta, expected) in [(1.0, 0.125), (2.0, 0.25), (4.0, 4.0 / 512.0)] {
        let backward = TvBetaBackward {
            tv: TvBeta {
                x,
                beta,
                wrap: false,
            },
            dx: x,
            floor: 1.0,
            alpha: 1.0f32.into(),
            accumulate: false,
        };
        let out = check(&backward, &[Data::Reals(values.clone()), Data::Poisoned(x)]);
        assert_eq!(
            from_quads(x, out[0].reals()),
            [-expected, expected],
            "{beta}"
        );
    }
}

#[test]
fn flat_images_have_neither_value_nor_gradient() {
    let x = View::new(1, 3, 3, 3);
    let values = to_quads(x, &[0.3; 27]);
    for beta in BETAS {
        let tv = TvBeta {
            x,
            beta,
            wrap: false,
        };
        let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
        assert_eq!(check(&tv, &data)[0].reals(), [0.0]);
        let backward = TvBetaBackward {
            tv,
            dx: x,
            floor: 1.5e-10,
            alpha: 1.0f32.into(),
            accumulate: false,
        };
        let out = check(&backward, &[Data::Reals(values.clone()), Data::Poisoned(x)]);
        assert_eq!(from_quads(x, out[0].reals()), [0.0; 27]);
    }
}

#[test]
fn shaders_everywhere() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        for (beta, wrap) in BETAS
            .into_iter()
            .flat_map(|beta| [(beta, false), (beta, true)])
        {
            let mut rng = random(seed as u64);
            let tv = TvBeta { x, beta, wrap };
            let values = tensor(&mut rng, x);
            let partials = Data::PoisonedReals((x.n * tv.parts()) as usize);
            check_within(&tv, &[Data::Reals(values.clone()), partials], 1e-6);
            for accumulate in [false, true] {
                let backward = TvBetaBackward {
                    tv,
                    dx,
                    floor: 1.5e-10,
                    alpha: (-2.5f32).into(),
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
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        let input = tensor(&mut random(20 + seed as u64), x);
        let betas = [1.0, 1.6, 2.0, 3.0];
        for (beta, wrap) in betas
            .into_iter()
            .flat_map(|beta| [(beta, false), (beta, true)])
        {
            let exponent = f64::from(beta as f32);
            Case {
                name: &format!("tv_beta {beta} of {x:?}, wrap {wrap}"),
                x,
                dx,
                input: &input,
                make: &|_| -> Box<dyn Term> {
                    let tv = objective::TvBeta::new(beta, 1.25).expect("an exponent");
                    Box::new(tv.wrapped(wrap))
                },
                plain: &|_, image| 1.25 * plain(x, exponent, wrap, image),
                step: 1e-5,
                error: 1e-6,
            }
            .check();
        }
    }
}

#[test]
fn refused_exponents() {
    for beta in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let why = objective::TvBeta::new(beta, 1.0).expect_err("refused");
        assert!(why.to_string().contains("must be positive"), "{why}");
    }
}
