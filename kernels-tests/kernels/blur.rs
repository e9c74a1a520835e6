//! blur: against scipy's numbers and a plain convolution with mirrored edges, and as a projection.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{Axis, Blur, View, from_quads, to_quads};
use pixgrad::engine::optim::{self, Projection};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, site};
use crate::common::{Data, check, random, tensor};

/// A row blurred: d c b a | a b c d | d c b a outside, or with `wrap` a b c d | a b c d | a b c d; cut off at 4σ.
fn plain(row: &[f64], sigma: f64, wrap: bool) -> Vec<f64> {
    let radius = (4.0 * sigma + 0.5).floor() as i64;
    let size = row.len() as i64;
    let mirrored = |mut i: i64| {
        // One reflection after the other.
        while i < 0 || i >= size {
            i = match (i < 0, wrap) {
                (true, false) => -1 - i,
                (false, false) => 2 * size - 1 - i,
                (true, true) => i + size,
                (false, true) => i - size,
            };
        }
        row[i as usize]
    };
    let weight = |k: i64| (-0.5 * (k as f64 / sigma).powi(2)).exp();
    let total: f64 = (-radius..=radius).map(weight).sum();
    (0..size)
        .map(|o| {
            let sum: f64 = (-radius..=radius)
                .map(|k| weight(k) * mirrored(o + k))
                .sum();
            sum / total
        })
        .collect()
}

/// An image `[c,h,w]` blurred along rows and columns.
fn plain_image(image: &[f64], h: usize, w: usize, sigma: f64) -> Vec<f64> {
    let mut out: Vec<f64> = image
        .chunks(w)
        .flat_map(|row| plain(row, sigma, false))
        .collect();
    for plane in out.chunks_mut(h * w) {
        for x in 0..w {
            let column: Vec<f64> = (0..h).map(|y| plane[y * w + x]).collect();
            for (y, value) in plain(&column, sigma, false).into_iter().enumerate() {
                plane[y * w + x] = value;
            }
        }
    }
    out
}

fn row_blur(w: u32, sigma: f32) -> Blur {
    let view = View::new(1, 1, w, 1);
    Blur {
        x: view,
        y: view,
        sigma,
        every: 1,
        axis: Axis::Horizontal,
        wrap: false,
    }
}

fn blurred(kernel: &Blur, x: Vec<f32>, step: u32) -> Vec<f64> {
    let data = [
        Data::Reals(x),
        Data::Words(vec![step]),
        Data::Poisoned(kernel.y),
    ];
    from_quads(kernel.y, check(kernel, &data)[0].reals())
}

#[test]
fn by_hand() {
    // exp(−½) either side of 1, cut off at ⌊4·0.25 + ½⌋ = 1: σ = ¼ has weights e⁻⁸, 1, e⁻⁸.
    let kernel = row_blur(3, 0.25);
    let got = blurred(&kernel, to_quads(kernel.x, &[1.0, 0.0, 0.0]), 0);
    let edge = (-8f64).exp();
    let total = 1.0 + 2.0 * edge;
    // The edge pixel counts twice: once in its own place, once mirrored.
    let expected = [(1.0 + edge) / total, edge / total, 0.0];
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-12, "{got} should be {expected}");
    }
}

