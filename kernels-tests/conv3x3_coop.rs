//! conv3x3_coop: the twin is the convolution's; the shader against it where the adapter has cooperative matrices, and what becomes of
//! it where not.

use pixgrad::device::{Access, Kernel, Kind, Operation, Slot, Stored};
use pixgrad::kernels::conv::{pack_weights, pack_weights_backward};
use pixgrad::kernels::{Conv, Conv3x3, Conv3x3Coop, Conv3x3Form, Conv3x3Pool, Conv3x3Unpool, View};
use rand_chacha::ChaCha8Rng;

use crate::common::{Data, GPU, Output, mask, open_gpu, random, run_on, same, tensor, uniform};

/// Factors are rounded to 11 bits; half of design's bound for numbers stored in f16.
const TOLERANCE: f64 = 2.5e-3;

/// n, channels before and after, rows and columns: within a tile, several tiles, and none of them full.
const LAYERS: &[(u32, u32, u32, u32, u32)] = &[
    (1, 4, 4, 3, 5),
    (1, 16, 64, 4, 16),
    (2, 20, 36, 7, 19),
    (1, 40, 72, 9, 33),
    (1, 3, 130, 5, 8),
    (1, 64, 12, 12, 40),
    (1, 132, 20, 5, 9),
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
    let tiles = gpu.cooperative_tiles(|_| Ok(true)).expect("no test fails");
    assert!(!tiles.is_empty(), "the feature without a matrix");
    tiles.to_vec()
}

fn check(kernel: Conv3x3Coop, twin: &impl Kernel, data: &[Data]) {
    let expected = run_on(&pixgrad::Device::oracle(), twin, data);
    let actual = run_on(&GPU, &kernel, data);
    for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        // A sum near 0 may have either sign.
        if let (Output::Words(a), Output::Words(b)) = (actual, expected) {
            let differ: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
            let all = a.len() as u32 * 32;
            assert!(differ * 200 <= all, "{kernel:?}: {differ} of {all} bits");
            continue;
        }
        same(actual, expected, TOLERANCE)
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
    for tile in tiles() {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for (relu, magnitude) in [(false, 1e-12), (true, 1.0), (true, 3e9)] {
                let rng = &mut random(seed as u64);
                let (x, y) = (View::new(n, h, w, cin), View::new(n, h, w, cout));
                let conv = Conv {
                    pad: 1,
                    bias: true,
                    relu,
                    ..Conv::new(x, y, 3)
                };
                let weight = uniform(rng, (cin * cout * 9) as usize);
                let mut bias: Vec<f32> = uniform(rng, y.padded());
                bias.iter_mut().for_each(|v| *v *= magnitude);
                bias[cout as usize..].fill(0.0);
                let mut data = vec![
                    Data::Reals(spread(rng, x, magnitude)),
                    Data::Reals(pack_weights(&weight, cout, cin, 3)),
                    Data::Poisoned(y),
                    Data::Reals(bias),
                ];
                data.extend(relu.then(|| Data::PoisonedWords(y.mask_len())));
                let coop = Conv3x3Form::of(conv)
                    .and_then(|form| Conv3x3Coop::serve(form, tile))
                    .expect("its shape");
                check(coop, &conv, &data);
            }
        }
    }
}

/// Of a layer with few channels in only the weights are rounded: where f16 holds those, nothing is.
#[test]
fn layers_of_few_channels_keep_all_digits() {
    for tile in tiles() {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            let rng = &mut random(seed as u64);
            let (x, y) = (View::new(n, h, w, cin), View::new(n, h, w, cout));
            let conv = Conv {
                pad: 1,
                bias: true,
                ..Conv::new(x, y, 3)
            };
            let mut weight = uniform(rng, (cin * cout * 9) as usize);
            for v in &mut weight {
                *v = half::f16::from_f32(*v).to_f32();
            }
            let data = [
                Data::Reals(tensor(rng, x)),
                Data::Reals(pack_weights(&weight, cout, cin, 3)),
                Data::Poisoned(y),
                Data::Reals(vec![0.0; y.padded()]),
            ];
            let coop = Conv3x3Form::of(conv)
                .and_then(|form| Conv3x3Coop::serve(form, tile))
                .expect("its shape");
            let expected = run_on(&pixgrad::Device::oracle(), &conv, &data);
            let actual = run_on(&GPU, &coop, &data);
            let exact = same(&actual[0], &expected[0], 1e-5);
            assert_eq!(exact.is_ok(), cin <= 128, "{coop:?}: {exact:?}");
        }
    }
}

