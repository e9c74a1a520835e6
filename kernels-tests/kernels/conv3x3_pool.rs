//! conv3x3_pool and conv3x3 under UNPOOL, conv3x3_tile and conv3x3_winograd too: the references against the kernels
//! that they are made of, the shaders against the references.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::conv::{arrange_weights, arrange_weights_backward};
use pixgrad::engine::kernels::{
    Conv, Conv3x3Form, Conv3x3Narrow, Conv3x3Pool, Conv3x3Tile, Conv3x3Unpool, Conv3x3Winograd,
    MaxPool, MaxPoolBackward, View, WinogradTile, from_quads, to_quads,
};

use crate::common::{Data, Output, check, random, run_on, same, tensor, uniform};

/// n, channels before and after, rows and columns of x.
type Layer = (u32, u32, u32, u32, u32);

/// Even and odd sizes, one window, pairs and single vec4s of channels, and enough blocks for the variant without FLAT.
const LAYERS: &[Layer] = &[
    (1, 3, 64, 10, 18),
    (1, 64, 64, 9, 7),
    (1, 64, 64, 21, 43),
    (2, 12, 20, 7, 13),
    (2, 3, 5, 2, 2),
    (1, 5, 6, 3, 17),
    (1, 4, 12, 8, 9),
    (1, 16, 8, 2, 33),
    (1, 3, 8, 32, 64),
    (2, 4, 4, 33, 70),
    (1, 8, 16, 3, 3),
];

fn forward((n, cin, cout, h, w): Layer) -> Conv3x3Pool {
    Conv3x3Pool {
        x: View::new(n, h, w, cin),
        y: View::new(n, h / 2, w / 2, cout),
    }
}

fn backward(pool: Conv3x3Pool, accumulate: bool) -> Conv3x3Unpool {
    Conv3x3Unpool {
        dy: pool.y,
        dx: pool.x,
        accumulate,
    }
}

fn convolution(x: View, y: View) -> Conv {
    Conv {
        pad: [1; 2],
        ..Conv::new(x, y, 3)
    }
}

/// Operands of a layer.
struct Operands {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
}

impl Operands {
    fn new(seed: u64, pool: Conv3x3Pool) -> Self {
        let mut rng = random(seed);
        let mut bias = uniform(&mut rng, pool.y.padded());
        bias[pool.y.c as usize..].fill(0.0);
        Self {
            x: tensor(&mut rng, pool.x),
            weight: uniform(&mut rng, (pool.x.c * pool.y.c * 9) as usize),
            bias,
            dy: tensor(&mut rng, pool.y),
            dx: tensor(&mut rng, pool.x),
        }
    }

    fn forward(&self, pool: Conv3x3Pool) -> [Data; 5] {
        [
            Data::Reals(self.x.clone()),
            Data::Reals(arrange_weights(&self.weight, pool.y.c, pool.x.c, [3; 2])),
            Data::Poisoned(pool.y),
            Data::Reals(self.bias.clone()),
            Data::PoisonedWords(pool.y.maxima_len()),
        ]
    }

    fn dx(&self, pool: Conv3x3Pool, accumulate: bool) -> Data {
        if accumulate {
            Data::Reals(self.dx.clone())
        } else {
            Data::Poisoned(pool.x)
        }
    }

    fn backward(&self, pool: Conv3x3Pool, accumulate: bool, maxima: &Output) -> [Data; 4] {
        [
            Data::Reals(self.dy.clone()),
            Data::Reals(arrange_weights_backward(
                &self.weight,
                pool.y.c,
                pool.x.c,
                [3; 2],
            )),
            self.dx(pool, accumulate),
            Data::Words(maxima.words().to_vec()),
        ]
    }
}

/// The shaders against the references, forward and backward.
fn check_all(seed: u64, pool: Conv3x3Pool) {
    let operands = Operands::new(seed, pool);
    let out = check(&pool, &operands.forward(pool));
    for tile in [WinogradTile::Two, WinogradTile::Four] {
        let winograd = Conv3x3Winograd::new(Conv3x3Form::from(pool), tile);
        check(&winograd, &operands.forward(pool));
    }
    if let Some(narrow) = Conv3x3Narrow::serve(Conv3x3Form::from(pool)) {
        check(&narrow, &operands.forward(pool));
    }
    for accumulate in [false, true] {
        let data = operands.backward(pool, accumulate, &out[1]);
        let unpool = backward(pool, accumulate);
        check(&unpool, &data);
        let form = Conv3x3Form::from(unpool);
        for tile in [WinogradTile::Two, WinogradTile::Four] {
            check(&Conv3x3Winograd::new(form, tile), &data);
        }
        for tile in Conv3x3Tile::serve(form) {
            check(&tile, &data);
        }
        if let Some(narrow) = Conv3x3Narrow::serve(form) {
            check(&narrow, &data);
        }
    }
}

#[test]
fn shaders() {
    for (i, &layer) in LAYERS.iter().enumerate() {
        check_all(200 + i as u64, forward(layer));
    }
}

