//! select_channels: by hand, against plain indexing, and the backward pass as the adjoint.

use pixgrad::engine::kernels::select_channels::{selection, selection_backward};
use pixgrad::engine::kernels::{
    SelectChannels, SelectChannelsBackward, View, from_quads, to_quads,
};

use crate::common::{Data, check, check_within, random, tensor};

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 1, 1, 3), View::new(1, 1, 1, 5));
    let channels = [2, 0, 2, 1, 2];
    let data = [
        Data::Reals(to_quads(x, &[1.0, 2.0, 3.0])),
        Data::Words(selection(&channels)),
        Data::Poisoned(y),
    ];
    let found = check_within(&SelectChannels { x, y }, &data, 0.0).remove(0);
    assert_eq!(from_quads(y, found.reals()), [3.0, 1.0, 3.0, 2.0, 3.0]);
    let backward = SelectChannelsBackward {
        dy: y,
        dx: x,
        accumulate: false,
    };
    let data = [
        Data::Reals(to_quads(y, &[1.0, 10.0, 100.0, 1000.0, 10000.0])),
        Data::Words(selection_backward(&channels, 3)),
        Data::Poisoned(x),
    ];
    let found = check(&backward, &data).remove(0);
    assert_eq!(from_quads(x, found.reals()), [10.0, 1000.0, 10101.0]);
}

#[test]
fn channels_come_from_where_they_should_and_gradients_go_back() {
    let view = View::new;
    for (seed, (x, y)) in [
        (view(1, 1, 1, 1), view(1, 1, 1, 1)),
        (view(2, 5, 7, 6), view(2, 5, 7, 9)),
        (view(1, 9, 33, 70), view(1, 9, 33, 3)),
        (
            view(2, 2, 3, 24).slice(8, 11),
            view(2, 2, 3, 20).slice(4, 10),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let channels: Vec<u32> = (0..y.c).map(|i| (i * i * 7 + i) % x.c).collect();
        let rng = &mut random(seed as u64);
        let (input, gradient) = (tensor(rng, x), tensor(rng, y));
        let data = [
            Data::Reals(input.clone()),
            Data::Words(selection(&channels)),
            Data::Poisoned(y),
        ];
        let found = check_within(&SelectChannels { x, y }, &data, 0.0).remove(0);
        for pixel in 0..y.pixels() {
            let from = &input[pixel * x.pixel_stride() + x.offset as usize * 4..];
            let to = &found.reals()[pixel * y.pixel_stride() + y.offset as usize * 4..];
            for (to, &c) in to.iter().zip(&channels) {
                assert_eq!(*to, f64::from(from[c as usize]));
            }
        }
        for accumulate in [false, true] {
            let start = tensor(rng, x);
            let backward = SelectChannelsBackward {
                dy: y,
                dx: x,
                accumulate,
            };
            let data = [
                Data::Reals(gradient.clone()),
                Data::Words(selection_backward(&channels, x.c)),
                if accumulate {
                    Data::Reals(start.clone())
                } else {
                    Data::Poisoned(x)
                },
            ];
            let found = check(&backward, &data).remove(0);
            for pixel in 0..x.pixels() {
                let at = pixel * x.pixel_stride() + x.offset as usize * 4;
                let dy = &gradient[pixel * y.pixel_stride() + y.offset as usize * 4..];
                for c in 0..x.c {
                    let shown = channels.iter().zip(dy).filter(|(from, _)| **from == c);
                    let sum: f64 = shown.map(|(_, dy)| f64::from(*dy)).sum();
                    let own = at + c as usize;
                    let before = if accumulate {
                        f64::from(start[own])
                    } else {
                        0.0
                    };
                    assert!((found.reals()[own] - sum - before).abs() < 1e-12);
                }
            }
        }
    }
}
