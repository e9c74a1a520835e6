//! clip_small: scores by hand and by their definitions, and the two projections against a sort.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{
    ClipSmall, PixelContribution, PixelNorm, View, from_quads, to_quads,
};
use pixgrad::engine::optim::{ClipSmallContribution, ClipSmallNorm, Projection};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, site};
use crate::common::{Data, check, random, tensor};
use crate::percentile;

const MEAN: [f32; 3] = [0.5, 0.25, 0.75];
const PADDED: [f32; 4] = [0.5, 0.25, 0.75, 0.0];

#[test]
fn by_hand() {
    // Differences (0.3, 0, 0.4), (0, −0.5, 0), none | (−0.25, 0, 0), (0, 1, 0), (0, 0, 2).
    let x = View::new(2, 1, 3, 3);
    #[rustfmt::skip]
    let values = [
        0.8, 0.5, 0.5,  0.25, -0.25, 0.25,  1.15, 0.75, 0.75,
        0.25, 0.5, 0.5,  0.25, 1.25, 0.25,  0.75, 0.75, 2.75,
    ];
    let values = || Data::Reals(to_quads(x, &values));
    let near = |got: &[f64], expected: [f64; 6]| {
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{got} should be {expected}");
        }
    };
    let norm = PixelNorm { x, mean: PADDED };
    let scores = check(&norm, &[values(), Data::PoisonedReals(6)]);
    near(scores[0].reals(), [0.5, 0.5, 0.0, 0.25, 1.0, 2.0]);
    // The loss rises with the first channel and falls with the others.
    let gradient: Vec<f32> = [1.0, -1.0, -2.0, 1.0, -1.0, -2.0]
        .iter()
        .flat_map(|&g| [g; 3])
        .collect();
    for (absolute, expected) in [
        (false, [0.5, -0.5, 0.0, 0.25, 1.0, 4.0]),
        (true, [0.5, 0.5, 0.0, 0.25, 1.0, 4.0]),
    ] {
        let contribution = PixelContribution {
            x,
            gradient: x,
            mean: PADDED,
            absolute,
        };
        let gradient = Data::Reals(to_quads(x, &gradient));
        let scores = check(&contribution, &[values(), gradient, Data::PoisonedReals(6)]);
        near(scores[0].reals(), expected);
    }
    let scores = [0.5, -0.5, 0.0, 0.25, 1.0, 4.0];
    let thresholds = [0.0, 1.0];
    let clip = ClipSmall { x, mean: PADDED };
    let [scores, thresholds] = [scores.to_vec(), thresholds.to_vec()].map(Data::Reals);
    let clipped = from_quads(x, check(&clip, &[scores, thresholds, values()])[0].reals());
    // The second pixel of the first image and the first of the second; a score at the threshold stays.
    #[rustfmt::skip]
    let expected = [
        0.8, 0.5, 0.5,  0.25, 0.25, 0.25,  1.15, 0.75, 0.75,
        0.5, 0.5, 0.5,  0.25, 1.25, 0.25,  0.75, 0.75, 2.75,
    ];
    for (got, expected) in clipped.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-7, "{got} should be {expected}");
    }
}

