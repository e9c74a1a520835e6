//! avg_pool, adaptive_avg_pool, avg_pool_backward: the references against plain loops, the backward passes as adjoints,
//! the shaders against the references.

use pixgrad::engine::device::{Device, Kernel};
use pixgrad::engine::kernels::{
    AdaptiveAvgPool, AdaptiveAvgPoolBackward, AvgPool, AvgPoolBackward, View, from_quads, to_quads,
};

use crate::common::{Data, check, check_within, random, run_on, tensor};
use crate::pools::{LAYERS, Layer, views};

fn avg(layer: Layer) -> AvgPool {
    let (x, y) = views(layer);
    let (.., [kernel, stride, pad, dilation], _) = layer;
    AvgPool {
        x,
        y,
        kernel,
        stride,
        pad,
        dilation,
        counted: None,
        scale: 1.0,
    }
}

fn avg_backward(pool: AvgPool, accumulate: bool) -> AvgPoolBackward {
    let AvgPool {
        x: dx,
        y: dy,
        kernel,
        stride,
        pad,
        dilation,
        counted,
        scale,
    } = pool;
    AvgPoolBackward {
        dy,
        dx,
        kernel,
        stride,
        pad,
        dilation,
        counted,
        scale,
        accumulate,
    }
}

/// n, c, h, w and the output's height and width.
const ADAPTIVE: &[(u32, u32, u32, u32, u32, u32)] = &[
    (1, 4, 1, 1, 1, 1),
    (2, 18, 5, 7, 1, 1), // global, five vec4s: one and a bit of a workgroup's four
    (1, 3, 13, 13, 6, 6), // AlexNet
    (1, 5, 9, 10, 7, 7), // VGG, windows overlap
    (2, 6, 3, 2, 7, 5),  // larger than the input, pixels repeat
    (1, 4, 67, 129, 1, 1), // more than one block of 64 terms per invocation
    (1, 9, 8, 12, 4, 3),
];

fn adaptive((n, c, h, w, oh, ow): (u32, u32, u32, u32, u32, u32)) -> AdaptiveAvgPool {
    AdaptiveAvgPool {
        x: View::new(n, h, w, c),
        y: View::new(n, oh, ow, c),
        scale: 1.0,
    }
}

fn adaptive_backward(pool: AdaptiveAvgPool, accumulate: bool) -> AdaptiveAvgPoolBackward {
    AdaptiveAvgPoolBackward {
        dy: pool.y,
        dx: pool.x,
        scale: pool.scale,
        accumulate,
    }
}

/// The definition over [N,C,H,W]: the mean over those of x for which `inside(axis, output, input, size of x, size of
/// y)` along both axes.
fn plain(
    x_view: View,
    y_view: View,
    x: &[f32],
    inside: impl Fn(usize, i64, i64, i64, i64) -> bool,
) -> Vec<f64> {
    let (h, w) = (i64::from(x_view.h), i64::from(x_view.w));
    let (oh, ow) = (i64::from(y_view.h), i64::from(y_view.w));
    let mut y = Vec::new();
    for image in 0..i64::from(x_view.n * x_view.c) {
        for oy in 0..oh {
            for ox in 0..ow {
                let (mut sum, mut count) = (0.0, 0.0);
                for yy in 0..h {
                    for xx in 0..w {
                        if inside(0, oy, yy, h, oh) && inside(1, ox, xx, w, ow) {
                            sum += f64::from(x[((image * h + yy) * w + xx) as usize]);
                            count += 1.0;
                        }
                    }
                }
                // Of a window without a pixel the mean is 0.
                y.push(sum / f64::max(count, 1.0));
            }
        }
    }
    y
}

fn assert_close(what: &str, actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, b) in actual.iter().zip(expected) {
        assert!(
            (a - b).abs() <= 1e-13 * (1.0 + b.abs()),
            "{what}: {a} should be {b}"
        );
    }
}

fn forward(kernel: &impl Kernel, x: &[f32], y: View) -> Vec<f64> {
    let data = [Data::Reals(x.to_vec()), Data::Poisoned(y)];
    run_on(&Device::oracle(), kernel, &data)[0].reals().to_vec()
}

#[test]
fn the_references_are_the_definitions() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = avg(layer);
        let [k, s, p, d] =
            [pool.kernel, pool.stride, pool.pad, pool.dilation].map(|both| both.map(i64::from));
        let x = tensor(&mut random(i as u64), pool.x);
        let expected = plain(
            pool.x,
            pool.y,
            &from_quads(pool.x, &x),
            |axis, o, i, _, _| {
                let first = o * s[axis] - p[axis];
                (0..k[axis]).any(|k| first + k * d[axis] == i)
            },
        );
        assert_close(
            &format!("{layer:?}"),
            &from_quads(pool.y, &forward(&pool, &x, pool.y)),
            &expected,
        );
    }
    for (i, &shape) in ADAPTIVE.iter().enumerate() {
        let pool = adaptive(shape);
        let x = tensor(&mut random(20 + i as u64), pool.x);
        // ⌊o·size/count⌋ ≤ i < ⌈(o+1)·size/count⌉, without a division.
        let expected = plain(
            pool.x,
            pool.y,
            &from_quads(pool.x, &x),
            |_, o, i, size, count| o * size < (i + 1) * count && i * count < (o + 1) * size,
        );
        assert_close(
            &format!("{shape:?}"),
            &from_quads(pool.y, &forward(&pool, &x, pool.y)),
            &expected,
        );
    }
}

