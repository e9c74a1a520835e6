//! softmax, softmax_backward: the references against the definition and finite differences, the shaders against the
//! references.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Softmax, SoftmaxBackward, View, from_quads, to_quads};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

/// Input and output views: one class, a classifier's thousand (more than one round of a workgroup), every count of
/// padding channels, several pixels, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [
        (1, 1, 1, 1),
        (2, 1, 1, 1000),
        (1, 2, 3, 7),
        (3, 1, 2, 66),
        (1, 1, 5, 257),
    ]
    .into_iter()
    .map(|(n, h, w, c)| (View::new(n, h, w, c), View::new(n, h, w, c)))
    .collect();
    shapes.push((
        View::new(2, 2, 3, 24).slice(8, 10),
        View::new(2, 2, 3, 20).slice(4, 10),
    ));
    shapes
}

/// Logits of some spread.
fn logits(seed: u64, view: View) -> Vec<f32> {
    tensor(&mut random(seed), view)
        .iter()
        .map(|v| v * 6.0)
        .collect()
}

#[test]
fn the_reference_is_the_definition() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let input = logits(i as u64, x);
        let kernel = Softmax { x, y };
        let data = [Data::Reals(input.clone()), Data::Poisoned(y)];
        let out = from_quads(y, run_on(&Device::oracle(), &kernel, &data)[0].reals());
        let input = from_quads(x, &input);
        let pixels = (x.h * x.w) as usize;
        for (at, value) in out.iter().enumerate() {
            let (image, pixel) = (at / (pixels * x.c as usize), at % pixels);
            let sum: f64 = (0..x.c as usize)
                .map(|c| f64::from(input[(image * x.c as usize + c) * pixels + pixel]).exp())
                .sum();
            let expected = f64::from(input[at]).exp() / sum;
            assert!(
                (value - expected).abs() <= 1e-13,
                "{kernel:?}: {value} should be {expected}"
            );
        }
    }
}

#[test]
fn a_case_by_hand_with_large_logits() {
    // exp(1000) is beyond f32 and f64. The padding channel's 0 is no logit.
    let view = View::new(1, 1, 1, 3);
    let ln = |v: f32| v.ln();
    for shift in [1000.0, -1000.0] {
        let x = [shift, shift + ln(2.0), shift + ln(5.0)];
        let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
        let y = from_quads(view, check(&Softmax { x: view, y: view }, &data)[0].reals());
        for (y, expected) in y.iter().zip([0.125, 0.25, 0.625]) {
            // The logits are rounded to f32 at 1000.
            assert!((y - expected).abs() < 1e-4, "{y} should be {expected}");
        }
    }
}

#[test]
fn the_backward_pass_is_the_derivative() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let mut rng = random(20 + i as u64);
        let input = tensor(&mut rng, x);
        let gradient = tensor(&mut rng, y);
        let forward = |input: &[f32]| {
            let data = [Data::Reals(input.to_vec()), Data::Poisoned(y)];
            run_on(&Device::oracle(), &Softmax { x, y }, &data).remove(0)
        };
        let probabilities = forward(&input).reals().iter().map(|v| *v as f32).collect();
        let backward = SoftmaxBackward {
            y,
            dy: y,
            dx: x,
            accumulate: false,
        };
        let data = [
            Data::Reals(probabilities),
            Data::Reals(gradient.clone()),
            Data::Poisoned(x),
        ];
        let dx = run_on(&Device::oracle(), &backward, &data);
        assert_derivative(
            &format!("{backward:?}"),
            (x, &input),
            (y, &gradient),
            dx[0].reals(),
            |input| forward(input).reals().to_vec(),
        );
    }
}

#[test]
fn shaders() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let data = [Data::Reals(logits(40 + i as u64, x)), Data::Poisoned(y)];
        let probabilities = check(&Softmax { x, y }, &data).remove(0);
        let probabilities: Vec<f32> = probabilities.reals().iter().map(|v| *v as f32).collect();
        for accumulate in [false, true] {
            let mut rng = random(60 + i as u64);
            let data = [
                Data::Reals(probabilities.clone()),
                Data::Reals(tensor(&mut rng, y)),
                if accumulate {
                    Data::Reals(tensor(&mut rng, x))
                } else {
                    Data::Poisoned(x)
                },
            ];
            check(
                &SoftmaxBackward {
                    y,
                    dy: y,
                    dx: x,
                    accumulate,
                },
                &data,
            );
        }
    }
}
