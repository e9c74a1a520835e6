//! warp and its draw: by hand, against the definition, the transpose, and the range of positions.

use std::collections::HashSet;

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{View, Warp, WarpBackward, WarpDraw, from_quads, to_quads};

use crate::common::oracle::{dot, wide};
use crate::common::{Data, Output, check, random, run_on, tensor};

/// Lucid's standard chain.
fn standard(n: u32, seed: u32) -> WarpDraw {
    let scales: Vec<f32> = (0..=10u8).map(|i| 0.9 + 0.02 * f32::from(i)).collect();
    let mut degrees: Vec<f32> = (-10..=10i8).map(f32::from).collect();
    degrees.extend([0.0; 5]);
    WarpDraw::new(n, seed, [8, 4], &scales, &degrees, false).expect("a valid chain")
}

/// Everything at its limit.
fn wild(n: u32, seed: u32) -> WarpDraw {
    let degrees: Vec<f32> = (0..40u8).map(|i| 37.0 * f32::from(i)).collect();
    let scales = [0.5, 0.7, 1.0, 1.3, 2.0];
    WarpDraw::new(n, seed, [7, 1024], &scales, &degrees, false).expect("a valid chain")
}

/// The words of all images at a step, the same on all devices.
fn draw(kernel: &WarpDraw, n: u32, step: u32) -> Vec<u32> {
    let words = n as usize * WarpDraw::WORDS;
    let data = [Data::Words(vec![step]), Data::PoisonedWords(words)];
    check(kernel, &data)[0].words().to_vec()
}

/// A and the shift, in pixels, as words.
fn placement(a: [[f64; 2]; 2], shift: [f64; 2]) -> Vec<u32> {
    let word = |v: f64, unit: f64| (v * unit).round() as i32 as u32;
    let mut words: Vec<u32> = a.iter().flatten().map(|v| word(*v, 8_192.0)).collect();
    words.extend(shift.map(|v| word(v, 16_384.0)));
    words.extend([0, 0]);
    words
}

fn warped(x: View, y: View, placements: &[u32], values: &[f32]) -> Vec<f64> {
    let data = [
        Data::Words(placements.to_vec()),
        Data::Reals(values.to_vec()),
        Data::Poisoned(y),
    ];
    let kernel = Warp { x, y, fill: 0.5 };
    from_quads(y, check(&kernel, &data)[0].reals())
}