#[test]
fn backward() {
    for tile in tiles() {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for (masked, accumulate) in [(false, false), (true, false), (true, true)] {
                let rng = &mut random(seed as u64);
                let (dy, dx) = (View::new(n, h, w, cout), View::new(n, h, w, cin));
                let conv = Conv {
                    pad: 1,
                    masked,
                    accumulate,
                    ..Conv::new(dy, dx, 3)
                };
                let weight = uniform(rng, (cin * cout * 9) as usize);
                let mut data = vec![
                    Data::Reals(spread(rng, dy, 1e-6)),
                    Data::Reals(pack_weights_backward(&weight, cout, cin, 3)),
                    if accumulate {
                        Data::Reals(spread(rng, dx, 1e-6))
                    } else {
                        Data::Poisoned(dx)
                    },
                ];
                data.extend(masked.then(|| Data::Words(mask(rng, dy))));
                let coop = Conv3x3Form::of(conv)
                    .and_then(|form| Conv3x3Coop::serve(form, tile))
                    .expect("its shape");
                check(coop, &conv, &data);
            }
        }
    }
}

#[test]
fn forward_through_a_pool() {
    for tile in tiles() {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            let rng = &mut random(seed as u64);
            let pool = Conv3x3Pool {
                x: View::new(n, h, w, cin),
                y: View::new(n, h / 2, w / 2, cout),
            };
            let weight = uniform(rng, (cin * cout * 9) as usize);
            let mut bias = uniform(rng, pool.y.padded());
            bias[cout as usize..].fill(0.0);
            let data = [
                Data::Reals(spread(rng, pool.x, 1.0)),
                Data::Reals(pack_weights(&weight, cout, cin, 3)),
                Data::Poisoned(pool.y),
                Data::Reals(bias),
                Data::PoisonedWords(pool.y.maxima_len()),
            ];
            let coop = Conv3x3Coop::serve(Conv3x3Form::from(pool), tile).expect("a tile");
            check(coop, &pool, &data);
        }
    }
}

#[test]
fn backward_through_a_pool() {
    for tile in tiles() {
        for (seed, &(n, cin, cout, h, w)) in LAYERS.iter().enumerate() {
            for accumulate in [false, true] {
                let rng = &mut random(seed as u64);
                let unpool = Conv3x3Unpool {
                    dy: View::new(n, h / 2, w / 2, cout),
                    dx: View::new(n, h, w, cin),
                    accumulate,
                };
                let weight = uniform(rng, (cin * cout * 9) as usize);
                let maxima = uniform(rng, unpool.dy.maxima_len());
                let data = [
                    Data::Reals(spread(rng, unpool.dy, 1e-3)),
                    Data::Reals(pack_weights_backward(&weight, cout, cin, 3)),
                    if accumulate {
                        Data::Reals(spread(rng, unpool.dx, 1e-3))
                    } else {
                        Data::Poisoned(unpool.dx)
                    },
                    Data::Words(maxima.iter().map(|v| v.to_bits()).collect()),
                ];
                let coop = Conv3x3Coop::serve(Conv3x3Form::from(unpool), tile).expect("a tile");
                check(coop, &unpool, &data);
            }
        }
    }
}

/// Only operands that are rounded anyway are rounded to f16.
#[test]
fn it_is_an_alternative_in_sixteen_bits_only() {
    let view = View::new(1, 16, 16, 32);
    let conv = Conv {
        pad: 1,
        ..Conv::new(view, view, 3)
    };
    let kernel = Conv3x3::serve(conv).expect("its shape");
    let names = |operation: &dyn Operation| -> Vec<&str> {
        let alternatives = operation.alternatives().expect("alternatives");
        let shaders = alternatives.kernels.iter().map(|k| k.shader());
        shaders.map(|shader| shader.source.name).collect()
    };
    let coop = "conv3x3_coop";
    assert!(!names(&kernel).contains(&coop));
    let weights = conv.weights_len();
    let stored = |kinds: [Kind; 3]| {
        let lens = [view.len(), weights, view.len()];
        let buffers: Vec<_> = kinds.into_iter().zip(lens).collect();
        Stored::on(Box::new(kernel), &buffers).expect("it takes these")
    };
    let packed = stored([Kind::Packed, Kind::Half, Kind::Packed]);
    assert!(names(&*packed).contains(&coop));
    let slots = packed.alternatives().expect("alternatives").kernels;
    let out = Slot {
        kind: Kind::Packed,
        access: Access::Write,
    };
    assert!(slots.iter().all(|k| k.bindings()[2] == out));
    let packed = stored([Kind::Rectified, Kind::Packed, Kind::Packed]);
    assert!(names(&*packed).contains(&coop));
    // Weights that do not fit f16.
    let wide = stored([Kind::Packed, Kind::Real, Kind::Packed]);
    assert!(!names(&*wide).contains(&coop));
}
