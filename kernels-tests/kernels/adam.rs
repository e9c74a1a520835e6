//! adam: against the published formula in plain f64, and the shader against the reference at every age.

use pixgrad::engine::kernels::Adam;
use rand::Rng;

use crate::common::{Data, check, check_within, random, uniform};

const ADAM: Adam = Adam {
    len: 4,
    step_size: 0.02,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    low: -10.0,
    high: 10.0,
    earlier: 0,
    slope: 0.0,
};

/// One step of the algorithm as the paper writes it, with bias-corrected moments.
fn plain(adam: &Adam, t: i32, g: f64, x: &mut f64, m: &mut f64, v: &mut f64) {
    let (b1, b2) = (f64::from(adam.beta1), f64::from(adam.beta2));
    *m = b1 * *m + (1.0 - b1) * g;
    *v = b2 * *v + (1.0 - b2) * g * g;
    let (m_hat, v_hat) = (*m / (1.0 - b1.powi(t)), *v / (1.0 - b2.powi(t)));
    let moved = *x - f64::from(adam.step_size) * m_hat / (v_hat.sqrt() + f64::from(adam.epsilon));
    *x = moved.clamp(f64::from(adam.low), f64::from(adam.high));
}

fn step(adam: &Adam, t: u32, gradient: &[f32], state: [&[f32]; 3]) -> [Vec<f64>; 3] {
    let mut data = vec![Data::Reals(gradient.to_vec()), Data::Words(vec![t])];
    data.extend(state.map(|s| Data::Reals(s.to_vec())));
    // The bias corrections are the delicate part: a tenth of the usual tolerance.
    let out = check_within(adam, &data, 1e-6);
    [0, 1, 2].map(|i| out[i].reals().to_vec())
}

#[test]
fn the_first_step_is_the_step_size_against_the_sign() {
    // The padding (gradient 0, x 0) does not move; a gradient far below epsilon hardly moves x.
    let [x, m, v] = step(&ADAM, 0, &[3.0, -0.5, 0.0, 1e-12], [&[0.0; 4]; 3]);
    for (got, expected) in x.iter().zip([-0.02, 0.02, 0.0, -0.02e-4]) {
        assert!((got - expected).abs() <= 1e-8, "{got} should be {expected}");
    }
    assert!((m[0] - 0.3).abs() <= 1e-6 && (v[0] - 0.009).abs() <= 1e-6);
}

#[test]
fn the_projection_holds() {
    let adam = Adam {
        low: 0.0,
        high: 1.0,
        step_size: 0.5,
        ..ADAM
    };
    let x = [0.1, 0.9, 0.4, 0.0];
    let [x, ..] = step(
        &adam,
        0,
        &[1.0, -1.0, -1.0, 0.0],
        [&x, &[0.0; 4], &[0.0; 4]],
    );
    for (got, expected) in x.iter().zip([0.0, 1.0, 0.9, 0.0]) {
        assert!((got - expected).abs() <= 1e-6, "{got} should be {expected}");
    }
}

/// Every age, with moments of that age: the bias corrections from 1 − β₂ = 10⁻³ up to 1.
#[test]
fn every_age() {
    let mut rng = random(1);
    for t in [0, 1, 2, 6, 50, 99, 500, 999, 4_999, 9_999] {
        let adam = Adam { len: 32, ..ADAM };
        let gradient = uniform(&mut rng, 32);
        let (x, m) = (uniform(&mut rng, 32), uniform(&mut rng, 32));
        let v: Vec<f32> = (0..32).map(|_| rng.random_range(0.1..1.0)).collect();
        // Moments of the size that t steps leave behind.
        let age = 1.0 - f64::from(adam.beta2).powi(t);
        let m: Vec<f32> = m.iter().map(|m| m * age as f32).collect();
        let v: Vec<f32> = v.iter().map(|v| v * age as f32).collect();
        let got = step(&adam, t as u32, &gradient, [&x, &m, &v]);
        for i in 0..32 {
            let (mut x, mut m, mut v) = (f64::from(x[i]), f64::from(m[i]), f64::from(v[i]));
            plain(&adam, t + 1, f64::from(gradient[i]), &mut x, &mut m, &mut v);
            for (got, expected) in got.iter().map(|g| g[i]).zip([x, m, v]) {
                assert!(
                    (got - expected).abs() <= 1e-9,
                    "t = {t}, element {i}: {got} should be {expected}"
                );
            }
        }
    }
}

/// From x = 0 the new x is the move alone, so that the comparison of `step` (1e-6) is one of the bias corrections:
/// at t = 1 the root of 1 − 0.999¹, around t = 500 either side of the series in `one_minus_power`.
#[test]
fn the_move_is_accurate() {
    for t in [0, 1, 9, 100, 498, 499, 500, 501, 1_000, 9_999] {
        let adam = Adam {
            step_size: 1.0,
            ..ADAM
        };
        let zeros = vec![0.0; 4];
        let [x, ..] = step(&adam, t, &[1.0, -2.0, 0.25, 0.0], [&zeros, &zeros, &zeros]);
        assert!(x[0] < 0.0 && x[1] > 0.0, "{x:?}");
    }
}

#[test]
fn a_long_array() {
    let adam = Adam {
        len: 70_004,
        ..ADAM
    };
    let mut rng = random(3);
    let mut state = |_| Data::Reals(uniform(&mut rng, 70_004));
    let (gradient, x, m) = (state(0), state(1), state(2));
    let mut rng = random(4);
    let v = (0..70_004).map(|_| rng.random_range(0.0..1.0)).collect();
    check(
        &adam,
        &[gradient, Data::Words(vec![20]), x, m, Data::Reals(v)],
    );
}

/// Moments taken over from a coarser scale: step 3 after 40 earlier ones is step 43, but the annealing begins anew.
#[test]
fn earlier_steps_count_for_the_bias_and_not_for_the_annealing() {
    let state = [[0.3; 4], [0.2; 4], [0.4; 4]];
    let run = |adam: &Adam, t: u32| {
        step(adam, t, &[0.5; 4], [&state[0], &state[1], &state[2]])[0].clone()
    };
    let taken_over = run(
        &Adam {
            earlier: 40,
            ..ADAM
        },
        3,
    );
    assert_eq!(taken_over, run(&ADAM, 43));
    let moved = |x: &[f64]| x[0] - f64::from(0.3f32);
    let halved = run(
        &Adam {
            earlier: 40,
            slope: -0.125,
            ..ADAM
        },
        4,
    );
    let whole = run(
        &Adam {
            earlier: 40,
            ..ADAM
        },
        4,
    );
    assert!(
        (moved(&halved) - 0.5 * moved(&whole)).abs() < 1e-9,
        "{halved:?} {whole:?}"
    );
    assert_eq!(
        moved(&run(
            &Adam {
                slope: -0.5,
                ..ADAM
            },
            7
        )),
        0.0,
        "the step never turns round"
    );
}
