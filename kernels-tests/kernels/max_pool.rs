//! max_pool, max_pool_backward: the references against plain loops and finite differences, the shaders against the
//! references.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{MaxPool, MaxPoolBackward, View, from_quads, to_quads};
use rand::seq::SliceRandom;

use crate::common::{Data, check, random, run_on, tensor};
use crate::pools::{LAYERS, Layer, views};

fn forward(layer: Layer) -> MaxPool {
    let (x, y) = views(layer);
    let (.., [kernel, stride, pad, dilation], _) = layer;
    MaxPool {
        x,
        y,
        kernel,
        stride,
        pad,
        dilation,
    }
}

fn backward(pool: MaxPool, accumulate: bool) -> MaxPoolBackward {
    let MaxPool {
        x: dx,
        y: dy,
        kernel,
        stride,
        pad,
        dilation,
    } = pool;
    MaxPoolBackward {
        dy,
        dx,
        kernel,
        stride,
        pad,
        dilation,
        accumulate,
    }
}

fn outputs(pool: &MaxPool) -> [Data; 2] {
    [
        Data::Poisoned(pool.y),
        Data::PoisonedWords(pool.argmax_len()),
    ]
}

/// The definition over [N,C,H,W]: the values, and for each the index of its maximum in x.
fn plain(pool: MaxPool, x: &[f32]) -> (Vec<f64>, Vec<usize>) {
    let (mut values, mut places) = (Vec::new(), Vec::new());
    let (h, w) = (i64::from(pool.x.h), i64::from(pool.x.w));
    for image in 0..i64::from(pool.x.n * pool.x.c) {
        for oy in 0..i64::from(pool.y.h) {
            for ox in 0..i64::from(pool.y.w) {
                let (mut best, mut place) = (f32::NEG_INFINITY, usize::MAX);
                for ky in 0..i64::from(pool.kernel[0]) {
                    for kx in 0..i64::from(pool.kernel[1]) {
                        let yy = oy * i64::from(pool.stride[0]) - i64::from(pool.pad[0])
                            + ky * i64::from(pool.dilation[0]);
                        let xx = ox * i64::from(pool.stride[1]) - i64::from(pool.pad[1])
                            + kx * i64::from(pool.dilation[1]);
                        if yy < 0 || xx < 0 || yy >= h || xx >= w {
                            continue;
                        }
                        let at = ((image * h + yy) * w + xx) as usize;
                        if x[at] > best {
                            (best, place) = (x[at], at);
                        }
                    }
                }
                // Of a window without a pixel it is 0.
                values.push(if place == usize::MAX {
                    0.0
                } else {
                    f64::from(best)
                });
                places.push(place);
            }
        }
    }
    (values, places)
}

#[test]
fn a_case_by_hand() {
    // 3×3 in one channel, windows 2×2 step 1; 9 and 9 tie in the last: the first of them wins.
    #[rustfmt::skip]
    let x = [
        1.0, 5.0, 2.0,
        4.0, 3.0, 9.0,
        0.0, 9.0, 8.0,
    ];
    let (x_view, y_view) = (View::new(1, 3, 3, 1), View::new(1, 2, 2, 1));
    let pool = MaxPool {
        x: x_view,
        y: y_view,
        kernel: [2; 2],
        stride: [1; 2],
        pad: [0; 2],
        dilation: [1; 2],
    };
    assert_eq!(pool.argmax_len(), 2);
    let [y, argmax] = outputs(&pool);
    let out = check(&pool, &[Data::Reals(to_quads(x_view, &x)), y, argmax]);
    assert_eq!(from_quads(y_view, out[0].reals()), [5.0, 9.0, 9.0, 9.0]);
    // Per pixel 8 bits, channel 0 in the lowest two: taps 1, 3 in the first row and 3, 1 in the second. Channels 1 to
    // 3 are padding: all zero, so that the first tap wins.
    assert_eq!(out[1].words(), [0x0000_0301, 0x0000_0103]);
    let dy = to_quads(y_view, &[1.0f32, 20.0, 300.0, 4000.0]);
    let words = out[1].words().to_vec();
    let data = [Data::Reals(dy), Data::Words(words), Data::Poisoned(x_view)];
    let dx = check(&backward(pool, false), &data);
    #[rustfmt::skip]
    let expected = [
        0.0, 1.0, 0.0,
        0.0, 0.0, 4020.0,
        0.0, 300.0, 0.0,
    ];
    assert_eq!(from_quads(x_view, dx[0].reals()), expected);
}

