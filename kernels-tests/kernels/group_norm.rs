//! group_norm: what is recorded against the definition and finite differences, on every device.

use pixgrad::engine::device::{Kind, Recording};
use pixgrad::engine::kernels::group_norm::{record_group_norm, record_group_norm_backward};
use pixgrad::engine::kernels::{Tensor, View, from_quads, to_quads};

use crate::common::finite::assert_derivative;
use crate::common::recorded::{Recorded, devices};
use crate::common::{TOLERANCE, distance, random, tensor, uniform};

const EPSILON: f32 = 1e-3;

/// Views and channels of a group: one group, one channel each, groups that no vec4 divides, several shares of
/// positions, more than 16 vec4s.
fn shapes() -> Vec<(View, u32)> {
    vec![
        (View::new(1, 3, 5, 6), 6),
        (View::new(2, 5, 7, 6), 1),
        (View::new(2, 9, 4, 9), 3),
        (View::new(1, 37, 31, 10), 5),
        (View::new(1, 3, 3, 140), 35),
    ]
}

/// Random numbers with a mean of several deviations.
fn input(seed: u64, view: View) -> Vec<f32> {
    let numbers = uniform(&mut random(seed), view.elements());
    to_quads(view, &numbers.iter().map(|v| v + 3.0).collect::<Vec<_>>())
}

/// y, and dx of dy, which is added to `start` if there is one.
fn run(
    device: usize,
    (view, size): (View, u32),
    weights: Option<[&[f32]; 2]>,
    [x, dy]: [&[f32]; 2],
    start: Option<&[f32]>,
) -> [Vec<f64>; 2] {
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut recording = Recording::new();
    let [tx, ty, tdy, tdx] =
        ["x", "y", "dy", "dx"].map(|name| Tensor::persistent(&mut recording, name, view));
    let given = weights.map(|_| {
        ["weight", "bias"].map(|name| recording.persistent(name, Kind::Real, view.padded()))
    });
    let moments = record_group_norm(&mut recording, "norm", [tx, ty], size, EPSILON, given);
    record_group_norm_backward(
        &mut recording,
        "norm backward",
        [tx, tdy, tdx],
        size,
        moments,
        given.map(|[weight, _]| weight),
        start.is_some(),
    );
    let recorded = Recorded::new(devices()[device], recording);
    recorded.set(tx.value, &wide(x));
    recorded.set(tdy.value, &wide(dy));
    recorded.set(ty.value, &vec![f64::NAN; view.len()]);
    let start = start.map_or_else(|| vec![f64::NAN; view.len()], wide);
    recorded.set(tdx.value, &start);
    for (value, numbers) in given
        .into_iter()
        .flatten()
        .zip(weights.into_iter().flatten())
    {
        recorded.set(value, &wide(numbers));
    }
    recorded.iterate();
    [recorded.get(ty.value), recorded.get(tdx.value)]
}

/// Padding channels are 0.
fn assert_padded(view: View, data: &[f64]) {
    for pixel in data.chunks_exact(view.pixel_stride()) {
        assert!(pixel[view.c as usize..].iter().all(|v| *v == 0.0));
    }
}

#[test]
fn values_and_gradients_on_every_device() {
    for (seed, (view, size)) in shapes().into_iter().enumerate() {
        let x = input(seed as u64, view);
        let rng = &mut random(50 + seed as u64);
        let (dy, start) = (tensor(rng, view), tensor(rng, view));
        let flat = View::new(1, 1, 1, view.c);
        let (weight, bias) = (tensor(rng, flat), tensor(rng, flat));
        for weights in [None, Some([&weight[..], &bias[..]])] {
            let what = format!("{view:?}, groups of {size}");
            let shape = (view, size);
            let [y, dx] = run(0, shape, weights, [&x, &dy], None);
            assert_padded(view, &y);
            assert_padded(view, &dx);
            let (c, plane) = (view.c as usize, (view.h * view.w) as usize);
            let (plain, count) = (from_quads(view, &x), size as usize * plane);
            for (i, found) in from_quads(view, &y).iter().enumerate() {
                let group = &plain[i / count * count..][..count];
                let mean = group.iter().map(|v| f64::from(*v)).sum::<f64>() / count as f64;
                let square = group.iter().map(|v| (f64::from(*v) - mean).powi(2));
                let variance = square.sum::<f64>() / count as f64 + f64::from(EPSILON);
                let value = (f64::from(plain[i]) - mean) / variance.sqrt();
                let channel = i / plane % c;
                let expected = weights.map_or(value, |[weight, bias]| {
                    value * f64::from(weight[channel]) + f64::from(bias[channel])
                });
                assert!((found - expected).abs() < 1e-12, "{what}");
            }
            assert_derivative(&what, (view, &x), (view, &dy), &dx, |moved| {
                let [y, _] = run(0, shape, weights, [moved, &dy], None);
                y
            });
            let added = run(0, shape, weights, [&x, &dy], Some(&start))[1].clone();
            let sum: Vec<f64> = dx
                .iter()
                .zip(&start)
                .map(|(a, b)| a + f64::from(*b))
                .collect();
            assert!(distance(&added, &sum) < 1e-14, "{what}");
            for device in [1, 2] {
                let [found_y, found_dx] = run(device, shape, weights, [&x, &dy], None);
                assert!(distance(&found_y, &y) <= TOLERANCE, "{what}: y");
                assert!(distance(&found_dx, &dx) <= TOLERANCE, "{what}: dx");
                let again = run(device, shape, weights, [&x, &dy], Some(&start))[1].clone();
                assert!(distance(&again, &added) <= TOLERANCE, "{what}: dx added");
            }
        }
    }
}
