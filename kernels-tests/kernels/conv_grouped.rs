//! conv_depthwise, conv_grouped: the references against plain loops, the backward passes as adjoints, the shaders
//! against the references.

use pixgrad::engine::device::{Device, Kernel};
use pixgrad::engine::kernels::{Conv, ConvDepthwise, ConvGrouped, Filters, View, from_quads};

use crate::common::{Data, check, mask, random, run_on, tensor, uniform};

/// One convolution: n, cin, h, w, cout, groups; kernel, stride, padding at the top and left, at the bottom and right,
/// and dilation, each for rows and columns.
type Layer = ([u32; 6], [[u32; 2]; 5]);

/// The same by a square window without dilation, padded alike on all sides.
const fn square(shape: [u32; 6], kernel: u32, stride: u32, pad: u32) -> Layer {
    (
        shape,
        [[kernel; 2], [stride; 2], [pad; 2], [pad; 2], [1; 2]],
    )
}

const LAYERS: &[Layer] = &[
    // Depthwise.
    square([1, 3, 9, 11, 3, 3], 3, 1, 1),
    square([2, 20, 7, 18, 20, 20], 3, 1, 1),
    square([1, 13, 1, 1, 13, 13], 3, 1, 1),
    square([1, 9, 15, 16, 9, 9], 3, 2, 1),
    square([1, 8, 16, 19, 8, 8], 5, 2, 2),
    square([2, 6, 10, 9, 6, 6], 5, 1, 2),
    square([1, 7, 13, 17, 7, 7], 7, 1, 3),
    square([1, 66, 9, 35, 66, 66], 3, 1, 1),
    square([1, 5, 8, 9, 5, 5], 1, 1, 0),
    square([1, 5, 11, 14, 5, 5], 1, 3, 0),
    square([1, 6, 12, 10, 6, 6], 2, 2, 0),
    square([1, 4, 14, 13, 4, 4], 7, 3, 2),
    square([1, 4, 9, 12, 4, 4], 4, 1, 1),
    (
        [1, 5, 9, 20, 5, 5],
        [[1, 7], [1, 1], [0, 3], [0, 3], [1, 1]],
    ),
    (
        [1, 5, 20, 9, 5, 5],
        [[7, 1], [1, 1], [2, 0], [4, 0], [1, 1]],
    ),
    (
        [1, 6, 13, 12, 6, 6],
        [[3, 3], [1, 1], [2, 2], [2, 2], [2, 2]],
    ),
    (
        [1, 6, 15, 17, 6, 6],
        [[3, 3], [2, 3], [0, 1], [1, 0], [3, 2]],
    ),
    (
        [2, 3, 16, 15, 3, 3],
        [[3, 5], [1, 2], [2, 0], [3, 4], [3, 1]],
    ),
    // More channels on one side.
    square([1, 3, 9, 11, 6, 3], 3, 1, 1),
    square([2, 10, 8, 13, 20, 10], 3, 2, 1),
    square([1, 5, 9, 9, 15, 5], 3, 1, 1),
    square([1, 8, 10, 19, 4, 4], 3, 1, 1),
    square([1, 15, 9, 10, 5, 5], 5, 2, 2),
    (
        [1, 6, 13, 12, 12, 6],
        [[3, 3], [1, 2], [2, 0], [1, 3], [2, 3]],
    ),
    // Grouped.
    square([1, 8, 9, 11, 8, 2], 3, 1, 1),
    square([2, 32, 9, 18, 32, 4], 3, 1, 1),
    square([1, 64, 11, 10, 64, 4], 3, 2, 1),
    square([1, 48, 9, 35, 96, 3], 3, 1, 1),
    square([1, 12, 7, 9, 8, 2], 1, 1, 0),
    square([1, 24, 12, 13, 24, 3], 1, 2, 0),
    square([1, 10, 9, 12, 14, 2], 3, 1, 1), // groups of 5 and 7 channels
    square([2, 9, 8, 9, 6, 3], 5, 1, 2),
    square([1, 15, 8, 9, 9, 3], 3, 2, 0),
    square([1, 6, 14, 13, 21, 3], 7, 2, 3),
    square([1, 40, 9, 17, 8, 2], 3, 1, 1),
    square([1, 96, 31, 27, 256, 2], 5, 1, 2), // AlexNet's second
    (
        [1, 8, 9, 20, 16, 2],
        [[1, 7], [1, 1], [0, 3], [0, 3], [1, 1]],
    ),
    (
        [1, 8, 13, 12, 12, 4],
        [[3, 3], [1, 1], [2, 2], [2, 2], [2, 2]],
    ),
    (
        [1, 18, 15, 17, 6, 3],
        [[3, 2], [2, 3], [0, 1], [1, 0], [3, 2]],
    ),
];

