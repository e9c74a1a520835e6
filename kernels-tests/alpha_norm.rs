//! alpha_norm: value and gradient against the definition, finite differences and the shaders; the term.

use pixgrad::device::Device;
use pixgrad::kernels::{AlphaNorm, AlphaNormBackward, View, pack, unpack};
use pixgrad::objective::{self, Term};

use crate::common::{Data, check, random, tensor};
use crate::oracle::wide;
use crate::term::Case;

/// x and dx: one pixel, one and four channels, batches, more than one workgroup's share of each image, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(2, 7, 5, 3),
        same(2, 47, 51, 3),
        same(2, 5, 6, 1),
        same(2, 6, 5, 4),
        (
            View::new(2, 6, 7, 16).slice(4, 3),
            View::new(2, 6, 7, 12).slice(8, 3),
        ),
    ]
}

const MEAN: [f32; 4] = [0.485, 0.456, -0.406, 0.25];

/// The means of a view's channels, and 0 for padding.
fn mean(view: View) -> [f32; 4] {
    let mut mean = MEAN;
    mean[view.c as usize..].fill(0.0);
    mean
}

/// The definition over one [C,H,W] array.
fn plain(x: &[f64], channels: u32, exponent: f64) -> f64 {
    let planes = x.chunks(x.len() / channels as usize).zip(MEAN);
    planes
        .flat_map(|(plane, mean)| plane.iter().map(move |v| (v - f64::from(mean)).abs()))
        .map(|d| d.powf(exponent))
        .sum()
}

#[test]
fn by_hand() {
    // Differences 2, −1 and 0 with α = 3.
    let x = View::new(1, 1, 1, 3);
    let values = pack(x, &[3.0, 1.0, 5.0]);
    let kernel = AlphaNorm {
        x,
        mean: [1.0, 2.0, 5.0, 0.0],
        exponent: 3.0,
    };
    let data = [Data::Reals(values.clone()), Data::PoisonedReals(1)];
    assert!((check(&kernel, &data)[0].reals()[0] - 9.0).abs() <= 1e-12);
    let backward = AlphaNormBackward {
        forward: kernel,
        dx: x,
        alpha: 2.0,
        accumulate: false,
    };
    let out = check(&backward, &[Data::Reals(values), Data::Poisoned(x)]);
    let got = unpack(x, out[0].reals());
    for (got, expected) in got.iter().zip([24.0, -6.0, 0.0]) {
        assert!(
            (got - expected).abs() <= 1e-12,
            "{got} should be {expected}"
        );
    }
}

#[test]
fn the_definition_everywhere() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        for (accumulate, exponent) in [(false, 1.0), (true, 2.0), (false, 6.0), (true, 2.5)] {
            let mut rng = random(seed as u64);
            let kernel = AlphaNorm {
                x,
                mean: mean(x),
                exponent,
            };
            let values = tensor(&mut rng, x);
            let planes = unpack(x, &wide(&values));
            let partials = Data::PoisonedReals((x.n * kernel.parts()) as usize);
            let out = check(&kernel, &[Data::Reals(values.clone()), partials]);
            let each = planes.len() / x.n as usize;
            for (i, parts) in out[0].reals().chunks(kernel.parts() as usize).enumerate() {
                let expected = plain(&planes[i * each..][..each], x.c, f64::from(exponent));
                let value: f64 = parts.iter().sum();
                assert!(
                    (value - expected).abs() <= 1e-12 * expected,
                    "{kernel:?}: image {i} has {value}, should be {expected}"
                );
            }
            let backward = AlphaNormBackward {
                forward: kernel,
                dx,
                alpha: -2.5,
                accumulate,
            };
            let target = if accumulate {
                Data::Reals(tensor(&mut rng, dx))
            } else {
                Data::Poisoned(dx)
            };
            check(&backward, &[Data::Reals(values), target]);
        }
    }
}

#[test]
fn the_term() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        if x.c != 3 {
            continue; // The term is of colour images.
        }
        for exponent in [1.0, 2.0, objective::AlphaNorm::EXPONENT] {
            let input = tensor(&mut random(seed as u64), x);
            let [r, g, b, _] = MEAN;
            Case {
                name: &format!("alpha_norm {seed}, exponent {exponent}"),
                x,
                dx,
                input: &input,
                make: &|_: &Device| -> Box<dyn Term> {
                    let term = objective::AlphaNorm::new([r, g, b], exponent, 1.75);
                    Box::new(term.expect("an exponent"))
                },
                plain: &|_, image| 1.75 * plain(image, x.c, f64::from(exponent)),
                step: 1e-6,
                error: 1e-7,
            }
            .check();
        }
    }
    for (mean, exponent) in [([0.5; 3], 0.5), ([0.5; 3], f32::NAN), ([f32::NAN; 3], 6.0)] {
        assert!(objective::AlphaNorm::new(mean, exponent, 1.0).is_err());
    }
}
