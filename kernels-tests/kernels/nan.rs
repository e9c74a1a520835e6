//! NaN reaches the result: of a network whose numbers overflow nothing may look like an answer.

use pixgrad::engine::device::{Device, Kernel};
use pixgrad::engine::kernels::conv::arrange_weights;
use pixgrad::engine::kernels::{
    Binary, Conv, Conv3x3Pool, Function, GlobalMaxPool, MaxPool, Operation, Pointwise, Relu, View,
    from_quads, to_quads,
};

use crate::common::{Data, GPU, run_on};

/// Both NaNs that processors make: that of x86 has a sign.
const NANS: [u32; 2] = [0x7fc0_0000, 0xffc0_0000];

/// Runs a kernel on every device, and returns which numbers of its output, by their places in [N,C,H,W], are NaN.
fn nans<K: Kernel>(kernel: &K, data: &[Data], output: usize, y: View) -> Vec<usize> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    for device in [&Device::oracle(), &Device::cpu(), &*GPU] {
        let values = from_quads(y, run_on(device, kernel, data)[output].reals());
        let places = values.iter().enumerate().filter(|(_, v)| v.is_nan());
        found.push(places.map(|(place, _)| place).collect());
    }
    assert_eq!(found[0], found[1], "{kernel:?}: cpu");
    assert_eq!(found[0], found[2], "{kernel:?}: gpu");
    found.swap_remove(0)
}

/// An image of negative and positive numbers with a NaN at each of the places in [N,C,H,W].
fn image(view: View, nan: u32, places: &[usize]) -> Data {
    let mut values: Vec<f32> = (0..view.elements())
        .map(|i| (i * 37 % 17) as f32 - 8.5)
        .collect();
    for place in places {
        values[*place] = f32::from_bits(nan);
    }
    Data::Reals(to_quads(view, &values))
}

#[test]
fn through_functions_of_one_number() {
    let view = View::new(1, 2, 9, 6);
    let places = [0, 40, 107];
    for nan in NANS {
        let relu = Relu { x: view, y: view };
        let data = [
            image(view, nan, &places),
            Data::Poisoned(view),
            Data::PoisonedWords(view.mask_len()),
        ];
        assert_eq!(nans(&relu, &data, 0, view), places);
        for function in [
            Function::Clip {
                low: 0.0,
                high: 6.0,
            },
            Function::HardSigmoid {
                alpha: 0.2,
                beta: 0.5,
            },
            Function::HardSwish,
            Function::LeakyRelu(0.1),
            Function::Elu(1.0),
            Function::Celu(1.0),
            Function::Selu {
                alpha: 1.7,
                gamma: 1.1,
            },
            Function::Silu,
            Function::Sigmoid,
            Function::Tanh,
            Function::Softplus,
            Function::Gelu,
            Function::GeluTanh,
            Function::Mish,
            Function::Erf,
            Function::Abs,
            Function::Power(3.0),
        ] {
            let kernel = Pointwise {
                x: view,
                y: view,
                function,
            };
            let data = [image(view, nan, &places), Data::Poisoned(view)];
            assert_eq!(nans(&kernel, &data, 0, view), places, "{function:?}");
        }
    }
}

#[test]
fn through_the_lesser_and_the_greater_of_two() {
    let view = View::new(1, 2, 9, 6);
    for nan in NANS {
        for operation in [Operation::Min, Operation::Max] {
            let kernel = Binary {
                a: view,
                b: view,
                y: view,
                operation,
            };
            let data = [
                image(view, nan, &[3, 50]),
                image(view, nan, &[50, 90]),
                Data::Poisoned(view),
            ];
            assert_eq!(nans(&kernel, &data, 0, view), [3, 50, 90]);
        }
    }
}

/// Wherever in its window it is.
#[test]
fn through_maxima() {
    let (x, y) = (View::new(1, 4, 6, 5), View::new(1, 2, 3, 5));
    let whole = View::new(1, 1, 1, 5);
    for nan in NANS {
        for place in [0, 1, 6, 7] {
            let pool = MaxPool {
                x,
                y,
                kernel: [2; 2],
                stride: [2; 2],
                pad: [0; 2],
                dilation: [1; 2],
            };
            // In the first window of channel 0, and in the last one of channel 4.
            let data = [
                image(x, nan, &[place, 4 * 24 + 16 + place]),
                Data::Poisoned(y),
                Data::PoisonedWords(pool.argmax_len()),
            ];
            assert_eq!(nans(&pool, &data, 0, y), [0, 4 * 6 + 5]);
            let pool = GlobalMaxPool { x, y: whole };
            let data = [
                image(x, nan, &[place, 3 * 24 + 23 - place]),
                Data::PoisonedWords(pool.whence_len()),
                Data::Poisoned(whole),
            ];
            assert_eq!(nans(&pool, &data, 1, whole), [0, 3]);
        }
    }
}

/// With a bias and ReLU, and with pooling: every number that sees it is NaN, whatever its weight.
#[test]
fn through_convolutions() {
    let x = View::new(1, 8, 8, 8);
    let small = View::new(1, 4, 4, 8);
    let weights = vec![0.25; 8 * 8 * 9];
    for nan in NANS {
        let operands = |y: View| {
            // Channel 1, row 4, column 5.
            vec![
                image(x, nan, &[64 + 4 * 8 + 5]),
                Data::Reals(arrange_weights(&weights, 8, 8, [3; 2])),
                Data::Poisoned(y),
                Data::Reals(vec![0.25; 8]),
            ]
        };
        let conv = Conv {
            pad: [1; 2],
            bias: true,
            relu: true,
            ..Conv::new(x, x, 3)
        };
        let mut data = operands(x);
        data.push(Data::PoisonedWords(x.mask_len()));
        let places =
            |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>, side: usize| {
                let mut places = Vec::new();
                for channel in 0..8 {
                    for row in rows.clone() {
                        places.extend(columns.clone().map(|x| (channel * side + row) * side + x));
                    }
                }
                places
            };
        assert_eq!(nans(&conv, &data, 0, x), places(3..6, 4..7, 8));
        let pool = Conv3x3Pool { x, y: small };
        let mut data = operands(small);
        data.push(Data::PoisonedWords(small.maxima_len()));
        assert_eq!(nans(&pool, &data, 0, small), places(1..3, 2..4, 4));
    }
}
