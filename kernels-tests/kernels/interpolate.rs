//! interpolate: by hand, against plain formulas, and the backward pass as the adjoint.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{
    Along, Interpolate, InterpolateBackward, Taps, View, from_quads, to_quads,
};

use crate::common::oracle::{dot, wide};
use crate::common::{Data, check, random, run_on, tensor};

const TAPS: [Taps; 5] = [
    Taps::Linear,
    Taps::Floor,
    Taps::Ceil,
    Taps::PreferFloor,
    Taps::PreferCeil,
];

fn along(scale: f32, shift: f32) -> Along {
    Along { scale, shift }
}

#[test]
fn by_hand() {
    // One row of 3 positions, made twice as wide: edges meet, so that positions lie at −¼, ¼, ¾ and so on.
    let (x, y) = (View::new(1, 1, 3, 1), View::new(1, 1, 6, 1));
    let values = to_quads(x, &[1.0, 3.0, 7.0]);
    for (taps, expected, shown) in [
        (
            Taps::Linear,
            [1.0, 1.5, 2.5, 4.0, 6.0, 7.0],
            [2.0, 2.0, 2.0],
        ),
        (
            Taps::PreferFloor,
            [1.0, 1.0, 3.0, 3.0, 7.0, 7.0],
            [2.0, 2.0, 2.0],
        ),
        (Taps::Floor, [1.0, 1.0, 1.0, 3.0, 3.0, 7.0], [3.0, 2.0, 1.0]),
        (Taps::Ceil, [1.0, 3.0, 3.0, 7.0, 7.0, 7.0], [1.0, 2.0, 3.0]),
    ] {
        let along = [along(1.0, 0.0), along(0.5, -0.25)];
        let kernel = Interpolate { x, y, taps, along };
        let out = check(&kernel, &[Data::Reals(values.clone()), Data::Poisoned(y)]).remove(0);
        assert_eq!(from_quads(y, out.reals()), expected, "{taps:?}");
        let backward = InterpolateBackward {
            dy: y,
            dx: x,
            taps,
            along,
            accumulate: false,
        };
        let ones = Data::Reals(to_quads(y, &[1.0; 6]));
        let out = check(&backward, &[ones, Data::Poisoned(x)]).remove(0);
        assert_eq!(from_quads(x, out.reals()), shown, "{taps:?}");
    }
    // Of two as near: positions at 0, ½, 1, 1½.
    let y = View::new(1, 1, 4, 1);
    for (taps, expected) in [
        (Taps::PreferFloor, [1.0, 1.0, 3.0, 3.0]),
        (Taps::PreferCeil, [1.0, 3.0, 3.0, 7.0]),
    ] {
        let along = [along(1.0, 0.0), along(0.5, 0.0)];
        let kernel = Interpolate { x, y, taps, along };
        let out = check(&kernel, &[Data::Reals(values.clone()), Data::Poisoned(y)]).remove(0);
        assert_eq!(from_quads(y, out.reals()), expected, "{taps:?}");
    }
}

/// x, y, and where rows and columns lie: larger, smaller, from one, to one; slices.
fn shapes() -> Vec<(View, View, [Along; 2])> {
    let half = |size: u32, out: u32| {
        let ratio = out as f32 / size as f32;
        along(1.0 / ratio, 0.5 / ratio - 0.5)
    };
    let of = |x: View, y: View| (x, y, [half(x.h, y.h), half(x.w, y.w)]);
    vec![
        of(View::new(2, 5, 7, 3), View::new(2, 10, 14, 3)),
        of(View::new(1, 9, 6, 6), View::new(1, 5, 11, 6)),
        of(View::new(1, 1, 1, 5), View::new(1, 4, 3, 5)),
        of(View::new(3, 4, 6, 4), View::new(3, 1, 1, 4)),
        of(View::new(1, 17, 33, 9), View::new(1, 51, 40, 9)),
        of(
            View::new(2, 6, 5, 24).slice(8, 11),
            View::new(2, 9, 13, 16).slice(4, 11),
        ),
        // Corners that meet, and all at one place.
        (
            View::new(1, 5, 7, 6),
            View::new(1, 9, 3, 6),
            [along(4.0 / 8.0, 0.0), along(6.0 / 2.0, 0.0)],
        ),
        (
            View::new(1, 5, 7, 2),
            View::new(1, 2, 2, 2),
            [along(0.0, 0.0), along(0.0, 0.0)],
        ),
    ]
}

