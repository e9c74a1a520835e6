//! warp: by hand, against the definition, the transpose, and the range of positions.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{View, Warp, WarpBackward, WarpDraw, from_quads, to_quads};

use crate::common::oracle::{dot, wide};
use crate::common::{Data, Output, check, random, run_on, tensor};
use crate::warp_draw::{draw, read, standard, wild};

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
