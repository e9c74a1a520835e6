//! gradient_step: the rates by hand and by their definitions, and what the optimizer records.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{GradientStep, StepSize, View, from_quads, to_quads};
use pixgrad::engine::optim::{self, Optimizer};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, site};
use crate::common::{Data, check, random, tensor};
use crate::moments::plain;

const LINE: View = View {
    n: 3,
    h: 1,
    w: 2,
    c: 1,
    quads: 1,
    offset: 0,
    stride: 1,
    strips: 1,
};

fn step(rate: StepSize) -> GradientStep {
    GradientStep {
        x: LINE,
        gradient: LINE,
        rate,
        slots: 2,
        low: -1e6,
        high: 1e6,
    }
}

/// Three images of two pixels; steps 7; losses 2 per image.
fn stepped(kernel: &GradientStep, gradient: [f32; 6], losses: [f32; 6]) -> Vec<f64> {
    let moments: Vec<f32> = wide(&gradient)
        .chunks(2)
        .flat_map(plain)
        .map(|v| v as f32)
        .collect();
    let mut data = vec![
        Data::Reals(to_quads(LINE, &gradient)),
        Data::Reals(to_quads(LINE, &[1.0; 6])),
    ];
    match kernel.rate {
        StepSize::Constant { .. } => data.push(Data::Words(vec![7])),
        StepSize::Progress { .. } => data.push(Data::Reals(moments)),
        StepSize::ProgressOfProbability { .. } => {
            data.extend([Data::Reals(moments), Data::Reals(losses.to_vec())]);
        }
    }
    from_quads(LINE, check(kernel, &data)[0].reals())
}

#[test]
fn by_hand() {
    let gradient = [3.0, -4.0, 0.0, 0.0, 0.5, 0.0];
    let losses = [9.0, -0.25, 9.0, 0.0, 9.0, -0.9375];
    let moved = |rate| stepped(&step(rate), gradient, losses);
    let constant = |slope| StepSize::Constant { rate: 0.5, slope };
    assert_eq!(moved(constant(0.0)), [-0.5, 3.0, 1.0, 1.0, 0.75, 1.0]);
    // Seven of ten steps are done; after seven of five it does not turn round.
    let annealed = moved(constant(-0.1));
    for (got, expected) in annealed.iter().zip([0.55, 1.6, 1.0, 1.0, 0.925, 1.0]) {
        assert!((got - expected).abs() < 1e-7, "{annealed:?}");
    }
    assert_eq!(moved(constant(-0.2)), [1.0; 6]);
    // ‖g‖²: 25, 0, 0.25; desired 2: rates 0.08, the greatest, the greatest.
    let progress = StepSize::Progress {
        max: 4.0,
        desired: 2.0,
    };
    let got = moved(progress);
    for (got, expected) in got.iter().zip([0.76, 1.32, 1.0, 1.0, -1.0, 1.0]) {
        assert!((got - expected).abs() < 1e-12, "{got} should be {expected}");
    }
    // Objectives 0.25, 0, 0.9375: desired min(0.5, 1·0.75), 0.5, 0.0625; rates 0.02, 4, 0.25.
    let probability = |late| StepSize::ProgressOfProbability {
        max: 4.0,
        early: 0.5,
        late,
        slot: 1,
    };
    let got = moved(probability(1.0));
    for (got, expected) in got.iter().zip([0.94, 1.08, 1.0, 1.0, 0.875, 1.0]) {
        assert!((got - expected).abs() < 1e-12, "{got} should be {expected}");
    }
    // An objective above 1 asks for nothing.
    let got = stepped(
        &step(probability(1.0)),
        gradient,
        [0.0, -1.5, 0.0, -2.0, 0.0, -1.0],
    );
    assert_eq!(got, [1.0; 6]);
}

#[test]
fn the_range_holds() {
    let kernel = GradientStep {
        low: 0.0,
        high: 1.25,
        ..step(StepSize::Constant {
            rate: 1.0,
            slope: 0.0,
        })
    };
    let got = stepped(&kernel, [3.0, -4.0, 0.0, 0.25, 1.0, -0.125], [0.0; 6]);
    assert_eq!(got, [0.0, 1.25, 1.0, 0.75, 0.0, 1.125]);
}

