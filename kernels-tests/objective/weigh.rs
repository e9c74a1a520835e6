//! weigh: the kernel by hand and against plain loops, and terms seen through a guide.

use pixgrad::engine::device::{Device, Kind};
use pixgrad::engine::kernels::{View, Weigh, from_quads, to_quads};
use pixgrad::engine::objective::{Content, Gram, Masked, Term};

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor, uniform};
use crate::term::Case;

#[test]
fn by_hand() {
    let view = View::new(2, 1, 2, 1);
    let weigh = Weigh {
        x: view,
        y: view,
        first: 1,
        accumulate: false,
    };
    let data = [
        Data::Reals(to_quads(view, &[1.0, 2.0, 3.0, 4.0])),
        Data::Reals(vec![9.0, 0.5, 3.0]),
        Data::Poisoned(view),
    ];
    let out = check(&weigh, &data).remove(0);
    assert_eq!(from_quads(view, out.reals()), [0.5, 6.0, 1.5, 12.0]);
}

/// x and y: one pixel, odd sizes, batches, more than a workgroup, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 3),
        same(2, 5, 7, 6),
        same(3, 17, 33, 9),
        (
            View::new(2, 6, 7, 24).slice(8, 11),
            View::new(2, 6, 7, 16).slice(4, 11),
        ),
    ]
}

#[test]
fn every_pixel_by_its_weight() {
    for (seed, (x, y)) in shapes().into_iter().enumerate() {
        for accumulate in [false, true] {
            let mut rng = random(seed as u64);
            let (values, before) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let pixels = (x.h * x.w) as usize;
            let weights = uniform(&mut rng, 2 + pixels);
            let target = if accumulate {
                Data::Reals(before.clone())
            } else {
                Data::Poisoned(y)
            };
            let weigh = Weigh {
                x,
                y,
                first: 2,
                accumulate,
            };
            let data = [
                Data::Reals(values.clone()),
                Data::Reals(weights.clone()),
                target,
            ];
            let out = check(&weigh, &data).remove(0);
            let planes = [from_quads(x, &wide(&values)), from_quads(y, &wide(&before))];
            for (i, got) in from_quads(y, out.reals()).iter().enumerate() {
                let mut expected = f64::from(weights[2 + i % pixels]) * planes[0][i];
                if accumulate {
                    expected += planes[1][i];
                }
                assert!((got - expected).abs() <= 1e-15, "{weigh:?}");
            }
        }
    }
}

fn buffer(device: &Device, data: &[f32]) -> pixgrad::engine::device::Buffer {
    let buffer = device.buffer("given", Kind::Real, data.len());
    let buffer = buffer.expect("it fits");
    device.upload(&buffer, data).expect("it fits");
    buffer
}

/// A guide with a hole.
fn guide(pixels: usize) -> Vec<f32> {
    let mut guide = uniform(&mut random(77), pixels);
    guide.iter_mut().for_each(|g| *g = g.abs() * 1.5);
    guide[pixels / 2] = 0.0;
    guide
}

#[test]
fn guided_gram() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        let (c, pixels) = (x.c as usize, (x.h * x.w) as usize);
        let padded = x.padded();
        let mut rng = random(20 + seed as u64);
        let input = tensor(&mut rng, x);
        let guide = guide(pixels);
        let mut target = vec![0.0; padded * padded];
        for i in 0..c {
            for j in 0..=i {
                let value = uniform(&mut rng, 1)[0];
                target[i * padded + j] = value;
                target[j * padded + i] = value;
            }
        }
        // G_r = (F∘g)(F∘g)ᵀ/N, Gatys et al. 2017, eq. 3, and 1/(4C²)·Σ(G_r − A_r)².
        let plain = |_: usize, f: &[f64]| {
            let mut sum = 0.0;
            for i in 0..c {
                for j in 0..c {
                    let pair = |k: usize| f[i * pixels + k] * f[j * pixels + k];
                    let square = |k: usize| f64::from(guide[k]).powi(2);
                    let gram: f64 = (0..pixels).map(|k| square(k) * pair(k)).sum();
                    let wanted = f64::from(target[i * padded + j]);
                    sum += (gram / pixels as f64 - wanted).powi(2);
                }
            }
            -1.5 * sum / (4.0 * (c * c) as f64)
        };
        Case {
            name: "guided gram",
            x,
            dx,
            input: &input,
            make: &|device| -> Box<dyn Term> {
                let gram = Gram::new(buffer(device, &target), x.c, -1.5);
                Box::new(Masked::new(Box::new(gram), buffer(device, &guide)))
            },
            plain: &plain,
            step: 1e-3,
            error: 1e-5,
        }
        .check();
    }
}

#[test]
fn guided_content() {
    for (seed, (x, dx)) in shapes().into_iter().enumerate() {
        let mut rng = random(50 + seed as u64);
        let input = tensor(&mut rng, x);
        let one = View::new(1, x.h, x.w, x.c);
        let target = tensor(&mut rng, one);
        let pixels = (x.h * x.w) as usize;
        let guide = guide(pixels);
        let wanted = from_quads(one, &wide(&target));
        let plain = |_: usize, f: &[f64]| {
            let distance = |k: usize| f64::from(guide[k % pixels]) * f[k] - wanted[k];
            2.0 * (0..f.len()).map(|k| distance(k).powi(2)).sum::<f64>() / f.len() as f64
        };
        Case {
            name: "guided content",
            x,
            dx,
            input: &input,
            make: &|device| -> Box<dyn Term> {
                let content = Content::new(buffer(device, &target), one, 2.0);
                Box::new(Masked::new(Box::new(content), buffer(device, &guide)))
            },
            plain: &plain,
            step: 0.1,
            error: 1e-9,
        }
        .check();
    }
}