#[test]
fn padding_does_not_count() {
    // 2×2 pixels under 3×3 windows with padding 1: every window holds all four.
    let view = View::new(1, 2, 2, 1);
    let pool = AvgPool {
        x: view,
        y: view,
        kernel: [3; 2],
        stride: [1; 2],
        pad: [1; 2],
        dilation: [1; 2],
        counted: None,
        scale: 1.0,
    };
    let data = [
        Data::Reals(to_quads(view, &[1.0, 2.0, 3.0, 6.0])),
        Data::Poisoned(view),
    ];
    assert_eq!(from_quads(view, check(&pool, &data)[0].reals()), [3.0; 4]);
    let twice = AvgPool { scale: 2.5, ..pool };
    assert_eq!(from_quads(view, check(&twice, &data)[0].reals()), [7.5; 4]);
}

/// Zeros around the image that count: the mean of an image with a border of zeros, and of ones the share of the window
/// that is no padding. What lies behind the padding of a last window that is not whole does not count.
#[test]
fn padding_counts_where_it_is_to() {
    let (x, y) = (View::new(1, 2, 3, 1), View::new(1, 2, 2, 1));
    let pool = AvgPool {
        x,
        y,
        kernel: [2, 3],
        stride: [2; 2],
        pad: [1; 2],
        dilation: [1; 2],
        counted: Some([0, 1]),
        scale: 1.0,
    };
    let data = |v: [f32; 6]| [Data::Reals(to_quads(x, &v)), Data::Poisoned(y)];
    // The rows -1..1 and 1..2 (a third is behind the padding), the columns -1..2 and 1..4.
    let means = check(&pool, &data([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]));
    let expected = [3.0 / 6.0, 6.0 / 6.0, 24.0 / 3.0, 48.0 / 3.0];
    assert_close("means", &from_quads(y, means[0].reals()), &expected);
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = AvgPool {
            counted: Some([1, 0]),
            scale: 1.75,
            ..avg(layer)
        };
        let backward = avg_backward(pool, false);
        assert_adjoint(140 + i as u64, (pool.x, pool.y), &pool, &backward);
        check_all(160 + i as u64, (pool.x, pool.y), &pool, |a| {
            avg_backward(pool, a)
        });
    }
}

/// ⟨pool(x), g⟩ = ⟨x, backward(g)⟩ for random x and g.
fn assert_adjoint(seed: u64, (x, y): (View, View), pool: &impl Kernel, backward: &impl Kernel) {
    let mut rng = random(seed);
    let (a, g) = (tensor(&mut rng, x), tensor(&mut rng, y));
    let dot = |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
    let left = dot(&forward(pool, &a, y), &g);
    let right = dot(&forward(backward, &g, x), &a);
    assert!(
        (left - right).abs() <= 1e-12 * (1.0 + left.abs()),
        "{pool:?}: {left} should be {right}"
    );
}

#[test]
fn the_backward_passes_are_the_adjoints() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = AvgPool {
            scale: 1.75,
            ..avg(layer)
        };
        assert_adjoint(
            40 + i as u64,
            (pool.x, pool.y),
            &pool,
            &avg_backward(pool, false),
        );
    }
    for (i, &shape) in ADAPTIVE.iter().enumerate() {
        let pool = AdaptiveAvgPool {
            scale: 0.75 + i as f32,
            ..adaptive(shape)
        };
        assert_adjoint(
            60 + i as u64,
            (pool.x, pool.y),
            &pool,
            &adaptive_backward(pool, false),
        );
    }
}

fn check_all<B: Kernel>(
    seed: u64,
    (x, y): (View, View),
    pool: &impl Kernel,
    backward: impl Fn(bool) -> B,
) {
    let mut rng = random(seed);
    check(pool, &[Data::Reals(tensor(&mut rng, x)), Data::Poisoned(y)]);
    for accumulate in [false, true] {
        let dy = Data::Reals(tensor(&mut rng, y));
        let dx = if accumulate {
            Data::Reals(tensor(&mut rng, x))
        } else {
            Data::Poisoned(x)
        };
        check(&backward(accumulate), &[dy, dx]);
    }
}

#[test]
fn shaders() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = avg(layer);
        check_all(80 + i as u64, (pool.x, pool.y), &pool, |a| {
            avg_backward(pool, a)
        });
    }
    for (i, &shape) in ADAPTIVE.iter().enumerate() {
        let pool = AdaptiveAvgPool {
            scale: 0.75 + i as f32,
            ..adaptive(shape)
        };
        check_all(100 + i as u64, (pool.x, pool.y), &pool, |a| {
            adaptive_backward(pool, a)
        });
    }
}

#[test]
fn slices() {
    let x = View::new(2, 6, 9, 24).slice(8, 10);
    let y = View::new(2, 3, 4, 28).slice(4, 10);
    let pool = AvgPool {
        x,
        y,
        kernel: [3; 2],
        stride: [2; 2],
        pad: [0; 2],
        dilation: [1; 2],
        counted: None,
        scale: 1.75,
    };
    check_all(120, (x, y), &pool, |a| avg_backward(pool, a));
    let pool = AdaptiveAvgPool { x, y, scale: 1.75 };
    check_all(121, (x, y), &pool, |a| adaptive_backward(pool, a));
}

/// A long sum of numbers of one sign, where a running f32 sum would drift.
#[test]
fn a_large_mean_keeps_its_digits() {
    let pool = adaptive((1, 4, 300, 331, 1, 1));
    let x: Vec<f32> = tensor(&mut random(130), pool.x)
        .iter()
        .map(|v| v + 2.0)
        .collect();
    check_within(&pool, &[Data::Reals(x), Data::Poisoned(pool.y)], 1e-6);
}
