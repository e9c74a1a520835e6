//! guide: sums and gradient, the term against its definition and differences.

use pixgrad::engine::device::{Buffer, Device, Kind};
use pixgrad::engine::kernels::{Guide, GuideBackward, View, from_quads, to_quads};
use pixgrad::engine::objective;
use rand::Rng;

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor};
use crate::guide_match::{argmax, matches, products, shapes};
use crate::term::Case;

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 1, 3, 2), View::new(1, 1, 2, 2));
    // x: (1, 0), (0, 2), (−1, −1); y: (3, 1), (2, 4).
    let xs = to_quads(x, &[1.0, 0.0, -1.0, 0.0, 2.0, -1.0]);
    let ys = to_quads(y, &[3.0, 2.0, 1.0, 4.0]);
    let best = matches(x, xs.clone(), y, ys.clone());
    assert_eq!(best, [0, 1, 0]);
    let data = [
        Data::Reals(ys.clone()),
        Data::Words(best.clone()),
        Data::Reals(xs),
        Data::PoisonedReals(1),
    ];
    // 3 + 8 − 4
    assert_eq!(check(&Guide { x, y }, &data)[0].reals(), [7.0]);
    let backward = GuideBackward {
        y,
        dx: x,
        alpha: 2.0,
        accumulate: false,
    };
    let data = [Data::Reals(ys), Data::Words(best), Data::Poisoned(x)];
    let gradient = from_quads(x, check(&backward, &data)[0].reals());
    assert_eq!(gradient, [6.0, 4.0, 6.0, 2.0, 8.0, 2.0]);
}

#[test]
fn shaders_of_value_and_gradient() {
    for (seed, (x, y, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(60 + seed as u64);
        let (xs, ys) = (tensor(&mut rng, x), tensor(&mut rng, y));
        // Any matches will do.
        let best: Vec<u32> = (0..x.pixels())
            .map(|_| rng.random_range(0..y.pixels() as u32))
            .collect();
        let kernel = Guide { x, y };
        let data = [
            Data::Reals(ys.clone()),
            Data::Words(best.clone()),
            Data::Reals(xs.iter().map(|v| v.abs()).collect()),
            Data::PoisonedReals((x.n * kernel.parts()) as usize),
        ];
        check(&kernel, &data);
        for accumulate in [false, true] {
            let backward = GuideBackward {
                y,
                dx,
                alpha: -2.5,
                accumulate,
            };
            let target = if accumulate {
                Data::Reals(tensor(&mut rng, dx))
            } else {
                Data::Poisoned(dx)
            };
            let data = [Data::Reals(ys.clone()), Data::Words(best.clone()), target];
            check(&backward, &data);
        }
    }
}

#[test]
fn value_and_gradient_of_the_term() {
    let upload = |device: &Device, data: &[f32]| -> Buffer {
        let buffer = device.buffer("guide", Kind::Real, data.len());
        let buffer = buffer.expect("a guide fits");
        device.upload(&buffer, data).expect("it fits");
        buffer
    };
    for (seed, (x, y, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(90 + seed as u64);
        let (input, guide) = (tensor(&mut rng, x), tensor(&mut rng, y));
        let ys = from_quads(y, &wide(&guide));
        let one = View { n: 1, ..x };
        let plain = |_: usize, image: &[f64]| -> f64 {
            let largest = |i| {
                let all = products(one, image, 0, i, y, &ys);
                all[argmax(&all)]
            };
            -0.75 * (0..one.pixels()).map(largest).sum::<f64>()
        };
        Case {
            name: &format!("guide {y:?} of {x:?}"),
            x,
            dx,
            input: &input,
            make: &|device| Box::new(objective::Guide::new(upload(device, &guide), y, -0.75)),
            plain: &plain,
            // Linear while no match changes.
            step: 1e-6,
            error: 1e-8,
        }
        .check();
    }
}
