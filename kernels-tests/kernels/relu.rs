//! relu, relu_backward: the references against the definition, the shaders against the references.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Relu, ReluBackward, View, from_quads, to_quads};

use crate::common::{Data, check, mask, random, run_on, tensor};

/// Input and output views of the same size: no strip full, several strips, N > 1, 1×1, partial quads, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [
        (1, 1, 1, 1),
        (1, 3, 5, 4),
        (2, 4, 8, 7),
        (2, 3, 19, 13),
        (1, 2, 9, 70),
    ]
    .into_iter()
    .map(|(n, h, w, c)| (View::new(n, h, w, c), View::new(n, h, w, c)))
    .collect();
    let whole = View::new(2, 3, 11, 24);
    shapes.push((whole.slice(8, 6), View::new(2, 3, 11, 12).slice(4, 6)));
    shapes
}

#[test]
fn the_reference_is_the_definition() {
    let view = View::new(1, 1, 9, 5);
    let mut x = vec![-1.0f32; view.elements()];
    // Channel 4 of pixel 2 and channel 1 of pixel 8; +0, −0 and −∞ are not positive.
    (x[4 * 9 + 2], x[9 + 8], x[0], x[1], x[2]) = (3.0, 0.5, 0.0, -0.0, f32::NEG_INFINITY);
    let data = [
        Data::Reals(to_quads(view, &x)),
        Data::Poisoned(view),
        Data::PoisonedWords(view.mask_len()),
    ];
    let outputs = check(&Relu { x: view, y: view }, &data);
    let mut expected = vec![0.0; view.elements()];
    (expected[4 * 9 + 2], expected[9 + 8]) = (3.0, 0.5);
    assert_eq!(from_quads(view, outputs[0].reals()), expected);
    // Words: strip 0 quad 0, strip 0 quad 1, strip 1 quad 0, strip 1 quad 1.
    assert_eq!(outputs[1].words(), [0, 1 << 8, 1 << 1, 0]);
}

#[test]
fn the_backward_pass_lets_through_what_was_positive() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let mut rng = random(i as u64);
        let input = tensor(&mut rng, x);
        let gradient = tensor(&mut rng, y);
        let data = [
            Data::Reals(input.clone()),
            Data::Poisoned(y),
            Data::PoisonedWords(y.mask_len()),
        ];
        let bits = run_on(&Device::oracle(), &Relu { x, y }, &data).remove(1);
        let backward = ReluBackward {
            dy: y,
            dx: x,
            accumulate: false,
        };
        let data = [
            Data::Reals(gradient.clone()),
            Data::Words(bits.words().to_vec()),
            Data::Poisoned(x),
        ];
        let dx = from_quads(x, run_on(&Device::oracle(), &backward, &data)[0].reals());
        let (input, gradient) = (from_quads(x, &input), from_quads(y, &gradient));
        assert!(input.iter().any(|v| *v > 0.0) || input.len() == 1);
        for ((dx, x), g) in dx.iter().zip(&input).zip(&gradient) {
            let expected = if *x > 0.0 { f64::from(*g) } else { 0.0 };
            assert_eq!(*dx, expected);
        }
    }
}

#[test]
fn shaders() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let mut rng = random(50 + i as u64);
        let data = [
            Data::Reals(tensor(&mut rng, x)),
            Data::Poisoned(y),
            Data::PoisonedWords(y.mask_len()),
        ];
        check(&Relu { x, y }, &data);
        for accumulate in [false, true] {
            let data = [
                Data::Reals(tensor(&mut rng, y)),
                Data::Words(mask(&mut rng, y)),
                if accumulate {
                    Data::Reals(tensor(&mut rng, x))
                } else {
                    Data::Poisoned(x)
                },
            ];
            let (dy, dx) = (y, x);
            check(&ReluBackward { dy, dx, accumulate }, &data);
        }
    }
}