#[test]
fn each_position_is_made_of_those_that_it_falls_between() {
    for (seed, (x, y, along)) in shapes().into_iter().enumerate() {
        for taps in TAPS {
            let kernel = Interpolate { x, y, taps, along };
            let values = tensor(&mut random(seed as u64), x);
            let data = [Data::Reals(values.clone()), Data::Poisoned(y)];
            let out = check(&kernel, &data).remove(0);
            let (from, to) = (from_quads(x, &wide(&values)), from_quads(y, out.reals()));
            // The weight of an input position, a triangle or one of two.
            let weight = |axis: usize, o: usize, i: usize, size: u32| {
                let last = f64::from(size - 1);
                let at = o as f64 * f64::from(along[axis].scale) + f64::from(along[axis].shift);
                let chosen = match taps {
                    Taps::Linear => {
                        return (1.0 - (at.clamp(0.0, last) - i as f64).abs()).max(0.0);
                    }
                    Taps::Floor => (at + 1e-5).floor(),
                    Taps::Ceil => (at - 1e-5).ceil(),
                    Taps::PreferFloor => (at - 0.5 - 1e-5).ceil(),
                    Taps::PreferCeil => (at + 0.5 + 1e-5).floor(),
                };
                f64::from(u8::from(chosen.clamp(0.0, last) == i as f64))
            };
            let (h, w) = (y.h as usize, y.w as usize);
            for (at, got) in to.iter().enumerate() {
                let (plane, row, col) = (at / (h * w), at / w % h, at % w);
                let mut expected = 0.0;
                for i in 0..x.h as usize {
                    for j in 0..x.w as usize {
                        let part = weight(0, row, i, x.h) * weight(1, col, j, x.w);
                        expected += part * from[(plane * x.h as usize + i) * x.w as usize + j];
                    }
                }
                assert!(
                    (got - expected).abs() < 1e-6,
                    "{kernel:?} {row} {col}: {got} {expected}"
                );
            }
        }
    }
}

#[test]
fn the_backward_pass_is_the_adjoint() {
    for (seed, (x, y, along)) in shapes().into_iter().enumerate() {
        for taps in TAPS {
            let mut rng = random(70 + seed as u64);
            let (a, g) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let forward = Interpolate { x, y, taps, along };
            let data = [Data::Reals(a.clone()), Data::Poisoned(y)];
            let made = run_on(&Device::oracle(), &forward, &data).remove(0);
            let left = dot(&from_quads(y, made.reals()), &from_quads(y, &wide(&g)));
            for accumulate in [false, true] {
                let backward = InterpolateBackward {
                    dy: y,
                    dx: x,
                    taps,
                    along,
                    accumulate,
                };
                let start = tensor(&mut rng, x);
                let dx = if accumulate {
                    Data::Reals(start.clone())
                } else {
                    Data::Poisoned(x)
                };
                let out = check(&backward, &[Data::Reals(g.clone()), dx]).remove(0);
                let (dx, a) = (from_quads(x, out.reals()), from_quads(x, &wide(&a)));
                let mut right = dot(&dx, &a);
                if accumulate {
                    right -= dot(&from_quads(x, &wide(&start)), &a);
                }
                assert!(
                    (left - right).abs() <= 1e-12 * (1.0 + left.abs()),
                    "{backward:?}"
                );
            }
        }
    }
}