/// Slices, many channels and sizes, each rate.
#[test]
fn the_definition_everywhere() {
    let shapes = [
        (View::new(1, 1, 1, 1), View::new(1, 1, 1, 1)),
        (View::new(3, 5, 7, 3), View::new(3, 5, 7, 3)),
        (View::new(3, 33, 63, 10), View::new(3, 33, 63, 10)),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(2, 5, 10, 16).slice(4, 11),
        ),
    ];
    let rates = [
        StepSize::Constant {
            rate: 0.75,
            slope: -0.0625,
        },
        StepSize::Progress {
            max: 0.5,
            desired: 0.5,
        },
        StepSize::ProgressOfProbability {
            max: 0.5,
            early: 0.5,
            late: 0.25,
            slot: 2,
        },
    ];
    for (seed, (x, gradient)) in shapes.into_iter().enumerate() {
        for rate in rates {
            let mut rng = random(seed as u64);
            let kernel = GradientStep {
                x,
                gradient,
                rate,
                slots: 3,
                low: -0.5,
                high: 0.75,
            };
            let (xv, gv) = (tensor(&mut rng, x), tensor(&mut rng, gradient));
            let losses = crate::common::uniform(&mut rng, x.n as usize * 3);
            let before = images(x, &wide(&xv));
            let slopes = images(gradient, &wide(&gv));
            let moments: Vec<f32> = slopes
                .iter()
                .flat_map(|g| plain(g))
                .map(|v| v as f32)
                .collect();
            let mut data = vec![Data::Reals(gv), Data::Reals(xv)];
            match rate {
                StepSize::Constant { .. } => data.push(Data::Words(vec![4])),
                StepSize::Progress { .. } => data.push(Data::Reals(moments.clone())),
                StepSize::ProgressOfProbability { .. } => {
                    data.extend([Data::Reals(moments.clone()), Data::Reals(losses.clone())]);
                }
            }
            let after = images(x, check(&kernel, &data)[0].reals());
            for i in 0..x.n as usize {
                let square = f64::from(moments[i * 4 + 2]);
                let objective = -f64::from(losses[i * 3 + 2]);
                let rate = match rate {
                    StepSize::Constant { .. } => 0.75 * 0.75,
                    StepSize::Progress { .. } => f64::min(0.5, 0.5 / square),
                    StepSize::ProgressOfProbability { .. } => {
                        let desired = f64::min(0.5, 0.25 * (1.0 - objective));
                        f64::min(0.5, desired / square)
                    }
                };
                for ((got, x), g) in after[i].iter().zip(&before[i]).zip(&slopes[i]) {
                    let expected = (x - rate * g).clamp(-0.5, 0.75);
                    assert!(
                        (got - expected).abs() < 1e-12,
                        "{kernel:?} image {i}: {got} should be {expected}"
                    );
                }
            }
        }
    }
}

/// As it is recorded: to first order the objective falls by `desired`, in each image; no range, no clamp.
#[test]
fn recorded() {
    let view = View::new(3, 9, 7, 3);
    let mut rng = random(5);
    let (x, mut g) = (wide(&tensor(&mut rng, view)), wide(&tensor(&mut rng, view)));
    let each = g.len() / 3;
    for (i, g) in g.iter_mut().enumerate() {
        *g *= [1.0, 30.0, 0.001][i / each];
    }
    let (before, slopes) = (images(view, &x), images(view, &g));
    let losses = [0.0, -0.5, 0.0, -0.75, 0.0, -0.25];
    let desired = |i: usize| f64::min(0.5, 0.5 * (1.0 + losses[2 * i + 1]));
    for device in devices() {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 2);
        let optimizer = optim::GradientStep {
            rate: StepSize::ProgressOfProbability {
                max: 1e12,
                early: 0.5,
                late: 0.5,
                slot: 1,
            },
            range: None,
        };
        let _ = optimizer.record(&mut recording, site);
        let run = Recorded::new(device, recording);
        run.set(site.x.value, &x);
        run.set(site.gradient.value, &g);
        run.set(site.losses, &losses);
        run.iterate();
        let after = images(view, &run.get(site.x.value));
        let moved: Vec<Vec<f64>> = (0..3)
            .map(|i| {
                let square: f64 = slopes[i].iter().map(|g| g * g).sum();
                let step = |(x, g): (&f64, &f64)| x - desired(i) / square * g;
                before[i].iter().zip(&slopes[i]).map(step).collect()
            })
            .collect();
        assert_images(device, "step", &after, &moved, 1e-6);
    }
}

/// A constant rate is annealed by the step, and the range clamps.
#[test]
fn a_constant_rate_recorded() {
    let view = View::new(2, 3, 5, 3);
    let mut rng = random(6);
    let (x, g) = (wide(&tensor(&mut rng, view)), wide(&tensor(&mut rng, view)));
    for device in devices() {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 1);
        let optimizer = optim::GradientStep {
            rate: StepSize::Constant {
                rate: 2.0,
                slope: -0.25,
            },
            range: Some([0.0, 1.0]),
        };
        let _ = optimizer.record(&mut recording, site);
        let run = Recorded::new(device, recording);
        run.set(site.x.value, &x);
        run.set(site.gradient.value, &g);
        run.set_words(site.step, &[3]);
        run.iterate();
        let expected: Vec<f64> = x
            .iter()
            .zip(&g)
            .map(|(x, g)| (x - 0.5 * g).clamp(0.0, 1.0))
            .collect();
        let got = images(view, &run.get(site.x.value));
        assert_images(device, "step", &got, &images(view, &expected), 1e-6);
    }
}
