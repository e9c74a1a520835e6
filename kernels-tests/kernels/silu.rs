//! silu: the reference against the definition and finite differences, the shaders against the reference.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Silu, SiluBackward, View, from_quads, to_quads};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

/// Views of x and y: one element, every count of padding channels, more than one workgroup in a row, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [
        (1, 1, 1, 1),
        (2, 3, 5, 6),
        (1, 2, 3, 7),
        (1, 2, 90, 8),
        (1, 1, 2, 257),
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

#[test]
fn the_reference_is_the_definition() {
    // Far from 0, e⁻ˣ is beyond f32 and f64, and y is 0 or x.
    let x = [
        -2000.0f32, -800.0, -90.0, -1.25, 0.0, 0.5, 3.0, 90.0, 2000.0,
    ];
    let view = View::new(1, 1, 1, 9);
    let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
    let kernel = Silu { x: view, y: view };
    let y = from_quads(view, check(&kernel, &data)[0].reals());
    for (x, y) in x.iter().zip(y) {
        let x = f64::from(*x);
        let expected = x / (1.0 + (-x).exp());
        assert!(
            (y - expected).abs() <= 1e-14 * expected.abs().max(1.0),
            "silu({x}) is {y}, it should be {expected}"
        );
    }
}

#[test]
fn the_backward_pass_is_the_derivative() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let mut rng = random(20 + i as u64);
        let input = tensor(&mut rng, x);
        let gradient = tensor(&mut rng, y);
        let backward = SiluBackward {
            x,
            dy: y,
            dx: x,
            accumulate: false,
        };
        let data = [
            Data::Reals(input.clone()),
            Data::Reals(gradient.clone()),
            Data::Poisoned(x),
        ];
        let dx = run_on(&Device::oracle(), &backward, &data);
        assert_derivative(
            &format!("{backward:?}"),
            (x, &input),
            (y, &gradient),
            dx[0].reals(),
            |input| {
                let data = [Data::Reals(input.to_vec()), Data::Poisoned(y)];
                let y = run_on(&Device::oracle(), &Silu { x, y }, &data).remove(0);
                y.reals().to_vec()
            },
        );
    }
}

#[test]
fn shaders() {
    for (i, (x, y)) in shapes().into_iter().enumerate() {
        let mut rng = random(40 + i as u64);
        let input: Vec<f32> = tensor(&mut rng, x).iter().map(|v| v * 6.0).collect();
        check(
            &Silu { x, y },
            &[Data::Reals(input.clone()), Data::Poisoned(y)],
        );
        for accumulate in [false, true] {
            let data = [
                Data::Reals(input.clone()),
                Data::Reals(tensor(&mut rng, y)),
                if accumulate {
                    Data::Reals(tensor(&mut rng, x))
                } else {
                    Data::Poisoned(x)
                },
            ];
            let backward = SiluBackward {
                x,
                dy: y,
                dx: x,
                accumulate,
            };
            check(&backward, &data);
        }
    }
}
