//! conv3x3_coop: the reference is the convolution's; the shader against it where the adapter has cooperative matrices,
//! and what becomes of it where not.

use pixgrad::engine::device::{Kernel, Kind, SPLIT, SPLIT_WEIGHTS, Stored};
use pixgrad::engine::kernels::conv::{arrange_weights, arrange_weights_backward};
use pixgrad::engine::kernels::{
    Conv, Conv3x3, Conv3x3Coop, Conv3x3Form, Conv3x3Pool, Conv3x3Unpool, Factors, View,
};
use rand_chacha::ChaCha8Rng;

use crate::common::{Data, GPU, Output, mask, open_gpu, random, run_on, same, tensor, uniform};

/// Where factors are rounded to 11 bits it is half of design's bound for numbers stored in f16, else that of f32.
fn tolerance(factors: Factors) -> f64 {
    match factors {
        Factors::Rounded => 2.5e-3,
        Factors::Pixels | Factors::Both => 1e-5,
    }
}

/// Weights that can be multiplied so.
fn weights(rng: &mut ChaCha8Rng, len: u32, factors: Factors) -> Vec<f32> {
    let mut weights = uniform(rng, len as usize);
    if factors == Factors::Pixels {
        for v in &mut weights {
            *v = half::f16::from_f32(*v).to_f32();
        }
    }
    weights
}

/// n, channels before and after, rows and columns: within a tile, several tiles, and none of them full.
const LAYERS: &[(u32, u32, u32, u32, u32)] = &[
    (1, 4, 4, 3, 5),
    (1, 16, 64, 4, 16),
    (2, 20, 36, 7, 19),
    (1, 40, 72, 9, 33),
    (1, 3, 130, 5, 8),
    (1, 64, 12, 12, 40),
    (1, 132, 20, 5, 9),
    (1, 508, 20, 4, 9),
];

/// Sides of the matrices that the test adapter has, and that are right there.
pub fn tiles() -> Vec<u32> {
    // A device of its own: what is asked of it here must not count for others.
    let device = open_gpu();
    let Some(gpu) = device.gpu() else {
        return Vec::new();
    };
    let has = gpu
        .info()
        .features
        .iter()
        .any(|f| f == "cooperative-matrix");
    if !has {
        eprintln!(
            "{} has no cooperative matrices: nothing of them is run",
            gpu.info()
        );
        return Vec::new();
    }
    // Those that the adapter says it has, whether or not they work: this test is to tell.
    let tiles =
        pollster::block_on(gpu.cooperative_tiles(async |_, _| Ok(true))).expect("no test fails");
    assert!(!tiles.is_empty(), "the feature without a matrix");
    tiles.iter().map(|tile| tile.side).collect()
}

/// Sides, and what of the factors is multiplied, one of `factors`.
fn ways(factors: [Factors; 2]) -> Vec<(u32, Factors)> {
    let tiles = tiles().into_iter();
    tiles.flat_map(|tile| factors.map(|f| (tile, f))).collect()
}

/// Ways for layers, and for gradients.
const LAYER: [Factors; 2] = [Factors::Pixels, Factors::Both];
const GRADIENT: [Factors; 2] = [Factors::Rounded, Factors::Both];

fn check(
    form: Conv3x3Form,
    (tile, factors): (u32, Factors),
    reference: &impl Kernel,
    data: &[Data],
) {
    let kernel = Conv3x3Coop::serve(form, tile, factors).expect("a way for it");
    let expected = run_on(&pixgrad::Device::oracle(), reference, data);
    let actual = run_on(&GPU, &kernel, data);
    for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        // A sum near 0 may have either sign.
        if let (Output::Words(a), Output::Words(b)) = (actual, expected) {
            let differ: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
            let all = a.len() as u32 * 32;
            assert!(differ * 200 <= all, "{kernel:?}: {differ} of {all} bits");
            continue;
        }
        same(actual, expected, tolerance(factors))
            .unwrap_or_else(|why| panic!("{kernel:?}, written binding {i}: {why}"));
    }
}