const ONE: [[f64; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];

#[test]
fn by_hand() {
    let view = View::new(1, 2, 3, 1);
    let x = to_quads(view, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let run = |y: View, a, shift| warped(view, y, &placement(a, shift), &x);
    assert_eq!(run(view, ONE, [0.0, 0.0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    // What lies one pixel to the right and half a pixel below.
    assert_eq!(run(view, ONE, [1.0, 0.0]), [2.0, 3.0, 0.5, 5.0, 6.0, 0.5]);
    assert_eq!(
        run(view, ONE, [0.0, 0.5]),
        [2.5, 3.5, 4.5, 2.25, 2.75, 3.25]
    );
    // Twice as large: every other quarter of the way, half a border.
    let large = View::new(1, 1, 6, 1);
    assert_eq!(
        run(large, [[0.5, 0.0], [0.0, 1.0]], [0.0, -0.5]),
        [0.875, 1.25, 1.75, 2.25, 2.75, 2.375]
    );
    // A larger result has a border.
    let border = View::new(1, 2, 5, 1);
    assert_eq!(
        run(border, ONE, [0.0, 0.0]),
        [0.5, 1.0, 2.0, 3.0, 0.5, 0.5, 4.0, 5.0, 6.0, 0.5]
    );
    // A quarter turn anticlockwise: the right end goes to the top.
    let up = View::new(1, 3, 2, 1);
    let quarter = WarpDraw::new(1, 0, [0, 0], &[1.0], &[90.0], false).expect("valid");
    let words = draw(&quarter, 1, 0);
    assert_eq!(words, placement([[0.0, -1.0], [1.0, 0.0]], [0.0, 0.0]));
    assert_eq!(warped(view, up, &words, &x), [3.0, 6.0, 2.0, 5.0, 1.0, 4.0]);
}

#[test]
fn what_changes_nothing_changes_nothing() {
    let still = WarpDraw::new(3, 5, [0, 0], &[1.0], &[0.0], false).expect("valid");
    let view = View::new(3, 11, 18, 6);
    let x = tensor(&mut random(1), view);
    let y = warped(view, view, &draw(&still, 3, 9), &x);
    assert_eq!(y, from_quads(view, &wide(&x)));
}

/// The affine map and the shift that a draw's words stand for, in pixels.
fn read(words: &[u32]) -> ([f64; 4], [f64; 2]) {
    let word = |i: usize| f64::from(words[i] as i32);
    (
        [0, 1, 2, 3].map(|i| word(i) / 8_192.0),
        [word(4) / 16_384.0, word(5) / 16_384.0],
    )
}

/// Every draw is one that the lists and ranges allow, and all that they allow are drawn.
#[test]
fn draws_are_what_was_asked_for() {
    let scales = [0.5, 0.9, 2.0];
    let degrees = [-10.0, 0.0, 45.0, 200.0];
    let kernel = WarpDraw::new(1, 3, [3, 2], &scales, &degrees, false).expect("valid");
    let mut seen = HashSet::new();
    for step in 0..12_000 {
        let out = run_on(
            &Device::oracle(),
            &kernel,
            &[Data::Words(vec![step]), Data::PoisonedWords(8)],
        );
        let ([a, b, c, lower], shift) = read(out[0].words());
        assert!(a == lower && b == -c, "a rotation and a scale");
        let close = |u: f64, v: f64| (u - v).abs() < 2e-4;
        let of = |s: f32, r: f32| {
            let (sin, cos) = f64::from(r).to_radians().sin_cos();
            close(a, cos / f64::from(s)) && close(c, sin / f64::from(s))
        };
        let chosen: Vec<_> = (0..3)
            .flat_map(|s| (0..4).map(move |r| (s, r)))
            .filter(|&(s, r)| of(scales[s], degrees[r]))
            .collect();
        assert_eq!(chosen.len(), 1, "one scale and one angle make {a}, {c}");
        // shift = A·d + e, d in {−1, 0, 1}, e in {−1½, −½, ½, 1½}.
        let offsets: Vec<_> = (0..9)
            .map(|i| [f64::from(i % 3) - 1.0, f64::from(i / 3) - 1.0])
            .flat_map(|d| {
                (0..16).map(move |i| (d, [f64::from(i % 4) - 1.5, f64::from(i / 4) - 1.5]))
            })
            .filter(|(d, e)| {
                close(shift[0], a * d[0] + b * d[1] + e[0])
                    && close(shift[1], c * d[0] + a * d[1] + e[1])
            })
            .collect();
        assert!(!offsets.is_empty(), "{shift:?} is no shift");
        seen.insert((chosen[0], format!("{:?}", offsets[0])));
    }
    let pairs: HashSet<_> = seen.iter().map(|(pair, _)| *pair).collect();
    assert_eq!(pairs.len(), 12, "all scales and angles");
    // At 45° no two pairs of offsets make the same shift: all 144 of them.
    let at = |pair| seen.iter().filter(|(p, _)| *p == pair).count();
    assert!((140..=144).contains(&at((0, 2))), "{}", at((0, 2)));
}

#[test]
fn draws_depend_on_seed_step_and_image() {
    let first = draw(&standard(3, 1), 3, 0);
    assert_eq!(first, draw(&standard(3, 1), 3, 0));
    assert_ne!(first, draw(&standard(3, 1), 3, 1));
    assert_ne!(first, draw(&standard(3, 2), 3, 0));
    assert_ne!(first[..8], first[8..16]);
    assert_ne!(first[8..16], first[16..]);
    assert_eq!(first[..8], draw(&standard(1, 1), 1, 0));
    let shared = WarpDraw::new(70, 1, [8, 4], &[0.9, 1.0, 1.1], &[0.0, 5.0], true).expect("valid");
    let words = draw(&shared, 70, 4);
    assert!(words.chunks(8).all(|w| *w == words[..8]));
}

/// y[o] = Σ_i k(i − u)·x[i] + fill·(1 − Σ_i k(i − u)), over all i.
fn plain(x: View, y: View, words: &[u32], values: &[f64]) -> Vec<f64> {
    let (h, w, c) = (x.h as usize, x.w as usize, x.c as usize);
    let mut out = Vec::new();
    for n in 0..y.n as usize {
        let ([a, b, p, q], shift) = read(&words[n * 8..]);
        for channel in 0..c {
            for row in 0..y.h {
                for col in 0..y.w {
                    let o = [
                        f64::from(col) - (f64::from(y.w) - 1.0) / 2.0,
                        f64::from(row) - (f64::from(y.h) - 1.0) / 2.0,
                    ];
                    let u = a * o[0] + b * o[1] + shift[0] + (f64::from(x.w) - 1.0) / 2.0;
                    let v = p * o[0] + q * o[1] + shift[1] + (f64::from(x.h) - 1.0) / 2.0;
                    let (mut sum, mut total) = (0.0, 0.0);
                    for i in 0..h {
                        for j in 0..w {
                            let k = (1.0 - (j as f64 - u).abs()).max(0.0)
                                * (1.0 - (i as f64 - v).abs()).max(0.0);
                            sum += k * values[((n * c + channel) * h + i) * w + j];
                            total += k;
                        }
                    }
                    out.push(sum + 0.5 * (1.0 - total));
                }
            }
        }
    }
    out
}

/// x and y: batches, channels that fill no quad, borders, slices.
fn shapes() -> Vec<(View, View)> {
    let plain = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        plain(1, 1, 1, 1),
        plain(2, 5, 7, 3),
        plain(3, 17, 12, 3),
        plain(1, 33, 31, 6),
        (View::new(2, 9, 8, 3), View::new(2, 13, 12, 3)),
        (
            View::new(2, 6, 9, 24).slice(8, 11),
            View::new(2, 6, 9, 16).slice(4, 11),
        ),
    ]
}

#[test]
fn resampling_is_the_definition() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        for (kernel, step) in [
            (standard(x.n, 7), 0),
            (standard(x.n, 7), 3),
            (wild(x.n, 8), 1),
        ] {
            let words = draw(&kernel, x.n, step);
            let values = tensor(&mut random(i as u64), x);
            let got = warped(x, y, &words, &values);
            let expected = plain(x, y, &words, &from_quads(x, &wide(&values)));
            for (got, expected) in got.iter().zip(&expected) {
                assert!(
                    (got - expected).abs() < 1e-12,
                    "{x:?}: {got} should be {expected}"
                );
            }
        }
    }
}

/// One kernel on the oracle, whose last binding is written.
fn oracle<K: pixgrad::engine::device::Kernel>(
    kernel: &K,
    words: &[u32],
    input: &[f32],
    out: View,
) -> Vec<f64> {
    let data = [
        Data::Words(words.to_vec()),
        Data::Reals(input.to_vec()),
        Data::Poisoned(out),
    ];
    match run_on(&Device::oracle(), kernel, &data).remove(0) {
        Output::Reals(reals) => from_quads(out, &reals),
        Output::Words(_) => panic!("words"),
    }
}

/// ⟨A·x, v⟩ = ⟨x, Aᵀ·v⟩, A·x being warp(x) − warp(0).
#[test]
fn backward_is_the_transpose() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        for step in 0..60 {
            let kernel = if step % 2 == 0 {
                standard(x.n, 5)
            } else {
                wild(x.n, 6)
            };
            let kernel = &kernel;
            let words = run_on(
                &Device::oracle(),
                kernel,
                &[
                    Data::Words(vec![step]),
                    Data::PoisonedWords(x.n as usize * 8),
                ],
            )[0]
            .words()
            .to_vec();
            let mut rng = random(1_000 * i as u64 + u64::from(step));
            let (xs, vs) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let forward = Warp { x, y, fill: 0.5 };
            let at_x = oracle(&forward, &words, &xs, y);
            let at_zero = oracle(&forward, &words, &vec![0.0; x.len()], y);
            let back = oracle(&WarpBackward { x, y }, &words, &vs, x);
            let linear: Vec<f64> = at_x.iter().zip(&at_zero).map(|(a, b)| a - b).collect();
            let left = dot(&linear, &from_quads(y, &wide(&vs)));
            let right = dot(&from_quads(x, &wide(&xs)), &back);
            assert!(
                (left - right).abs() < 1e-11 * (1.0 + left.abs()),
                "{x:?} at step {step}: {left} and {right}"
            );
        }
    }
}

