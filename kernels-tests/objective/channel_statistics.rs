//! The terms `bn` and `mmd` with the linear kernel: value and gradient against their definitions.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::View;
use pixgrad::engine::objective::ChannelStatistics;

use crate::common::{random, tensor};
use crate::term::Case;

fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(2, 5, 7, 3),
        same(1, 3, 11, 70),
        (
            View::new(2, 5, 6, 24).slice(8, 11),
            View::new(2, 5, 6, 16).slice(4, 11),
        ),
    ]
}

fn statistics(plane: &[f64]) -> (f64, f64) {
    let n = plane.len() as f64;
    let mean = plane.iter().sum::<f64>() / n;
    (
        mean,
        plane.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n,
    )
}

#[test]
fn value_and_gradient() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let input = tensor(&mut rng, x);
        let c = x.c as usize;
        let numbers = |offset: f64| {
            (0..c)
                .map(|i| offset + (i as f64 * 0.7).sin())
                .collect::<Vec<_>>()
        };
        let goal = goal_of(&numbers(0.0), &numbers(2.0));
        let upload = |device: &Device| device.buffer_from("goal", &goal).expect("it fits");
        for deviation in [true, false] {
            let plain = |_: usize, image: &[f64]| -> f64 {
                let planes = image.chunks(image.len() / c).enumerate();
                let distances = planes.map(|(i, plane)| {
                    let (mean, variance) = statistics(plane);
                    let d = variance.sqrt() - f64::from(goal[goal.len() / 2 + i]).sqrt();
                    (mean - f64::from(goal[i])).powi(2) + if deviation { d * d } else { 0.0 }
                });
                1.5 * distances.sum::<f64>() / c as f64
            };
            Case {
                name: &format!("bn {deviation} of {x:?}"),
                x,
                dx,
                input: &input,
                make: &|device| {
                    Box::new(if deviation {
                        ChannelStatistics::bn(upload(device), 1.5)
                    } else {
                        ChannelStatistics::linear(upload(device), 1.5)
                    })
                },
                plain: &plain,
                step: 1e-4,
                error: 1e-7,
            }
            .check();
        }
    }
}

/// Through a mask of 2, 1, 0, 0, 0 and so on, whose mean square is 1, the statistics are those of an image in which
/// pixels stand four times, once and not at all.
#[test]
fn through_a_mask() {
    let x = View::new(2, 4, 5, 6);
    let input = tensor(&mut random(3), x);
    let mask: Vec<f32> = (0..20)
        .map(|i| [2.0, 1.0, 0.0, 0.0, 0.0][(i + i / 5) % 5])
        .collect();
    let goal = goal_of(
        &[0.1, 0.5, -0.2, 0.3, 0.0, 1.0],
        &[0.5, 0.1, 0.2, 0.3, 0.9, 0.4],
    );
    for deviation in [true, false] {
        let plain = |_: usize, image: &[f64]| -> f64 {
            let of_plane = |(c, plane): (usize, &[f64])| {
                let (mean, variance) = statistics(&repeated(plane, &mask));
                let d = variance.sqrt() - f64::from(goal[goal.len() / 2 + c]).sqrt();
                (mean - f64::from(goal[c])).powi(2) + if deviation { d * d } else { 0.0 }
            };
            1.5 * image.chunks(20).enumerate().map(of_plane).sum::<f64>() / 6.0
        };
        Case {
            name: &format!("bn {deviation} through a mask"),
            x,
            dx: x,
            input: &input,
            make: &|device| {
                let upload = |values: &[f32]| device.buffer_from("test", values).expect("it fits");
                let term = if deviation {
                    ChannelStatistics::bn(upload(&goal), 1.5)
                } else {
                    ChannelStatistics::linear(upload(&goal), 1.5)
                };
                Box::new(term.through(Some(upload(&mask).into())))
            },
            plain: &plain,
            step: 1e-4,
            error: 1e-7,
        }
        .check();
    }
}

/// Every pixel of a plane g² times.
pub fn repeated(plane: &[f64], mask: &[f32]) -> Vec<f64> {
    let pixels = plane.iter().zip(mask);
    pixels
        .flat_map(|(value, g)| std::iter::repeat_n(*value, (g * g) as usize))
        .collect()
}

/// Means and variances as the term reads them: [2, C⁺].
fn goal_of(means: &[f64], variances: &[f64]) -> Vec<f32> {
    let padded = means.len().next_multiple_of(4);
    let mut goal = vec![0.0; 2 * padded];
    for (c, (mean, variance)) in means.iter().zip(variances).enumerate() {
        goal[c] = *mean as f32;
        goal[padded + c] = *variance as f32;
    }
    goal
}

#[test]
fn by_hand() {
    // At zero activations: means 1 and 3, variances 4 and 5, two channels.
    let x = View::new(1, 1, 1, 2);
    let goal = goal_of(&[1.0, 3.0], &[4.0, 5.0]);
    for (deviation, expected) in [(true, (1.0 + 9.0 + 4.0 + 5.0) / 2.0), (false, 5.0)] {
        let case = Case {
            name: "bn by hand",
            x,
            dx: x,
            input: &[0.0; 4],
            make: &|device| {
                let goal = device.buffer_from("goal", &goal).expect("it fits");
                Box::new(if deviation {
                    ChannelStatistics::bn(goal, 1.0)
                } else {
                    ChannelStatistics::linear(goal, 1.0)
                })
            },
            plain: &|_, _| 0.0,
            step: 0.0,
            error: 0.0,
        };
        let value = case
            .evaluate(&Device::oracle(), &[0.0; 4], &[f64::NAN; 4], false)
            .0[0];
        assert!(
            (value - expected).abs() < 1e-12,
            "{value} should be {expected}"
        );
    }
}
