//! lrn, lrn_backward: the references against the definition and finite differences, the shaders against the references.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Lrn, LrnBackward, View, from_quads, to_quads};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

/// size, alpha, beta, k. AlexNet's and GoogLeNet's in Caffe have an alpha that hardly shows with inputs of order 1:
/// the others make the sum matter.
const NORMS: &[(u32, f32, f32, f32)] = &[
    (5, 1e-4, 0.75, 1.0),
    (5, 2.0, 0.75, 1.0),
    (1, 1.5, 0.5, 2.0),
    (3, 3.0, 1.25, 0.5),
    (17, 8.0, 0.75, 2.0),
];

/// Fewer channels than the window, several workgroups of 64 channels, windows across their border, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [
        (1, 1, 1, 1),
        (2, 2, 3, 3),
        (1, 3, 5, 64),
        (1, 2, 2, 70),
        (2, 1, 3, 193),
    ]
    .into_iter()
    .map(|(n, h, w, c)| (View::new(n, h, w, c), View::new(n, h, w, c)))
    .collect();
    shapes.push((
        View::new(2, 2, 3, 96).slice(8, 66),
        View::new(2, 2, 3, 80).slice(4, 66),
    ));
    shapes
}

fn lrn((x, y): (View, View), (size, alpha, beta, k): (u32, f32, f32, f32)) -> Lrn {
    Lrn {
        x,
        y,
        size,
        alpha,
        beta,
        k,
    }
}

fn backward(lrn: Lrn, accumulate: bool) -> LrnBackward {
    let Lrn {
        x,
        y,
        size,
        alpha,
        beta,
        k,
    } = lrn;
    LrnBackward {
        x,
        dy: y,
        dx: x,
        size,
        alpha,
        beta,
        k,
        accumulate,
    }
}

/// Every shape with every normalization, and a number for its seed.
fn cases() -> impl Iterator<Item = (u64, Lrn)> {
    let all = shapes()
        .into_iter()
        .flat_map(|views| NORMS.iter().map(move |norm| lrn(views, *norm)));
    all.enumerate().map(|(i, lrn)| (i as u64, lrn))
}

#[test]
fn a_case_by_hand() {
    // size 3, alpha 3, k 1: s = 1 + the sum of the squares of a channel and its neighbours; beta 0.5: over √s.
    let view = View::new(1, 1, 1, 5);
    let kernel = lrn((view, view), (3, 3.0, 0.5, 1.0));
    let x = [2.0, 2.0, 4.0, 2.0, 2.0];
    let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
    let y = from_quads(view, check(&kernel, &data)[0].reals());
    let expected = [2.0 / 3.0, 2.0 / 5.0, 4.0 / 5.0, 2.0 / 5.0, 2.0 / 3.0];
    for (y, expected) in y.iter().zip(expected) {
        assert!((y - expected).abs() < 1e-14, "{y} should be {expected}");
    }
}

#[test]
fn the_reference_is_the_definition() {
    for (seed, kernel) in cases() {
        let input = tensor(&mut random(seed), kernel.x);
        let data = [Data::Reals(input.clone()), Data::Poisoned(kernel.y)];
        let y = from_quads(
            kernel.y,
            run_on(&Device::oracle(), &kernel, &data)[0].reals(),
        );
        let input = from_quads(kernel.x, &input);
        let (pixels, channels) = ((kernel.x.h * kernel.x.w) as usize, kernel.x.c as usize);
        for (at, value) in y.iter().enumerate() {
            let c = at / pixels % channels;
            let reach = kernel.size as usize / 2;
            let mut sum = 0.0;
            for other in 0..channels {
                if other.abs_diff(c) <= reach {
                    sum += f64::from(input[at - c * pixels + other * pixels]).powi(2);
                }
            }
            let alpha = f64::from(kernel.alpha) / f64::from(kernel.size);
            let scale = f64::from(kernel.k) + alpha * sum;
            let expected = f64::from(input[at]) / scale.powf(f64::from(kernel.beta));
            // alpha/size is rounded to f32 as in the shader.
            assert!(
                (value - expected).abs() <= 1e-6 * expected.abs(),
                "{kernel:?}: {value} should be {expected}"
            );
        }
    }
}

#[test]
fn the_backward_pass_is_the_derivative() {
    for (seed, kernel) in cases() {
        let (x, y) = (kernel.x, kernel.y);
        let mut rng = random(100 + seed);
        let (input, gradient) = (tensor(&mut rng, x), tensor(&mut rng, y));
        let kernel_backward = backward(kernel, false);
        let data = [
            Data::Reals(input.clone()),
            Data::Reals(gradient.clone()),
            Data::Poisoned(x),
        ];
        let dx = run_on(&Device::oracle(), &kernel_backward, &data);
        let what = format!("{kernel_backward:?}");
        assert_derivative(&what, (x, &input), (y, &gradient), dx[0].reals(), |input| {
            let data = [Data::Reals(input.to_vec()), Data::Poisoned(y)];
            run_on(&Device::oracle(), &kernel, &data)[0]
                .reals()
                .to_vec()
        });
    }
}

#[test]
fn shaders() {
    for (seed, kernel) in cases() {
        let mut rng = random(200 + seed);
        let x: Vec<f32> = tensor(&mut rng, kernel.x).iter().map(|v| v * 4.0).collect();
        check(&kernel, &[Data::Reals(x.clone()), Data::Poisoned(kernel.y)]);
        for accumulate in [false, true] {
            let data = [
                Data::Reals(x.clone()),
                Data::Reals(tensor(&mut rng, kernel.y)),
                if accumulate {
                    Data::Reals(tensor(&mut rng, kernel.x))
                } else {
                    Data::Poisoned(kernel.x)
                },
            ];
            check(&backward(kernel, accumulate), &data);
        }
    }
}
