//! pointwise: the reference against the definitions and finite differences, the shaders against the reference.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{
    Function, Pointwise, PointwiseBackward, View, from_quads, to_quads,
};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

/// Every function with numbers that matter.
const FUNCTIONS: &[Function] = &[
    Function::Silu,
    Function::Sigmoid,
    Function::Tanh,
    Function::Exp,
    Function::Log,
    Function::Abs,
    Function::Sqrt,
    Function::Square,
    Function::Reciprocal,
    Function::Erf,
    Function::Power(2.0),
    Function::Power(3.0),
    Function::Power(0.5),
    Function::Power(-2.0),
    Function::Power(-1.5),
    Function::Power(1.7),
    Function::Power(1.0),
    Function::Power(0.0),
    Function::LeakyRelu(0.1),
    Function::LeakyRelu(-0.2),
    Function::Elu(0.7),
    Function::Celu(0.6),
    Function::Celu(-2.5),
    Function::Selu {
        alpha: 1.673_263_2,
        gamma: 1.050_701,
    },
    Function::HardSigmoid {
        alpha: 0.2,
        beta: 0.5,
    },
    Function::HardSwish,
    Function::Softplus,
    Function::Softsign,
    Function::Mish,
    Function::Gelu,
    Function::GeluTanh,
    Function::Clip {
        low: -0.75,
        high: 1.25,
    },
    Function::Clip {
        low: 0.5,
        high: f32::INFINITY,
    },
    Function::LogSigmoid,
];

/// Whether it is defined, or smooth, above 0 only.
fn is_of_positives(function: Function) -> bool {
    match function {
        Function::Log | Function::Sqrt | Function::Reciprocal => true,
        Function::Power(exponent) => exponent < 0.0 || exponent.fract() != 0.0,
        _ => false,
    }
}

/// Where its first or second derivative jumps.
fn kinks(function: Function) -> Vec<f32> {
    match function {
        Function::HardSigmoid { .. } => vec![-2.5, 2.5],
        Function::HardSwish => vec![-3.0, 3.0],
        Function::Clip { low, high } => vec![low, high],
        _ => vec![0.0],
    }
}

/// Random numbers that a function takes, none close to where its derivative jumps; padding channels stay 0.
fn input(seed: u64, view: View, function: Function) -> Vec<f32> {
    let move_away = |mut v: f32| {
        for kink in kinks(function) {
            if (v - kink).abs() < 0.01 {
                v = kink + 0.02;
            }
        }
        v
    };
    let values = from_quads(view, &tensor(&mut random(seed), view));
    let values: Vec<f32> = values
        .into_iter()
        .map(|v| match is_of_positives(function) {
            true => 2.0 + v,
            false => move_away(4.0 * v),
        })
        .collect();
    to_quads(view, &values)
}

/// erf by Simpson's rule, whose error is below 1e-15 here.
fn erf(x: f64) -> f64 {
    let end = x.abs().min(7.0);
    let steps = 4000;
    let at = |i: i32| (-(f64::from(i) * end / f64::from(steps)).powi(2)).exp();
    let inner: f64 = (1..steps)
        .map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * at(i))
        .sum();
    let integral = (at(0) + inner + at(steps)) * end / f64::from(steps) / 3.0;
    (integral * std::f64::consts::FRAC_2_SQRT_PI).copysign(x)
}

/// The formula as a textbook has it.
fn plain(function: Function, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| {
        if x > 40.0 { x } else { x.exp().ln_1p() }
    };
    let elu = |x: f64| if x > 0.0 { x } else { x.exp() - 1.0 };
    match function {
        Function::Silu => x * sigmoid(x),
        Function::Sigmoid => sigmoid(x),
        Function::Tanh => x.tanh(),
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Abs => x.abs(),
        Function::Sqrt => x.sqrt(),
        Function::Square => x * x,
        Function::Reciprocal => x.recip(),
        Function::Erf => erf(x),
        Function::Power(exponent) => x.powf(f64::from(exponent)),
        Function::LeakyRelu(alpha) => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        Function::Elu(alpha) if x <= 0.0 => f64::from(alpha) * elu(x),
        Function::Elu(_) => x,
        Function::Celu(alpha) => {
            let alpha = f64::from(alpha);
            x.max(0.0) + alpha * ((x.min(0.0) / alpha).exp() - 1.0)
        }
        Function::Selu { alpha, gamma } => {
            f64::from(gamma) * (x.max(0.0) + f64::from(alpha) * elu(x.min(0.0)))
        }
        Function::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Function::HardSwish => x * ((x + 3.0) / 6.0).clamp(0.0, 1.0),
        Function::Softplus => softplus(x),
        Function::Softsign => x / (1.0 + x.abs()),
        Function::Mish => x * softplus(x).tanh(),
        Function::Gelu => x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Function::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Function::Clip { low, high } => x.max(f64::from(low)).min(f64::from(high)),
        Function::LogSigmoid => -softplus(-x),
    }
}

