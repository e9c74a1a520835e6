//! direction: value and gradient against the definition, finite differences and the shaders; the term.

use pixgrad::engine::device::Device;
use pixgrad::engine::kernels::{Direction, DirectionBackward, View, from_quads, to_quads};
use pixgrad::engine::objective::{self, Term};

use crate::common::oracle::{run_f64, wide};
use crate::common::{Data, check, random, tensor, uniform};
use crate::term::Case;

/// x, dx and the number of directions: one position, fewer and more than a share of 16, channels beyond one round of 16
/// quads, a direction for each image or for all, slices.
fn shapes() -> Vec<(View, View, u32)> {
    let same = |n, h, w, c, directions| {
        let view = View::new(n, h, w, c);
        (view, view, directions)
    };
    vec![
        same(1, 1, 1, 1, 1),
        same(2, 1, 1, 10, 2),
        same(3, 4, 4, 3, 1),
        same(2, 5, 7, 70, 2),
        same(3, 9, 11, 133, 3),
        (
            View::new(2, 6, 5, 24).slice(8, 11),
            View::new(2, 6, 5, 16).slice(4, 11),
            2,
        ),
    ]
}

/// `count` directions of `c` numbers.
fn directions(seed: u64, view: View, count: u32) -> Vec<f32> {
    uniform(&mut random(1000 + seed), (count * view.c) as usize)
}

fn padded(view: View, directions: &[f32]) -> Vec<f32> {
    let rows = directions.len() as u32 / view.c;
    let rows = View::new(rows, 1, 1, view.c);
    to_quads(rows, directions)
}

/// Activations half of which point the direction's way, so that cosines lie on both sides of 0.1.
fn activations(seed: u64, view: View, directions: &[f32]) -> Vec<f32> {
    let mut data = tensor(&mut random(seed), view);
    let (n, c) = (view.n as usize, view.c as usize);
    let count = directions.len() / c;
    for i in 0..n {
        for y in 0..view.h as usize {
            for x in 0..view.w as usize {
                if (x + y) % 2 == 0 {
                    let at = view.at(i, y, x);
                    for (a, v) in data[at..].iter_mut().zip(&directions[i % count * c..][..c]) {
                        *a += 0.75 * v;
                    }
                }
            }
        }
    }
    data
}

/// The definition over one [C,H,W] array, and how many cosines are above 0.1.
fn plain(x: &[f64], v: &[f32], power: f64) -> (f64, usize) {
    let positions = x.len() / v.len();
    let (mut sum, mut above) = (0.0, 0);
    for position in 0..positions {
        let (mut d, mut xx, mut vv) = (0.0, 0.0, 0.0);
        for (c, v) in v.iter().enumerate() {
            let (a, v) = (x[c * positions + position], f64::from(*v));
            d += a * v;
            xx += a * a;
            vv += v * v;
        }
        let cosine = d / (1e-4 + xx.sqrt() * vv.sqrt());
        above += usize::from(cosine > 0.1);
        sum += d * cosine.max(0.1).powf(power);
    }
    (sum / positions as f64, above)
}

/// One image's own direction.
fn own(directions: &[f32], c: u32, image: usize) -> &[f32] {
    let c = c as usize;
    &directions[image % (directions.len() / c) * c..][..c]
}

#[test]
fn by_hand() {
    // φ = (3, 4) and (−3, 4), v = (1, 0): d = 3 and −3, the cosines 0.6 and −0.6.
    let x = View::new(1, 1, 2, 2);
    let values = to_quads(x, &[3.0, -3.0, 4.0, 4.0]);
    let v = vec![1.0, 0.0, 0.0, 0.0];
    let kernel = Direction {
        x,
        directions: 1,
        power: 1.0,
    };
    let data = [
        Data::Reals(values.clone()),
        Data::Reals(v.clone()),
        Data::PoisonedReals(4),
        Data::PoisonedReals(1),
    ];
    let out = check(&kernel, &data);
    let expected = (3.0 * 3.0 / 5.0001 - 3.0 * 0.1) / 2.0;
    assert!((out[1].reals()[0] - expected).abs() <= 1e-7);
    let slopes = out[0].reals();
    let backward = DirectionBackward {
        forward: kernel,
        dx: x,
        alpha: 2.0,
        accumulate: false,
    };
    let data = [
        Data::Reals(values),
        Data::Reals(v),
        Data::Reals(slopes.iter().map(|s| *s as f32).collect()),
        Data::Poisoned(x),
    ];
    let dx = from_quads(x, check(&backward, &data)[0].reals());
    // At the first 2·cos·v − cos²·φ/‖φ‖, at the other v/10.
    let cosine = 3.0 / 5.0001;
    let expected = [
        2.0 * cosine - cosine * cosine * 0.6,
        0.1,
        -cosine * cosine * 0.8,
        0.0,
    ];
    for (got, expected) in dx.iter().zip(expected) {
        assert!((got - expected).abs() <= 1e-6, "{dx:?}");
    }
}