fn filters(layer: Layer) -> Filters {
    let ([_, input, _, _, output, groups], [kernel, ..]) = layer;
    Filters {
        input,
        output,
        groups,
        kernel,
    }
}

fn forward(layer: Layer) -> Conv {
    let ([n, cin, h, w, cout, _], [kernel, stride, pad, after, dilation]) = layer;
    let size = |axis: usize, size: u32| {
        let extent = (kernel[axis] - 1) * dilation[axis] + 1;
        (size + pad[axis] + after[axis] - extent) / stride[axis] + 1
    };
    let y = View::new(n, size(0, h), size(1, w), cout);
    Conv {
        kernel,
        stride,
        pad,
        dilation,
        ..Conv::new(View::new(n, h, w, cin), y, 1)
    }
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

/// Calls `run` with the kernel of a convolution, and with the grouped one where there is one that is faster.
fn with_kernels(conv: Conv, groups: u32, run: impl Fn(&dyn Fn(&Device, &[Data]) -> Vec<f64>)) {
    fn on(kernel: impl Kernel) -> impl Fn(&Device, &[Data]) -> Vec<f64> {
        move |device, data| run_on(device, &kernel, data)[0].reals().to_vec()
    }
    if groups == conv.x.c.min(conv.y.c) {
        run(&on(ConvDepthwise(conv)));
    } else {
        run(&on(ConvGrouped { conv, groups }));
    }
}

/// The definition, over [N,C,H,W] arrays.
fn plain(layer: Layer, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
    let ([n, cin, h, w, cout, groups], [k, s, p, _, d]) = layer;
    let (seen, made) = (cin / groups, cout / groups);
    let y_view = forward(layer).y;
    let mut y = Vec::new();
    for b in 0..n {
        for co in 0..cout {
            for oy in 0..y_view.h {
                for ox in 0..y_view.w {
                    let mut sum = f64::from(bias[co as usize]);
                    for i in 0..seen {
                        let ci = co / made * seen + i;
                        for (ky, kx) in (0..k[0]).flat_map(|ky| (0..k[1]).map(move |kx| (ky, kx))) {
                            let iy = i64::from(oy * s[0] + ky * d[0]) - i64::from(p[0]);
                            let ix = i64::from(ox * s[1] + kx * d[1]) - i64::from(p[1]);
                            if iy < 0 || ix < 0 || iy >= i64::from(h) || ix >= i64::from(w) {
                                continue;
                            }
                            let at = ((b * cin + ci) * h + iy as u32) * w + ix as u32;
                            let of = ((co * seen + i) * k[0] + ky) * k[1] + kx;
                            sum += f64::from(x[at as usize]) * f64::from(weight[of as usize]);
                        }
                    }
                    y.push(sum);
                }
            }
        }
    }
    y
}

fn weights(rng: &mut rand_chacha::ChaCha8Rng, layer: Layer) -> Vec<f32> {
    let f = filters(layer);
    let count = f.output * f.input / f.groups * f.kernel[0] * f.kernel[1];
    uniform(rng, count as usize)
}

#[test]
fn the_references_are_the_definition() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let mut rng = random(i as u64);
        let conv = Conv {
            bias: true,
            ..forward(layer)
        };
        let x = tensor(&mut rng, conv.x);
        let weight = weights(&mut rng, layer);
        let mut bias = uniform(&mut rng, conv.y.c as usize);
        let expected = plain(layer, &from_quads(conv.x, &x), &weight, &bias);
        bias.resize(conv.y.padded(), 0.0);
        with_kernels(conv, filters(layer).groups, |run| {
            let data = [
                Data::Reals(x.clone()),
                Data::Reals(filters(layer).arrange(&weight)),
                Data::Poisoned(conv.y),
                Data::Reals(bias.clone()),
            ];
            for (a, b) in from_quads(conv.y, &run(&Device::oracle(), &data))
                .iter()
                .zip(&expected)
            {
                assert!(
                    (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
                    "{layer:?}: {a} should be {b}"
                );
            }
        });
    }
}