#[test]
fn the_reference_is_the_definition() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = forward(layer);
        let mut rng = random(i as u64);
        // Negative throughout, so that a padding of zeros would win; quantised, so that there are ties.
        let x: Vec<f32> = tensor(&mut rng, View::new(pool.x.n, pool.x.h, pool.x.w, pool.x.c));
        let x: Vec<f32> = from_quads(pool.x, &x)
            .iter()
            .map(|v| (v * 4.0).floor() - 9.0)
            .collect();
        let [y, argmax] = outputs(&pool);
        let out = run_on(
            &Device::oracle(),
            &pool,
            &[Data::Reals(to_quads(pool.x, &x)), y, argmax],
        );
        let (values, places) = plain(pool, &x);
        assert_eq!(from_quads(pool.y, out[0].reals()), values, "{layer:?}");

        let dy = from_quads(pool.y, &tensor(&mut rng, pool.y));
        let data = [
            Data::Reals(to_quads(pool.y, &dy)),
            Data::Words(out[1].words().to_vec()),
            Data::Poisoned(pool.x),
        ];
        let dx = run_on(&Device::oracle(), &backward(pool, false), &data);
        let mut expected = vec![0.0; x.len()];
        for (place, dy) in places.iter().zip(&dy) {
            if let Some(expected) = expected.get_mut(*place) {
                *expected += f64::from(*dy);
            }
        }
        for (a, b) in from_quads(pool.x, dx[0].reals()).iter().zip(&expected) {
            assert!((a - b).abs() <= 1e-14, "{layer:?}: {a} should be {b}");
        }
    }
}

/// Of Σ g·y, in f64, away from ties: the elements of x are a shuffled arithmetic sequence whose step is many times
/// the difference.
#[test]
fn the_backward_pass_is_the_derivative() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = forward(layer);
        let mut rng = random(100 + i as u64);
        let mut x: Vec<f32> = (0..pool.x.elements()).map(|i| i as f32 / 16.0).collect();
        x.shuffle(&mut rng);
        let gradient = tensor(&mut rng, pool.y);
        let objective = |x: &[f32]| -> (f64, Vec<u32>) {
            let [y, argmax] = outputs(&pool);
            let out = run_on(
                &Device::oracle(),
                &pool,
                &[Data::Reals(to_quads(pool.x, x)), y, argmax],
            );
            let value = out[0]
                .reals()
                .iter()
                .zip(&gradient)
                .map(|(y, g)| y * f64::from(*g))
                .sum();
            (value, out[1].words().to_vec())
        };
        let data = [
            Data::Reals(gradient.clone()),
            Data::Words(objective(&x).1),
            Data::Poisoned(pool.x),
        ];
        let dx = from_quads(
            pool.x,
            run_on(&Device::oracle(), &backward(pool, false), &data)[0].reals(),
        );
        let h = 1.0 / 64.0;
        for at in (0..x.len()).step_by(x.len().div_ceil(60)) {
            let mut moved = x.clone();
            moved[at] = x[at] + h;
            let above = objective(&moved).0;
            moved[at] = x[at] - h;
            let slope = (above - objective(&moved).0) / f64::from(2.0 * h);
            assert!(
                (slope - dx[at]).abs() <= 1e-9,
                "{layer:?}: {} should be {slope}",
                dx[at]
            );
        }
    }
}

fn check_both(seed: u64, pool: MaxPool) {
    let mut rng = random(seed);
    let [y, argmax] = outputs(&pool);
    let out = check(&pool, &[Data::Reals(tensor(&mut rng, pool.x)), y, argmax]);
    for accumulate in [false, true] {
        let data = [
            Data::Reals(tensor(&mut rng, pool.y)),
            Data::Words(out[1].words().to_vec()),
            if accumulate {
                Data::Reals(tensor(&mut rng, pool.x))
            } else {
                Data::Poisoned(pool.x)
            },
        ];
        check(&backward(pool, accumulate), &data);
    }
}

#[test]
fn shaders() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        check_both(200 + i as u64, forward(layer));
    }
}

#[test]
fn slices() {
    let x = View::new(2, 6, 9, 24).slice(8, 10);
    for (kernel, stride, pad, h, w) in [(3, 1, 1, 6, 9), (3, 2, 0, 3, 4), (2, 2, 0, 3, 4)] {
        let y = View::new(2, h, w, 28).slice(4, 10);
        check_both(
            300,
            MaxPool {
                x,
                y,
                kernel: [kernel; 2],
                stride: [stride; 2],
                pad: [pad; 2],
                dilation: [1; 2],
            },
        );
    }
}
