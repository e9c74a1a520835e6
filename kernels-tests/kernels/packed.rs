//! Kernels on buffers that hold reals in 16 bits: each on the GPU and on `cpu` against f64, all of them with what they
//! read and write stored alike.

use pixgrad::engine::device::{
    Buffer, Device, Kernel, Kind, Operation, Stored, pack, pack_rectified, unpack, unpack_rectified,
};
use pixgrad::engine::kernels::conv::{arrange_weights, arrange_weights_backward};
use pixgrad::engine::kernels::{
    Affine, AvgPool, AvgPoolBackward, Conv, Conv1x1, Conv3x3, Conv3x3Form, Conv3x3Pool,
    Conv3x3Tile, Conv3x3Unpool, Conv3x3Winograd, ConvDepthwise, ConvGrouped, CopyChannels,
    CopyRows, Fill, Filters, Lrn, LrnBackward, MaxPool, MaxPoolBackward, Pad, PadBackward, Relu,
    ReluBackward, View, WinogradTile,
};
use pixgrad::engine::kernels::{Edge, Function, Pointwise, PointwiseBackward};
use rand_chacha::ChaCha8Rng;

use crate::common::{GPU, Output, mask, random, same, tensor, uniform};

/// What differs between devices is which of two neighbours a number is rounded to, and how large a rest is dropped of
/// 13 bits.
const TOLERANCE: f64 = 1e-4;

/// One binding: how it is stored, and what is in it before.
enum Stand {
    Packed(Vec<f32>),
    Rectified(Vec<f32>),
    Half(Vec<f32>),
    Real(Vec<f32>),
    Wide(Vec<f32>),
    Words(Vec<u32>),
}

impl Stand {
    fn kind(&self) -> (Kind, usize) {
        match self {
            Self::Packed(v) => (Kind::Packed, v.len()),
            Self::Rectified(v) => (Kind::Rectified, v.len()),
            Self::Half(v) => (Kind::Half, v.len()),
            Self::Real(v) => (Kind::Real, v.len()),
            Self::Wide(v) => (Kind::Wide, v.len()),
            Self::Words(v) => (Kind::Word, v.len()),
        }
    }

    fn buffer(&self, device: &Device) -> Buffer {
        let (kind, len) = self.kind();
        let buffer = device.buffer("test", kind, len).expect("it fits");
        match self {
            Self::Packed(v)
            | Self::Rectified(v)
            | Self::Half(v)
            | Self::Real(v)
            | Self::Wide(v) => device.upload(&buffer, v),
            Self::Words(v) => device.upload_words(&buffer, v),
        }
        .expect("it fits");
        buffer
    }
}

fn run(device: &Device, operation: &dyn Operation, stands: &[Stand]) -> Vec<Output> {
    let buffers: Vec<Buffer> = stands.iter().map(|s| s.buffer(device)).collect();
    let bound: Vec<&Buffer> = buffers.iter().collect();
    device.run(operation, &bound).expect("it runs");
    let slots = operation.bindings();
    let written = slots.iter().zip(&buffers).filter(|(s, _)| s.writes());
    written
        .map(|(_, buffer)| match buffer.kind() {
            Kind::Word => Output::Words(device.download_words(buffer).expect("words")),
            _ => Output::Reals(device.download_f64(buffer).expect("reals")),
        })
        .collect()
}

/// Runs a kernel everywhere and compares.
fn check(kernel: impl Kernel, stands: &[Stand]) {
    let name = format!("{kernel:?}");
    let kinds: Vec<_> = stands.iter().map(Stand::kind).collect();
    let operation = Stored::on(Box::new(kernel), &kinds).expect("it takes these");
    let expected = run(&Device::oracle(), &*operation, stands);
    for (device, on) in [("cpu", &Device::cpu()), ("gpu", &*GPU)] {
        for (a, b) in run(on, &*operation, stands).iter().zip(&expected) {
            same(a, b, TOLERANCE).unwrap_or_else(|why| panic!("{name} on {device}: {why}"));
        }
    }
}

fn packed(rng: &mut ChaCha8Rng, view: View) -> Stand {
    Stand::Packed(tensor(rng, view))
}

/// What a ReLU leaves.
fn rectified(rng: &mut ChaCha8Rng, view: View) -> Stand {
    Stand::Rectified(tensor(rng, view).iter().map(|v| v.max(0.0)).collect())
}

/// What is to be written: NaN, which must not stay.
fn unwritten(view: View) -> Stand {
    Stand::Packed(vec![f32::NAN; view.len()])
}

/// The same for what is never negative.
fn unwritten_rectified(view: View) -> Stand {
    Stand::Rectified(vec![f32::NAN; view.len()])
}

