//! content, l2, inversion: each scale of the squared distance against its definition.

use pixgrad::engine::device::{Buffer, Device, Kind, Later};
use pixgrad::engine::kernels::{View, from_quads};
use pixgrad::engine::objective::{Content, Term};

use crate::common::oracle::wide;
use crate::common::{random, tensor};
use crate::term::Case;

fn upload(device: &Device, data: &[f32]) -> Buffer {
    let buffer = device.buffer("target", Kind::Real, data.len());
    let buffer = buffer.expect("a target fits");
    device.upload(&buffer, data).expect("it fits");
    buffer
}

/// x, target, dx: a target of its own for each image, one for all, slices.
fn shapes() -> Vec<(View, View, View)> {
    let (x, one) = (View::new(2, 5, 7, 6), View::new(1, 5, 7, 6));
    vec![
        (x, x, x),
        (x, one, x),
        (
            View::new(2, 1, 1, 3),
            View::new(1, 1, 1, 3),
            View::new(2, 1, 1, 3),
        ),
        (
            View::new(3, 4, 9, 16).slice(4, 5),
            View::new(1, 4, 9, 12).slice(4, 5),
            View::new(3, 4, 9, 8).slice(0, 5),
        ),
    ]
}

#[test]
fn value_and_gradient() {
    for (seed, (x, target, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let input = tensor(&mut rng, x);
        let values = tensor(&mut rng, target);
        let planes = from_quads(target, &wide(&values));
        let of_one = View { n: 1, ..x }.elements();
        let own = |i: usize| &planes[i % target.n as usize * of_one..][..of_one];
        let sum = |i: usize, x: &[f64]| -> f64 {
            x.iter().zip(own(i)).map(|(x, p)| (x - p).powi(2)).sum()
        };
        let mean = |i: usize, x: &[f64]| 1.5 * sum(i, x) / of_one as f64;
        let norm: f64 = own(0).iter().map(|p| p * p).sum();
        let relative = |i: usize, x: &[f64]| -2.5 * sum(i, x) / norm;
        let case = Case {
            name: "content",
            x,
            dx,
            input: &input,
            make: &|device| Box::new(Content::new(upload(device, &values), target, 1.5)),
            plain: &mean,
            step: 0.1,
            error: 1e-9,
        };
        case.check();
        Case {
            name: "l2",
            make: &|device| Box::new(Content::l2(upload(device, &values), target, 1.5)),
            ..case
        }
        .check();
        if target.n == 1 {
            Case {
                name: "inversion",
                make: &|device| -> Box<dyn Term> {
                    let target_values = upload(device, &values);
                    let inverse = Later::default();
                    inverse.set(1.0 / norm).expect("unset");
                    let term = Content::inversion(target_values, target, &inverse, -2.5);
                    Box::new(term.expect("a target"))
                },
                plain: &relative,
                ..case
            }
            .check();
        }
    }
}

#[test]
fn an_inversion_has_one_target() {
    let device = Device::cpu();
    let made = |n: u32| {
        let view = View::new(n, 1, 1, 4);
        let target = upload(&device, &vec![0.0; view.len()]);
        Content::inversion(target, view, &Later::default(), 1.0)
    };
    assert!(made(1).is_ok());
    let why = made(2).expect_err("refused").to_string();
    assert!(why.contains("has 2 images"), "{why}");
}
