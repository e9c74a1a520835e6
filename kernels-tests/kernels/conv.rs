//! conv, conv1x1, conv3x3, conv3x3_tile, conv3x3_winograd, conv3x3_winograd4, conv_naive: the reference against plain
//! loops, the shaders against the reference.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::conv::{arrange_weights, arrange_weights_backward};
use pixgrad::engine::kernels::{
    Conv, Conv1x1, Conv3x3, Conv3x3Form, Conv3x3Narrow, Conv3x3Tile, Conv3x3Winograd, ConvNaive,
    View, WinogradTile, from_quads, to_quads,
};

use crate::common::{Data, check, mask, random, run_on, same, tensor, uniform};

/// One convolution layer: n, cin, h, w, cout; kernel, stride, padding and dilation, each for rows and columns.
type Layer = (u32, u32, u32, u32, u32, [[u32; 2]; 4]);

/// The same by a square window without dilation.
const fn square(n: u32, cin: u32, h: u32, w: u32, cout: u32, window: [u32; 3]) -> Layer {
    let [k, s, p] = window;
    (n, cin, h, w, cout, [[k; 2], [s; 2], [p; 2], [1; 2]])
}

/// Shapes that no tile divides, every window, stride and padding of the networks, and windows that are not square.
const LAYERS: &[Layer] = &[
    square(1, 3, 9, 11, 5, [3, 1, 1]),
    square(2, 8, 7, 16, 12, [3, 1, 1]),
    square(1, 13, 1, 1, 6, [3, 1, 1]),
    square(1, 4, 20, 37, 64, [3, 1, 1]),
    square(1, 64, 5, 3, 3, [3, 1, 1]),
    square(2, 6, 19, 34, 72, [3, 1, 1]), // more than one tile in every direction
    square(1, 64, 21, 43, 68, [3, 1, 1]), // Winograd's reference, in several batches of tiles
    square(2, 16, 6, 9, 10, [1, 1, 0]),
    square(1, 5, 1, 1, 7, [1, 1, 0]),
    square(1, 12, 3, 65, 9, [1, 1, 0]),
    square(1, 3, 15, 18, 8, [3, 2, 0]),  // SqueezeNet 1.1 conv1
    square(1, 3, 21, 22, 9, [7, 2, 0]),  // SqueezeNet 1.0 conv1
    square(2, 3, 17, 23, 8, [7, 2, 3]),  // GoogLeNet conv1
    square(1, 3, 31, 39, 6, [11, 4, 2]), // AlexNet conv1
    square(1, 6, 9, 8, 7, [5, 1, 2]),    // AlexNet conv2, the 5×5 branches
    square(1, 6, 7, 7, 10, [7, 1, 0]),   // a fully connected layer
    (1, 6, 9, 14, 7, [[1, 7], [1, 1], [0, 3], [1, 1]]), // Inception's factors of a 7×7
    (2, 5, 14, 9, 8, [[7, 1], [1, 1], [3, 0], [1, 1]]),
    (1, 3, 17, 22, 9, [[3, 5], [2, 3], [1, 0], [1, 1]]),
    (1, 9, 12, 19, 5, [[2, 3], [1, 2], [0, 2], [1, 1]]),
    (1, 4, 11, 13, 3, [[3, 3], [2, 1], [1, 1], [1, 1]]),
    (1, 4, 11, 13, 6, [[3, 3], [1, 1], [1, 0], [1, 1]]),
    (2, 6, 11, 13, 9, [[3, 3], [1, 1], [2, 2], [2, 2]]), // dilated
    (1, 5, 15, 14, 8, [[3, 3], [1, 1], [3, 0], [3, 1]]),
    (1, 3, 17, 19, 4, [[3, 5], [2, 3], [2, 6], [2, 3]]),
    (1, 7, 9, 16, 3, [[1, 7], [1, 2], [0, 4], [1, 2]]),
    // Few pixels and many channels: the reference makes some channels of all pixels at a time.
    (1, 70, 9, 10, 66, [[3, 3], [1, 1], [2, 2], [2, 2]]),
    square(2, 20, 6, 9, 100, [1, 1, 0]),
    square(1, 66, 7, 7, 90, [3, 1, 1]),
    square(2, 12, 14, 15, 70, [3, 2, 1]),
];

fn forward(layer: Layer) -> Conv {
    let (n, cin, h, w, cout, [kernel, stride, pad, dilation]) = layer;
    let size = |axis: usize, d: u32| {
        (d + 2 * pad[axis] - (kernel[axis] - 1) * dilation[axis] - 1) / stride[axis] + 1
    };
    let (x, y) = (
        View::new(n, h, w, cin),
        View::new(n, size(0, h), size(1, w), cout),
    );
    Conv {
        kernel,
        stride,
        pad,
        dilation,
        ..Conv::new(x, y, 1)
    }
}