/// In f16 forward, packed backward.
fn weights(rng: &mut ChaCha8Rng, conv: Conv, backward: bool) -> Stand {
    let (out, input) = (conv.y.c, conv.x.c);
    let plain = uniform(
        rng,
        (out * input * conv.kernel[0] * conv.kernel[1]) as usize,
    );
    let stand = if backward { Stand::Packed } else { Stand::Half };
    stand(if backward {
        arrange_weights_backward(&plain, input, out, conv.kernel)
    } else {
        arrange_weights(&plain, out, input, conv.kernel)
    })
}

fn bias(rng: &mut ChaCha8Rng, view: View) -> Stand {
    let mut bias = uniform(rng, view.padded());
    bias[view.c as usize..].fill(0.0);
    Stand::Real(bias)
}

/// Strips of a whole and of a broken width, pairs and single quads of channels.
const SHAPES: [(u32, u32, u32, u32); 3] = [(9, 13, 8, 16), (16, 32, 12, 20), (5, 7, 3, 6)];

/// Weights that no part of f16 holds: f32 by another name.
#[test]
fn weights_beyond_f16() {
    let rng = &mut random(3);
    let view = View::new(1, 9, 13, 8);
    let conv = Conv {
        pad: [1; 2],
        bias: true,
        ..Conv::new(view, view, 3)
    };
    let mut wide = uniform(rng, conv.weights_len());
    wide.iter_mut().for_each(|w| *w *= 1e5);
    let stands = [
        packed(rng, view),
        Stand::Wide(wide),
        unwritten(view),
        bias(rng, view),
    ];
    check(conv, &stands);
    check(Conv3x3::serve(conv).expect("its shape"), &stands);
}

#[test]
fn convolutions_forward_and_backward() {
    for (seed, (h, w, cin, cout)) in SHAPES.into_iter().enumerate() {
        let rng = &mut random(seed as u64);
        let (x, y) = (View::new(2, h, w, cin), View::new(2, h, w, cout));
        for kernel in [1, 3] {
            let forward = Conv {
                pad: [kernel / 2; 2],
                bias: true,
                relu: true,
                ..Conv::new(x, y, kernel)
            };
            let stands = [
                rectified(rng, x),
                weights(rng, forward, false),
                unwritten_rectified(y),
                bias(rng, y),
                Stand::Words(vec![0; y.mask_len()]),
            ];
            let backward = Conv {
                pad: [kernel / 2; 2],
                masked: true,
                accumulate: true,
                ..Conv::new(y, x, kernel)
            };
            let back = [
                packed(rng, y),
                weights(rng, backward, true),
                packed(rng, x),
                Stand::Words(mask(rng, y)),
            ];
            check(forward, &stands);
            check(backward, &back);
            for (conv, stands) in [(forward, &stands[..]), (backward, &back[..])] {
                if let Some(fast) = Conv3x3::serve(conv) {
                    check(fast, stands);
                }
                if let Some(form) = Conv3x3Form::of(conv) {
                    for tile in [WinogradTile::Two, WinogradTile::Four] {
                        check(Conv3x3Winograd::new(form, tile), stands);
                    }
                    for fast in Conv3x3Tile::serve(form) {
                        check(fast, stands);
                    }
                }
                if let Some(fast) = Conv1x1::serve(conv) {
                    check(fast, stands);
                }
            }
        }
    }
}

#[test]
fn convolutions_with_their_pool() {
    for (seed, (h, w, cin, cout)) in SHAPES.into_iter().enumerate() {
        let rng = &mut random(seed as u64);
        let (x, y) = (View::new(1, h, w, cin), View::new(1, h / 2, w / 2, cout));
        let conv = Conv::new(x, View::new(1, h, w, cout), 3);
        check(
            Conv3x3Pool { x, y },
            &[
                rectified(rng, x),
                weights(rng, conv, false),
                unwritten_rectified(y),
                bias(rng, y),
                Stand::Words(vec![0; y.maxima_len()]),
            ],
        );
        let maxima = uniform(rng, y.maxima_len());
        let maxima: Vec<u32> = maxima.iter().map(|v| v.to_bits()).collect();
        let back = Conv::new(View::new(1, h, w, cout), x, 3);
        check(
            Conv3x3Unpool {
                dy: y,
                dx: x,
                accumulate: true,
            },
            &[
                packed(rng, y),
                weights(rng, back, true),
                packed(rng, x),
                Stand::Words(maxima),
            ],
        );
    }
}