/// Reading from and writing into slices of channels of larger tensors.
#[test]
fn slices() {
    check_all(
        300,
        Conv3x3Pool {
            x: View::new(2, 5, 10, 24).slice(8, 12),
            y: View::new(2, 2, 5, 32).slice(4, 16),
        },
    );
}

/// One channel, the identity as weights: a window with two equal maxima, one with a negative one, one with none
/// positive, and a last row and column that are in no window.
#[test]
fn a_case_by_hand() {
    #[rustfmt::skip]
    let x = [
        1.0, 5.0, -1.0,  2.0, 7.0,
        4.0, 5.0,  2.0, -9.0, 7.0,
       -1.0, 0.0, -3.0, -1.0, 7.0,
        0.0, 0.0, -2.0, -2.0, 7.0,
        7.0, 7.0,  7.0,  7.0, 7.0,
    ];
    let pool = Conv3x3Pool {
        x: View::new(1, 5, 5, 1),
        y: View::new(1, 2, 2, 1),
    };
    let identity = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let data = [
        Data::Reals(to_quads(pool.x, &x)),
        Data::Reals(arrange_weights(&identity, 1, 1, [3; 2])),
        Data::Poisoned(pool.y),
        Data::Reals(vec![0.0; 4]),
        Data::PoisonedWords(2),
    ];
    let out = check(&pool, &data);
    assert_eq!(from_quads(pool.y, out[0].reals()), [5.0, 2.0, 0.0, 0.0]);
    // Row 0, pixels 1 and 3.
    assert_eq!(out[1].words(), [1 << 4 | 1 << 12, 0]);
    let data = [
        Data::Reals(to_quads(pool.y, &[1.0f32, 20.0, 300.0, 4000.0])),
        Data::Reals(arrange_weights_backward(&identity, 1, 1, [3; 2])),
        Data::Poisoned(pool.x),
        Data::Words(out[1].words().to_vec()),
    ];
    let dx = check(&backward(pool, false), &data);
    let mut expected = [0.0; 25];
    (expected[1], expected[3]) = (1.0, 20.0);
    assert_eq!(from_quads(pool.x, dx[0].reals()), expected);
}

/// Convolution, ReLU, pool, and back, by the kernels for each.
#[test]
fn one_kernel_does_what_three_do() {
    let device = &Device::oracle();
    let mut none = 0;
    for (i, &layer) in LAYERS.iter().enumerate() {
        let pool = forward(layer);
        let operands = Operands::new(400 + i as u64, pool);
        let out = run_on(device, &pool, &operands.forward(pool));

        let (n, _, cout, h, w) = layer;
        let between = View::new(n, h, w, cout);
        let conv = Conv {
            bias: true,
            relu: true,
            ..convolution(pool.x, between)
        };
        let [x, weights, _, bias, _] = operands.forward(pool);
        let data = [
            x,
            weights,
            Data::Poisoned(between),
            bias,
            Data::PoisonedWords(between.mask_len()),
        ];
        let convolved = run_on(device, &conv, &data);
        let narrow = |v: &Output| v.reals().iter().map(|v| *v as f32).collect::<Vec<_>>();
        let max_pool = MaxPool {
            x: between,
            y: pool.y,
            kernel: [2; 2],
            stride: [2; 2],
            pad: [0; 2],
            dilation: [1; 2],
        };
        let data = [
            Data::Reals(narrow(&convolved[0])),
            Data::Poisoned(pool.y),
            Data::PoisonedWords(max_pool.argmax_len()),
        ];
        let pooled = run_on(device, &max_pool, &data);
        let rounded = Output::Reals(narrow(&out[0]).iter().map(|v| f64::from(*v)).collect());
        same(&rounded, &pooled[0], 1e-15).unwrap_or_else(|e| panic!("{layer:?}: {e}"));
        let values = from_quads(pool.y, pooled[0].reals());
        none += values.iter().filter(|v| **v == 0.0).count();

        let gradient = MaxPoolBackward {
            dy: pool.y,
            dx: between,
            kernel: [2; 2],
            stride: [2; 2],
            pad: [0; 2],
            dilation: [1; 2],
            accumulate: false,
        };
        let data = [
            Data::Reals(operands.dy.clone()),
            Data::Words(pooled[1].words().to_vec()),
            Data::Poisoned(between),
        ];
        let unpooled = run_on(device, &gradient, &data);
        for accumulate in [false, true] {
            let data = operands.backward(pool, accumulate, &out[1]);
            let fused = run_on(device, &backward(pool, accumulate), &data);
            let conv = Conv {
                masked: true,
                accumulate,
                ..convolution(between, pool.x)
            };
            let [_, weights, dx, _] = data;
            let data = [
                Data::Reals(narrow(&unpooled[0])),
                weights,
                dx,
                Data::Words(convolved[1].words().to_vec()),
            ];
            let plain = run_on(device, &conv, &data);
            same(&fused[0], &plain[0], 1e-14).unwrap_or_else(|e| panic!("{layer:?}: {e}"));
        }
    }
    assert!(none > 0, "every window has a positive element");
}
