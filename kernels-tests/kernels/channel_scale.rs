//! channel_scale: by hand, against plain formulas, the shaders against the reference.

use pixgrad::engine::device::{Device, Kernel};
use pixgrad::engine::kernels::{
    ChannelLeak, ChannelLeakBackward, ChannelScale, View, from_quads, to_quads,
};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, check_within, random, run_on, tensor};

/// Views of x and y: one element, every count of padding channels, more than one workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [(1, 1, 1, 1), (2, 3, 5, 6), (1, 9, 13, 11), (1, 2, 9, 264)]
        .into_iter()
        .map(|(n, h, w, c)| (View::new(n, h, w, c), View::new(n, h, w, c)))
        .collect();
    shapes.push((
        View::new(2, 2, 3, 24).slice(8, 10),
        View::new(2, 2, 3, 20).slice(4, 10),
    ));
    shapes
}

/// A number for each channel, 0 for padding.
fn numbers(seed: u64, view: View) -> Data {
    Data::Reals(tensor(&mut random(seed), View::new(1, 1, 1, view.c)))
}

fn written(accumulate: bool, seed: u64, view: View) -> Data {
    if accumulate {
        Data::Reals(tensor(&mut random(seed), view))
    } else {
        Data::Poisoned(view)
    }
}

#[test]
fn by_hand() {
    let view = View::new(1, 1, 2, 2);
    let x = || Data::Reals(to_quads(view, &[1.0, -2.0, 3.0, -4.0]));
    let two = |a, b| Data::Reals(vec![a, b, 0.0, 0.0]);
    let run = |kernel: ChannelScale, data: &[Data]| {
        from_quads(view, check(&kernel, data).remove(0).reals())
    };
    let scale = ChannelScale {
        x: view,
        y: view,
        scale: true,
        bias: true,
        accumulate: false,
    };
    let data = [x(), two(2.0, 3.0), two(0.5, -1.0), Data::Poisoned(view)];
    assert_eq!(run(scale, &data), [2.5, -3.5, 8.0, -13.0]);
    let bias = ChannelScale {
        scale: false,
        ..scale
    };
    let data = [x(), two(0.5, -1.0), Data::Poisoned(view)];
    assert_eq!(run(bias, &data), [1.5, -1.5, 2.0, -5.0]);
    let leak = ChannelLeak { x: view, y: view };
    let data = [x(), two(0.5, -1.0), Data::Poisoned(view)];
    let y = check_within(&leak, &data, 1e-7).remove(0);
    assert_eq!(from_quads(view, y.reals()), [1.0, -1.0, 3.0, 4.0]);
}

#[test]
fn shaders() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let seed = i as u64;
        let input = || Data::Reals(tensor(&mut random(10 + seed), x));
        for (scale, bias, accumulate) in [
            (true, true, false),
            (true, false, false),
            (true, false, true),
            (false, true, false),
            (false, false, false),
            (false, false, true),
        ] {
            let kernel = ChannelScale {
                x,
                y,
                scale,
                bias,
                accumulate,
            };
            let mut data = vec![input()];
            data.extend(scale.then(|| numbers(20 + seed, x)));
            data.extend(bias.then(|| numbers(30 + seed, x)));
            data.push(written(accumulate, 40 + seed, y));
            check(&kernel, &data);
        }
        let leak = ChannelLeak { x, y };
        check(
            &leak,
            &[input(), numbers(20 + seed, x), written(false, 0, y)],
        );
        for accumulate in [false, true] {
            let backward = ChannelLeakBackward {
                x,
                dy: y,
                dx: x,
                accumulate,
            };
            assert_eq!(backward.bindings().len(), 4);
            let dy = Data::Reals(tensor(&mut random(50 + seed), y));
            let dx = written(accumulate, 60 + seed, x);
            check(&backward, &[input(), dy, numbers(20 + seed, x), dx]);
        }
    }
}

#[test]
fn the_backward_pass_is_the_derivative() {
    let (x, y) = shapes().remove(4);
    // None so near to 0 that a difference sees both sides.
    let input: Vec<f32> = tensor(&mut random(1), x)
        .iter()
        .map(|v| v + 0.01f32.copysign(*v) * f32::from(*v != 0.0))
        .collect();
    let gradient = tensor(&mut random(2), y);
    let backward = ChannelLeakBackward {
        x,
        dy: y,
        dx: x,
        accumulate: false,
    };
    let data = [
        Data::Reals(input.clone()),
        Data::Reals(gradient.clone()),
        numbers(3, x),
        Data::Poisoned(x),
    ];
    let dx = run_on(&Device::oracle(), &backward, &data);
    assert_derivative(
        "leak",
        (x, &input),
        (y, &gradient),
        dx[0].reals(),
        |input| {
            let data = [
                Data::Reals(input.to_vec()),
                numbers(3, x),
                Data::Poisoned(y),
            ];
            let leak = ChannelLeak { x, y };
            run_on(&Device::oracle(), &leak, &data)[0].reals().to_vec()
        },
    );
}