/// ⟨conv(x), g⟩ = ⟨x, backward(g)⟩ for every x and g.
#[test]
fn the_backward_passes_are_the_adjoints() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let mut rng = random(100 + i as u64);
        let (f, b) = (forward(layer), backward(layer));
        let (x, g) = (tensor(&mut rng, f.x), tensor(&mut rng, f.y));
        let weight = weights(&mut rng, layer);
        let dot =
            |a: &[f64], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum::<f64>();
        let of = |conv: Conv, x: &[f32], other: &[f32], weight: Vec<f32>| {
            let product = std::cell::Cell::new(0.0);
            with_kernels(conv, filters(layer).groups, |run| {
                let data = [
                    Data::Reals(x.to_vec()),
                    Data::Reals(weight.clone()),
                    Data::Poisoned(conv.y),
                ];
                product.set(dot(&run(&Device::oracle(), &data), other));
            });
            product.get()
        };
        let left = of(f, &x, &g, filters(layer).arrange(&weight));
        let right = of(b, &g, &x, filters(layer).arrange_backward(&weight));
        assert!(
            (left - right).abs() <= 1e-10 * (1.0 + left.abs()),
            "{layer:?}: {left} should be {right}"
        );
    }
}

/// Every combination of options a plan uses.
fn check_options(seed: u64, conv: Conv, groups: u32, weights: &[f32]) {
    for (bias, relu, masked, accumulate) in [
        (true, true, false, false),
        (true, false, false, false),
        (false, false, false, false),
        (false, false, true, false),
        (false, false, true, true),
        (false, false, false, true),
    ] {
        if relu && conv.input_dilation != [1; 2] {
            continue;
        }
        let mut rng = random(seed);
        let conv = Conv {
            bias,
            relu,
            masked,
            accumulate,
            alpha: 0.75,
            ..conv
        };
        let mut bias_values = uniform(&mut rng, conv.y.padded());
        bias_values[conv.y.c as usize..].fill(0.0);
        let mut data = vec![
            Data::Reals(tensor(&mut rng, conv.x)),
            Data::Reals(weights.to_vec()),
        ];
        data.push(if accumulate {
            Data::Reals(tensor(&mut rng, conv.y))
        } else {
            Data::Poisoned(conv.y)
        });
        data.extend(bias.then_some(Data::Reals(bias_values)));
        data.extend(relu.then(|| Data::PoisonedWords(conv.y.mask_len())));
        data.extend(masked.then(|| Data::Words(mask(&mut rng, conv.x))));
        if groups == conv.x.c.min(conv.y.c) {
            check(&ConvDepthwise(conv), &data);
        } else {
            check(&ConvGrouped { conv, groups }, &data);
        }
    }
}

#[test]
fn shaders() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        let f = filters(layer);
        let weight = weights(&mut random(200), layer);
        let seed = 200 + i as u64;
        check_options(seed, forward(layer), f.groups, &f.arrange(&weight));
        check_options(
            seed,
            backward(layer),
            f.groups,
            &f.arrange_backward(&weight),
        );
    }
}

/// Reading from and writing into slices of channels of larger tensors.
#[test]
fn slices() {
    let x = View::new(2, 5, 10, 24).slice(8, 12);
    for (cout, groups) in [(12, 12), (24, 12), (12, 3)] {
        let y = View::new(2, 5, 10, 40).slice(4, cout);
        let layer = square([2, 12, 5, 10, cout, groups], 3, 1, 1);
        let conv = Conv {
            x,
            y,
            ..forward(layer)
        };
        let weight = weights(&mut random(300), layer);
        let weight = filters(layer).arrange(&weight);
        check_options(301, conv, groups, &weight);
    }
}