/// Depthwise and grouped ones, with all that a network binds forward and backward.
#[test]
fn convolutions_in_groups() {
    let rng = &mut random(7);
    let (x, y) = (View::new(1, 9, 13, 16), View::new(1, 9, 13, 16));
    for groups in [16, 2] {
        let filters = Filters {
            input: 16,
            output: 16,
            groups,
            kernel: [3; 2],
        };
        let plain = uniform(rng, 16 * 16 / groups as usize * 9);
        let layer = Conv {
            pad: [1; 2],
            bias: true,
            relu: true,
            ..Conv::new(x, y, 3)
        };
        let gradient = Conv {
            bias: false,
            relu: false,
            masked: true,
            accumulate: true,
            ..layer
        };
        let bits = Stand::Words(vec![0; y.mask_len()]);
        let forward = [
            packed(rng, x),
            Stand::Half(filters.arrange(&plain)),
            unwritten_rectified(y),
            bias(rng, y),
            bits,
        ];
        let backward = [
            packed(rng, x),
            Stand::Packed(filters.arrange_backward(&plain)),
            packed(rng, y),
            Stand::Words(crate::common::mask(rng, x)),
        ];
        if groups == 16 {
            check(ConvDepthwise(layer), &forward);
            check(ConvDepthwise(gradient), &backward);
        } else {
            let in_groups = |conv| ConvGrouped { conv, groups };
            check(in_groups(layer), &forward);
            check(in_groups(gradient), &backward);
        }
    }
}

/// A slice of the channels of a larger tensor: what lies beside it stays.
#[test]
fn slices_leave_their_neighbours_alone() {
    let rng = &mut random(5);
    let whole = View::new(1, 6, 9, 24);
    let (x, y) = (View::new(1, 6, 9, 8), whole.slice(8, 8));
    let conv = Conv {
        bias: true,
        relu: true,
        ..Conv::new(x, y, 1)
    };
    let stands = [
        packed(rng, x),
        weights(rng, conv, false),
        rectified(rng, whole),
        bias(rng, y),
        Stand::Words(vec![0; y.mask_len()]),
    ];
    check(conv, &stands);
}

#[test]
fn pools_pads_and_the_rest_of_a_network() {
    let rng = &mut random(6);
    let x = View::new(2, 9, 13, 10);
    let y = View::new(2, 4, 6, 10);
    let (kernel, stride, pad, dilation) = ([3; 2], [2; 2], [0; 2], [1; 2]);
    let pool = MaxPool {
        x,
        y,
        kernel,
        stride,
        pad,
        dilation,
    };
    let argmax = vec![0; pool.argmax_len()];
    check(
        pool,
        &[
            rectified(rng, x),
            unwritten_rectified(y),
            Stand::Words(argmax.clone()),
        ],
    );
    let backward = MaxPoolBackward {
        dy: y,
        dx: x,
        kernel,
        stride,
        pad,
        dilation,
        accumulate: true,
    };
    check(
        backward,
        &[packed(rng, y), Stand::Words(argmax), packed(rng, x)],
    );
    let average = AvgPool {
        x,
        y,
        kernel,
        stride,
        pad,
        dilation,
        counted: None,
        scale: 1.0,
    };
    check(average, &[packed(rng, x), unwritten(y)]);
    let backward = AvgPoolBackward {
        dy: y,
        dx: x,
        kernel,
        stride,
        pad,
        dilation,
        counted: None,
        scale: 1.0,
        accumulate: true,
    };
    check(backward, &[packed(rng, y), packed(rng, x)]);
    let bits = Stand::Words(vec![0; x.mask_len()]);
    let relu = [packed(rng, x), unwritten_rectified(x), bits];
    check(Relu { x, y: x }, &relu);
    let relu = ReluBackward {
        dy: x,
        dx: x,
        accumulate: true,
    };
    let bits = Stand::Words(mask(rng, x));
    check(relu, &[packed(rng, x), bits, packed(rng, x)]);
    // Neither is 0 at 0, and padding channels stay 0.
    for (function, is_rectified) in [(Function::Softplus, true), (Function::LogSigmoid, false)] {
        let y = if is_rectified {
            unwritten_rectified(x)
        } else {
            unwritten(x)
        };
        check(Pointwise { x, y: x, function }, &[packed(rng, x), y]);
        let backward = PointwiseBackward {
            x,
            dy: x,
            dx: x,
            function,
            accumulate: true,
        };
        check(backward, &[packed(rng, x), packed(rng, x), packed(rng, x)]);
    }
    let wide = View::new(2, 11, 15, 10);
    let pad = Pad {
        x,
        y: wide,
        before: [1; 2],
        edge: Edge::Replicate,
    };
    check(pad, &[packed(rng, x), unwritten(wide)]);
    let pad = PadBackward {
        dy: wide,
        dx: x,
        before: [1; 2],
        edge: Edge::Wrap,
        accumulate: false,
    };
    check(pad, &[packed(rng, wide), unwritten(x)]);
    let channels = CopyChannels {
        x,
        y: x,
        from: 1,
        to: 3,
        channels: 6,
        accumulate: true,
    };
    check(channels, &[packed(rng, x), packed(rng, x)]);
    let rows = CopyRows {
        x,
        y: x,
        from: 2,
        to: 3,
        rows: 4,
        accumulate: true,
    };
    check(rows, &[packed(rng, x), packed(rng, x)]);
    let image = View::new(1, 5, 6, 3);
    let affine = Affine {
        x: image,
        y: image,
        scale: [2.0, 0.5, -1.0, 0.0],
        bias: [0.1, 0.2, 0.3, 0.0],
        accumulate: false,
    };
    let pixels = Stand::Real(tensor(rng, image));
    check(affine, &[pixels, unwritten(image)]);
    let (size, alpha, beta, k) = (5, 1e-1, 0.75, 1.0);
    let lrn = Lrn {
        x,
        y: x,
        size,
        alpha,
        beta,
        k,
    };
    check(lrn, &[rectified(rng, x), unwritten_rectified(x)]);
    let backward = LrnBackward {
        x,
        dy: x,
        dx: x,
        size,
        alpha,
        beta,
        k,
        accumulate: true,
    };
    check(backward, &[packed(rng, x), packed(rng, x), packed(rng, x)]);
}