fn taps(conv: &Conv) -> u32 {
    conv.kernel.iter().product()
}

fn backward(layer: Layer) -> Conv {
    let f = forward(layer);
    Conv {
        x: f.y,
        y: f.x,
        stride: [1; 2],
        pad: [0, 1].map(|axis| (f.kernel[axis] - 1) * f.dilation[axis] - f.pad[axis]),
        input_dilation: f.stride,
        ..f
    }
}

/// The definition, over [N,C,H,W] arrays.
fn plain(layer: Layer, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let (n, cin, h, w, cout, [k, s, p, d]) = layer;
    let f = forward(layer);
    let mut y = Vec::new();
    for b in 0..n {
        for co in 0..cout {
            for oy in 0..f.y.h {
                for ox in 0..f.y.w {
                    let mut sum = bias[co as usize];
                    for ci in 0..cin {
                        for ky in 0..k[0] {
                            for kx in 0..k[1] {
                                let (iy, ix) = (
                                    (oy * s[0] + ky * d[0]) as i64 - i64::from(p[0]),
                                    (ox * s[1] + kx * d[1]) as i64 - i64::from(p[1]),
                                );
                                if iy < 0 || ix < 0 || iy >= i64::from(h) || ix >= i64::from(w) {
                                    continue;
                                }
                                let at =
                                    (((b * cin + ci) * h + iy as u32) * w + ix as u32) as usize;
                                sum += x[at]
                                    * weight[(((co * cin + ci) * k[0] + ky) * k[1] + kx) as usize];
                            }
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&v| f64::from(v)).collect()
}

#[test]
fn the_reference_is_the_definition() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let mut rng = random(i as u64);
        let conv = Conv {
            bias: true,
            ..forward(layer)
        };
        let x = tensor(&mut rng, conv.x);
        let weight = uniform(&mut rng, (conv.y.c * conv.x.c * taps(&conv)) as usize);
        let mut bias = uniform(&mut rng, conv.y.c as usize);
        let expected = plain(
            layer,
            &from_quads(conv.x, &wide(&x)),
            &wide(&weight),
            &wide(&bias),
        );
        bias.resize(conv.y.padded(), 0.0);
        let packed = arrange_weights(&weight, conv.y.c, conv.x.c, conv.kernel);
        let data = [
            Data::Reals(x),
            Data::Reals(packed),
            Data::Poisoned(conv.y),
            Data::Reals(bias),
        ];
        let y = from_quads(conv.y, run_on(&Device::oracle(), &conv, &data)[0].reals());
        for (a, b) in y.iter().zip(&expected) {
            assert!(
                (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
                "{layer:?}: {a} should be {b}"
            );
        }
    }
}

/// ⟨conv(x), g⟩ = ⟨x, backward(g)⟩ for every x and g: the backward pass is the adjoint.
#[test]
fn the_backward_pass_is_the_adjoint() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let mut rng = random(100 + i as u64);
        let (f, b) = (forward(layer), backward(layer));
        let (x, g) = (tensor(&mut rng, f.x), tensor(&mut rng, f.y));
        let weight = uniform(&mut rng, (f.y.c * f.x.c * taps(&f)) as usize);
        let run = |conv: &Conv, x: &[f32], w: Vec<f32>| {
            let data = [
                Data::Reals(x.to_vec()),
                Data::Reals(w),
                Data::Poisoned(conv.y),
            ];
            run_on(&Device::oracle(), conv, &data)
                .remove(0)
                .reals()
                .to_vec()
        };
        let y = run(&f, &x, arrange_weights(&weight, f.y.c, f.x.c, f.kernel));
        let dx = run(
            &b,
            &g,
            arrange_weights_backward(&weight, f.y.c, f.x.c, f.kernel),
        );
        let dot =
            |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
        let (left, right) = (dot(&y, &g), dot(&dx, &x));
        assert!(
            (left - right).abs() <= 1e-10 * (1.0 + left.abs()),
            "{layer:?}: {left} should be {right}"
        );
    }
}

/// Every combination of options a plan uses, for one shape, on the kernel that serves it and on the plain one.
fn check_options(seed: u64, conv: Conv) {
    for (bias, relu, masked, accumulate) in [
        (true, true, false, false),
        (true, false, false, false),
        (false, false, false, false),
        (false, false, true, false),
        (false, false, true, true),
        (false, false, false, true),
    ] {
        let mut rng = random(seed);
        let conv = Conv {
            bias,
            relu,
            masked,
            accumulate,
            alpha: 0.75,
            ..conv
        };
        let sets = if conv.weights_per_image { conv.x.n } else { 1 };
        let rows = (sets * taps(&conv)) as usize * conv.x.padded();
        let mut bias_values = uniform(&mut rng, conv.y.padded());
        bias_values[conv.y.c as usize..].fill(0.0);
        let mut weights = uniform(&mut rng, rows * conv.y.padded());
        for row in weights.chunks_mut(conv.y.padded()) {
            row[conv.y.c as usize..].fill(0.0);
        }
        let make = |rng: &mut _| {
            let mut data = vec![
                Data::Reals(tensor(rng, conv.x)),
                Data::Reals(weights.clone()),
            ];
            data.push(if accumulate {
                Data::Reals(tensor(rng, conv.y))
            } else {
                Data::Poisoned(conv.y)
            });
            data.extend(bias.then(|| Data::Reals(bias_values.clone())));
            data.extend(relu.then(|| Data::PoisonedWords(conv.y.mask_len())));
            data.extend(masked.then(|| Data::Words(mask(rng, conv.x))));
            data
        };
        let data = make(&mut rng);
        let plain = check(&conv, &data);
        let fast = |kernel: &dyn Fn() -> Vec<crate::common::Output>| {
            for (a, b) in kernel().iter().zip(&plain) {
                same(a, b, 0.0).unwrap_or_else(|e| {
                    panic!("{conv:?}: the references of two kernels differ: {e}")
                });
            }
        };
        if !(bias || relu || masked || accumulate) {
            fast(&|| check(&ConvNaive(conv), &data));
        }
        let narrow = Conv {
            narrow: true,
            ..conv
        };
        fast(&|| check(&narrow, &data));
        if let Some(kernel) = Conv3x3::serve(conv) {
            fast(&|| check(&kernel, &data));
        }
        if let Some(form) = Conv3x3Form::of(conv) {
            if let Some(kernel) = Conv3x3Narrow::serve(form) {
                fast(&|| check(&kernel, &data));
            }
            for tile in [WinogradTile::Two, WinogradTile::Four] {
                fast(&|| check(&Conv3x3Winograd::new(form, tile), &data));
            }
            for kernel in Conv3x3Tile::serve(form) {
                fast(&|| check(&kernel, &data));
            }
        }
        if let Some(kernel) = Conv1x1::serve(conv) {
            fast(&|| check(&kernel, &data));
        }
        if let Some(kernel) = Conv1x1::serve(narrow) {
            fast(&|| check(&kernel, &data));
        }
    }
}

#[test]
fn shaders_forward() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        check_options(200 + i as u64, forward(layer));
    }
}