#[test]
fn backward_shaders() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        for (kernel, step) in [(standard(x.n, 7), 0), (wild(x.n, 8), 1), (wild(x.n, 8), 2)] {
            let data = [
                Data::Words(draw(&kernel, x.n, step)),
                Data::Reals(tensor(&mut random(50 + i as u64), y)),
                Data::Poisoned(x),
            ];
            check(&WarpBackward { x, y }, &data);
        }
    }
}

/// Positions at the far ends of the longest images neither overflow nor lose their neighbours.
#[test]
fn the_longest_sides() {
    for (h, w) in [(1, 65_535), (65_535, 1), (3, 20_001)] {
        let view = View::new(1, h, w, 1);
        for (scale, angle) in [
            (0.5, 45.0),
            (2.0, 0.0),
            (1.0, 180.0),
            (0.5, 359.9),
            (0.9, 0.0),
        ] {
            let kernel = WarpDraw::new(1, 4, [1024, 1024], &[scale], &[angle], false);
            let mut words = draw(&kernel.expect("valid"), 1, 0);
            // Not out of sight across the short side.
            words[if h < w { 5 } else { 4 }] = 0;
            let mut rng = random(u64::from(w));
            let (xs, vs) = (tensor(&mut rng, view), tensor(&mut rng, view));
            let data = |values: &[f32]| {
                [
                    Data::Words(words.clone()),
                    Data::Reals(values.to_vec()),
                    Data::Poisoned(view),
                ]
            };
            let (x, y) = (view, view);
            let at_x = from_quads(y, check(&Warp { x, y, fill: 0.0 }, &data(&xs))[0].reals());
            let back = from_quads(x, check(&WarpBackward { x, y }, &data(&vs))[0].reals());
            let left = dot(&at_x, &from_quads(y, &wide(&vs)));
            let right = dot(&from_quads(x, &wide(&xs)), &back);
            assert!(left != 0.0, "nothing of the image is seen");
            assert!(
                (left - right).abs() < 1e-10 * (1.0 + left.abs()),
                "{left} and {right}"
            );
        }
    }
}

#[test]
fn chains_that_cannot_be_are_refused() {
    let message = |jitter, scales: &[f32], degrees: &[f32]| {
        let refused = WarpDraw::new(1, 0, jitter, scales, degrees, false).expect_err("refused");
        refused.to_string()
    };
    assert!(message([0, 0], &[], &[0.0]).contains("no scales"));
    assert!(message([0, 0], &[1.0], &[]).contains("no angles"));
    assert!(message([0, 0], &[1.0; 24], &[0.0; 25]).contains("more than 48"));
    assert!(message([0, 0], &[1.0, 0.4], &[0.0]).contains("0.4"));
    assert!(message([0, 0], &[f32::NAN], &[0.0]).contains("NaN"));
    assert!(message([0, 0], &[1.0], &[f32::INFINITY]).contains("inf"));
    assert!(message([0, 1025], &[1.0], &[0.0]).contains("1025"));
}
