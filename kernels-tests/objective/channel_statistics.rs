//! The terms `bn` and `mmd` with the linear kernel: value and gradient against their definitions.

use pixgrad::device::Device;
use pixgrad::kernels::View;
use pixgrad::objective::{ChannelStatistics, channel_goal};

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
        let goal = channel_goal(&numbers(0.0), &numbers(2.0));
        let upload = |device: &Device| device.buffer_from("goal", &goal).expect("it fits");
        for deviation in [true, false] {
            let plain = |_: usize, image: &[f64]| -> f64 {
                let planes = image.chunks(image.len() / c).enumerate();
                let distances = planes.map(|(i, plane)| {
                    let (mean, variance) = statistics(plane);
                    let d = variance.sqrt() - f64::from(goal[goal.len() / 2 + i]);
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

/// Through a guide of 2, 1, 0, 0, 0 and so on, whose mean square is 1, the statistics are those of an image in which pixels stand
/// four times, once and not at all.
#[test]
fn through_a_guide() {
    let x = View::new(2, 4, 5, 6);
    let input = tensor(&mut random(3), x);
    let guide: Vec<f32> = (0..20)
        .map(|i| [2.0, 1.0, 0.0, 0.0, 0.0][(i + i / 5) % 5])
        .collect();
    let goal = channel_goal(
        &[0.1, 0.5, -0.2, 0.3, 0.0, 1.0],
        &[0.5, 0.1, 0.2, 0.3, 0.9, 0.4],
    );
    for deviation in [true, false] {
        let plain = |_: usize, image: &[f64]| -> f64 {
            let of_plane = |(c, plane): (usize, &[f64])| {
                let (mean, variance) = statistics(&repeated(plane, &guide));
                let d = variance.sqrt() - f64::from(goal[goal.len() / 2 + c]);
                (mean - f64::from(goal[c])).powi(2) + if deviation { d * d } else { 0.0 }
            };
            1.5 * image.chunks(20).enumerate().map(of_plane).sum::<f64>() / 6.0
        };
        Case {
            name: &format!("bn {deviation} through a guide"),
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
                Box::new(term.through(Some(upload(&guide))))
            },
            plain: &plain,
            step: 1e-4,
            error: 1e-7,
        }
        .check();
    }
}

/// Every pixel of a plane g² times.
pub fn repeated(plane: &[f64], guide: &[f32]) -> Vec<f64> {
    let pixels = plane.iter().zip(guide);
    pixels
        .flat_map(|(value, g)| std::iter::repeat_n(*value, (g * g) as usize))
        .collect()
}

#[test]
fn at_zero() {
    // Means 1 and 3, variances 4 and 5, two channels.
    let (means, variances) = ([1.0, 3.0], [4.0, 5.0]);
    assert_eq!(
        ChannelStatistics::bn_at_zero(&means, &variances),
        (1.0 + 9.0 + 4.0 + 5.0) / 2.0
    );
    assert_eq!(ChannelStatistics::linear_at_zero(&means), 5.0);
    assert_eq!(channel_goal(&means, &variances)[4..6], [2.0, 5f32.sqrt()]);
}