#[test]
fn a_position_without_activation() {
    let x = View::new(1, 1, 3, 5);
    for power in [0.0, 2.0] {
        let kernel = Direction {
            x,
            directions: 1,
            power,
        };
        let v = directions(0, x, 1);
        let data = [
            Data::Reals(vec![0.0; x.len()]),
            Data::Reals(padded(x, &v)),
            Data::PoisonedReals(6),
            Data::PoisonedReals(1),
        ];
        let out = check(&kernel, &data);
        let factor = 0.1_f64.powf(f64::from(power));
        assert_eq!(out[0].reals(), [factor, 0.0].repeat(3));
        assert_eq!(out[1].reals(), [0.0]);
    }
}

#[test]
fn the_definition_everywhere() {
    for (seed, (x, dx, count)) in shapes().into_iter().enumerate() {
        for power in [0.0, 1.0, 4.0, 0.5] {
            let v = directions(seed as u64, x, count);
            let input = activations(seed as u64, x, &v);
            let kernel = Direction {
                x,
                directions: count,
                power,
            };
            let data = [
                Data::Reals(input.clone()),
                Data::Reals(padded(x, &v)),
                Data::PoisonedReals(kernel.slopes()),
                Data::PoisonedReals((x.n * kernel.parts()) as usize),
            ];
            let out = check(&kernel, &data);
            let planes = from_quads(x, &wide(&input));
            let each = planes.len() / x.n as usize;
            for (i, parts) in out[1].reals().chunks(kernel.parts() as usize).enumerate() {
                let image = &planes[i * each..][..each];
                let (expected, above) = plain(image, own(&v, x.c, i), f64::from(power));
                let value: f64 = parts.iter().sum();
                assert!(
                    (value - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
                    "{kernel:?}: image {i} has {value}, should be {expected}"
                );
                let positions = (x.h * x.w) as usize;
                assert!(positions < 16 || (above > 0 && above < positions));
            }
            for accumulate in [false, true] {
                let backward = DirectionBackward {
                    forward: kernel,
                    dx,
                    alpha: -1.5,
                    accumulate,
                };
                let target = if accumulate {
                    Data::Reals(tensor(&mut random(9), dx))
                } else {
                    Data::Poisoned(dx)
                };
                let slopes = out[0].reals().iter().map(|s| *s as f32).collect();
                let data = [
                    Data::Reals(input.clone()),
                    Data::Reals(padded(x, &v)),
                    Data::Reals(slopes),
                    target,
                ];
                check(&backward, &data);
            }
        }
    }
}

/// With power 0 the value is linear in x: the gradient is v over the number of positions, exactly.
#[test]
fn power_zero_is_the_plain_mean() {
    let (x, v) = (View::new(2, 3, 3, 6), vec![0.5, -1.0, 2.0, 0.0, 3.0, -0.25]);
    let kernel = Direction {
        x,
        directions: 1,
        power: 0.0,
    };
    let input = wide(&activations(3, x, &v));
    let wide_v = wide(&padded(x, &v));
    let (slopes, partials) = (vec![f64::NAN; 36], vec![f64::NAN; 2]);
    let out = run_f64(&kernel, &[&input, &wide_v, &slopes, &partials]);
    let backward = DirectionBackward {
        forward: kernel,
        dx: x,
        alpha: 9.0,
        accumulate: false,
    };
    let poison = vec![f64::NAN; x.len()];
    let dx = run_f64(&backward, &[&input, &wide_v, &out[2], &poison]).remove(3);
    for pixel in dx.chunks(8) {
        assert_eq!(pixel, wide_v);
    }
}

#[test]
fn the_term() {
    for (seed, (x, dx, count)) in shapes().into_iter().enumerate() {
        for power in [0.0, 1.0, 2.5] {
            let v = directions(seed as u64, x, count);
            let input = activations(20 + seed as u64, x, &v);
            Case {
                name: &format!("direction {seed}, power {power}"),
                x,
                dx,
                input: &input,
                make: &|device: &Device| -> Box<dyn Term> {
                    let term = objective::Direction::new(device, x, &v, power, -1.75);
                    Box::new(term.expect("a direction"))
                },
                plain: &|i, image| -1.75 * plain(image, own(&v, x.c, i), f64::from(power)).0,
                // So small that no cosine crosses 0.1.
                step: 1e-6,
                error: 1e-7,
            }
            .check();
        }
    }
}

#[test]
fn directions_that_cannot_be_are_refused() {
    let layer = View::new(2, 4, 4, 6);
    let wrong = |v: &[f32], power: f32| {
        let made = objective::Direction::new(&Device::oracle(), layer, v, power, 1.0);
        made.expect_err("it cannot be").to_string()
    };
    assert_eq!(
        wrong(&[1.0; 5], 0.0),
        "a direction of 5 numbers for a layer of 6 channels and 2 images: give 6, or 12 for one for each image"
    );
    assert_eq!(
        wrong(&[f32::INFINITY; 6], 0.0),
        "a direction's numbers must be finite"
    );
    assert_eq!(
        wrong(&[1.0; 12], -1.0),
        "the cosine's power is -1: it must be 0 or more"
    );
}