/// Radii up to many times the size; both axes; slices.
#[test]
fn a_plain_convolution_everywhere() {
    let shapes = [
        (View::new(1, 1, 1, 1), View::new(1, 1, 1, 1)),
        (View::new(3, 2, 3, 3), View::new(3, 2, 3, 3)),
        (View::new(2, 7, 5, 6), View::new(2, 7, 5, 6)),
        (View::new(3, 33, 41, 3), View::new(3, 33, 41, 3)),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(2, 5, 10, 16).slice(4, 11),
        ),
    ];
    for (seed, (x, y)) in shapes.into_iter().enumerate() {
        for sigma in [0.1, 0.5, 1.0, 2.3, 9.0] {
            let ways = [Axis::Horizontal, Axis::Vertical].map(|a| [(a, false), (a, true)]);
            for (axis, wrap) in ways.into_iter().flatten() {
                let kernel = Blur {
                    x,
                    y,
                    sigma,
                    every: 3,
                    axis,
                    wrap,
                };
                let xv = tensor(&mut random(seed as u64), x);
                let before = from_quads(x, &wide(&xv));
                let (h, w) = (x.h as usize, x.w as usize);
                let got = blurred(&kernel, xv, 6);
                for (got, plane) in got.chunks(h * w).zip(before.chunks(h * w)) {
                    for line in 0..(if axis == Axis::Horizontal { h } else { w }) {
                        let at = |i: usize| match axis {
                            Axis::Horizontal => line * w + i,
                            Axis::Vertical => i * w + line,
                        };
                        let size = h * w / if axis == Axis::Horizontal { h } else { w };
                        let line: Vec<f64> = (0..size).map(|i| plane[at(i)]).collect();
                        for (i, expected) in plain(&line, sigma.into(), wrap).iter().enumerate() {
                            let got = got[at(i)];
                            assert!(
                                (got - expected).abs() < 1e-12,
                                "{kernel:?}: {got} should be {expected}"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Between the iterations that blur, nothing changes, to the bit.
#[test]
fn every_fourth_iteration() {
    let view = View::new(3, 11, 6, 3);
    let x = wide(&tensor(&mut random(2), view));
    for device in devices() {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 1);
        let blur = optim::Blur {
            sigma: 0.5,
            every: 4,
            wrap: false,
        };
        blur.record(&mut recording, site);
        let run = Recorded::new(device, recording);
        run.set(site.x.value, &x);
        let mut expected = images(view, &x);
        for step in 0..10 {
            run.set_words(site.step, &[step]);
            let before = run.get(site.x.value);
            run.iterate();
            let after = run.get(site.x.value);
            if step % 4 == 0 {
                for image in &mut expected {
                    *image = plain_image(image, 11, 6, 0.5);
                }
                assert_images(device, "blur", &images(view, &after), &expected, 1e-6);
            } else {
                assert_eq!(after, before, "{device:?}, step {step}");
            }
        }
    }
}

#[test]
fn no_blur_is_no_call() {
    for (sigma, every) in [(0.0, 4), (1.0, 0)] {
        let mut recording = Recording::new();
        let site = site(&mut recording, View::new(1, 4, 4, 3), 1);
        optim::Blur {
            sigma,
            every,
            wrap: false,
        }
        .record(&mut recording, site);
        assert!(recording.calls().is_empty());
    }
}

/// The 4×5 image that scipy 1.17's `gaussian_filter` blurred: sixteenths, without any symmetry.
fn picture() -> Vec<f64> {
    let value = |i: u32, j: u32| f64::from((7 * i * i + 3 * j * j * j + 5 * i * j) % 17) / 16.0;
    (0..4)
        .flat_map(|i| (0..5).map(move |j| value(i, j)))
        .collect()
}

#[rustfmt::skip]
const SCIPY: &[(f32, [f64; 20])] = &[
    (0.5, [
        0.0705275513, 0.2622496445, 0.4506384398, 0.6631084294, 0.4168932200,
        0.4587738940, 0.7216214618, 0.4310508555, 0.2530847291, 0.7348861084,
        0.6527023781, 0.5252308695, 0.3447137479, 0.2118870142, 0.3802935671,
        0.7464029698, 0.7789614997, 0.7761854144, 0.2529225648, 0.4928656407,
    ]),
    // ⌊4·1.3 + ½⌋ = 5: beyond the image twice.
    (1.3, [
        0.3445832240, 0.3905016858, 0.4403487416, 0.4751592190, 0.4950615269,
        0.4531838587, 0.4609463386, 0.4559944154, 0.4549787531, 0.4692503112,
        0.5818956490, 0.5526842437, 0.4908396519, 0.4415688115, 0.4356168131,
        0.6622993468, 0.6194826603, 0.5309641444, 0.4486453668, 0.4209952381,
    ]),
];

#[test]
fn scipy_agrees() {
    let view = View::new(1, 4, 5, 1);
    for device in devices() {
        for &(sigma, expected) in SCIPY {
            let mut recording = Recording::new();
            let site = site(&mut recording, view, 1);
            optim::Blur {
                sigma,
                every: 1,
                wrap: false,
            }
            .record(&mut recording, site);
            let run = Recorded::new(device, recording);
            run.set(site.x.value, &to_quads(view, &picture()));
            run.iterate();
            let got = from_quads(view, &run.get(site.x.value));
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() < 2e-7,
                    "{device:?}, σ = {sigma}: {got} should be {expected}"
                );
            }
        }
    }
}