/// Of magnitudes that f16 does not hold, different from channel to channel, so that the unit changes on the way.
fn spread(rng: &mut ChaCha8Rng, view: View, magnitude: f32) -> Vec<f32> {
    let mut data = tensor(rng, view);
    for (i, v) in data.iter_mut().enumerate() {
        *v *= magnitude * (1 + i % view.pixel_stride() / 16 * 30) as f32;
    }
    data
}

#[test]
fn forward() {
    for way in ways(LAYER) {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for (relu, magnitude) in [(false, 1e-12), (true, 1.0), (true, 3e9)] {
                let rng = &mut random(seed as u64);
                let (x, y) = (View::new(n, h, w, cin), View::new(n, h, w, cout));
                let conv = Conv {
                    pad: [1; 2],
                    bias: true,
                    relu,
                    ..Conv::new(x, y, 3)
                };
                let weight = weights(rng, cin * cout * 9, way.1);
                let mut bias: Vec<f32> = uniform(rng, y.padded());
                bias.iter_mut().for_each(|v| *v *= magnitude);
                bias[cout as usize..].fill(0.0);
                let mut data = vec![
                    Data::Reals(spread(rng, x, magnitude)),
                    Data::Reals(arrange_weights(&weight, cout, cin, [3; 2])),
                    Data::Poisoned(y),
                    Data::Reals(bias),
                ];
                data.extend(relu.then(|| Data::PoisonedWords(y.mask_len())));
                let form = Conv3x3Form::of(conv).expect("its shape");
                check(form, way, &conv, &data);
            }
        }
    }
}

/// Weights of which f16 has few digits or none, and pixels of one sign: sums that a matrix rounds towards zero are
/// farthest off.
#[test]
fn small_weights_and_one_sign() {
    for way in ways(LAYER) {
        for magnitude in [1e-3, 1e-6] {
            let rng = &mut random(7);
            let (x, y) = (View::new(1, 5, 18, 260), View::new(1, 5, 18, 20));
            let conv = Conv {
                pad: [1; 2],
                bias: true,
                ..Conv::new(x, y, 3)
            };
            let mut weight = weights(rng, 260 * 20 * 9, Factors::Both);
            for v in &mut weight {
                *v = v.abs() * magnitude;
                if way.1 == Factors::Pixels {
                    *v = half::f16::from_f32(*v).to_f32();
                }
            }
            let mut pixels = tensor(rng, x);
            pixels.iter_mut().for_each(|v| *v = v.abs());
            let data = [
                Data::Reals(pixels),
                Data::Reals(arrange_weights(&weight, 20, 260, [3; 2])),
                Data::Poisoned(y),
                Data::Reals(vec![0.0; y.padded()]),
            ];
            let form = Conv3x3Form::of(conv).expect("its shape");
            check(form, way, &conv, &data);
        }
    }
}

#[test]
fn backward() {
    for way in ways(GRADIENT) {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for (masked, accumulate) in [(false, false), (true, false), (true, true)] {
                let rng = &mut random(seed as u64);
                let (dy, dx) = (View::new(n, h, w, cout), View::new(n, h, w, cin));
                let conv = Conv {
                    pad: [1; 2],
                    masked,
                    accumulate,
                    ..Conv::new(dy, dx, 3)
                };
                let weight = weights(rng, cin * cout * 9, way.1);
                let mut data = vec![
                    Data::Reals(spread(rng, dy, 1e-6)),
                    Data::Reals(arrange_weights_backward(&weight, cout, cin, [3; 2])),
                    if accumulate {
                        Data::Reals(spread(rng, dx, 1e-6))
                    } else {
                        Data::Poisoned(dx)
                    },
                ];
                data.extend(masked.then(|| Data::Words(mask(rng, dy))));
                let form = Conv3x3Form::of(conv).expect("its shape");
                check(form, way, &conv, &data);
            }
        }
    }
}