/// Views of x and y: one element, every count of padding channels, more than one workgroup in a row, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [(1, 1, 1, 1), (2, 3, 5, 6), (1, 2, 3, 7), (1, 1, 2, 257)]
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
    for &function in FUNCTIONS {
        let mut x: Vec<f32> = (-60..=60).map(|i| i as f32 * 0.1).collect();
        // Far from 0 an exponential is beyond f32 and f64.
        x.extend([-2000.0, -800.0, -90.0, -30.0, 30.0, 80.0]);
        if !matches!(function, Function::Exp | Function::Celu(_)) {
            x.extend([90.0, 2000.0]);
        }
        if is_of_positives(function) {
            x.retain(|x| *x > 0.0);
        }
        if matches!(function, Function::Celu(_)) {
            x.retain(|x| *x > -100.0);
        }
        let view = View::new(1, 1, 1, x.len() as u32);
        let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
        let kernel = Pointwise {
            x: view,
            y: view,
            function,
        };
        let y = from_quads(view, run_on(&Device::oracle(), &kernel, &data)[0].reals());
        for (x, y) in x.iter().zip(y) {
            let expected = plain(function, f64::from(*x));
            assert!(
                (y - expected).abs() <= 1e-14 * f64::from(*x).abs().max(expected.abs()).max(1.0),
                "{function:?} of {x} is {y}, it should be {expected}"
            );
        }
    }
}

/// From tables.
#[test]
fn erf_by_hand() {
    let x = [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 1e-4, 7.0];
    let expected = [
        0.0,
        0.520_499_877_813_046_5,
        0.842_700_792_949_714_9,
        0.995_322_265_018_952_7,
        0.999_977_909_503_001_4,
        -0.842_700_792_949_714_9,
        1.128_379_166_71e-4,
        1.0,
    ];
    let view = View::new(1, 1, 1, 8);
    let kernel = Pointwise {
        x: view,
        y: view,
        function: Function::Erf,
    };
    let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
    let y = from_quads(view, check(&kernel, &data)[0].reals());
    for ((x, y), expected) in x.iter().zip(y).zip(expected) {
        // 1e-4 is rounded to f32.
        let tolerance = if *x == 1e-4 { 1e-11 } else { 1e-15 };
        assert!((y - expected).abs() <= tolerance, "erf({x}) is {y}");
    }
}

/// Each number of an approximation alone, where a norm would not show it.
#[test]
fn small_and_large_numbers_keep_their_digits() {
    use crate::common::GPU;
    let x: Vec<f32> = (-400..=400)
        .map(|i| (i as f32 * 0.0175).sinh() / 30.0)
        .filter(|x| *x != 0.0)
        .collect();
    let view = View::new(1, 1, 1, x.len() as u32);
    for function in [
        Function::Erf,
        Function::Tanh,
        Function::Elu(1.0),
        Function::Softplus,
        Function::LogSigmoid,
        Function::Gelu,
        Function::Mish,
        Function::Silu,
    ] {
        let kernel = Pointwise {
            x: view,
            y: view,
            function,
        };
        let data = [Data::Reals(to_quads(view, &x)), Data::Poisoned(view)];
        let exact = run_on(&Device::oracle(), &kernel, &data).remove(0);
        for device in [&Device::cpu(), &*GPU] {
            let found = run_on(device, &kernel, &data).remove(0);
            for (x, (found, exact)) in x.iter().zip(found.reals().iter().zip(exact.reals())) {
                // Tails of 1e-7 and less may be off by that.
                assert!(
                    (found - exact).abs() <= 1e-5 * exact.abs() + 1e-8,
                    "{function:?} of {x} on {device:?} is {found}, it should be {exact}"
                );
            }
        }
    }
}

