//! layer_norm: the reference against the definition and finite differences, the shaders against the reference.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{LayerNorm, LayerNormBackward, View, from_quads};

use crate::common::finite::assert_derivative;
use crate::common::{Data, check, random, run_on, tensor};

const EPSILON: f32 = 1e-3;

/// Views of x and y: two channels, every count of padding channels, more positions than a workgroup has, more channels
/// than its invocations take in one round, slices.
fn shapes() -> Vec<(View, View)> {
    let mut shapes: Vec<_> = [(1, 1, 1, 2), (2, 3, 7, 6), (1, 9, 5, 11), (1, 2, 3, 265)]
        .into_iter()
        .map(|(n, h, w, c)| (View::new(n, h, w, c), View::new(n, h, w, c)))
        .collect();
    shapes.push((
        View::new(2, 2, 3, 24).slice(8, 10),
        View::new(2, 2, 3, 20).slice(4, 10),
    ));
    shapes
}

/// Random numbers far from 0, where a variance that is a difference of squares would lose its digits.
fn input(seed: u64, view: View) -> Vec<f32> {
    let mut data = tensor(&mut random(seed), view);
    for n in 0..view.n as usize {
        for y in 0..view.h as usize {
            for x in 0..view.w as usize {
                let at = view.at(n, y, x);
                for v in &mut data[at..at + view.c as usize] {
                    *v += 3.0;
                }
            }
        }
    }
    data
}

fn weights(seed: u64, view: View, weighted: bool, count: usize) -> Vec<Data> {
    let flat = View::new(1, 1, 1, view.c);
    let all = (0..count as u64).map(|i| Data::Reals(tensor(&mut random(seed + i), flat)));
    if weighted { all.collect() } else { Vec::new() }
}

/// The bindings of the forward pass.
fn forward(x: View, y: View, weighted: bool, input: &[f32]) -> Vec<Data> {
    let mut data = vec![Data::Reals(input.to_vec())];
    data.extend(weights(30, x, weighted, 2));
    data.push(Data::Poisoned(y));
    data
}

#[test]
fn the_reference_is_the_definition() {
    for (seed, (x, y)) in shapes().into_iter().enumerate() {
        for weighted in [false, true] {
            let norm = LayerNorm {
                x,
                y,
                epsilon: EPSILON,
                weighted,
            };
            let data = input(seed as u64, x);
            let bound = forward(x, y, weighted, &data);
            let out = from_quads(y, check(&norm, &bound).remove(0).reals());
            let plain = from_quads(x, &data);
            let (c, plane) = (x.c as usize, (x.h * x.w) as usize);
            let (weight, bias) = match &bound[..] {
                [_, Data::Reals(weight), Data::Reals(bias), _] => (weight.clone(), bias.clone()),
                _ => (vec![1.0; c], vec![0.0; c]),
            };
            for (i, found) in out.iter().enumerate() {
                let (image, channel, place) = (i / (c * plane), i / plane % c, i % plane);
                let at = |c0: usize| f64::from(plain[(image * c + c0) * plane + place]);
                let mean = (0..c).map(at).sum::<f64>() / c as f64;
                let variance = (0..c).map(|c0| (at(c0) - mean).powi(2)).sum::<f64>() / c as f64;
                let value = (at(channel) - mean) / (variance + f64::from(EPSILON)).sqrt();
                let expected = value * f64::from(weight[channel]) + f64::from(bias[channel]);
                assert!((found - expected).abs() < 1e-12, "{norm:?}");
            }
        }
    }
}

#[test]
fn the_backward_pass_is_the_derivative_on_every_device() {
    for (seed, (x, y)) in shapes().into_iter().enumerate() {
        for (weighted, accumulate) in [(false, false), (true, false), (true, true), (false, true)] {
            let backward = LayerNormBackward {
                x,
                dy: y,
                dx: x,
                epsilon: EPSILON,
                weighted,
                accumulate,
            };
            let input = input(seed as u64, x);
            let gradient = tensor(&mut random(60 + seed as u64), y);
            let mut data = vec![Data::Reals(input.clone()), Data::Reals(gradient.clone())];
            data.extend(weights(30, x, weighted, 1));
            data.push(if accumulate {
                Data::Reals(tensor(&mut random(80), x))
            } else {
                Data::Poisoned(x)
            });
            let dx = check(&backward, &data).remove(0);
            // Of two channels only the sign of their difference is left: what is left of a derivative is small.
            if accumulate || x.c == 2 {
                continue;
            }
            assert_derivative(
                &format!("{backward:?}"),
                (x, &input),
                (y, &gradient),
                dx.reals(),
                |moved| {
                    let norm = LayerNorm {
                        x,
                        y,
                        epsilon: EPSILON,
                        weighted,
                    };
                    let bound = forward(x, y, weighted, moved);
                    run_on(&Device::oracle(), &norm, &bound)[0].reals().to_vec()
                },
            );
        }
    }
}