#[test]
fn shaders_backward() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        check_options(300 + i as u64, backward(layer));
    }
}

/// Reading from and writing into slices of channels of larger tensors: concatenation.
#[test]
fn slices() {
    for (k, pad) in [(3, 1), (1, 0), (5, 2)] {
        let x = View::new(2, 5, 10, 24).slice(8, 12);
        let y = View::new(2, 5, 10, 32).slice(4, 16);
        check_options(
            u64::from(400 + k),
            Conv {
                pad: [pad; 2],
                ..Conv::new(x, y, k)
            },
        );
    }
}

/// Every image its own weights: the gradient of each image's own Gram matrix.
#[test]
fn weights_per_image() {
    let view = View::new(3, 4, 9, 12);
    let conv = Conv {
        weights_per_image: true,
        alpha: -2.0,
        ..Conv::new(view, view, 1)
    };
    check_options(
        501,
        Conv {
            weights_per_image: true,
            pad: [1; 2],
            ..Conv::new(view, View::new(3, 4, 9, 16), 3)
        },
    );
    let mut rng = random(500);
    let x = tensor(&mut rng, view);
    let weights = uniform(&mut rng, 3 * conv.weights_len());
    let data = [
        Data::Reals(x.clone()),
        Data::Reals(weights.clone()),
        Data::Poisoned(view),
    ];
    let kernel = Conv1x1::serve(conv).expect("a 1×1 convolution");
    let all = check(&kernel, &data);
    check(&conv, &data);
    // The last image alone, with its own weights.
    let one = View::new(1, 4, 9, 12);
    let data = [
        Data::Reals(x[2 * one.len()..].to_vec()),
        Data::Reals(weights[2 * conv.weights_len()..].to_vec()),
        Data::Poisoned(one),
    ];
    let single = Conv {
        alpha: -2.0,
        ..Conv::new(one, one, 1)
    };
    let expected = run_on(&Device::oracle(), &single, &data);
    assert_eq!(&all[0].reals()[2 * one.len()..], expected[0].reals());
}

#[test]
fn packing_round_trips() {
    let view = View::new(2, 3, 5, 6);
    let nchw: Vec<f32> = (0..view.elements()).map(|i| i as f32).collect();
    assert_eq!(from_quads(view, &to_quads(view, &nchw)), nchw);
}