/// Numbers whose exponentials, squares or cubes are beyond f32.
#[test]
fn nothing_overflows() {
    use crate::common::GPU;
    let x = [-3e38f32, -1e20, -1e10, -500.0, 500.0, 1e10, 1e20, 3e38];
    let view = View::new(1, 1, 1, 8);
    for &function in FUNCTIONS {
        let is_beyond = matches!(
            function,
            Function::Exp | Function::Square | Function::Power(_) | Function::Celu(_)
        );
        if is_beyond || is_of_positives(function) {
            continue;
        }
        let kernel = Pointwise {
            x: view,
            y: view,
            function,
        };
        let backward = PointwiseBackward {
            x: view,
            dy: view,
            dx: view,
            function,
            accumulate: false,
        };
        for device in [&Device::cpu(), &*GPU] {
            let y = run_on(
                device,
                &kernel,
                &[Data::Reals(x.to_vec()), Data::Poisoned(view)],
            );
            assert!(
                y[0].reals().iter().all(|y| y.is_finite()),
                "{function:?} on {device:?}: {y:?}"
            );
            let ones = Data::Reals(vec![1.0; 8]);
            let dx = run_on(
                device,
                &backward,
                &[Data::Reals(x.to_vec()), ones, Data::Poisoned(view)],
            );
            assert!(
                dx[0].reals().iter().all(|dx| dx.abs() < 10.0),
                "{function:?} on {device:?}: {dx:?}"
            );
        }
    }
}

/// As torch has them.
#[test]
fn derivatives_at_kinks() {
    let view = View::new(1, 1, 1, 1);
    let clip = Function::Clip {
        low: -1.0,
        high: 2.0,
    };
    let hard = Function::HardSigmoid {
        alpha: 0.25,
        beta: 0.5,
    };
    for (function, x, expected) in [
        (Function::LeakyRelu(0.25), 0.0, 0.25),
        (Function::Elu(0.5), 0.0, 0.5),
        (Function::Abs, 0.0, 0.0),
        (clip, -1.0, 1.0),
        (clip, 2.0, 1.0),
        (clip, 2.5, 0.0),
        (clip, -1.5, 0.0),
        (hard, -2.0, 0.0),
        (hard, 2.0, 0.0),
        (hard, 0.0, 0.25),
        (Function::HardSwish, -3.0, 0.0),
        (Function::HardSwish, 3.0, 1.0),
        (Function::Power(0.0), 0.0, 0.0),
        (Function::Power(1.0), 0.0, 1.0),
        (Function::Power(2.0), -3.0, -6.0),
        (Function::Power(3.0), -2.0, 12.0),
        (Function::Power(1.5), -2.0, 0.0),
    ] {
        let backward = PointwiseBackward {
            x: view,
            dy: view,
            dx: view,
            function,
            accumulate: false,
        };
        let number = |x: f32| Data::Reals(to_quads(view, &[x]));
        let dx = check(&backward, &[number(x), number(1.0), Data::Poisoned(view)]);
        assert_eq!(dx[0].reals()[0], expected, "{function:?} at {x}");
    }
}

#[test]
fn rectified_functions_are_never_negative() {
    let view = View::new(1, 1, 1, 40);
    let all: Vec<f32> = (-20..20).map(|i| i as f32 * 0.3 + 0.1).collect();
    let positive: Vec<f32> = all.iter().map(|x| x.abs()).collect();
    for &function in FUNCTIONS {
        for (inputs, x) in [(false, &all), (true, &positive)] {
            if !function.is_rectified(inputs) {
                continue;
            }
            let kernel = Pointwise {
                x: view,
                y: view,
                function,
            };
            let data = [Data::Reals(x.clone()), Data::Poisoned(view)];
            let y = run_on(&Device::oracle(), &kernel, &data).remove(0);
            let is_negative = y.reals().iter().any(|y| *y < 0.0);
            assert!(!is_negative, "{function:?}: {:?}", y.reals());
        }
    }
}

#[test]
fn the_backward_pass_is_the_derivative() {
    let (x, y) = shapes().remove(4);
    for (i, &function) in FUNCTIONS.iter().enumerate() {
        let input = input(i as u64, x, function);
        let gradient = tensor(&mut random(70 + i as u64), y);
        let backward = PointwiseBackward {
            x,
            dy: y,
            dx: x,
            function,
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
                let kernel = Pointwise { x, y, function };
                let data = [Data::Reals(input.to_vec()), Data::Poisoned(y)];
                run_on(&Device::oracle(), &kernel, &data)[0]
                    .reals()
                    .to_vec()
            },
        );
    }
}

#[test]
fn shaders() {
    let shapes = shapes();
    for (i, &function) in FUNCTIONS.iter().enumerate() {
        // Every function on one shape and one on every shape.
        let chosen = if i == 1 {
            &shapes[..]
        } else {
            &shapes[1 + i % 3..2 + i % 3]
        };
        for &(x, y) in chosen {
            let mut rng = random(40 + i as u64);
            let input = input(i as u64, x, function);
            let data = [Data::Reals(input.clone()), Data::Poisoned(y)];
            check(&Pointwise { x, y, function }, &data);
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
                let backward = PointwiseBackward {
                    x,
                    dy: y,
                    dx: x,
                    function,
                    accumulate,
                };
                check(&backward, &data);
            }
        }
    }
}