/// The shader's rounding is the host's.
#[test]
fn the_shader_packs_as_the_host_does() {
    let rng = &mut random(7);
    let view = View::new(1, 16, 16, 16);
    let values: Vec<f32> = uniform(rng, view.len())
        .iter()
        .enumerate()
        .map(|(i, v)| v * 10f32.powi(i as i32 / 4 % 60 - 30))
        .collect();
    let rows = CopyRows {
        x: view,
        y: view,
        from: 0,
        to: 0,
        rows: view.h,
        accumulate: false,
    };
    for to in [unwritten(view), unwritten_rectified(view)] {
        let stands = [Stand::Real(values.clone()), to];
        let kinds: Vec<_> = stands.iter().map(Stand::kind).collect();
        let operation = Stored::on(Box::new(rows), &kinds).expect("it takes these");
        let [Output::Reals(actual)] = &run(&GPU, &*operation, &stands)[..] else {
            panic!("one tensor is written");
        };
        for (quad, actual) in values.chunks_exact(4).zip(actual.chunks_exact(4)) {
            let quad = [quad[0], quad[1], quad[2], quad[3]];
            let expected = match kinds[1].0 {
                Kind::Rectified => unpack_rectified(pack_rectified(quad)),
                _ => unpack(pack(quad)),
            };
            assert_eq!(actual, expected.map(f64::from), "{quad:?}");
        }
    }
}

/// What is not finite is so for every device, and comes out as such.
#[test]
fn what_is_not_finite_does_not_become_a_number() {
    let view = View::new(1, 1, 3, 4);
    let mut values = vec![1.0; view.len()];
    values[1] = f32::NAN;
    values[6] = f32::INFINITY;
    let rows = CopyRows {
        x: view,
        y: view,
        from: 0,
        to: 0,
        rows: 1,
        accumulate: false,
    };
    let kinds = [(Kind::Real, view.len()), (Kind::Packed, view.len())];
    let operation = Stored::on(Box::new(rows), &kinds).expect("it takes these");
    for device in [&*GPU, &Device::cpu(), &Device::oracle()] {
        let stands = [Stand::Real(values.clone()), unwritten(view)];
        let [Output::Reals(out)] = &run(device, &*operation, &stands)[..] else {
            panic!("one tensor is written");
        };
        assert!(
            !out[1].is_finite() && !out[6].is_finite(),
            "{device:?} {out:?}"
        );
        assert_eq!(out[8..], [1.0; 4], "{device:?}");
    }
}

/// Of a kernel without any, and with fewer bindings than a convolution has.
#[test]
fn a_kernel_with_one_binding_has_no_alternatives() {
    let fill = Fill {
        len: 16,
        value: 0.0,
    };
    let stored = Stored::on(Box::new(fill), &[(Kind::Packed, 16)]).expect("it takes these");
    assert!(stored.alternatives().is_none());
}

#[test]
fn a_binding_of_words_takes_no_reals() {
    let view = View::new(1, 2, 2, 4);
    let kinds = [(Kind::Real, 16), (Kind::Real, 16), (Kind::Packed, 1)];
    let refused = Stored::on(Box::new(Relu { x: view, y: view }), &kinds);
    assert!(refused.is_err_and(|why| why.contains("binding 2 takes no Packeds")));
}