/// Scores of any number of channels about 0, of slices, of sizes.
#[test]
fn scores_everywhere() {
    for (seed, x) in [
        View::new(1, 1, 1, 1),
        View::new(3, 5, 7, 3),
        View::new(2, 33, 63, 10),
        View::new(2, 5, 10, 24).slice(8, 11),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rng = random(seed as u64);
        let gradient = View::new(x.n, x.h, x.w, x.c);
        let (xv, gv) = (tensor(&mut rng, x), tensor(&mut rng, gradient));
        let (xs, gs) = (images(x, &wide(&xv)), images(gradient, &wide(&gv)));
        let plane = (x.h * x.w) as usize;
        let each = |f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
            xs.iter()
                .zip(&gs)
                .flat_map(|(x, g)| {
                    (0..plane).map(move |i| {
                        let channels = (i..x.len()).step_by(plane);
                        channels.map(|at| f(x[at], g[at])).sum::<f64>()
                    })
                })
                .collect()
        };
        let mean = [0.0; 4];
        let poisoned = || Data::PoisonedReals(x.pixels());
        let norm = PixelNorm { x, mean };
        let norms = check(&norm, &[Data::Reals(xv.clone()), poisoned()]);
        for (got, square) in norms[0].reals().iter().zip(each(&|x, _| x * x)) {
            assert!((got - square.sqrt()).abs() < 1e-12, "{norm:?}: {got}");
        }
        for absolute in [false, true] {
            let contribution = PixelContribution {
                x,
                gradient,
                mean,
                absolute,
            };
            let data = [Data::Reals(xv.clone()), Data::Reals(gv.clone()), poisoned()];
            let scores = check(&contribution, &data);
            for (got, product) in scores[0].reals().iter().zip(each(&|x, g| x * g)) {
                let expected = if absolute { product.abs() } else { -product };
                assert!((got - expected).abs() < 1e-12, "{contribution:?}: {got}");
            }
        }
        let scores = tensor(&mut rng, View::new(x.n, x.h, x.w, 4))[..x.pixels()].to_vec();
        let thresholds = [0.25, -0.5, 0.75][..x.n as usize].to_vec();
        let clip = ClipSmall { x, mean };
        let data = [scores.clone(), thresholds.clone(), xv].map(Data::Reals);
        let clipped = images(x, check(&clip, &data)[0].reals());
        for (i, (got, x)) in clipped.iter().zip(&xs).enumerate() {
            for (at, (got, x)) in got.iter().zip(x).enumerate() {
                let small = scores[i * plane + at % plane] < thresholds[i];
                assert_eq!(*got, if small { 0.0 } else { *x });
            }
        }
    }
}

/// What a projection should leave: pixels whose score is below the percentile of their image at the mean.
fn clipped(image: &[f64], scores: &[f64], percentile: f64) -> Vec<f64> {
    let threshold = percentile::plain(scores, percentile);
    let plane = scores.len();
    let pixel = |(i, x): (usize, &f64)| {
        if scores[i % plane] < threshold {
            f64::from(MEAN[i / plane])
        } else {
            *x
        }
    };
    image.iter().enumerate().map(pixel).collect()
}

#[test]
fn recorded() {
    let view = View::new(3, 13, 9, 3);
    let mut rng = random(7);
    let mut x = wide(&tensor(&mut rng, view));
    let g = wide(&tensor(&mut rng, view));
    let plane = 13 * 9;
    // Half of the second image has been clipped already: many equal scores.
    for pixel in x[plane * 4..].chunks_mut(4).take(plane).step_by(2) {
        for (x, mean) in pixel.iter_mut().zip(PADDED) {
            *x = f64::from(mean);
        }
    }
    let (before, slopes) = (images(view, &x), images(view, &g));
    let score = |i: usize, f: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        (0..plane)
            .map(|at| {
                let of = |c: usize| {
                    let x = before[i][c * plane + at] - f64::from(MEAN[c]);
                    f(x, slopes[i][c * plane + at])
                };
                of(0) + of(1) + of(2)
            })
            .collect()
    };
    type Scores<'a> = Box<dyn Fn(usize) -> Vec<f64> + 'a>;
    let root = |i| score(i, &|x, _| x * x).iter().map(|v| v.sqrt()).collect();
    let signed = |i| score(i, &|x, g| -x * g);
    let absolute = |i| signed(i).iter().map(|v| v.abs()).collect();
    for percentile in [0.0, 20.0, 51.7, 90.0, 100.0] {
        let contribution = |absolute| {
            Box::new(ClipSmallContribution {
                percentile,
                absolute,
                mean: MEAN,
            })
        };
        let norm = Box::new(ClipSmallNorm {
            percentile,
            mean: MEAN,
        });
        let cases: [(Box<dyn Projection>, Scores<'_>); 3] = [
            (norm, Box::new(root)),
            (contribution(false), Box::new(signed)),
            (contribution(true), Box::new(absolute)),
        ];
        for (projection, scores) in cases {
            let expected: Vec<_> = (0..3)
                .map(|i| clipped(&before[i], &scores(i), percentile.into()))
                .collect();
            for device in devices() {
                let mut recording = Recording::new();
                let site = site(&mut recording, view, 1);
                projection.record(&mut recording, site);
                let run = Recorded::new(device, recording);
                run.set(site.x.value, &x);
                run.set(site.gradient.value, &g);
                run.iterate();
                let after = run.get(site.x.value);
                let what = format!("{projection:?}");
                assert_images(device, &what, &images(view, &after), &expected, 1e-7);
                assert!(
                    after
                        .iter()
                        .skip(3)
                        .step_by(4)
                        .all(|padding| *padding == 0.0)
                );
            }
        }
    }
}
