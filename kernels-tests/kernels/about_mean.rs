//! about_mean: by hand, by the definition, and as the projections `Norm` and `Decay`.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{AboutMean, Stretch, View, from_quads, to_quads};
use pixgrad::engine::optim::{Decay, Norm, Projection};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, site};
use crate::common::{Data, check, random, tensor};

const MEAN: [f32; 3] = [0.5, 0.25, 0.75];

/// x about the mean of its channel, image by image.
fn centred(image: &[f64]) -> Vec<f64> {
    let plane = image.len() / 3;
    let about = |(i, x): (usize, &f64)| x - f64::from(MEAN[i / plane]);
    image.iter().enumerate().map(about).collect()
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// mean + s·(x − mean)
fn stretched(image: &[f64], s: f64) -> Vec<f64> {
    let moved = image.iter().zip(centred(image));
    moved.map(|(x, v)| x + (s - 1.0) * v).collect()
}

#[test]
fn by_hand() {
    // Differences (0.3, 0, 0.4) of norm 0.5, and none.
    let x = View::new(2, 1, 1, 3);
    let values = [0.8f32, 0.25, 1.15, 0.5, 0.25, 0.75];
    let kernel = |stretch| AboutMean {
        x,
        mean: [0.5, 0.25, 0.75, 0.0],
        stretch,
    };
    let run = |stretch| {
        let mut data = vec![Data::Reals(to_quads(x, &values))];
        if !matches!(stretch, Stretch::By(_)) {
            data.insert(
                0,
                Data::Reals(vec![0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0]),
            );
        }
        from_quads(x, check(&kernel(stretch), &data)[0].reals())
    };
    for (stretch, s) in [
        (Stretch::By(0.5), 0.5),
        (Stretch::ToNorm(1.0), 2.0),
        (Stretch::ToNorm(0.25), 0.5),
        (Stretch::ToNormAtMost(1.0), 1.0),
        (Stretch::ToNormAtMost(0.25), 0.5),
    ] {
        let expected = [0.5 + 0.3 * s, 0.25, 0.75 + 0.4 * s, 0.5, 0.25, 0.75];
        for (got, expected) in run(stretch).iter().zip(expected) {
            assert!(
                (got - expected).abs() < 1e-7,
                "{stretch:?}: {got} {expected}"
            );
        }
    }
}

/// Any number of channels about 0, slices, sizes.
#[test]
fn the_definition_everywhere() {
    for (seed, x) in [
        View::new(1, 1, 1, 1),
        View::new(3, 5, 7, 3),
        View::new(2, 33, 63, 10),
        View::new(2, 5, 10, 24).slice(8, 11),
    ]
    .into_iter()
    .enumerate()
    {
        let xv = tensor(&mut random(seed as u64), x);
        let before = images(x, &wide(&xv));
        let moments: Vec<f32> = before
            .iter()
            .flat_map(|v| [0.0, 0.0, (norm(v) * norm(v)) as f32, 0.0])
            .collect();
        let radius = norm(&before[0]) as f32 * 0.99;
        for stretch in [
            Stretch::By(0.75),
            Stretch::ToNorm(radius),
            Stretch::ToNormAtMost(radius),
        ] {
            let kernel = AboutMean {
                x,
                mean: [0.0; 4],
                stretch,
            };
            let mut data = vec![Data::Reals(xv.clone())];
            if !matches!(stretch, Stretch::By(_)) {
                data.insert(0, Data::Reals(moments.clone()));
            }
            let after = images(x, check(&kernel, &data)[0].reals());
            for (after, before) in after.iter().zip(&before) {
                let to_radius = f64::from(radius) / norm(before);
                let s = match stretch {
                    Stretch::By(_) => 0.75,
                    Stretch::ToNorm(_) => to_radius,
                    Stretch::ToNormAtMost(_) => to_radius.min(1.0),
                };
                for (got, x) in after.iter().zip(before) {
                    // The moments were rounded to f32.
                    assert!((got - s * x).abs() <= 1e-7 * x.abs(), "{kernel:?}");
                }
            }
        }
    }
}

#[test]
fn norm_recorded() {
    let view = View::new(3, 19, 21, 3);
    let mut x = wide(&tensor(&mut random(3), view));
    let each = x.len() / 3;
    // The second image is close to the mean, the third is the mean.
    for (i, x) in x.iter_mut().enumerate() {
        let mean = MEAN.get(i % 4).map_or(0.0, |&m| f64::from(m));
        let scale = [1.0, 1.0 / 64.0, 0.0][i / each];
        *x = f64::from((mean + scale * *x) as f32) * f64::from(u8::from(i % 4 < 3));
    }
    let before = images(view, &x);
    let radius = 2.5;
    for device in devices() {
        for at_most in [false, true] {
            let mut recording = Recording::new();
            let site = site(&mut recording, view, 1);
            let projection = Norm {
                radius: radius as f32,
                at_most,
                mean: MEAN,
            };
            projection.record(&mut recording, site);
            let run = Recorded::new(device, recording);
            run.set(site.x.value, &x);
            run.iterate();
            let after = images(view, &run.get(site.x.value));
            let expected: Vec<_> = before
                .iter()
                .map(|image| {
                    let norm = norm(&centred(image));
                    let stays = norm == 0.0 || (at_most && norm <= radius);
                    stretched(image, if stays { 1.0 } else { radius / norm })
                })
                .collect();
            assert_images(device, "norm", &after, &expected, 1e-6);
            let norms: Vec<f64> = after.iter().map(|v| norm(&centred(v))).collect();
            assert!((norms[0] - radius).abs() <= 1e-5, "{norms:?}");
            let second = if at_most {
                norm(&centred(&before[1]))
            } else {
                radius
            };
            assert!((norms[1] - second).abs() <= 1e-5, "{norms:?}");
            assert_eq!(norms[2], 0.0);
        }
    }
}

#[test]
fn decay_recorded() {
    let view = View::new(3, 4, 9, 3);
    let x = wide(&tensor(&mut random(4), view));
    for device in devices() {
        let mut recording = Recording::new();
        let site = site(&mut recording, view, 1);
        let decay = Decay {
            rate: 0.25,
            mean: MEAN,
        };
        decay.record(&mut recording, site);
        let run = Recorded::new(device, recording);
        run.set(site.x.value, &x);
        run.iterate();
        run.iterate();
        let after = images(view, &run.get(site.x.value));
        let expected: Vec<_> = images(view, &x)
            .iter()
            .map(|image| stretched(image, 0.75 * 0.75))
            .collect();
        assert_images(device, "decay", &after, &expected, 1e-6);
    }
}