#[test]
fn forward_through_a_pool() {
    for way in ways(LAYER) {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            let rng = &mut random(seed as u64);
            let pool = Conv3x3Pool {
                x: View::new(n, h, w, cin),
                y: View::new(n, h / 2, w / 2, cout),
            };
            let weight = weights(rng, cin * cout * 9, way.1);
            let mut bias = uniform(rng, pool.y.padded());
            bias[cout as usize..].fill(0.0);
            let data = [
                Data::Reals(spread(rng, pool.x, 1.0)),
                Data::Reals(arrange_weights(&weight, cout, cin, [3; 2])),
                Data::Poisoned(pool.y),
                Data::Reals(bias),
                Data::PoisonedWords(pool.y.maxima_len()),
            ];
            check(Conv3x3Form::from(pool), way, &pool, &data);
        }
    }
}

#[test]
fn backward_through_a_pool() {
    for way in ways(GRADIENT) {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for accumulate in [false, true] {
                let rng = &mut random(seed as u64);
                let unpool = Conv3x3Unpool {
                    dy: View::new(n, h / 2, w / 2, cout),
                    dx: View::new(n, h, w, cin),
                    accumulate,
                };
                let weight = weights(rng, cin * cout * 9, way.1);
                let maxima = uniform(rng, unpool.dy.maxima_len());
                let data = [
                    Data::Reals(spread(rng, unpool.dy, 1e-3)),
                    Data::Reals(arrange_weights_backward(&weight, cout, cin, [3; 2])),
                    if accumulate {
                        Data::Reals(spread(rng, unpool.dx, 1e-3))
                    } else {
                        Data::Poisoned(unpool.dx)
                    },
                    Data::Words(maxima.iter().map(|v| v.to_bits()).collect()),
                ];
                check(Conv3x3Form::from(unpool), way, &unpool, &data);
            }
        }
    }
}

/// Where all is in f32, nothing is rounded; only weights in 16 bits are, and only with gradients.
#[test]
fn what_is_rounded_was_already() {
    let view = View::new(1, 16, 16, 32);
    let ways = |bias: bool, kinds: [Kind; 4]| -> Vec<&str> {
        let conv = Conv {
            pad: [1; 2],
            bias,
            ..Conv::new(view, view, 3)
        };
        let kernel = Conv3x3::serve(conv).expect("its shape");
        let lens = [view.len(), conv.weights_len(), view.len(), view.padded()];
        let buffers: Vec<_> = kinds.into_iter().zip(lens).collect();
        let bound = if bias { &buffers[..] } else { &buffers[..3] };
        let stored = Stored::on(Box::new(kernel), bound).expect("it takes these");
        let alternatives = stored.alternatives().expect("alternatives").kernels;
        let mut outputs = alternatives.iter().map(|k| k.bindings()[2].kind);
        assert!(outputs.all(|kind| kind == kinds[2]));
        let shaders = alternatives.iter().map(|k| k.shader());
        let mut ways: Vec<_> = shaders
            .filter(|shader| shader.cooperative_tile() == Some(16))
            .map(|shader| {
                let has = |name| shader.definitions().contains(&name);
                match (has(SPLIT), has(SPLIT_WEIGHTS)) {
                    (true, true) => "both",
                    (true, false) => "pixels",
                    _ => "rounded",
                }
            })
            .collect();
        ways.sort_unstable();
        ways
    };
    let (real, half, packed) = (Kind::Real, Kind::Half, Kind::Packed);
    assert_eq!(ways(true, [real; 4]), ["both"]);
    assert_eq!(ways(false, [real; 4]), ["both"]);
    assert_eq!(ways(true, [real, half, real, real]), ["both", "pixels"]);
    assert_eq!(
        ways(false, [packed, half, packed, real]),
        ["both", "rounded"]
    );
    assert_eq!(
        ways(false, [packed, packed, packed, real]),
        ["both", "rounded"]
    );
    // Weights that do not fit f16.
    let none: [&str; 0] = [];
    assert_eq!(ways(true, [real, Kind::Wide, real, real]), none);
    assert_eq!(ways(false, [packed, Kind::Wide, packed, real]), none);
}
