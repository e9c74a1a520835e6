//! ball: by hand, by the definition, and as projections of a plan.

use pixgrad::engine::device::Recording;
use pixgrad::engine::kernels::{Ball, BallNorm, View, from_quads, to_quads};
use pixgrad::engine::optim::{self, Projection};

use crate::common::oracle::wide;
use crate::common::recorded::{Recorded, assert_images, devices, images, is_oracle, site};
use crate::common::{Data, check, random, tensor};
use crate::moments::plain;

const NORMS: [BallNorm; 2] = [BallNorm::Linf, BallNorm::L2];

/// x and its centres: batches, one centre for all, slices.
fn shapes() -> Vec<(View, View)> {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    vec![
        same(1, 1, 1, 1),
        same(3, 5, 7, 3),
        same(2, 33, 63, 6),
        (View::new(3, 6, 5, 3), View::new(1, 6, 5, 3)),
        (
            View::new(2, 5, 10, 24).slice(8, 11),
            View::new(2, 5, 10, 16).slice(4, 11),
        ),
    ]
}

/// One image projected.
fn plain_ball(norm: BallNorm, radius: f64, x: &[f64], c: &[f64]) -> Vec<f64> {
    let distance = x
        .iter()
        .zip(c)
        .map(|(x, c)| (x - c).powi(2))
        .sum::<f64>()
        .sqrt();
    let project = |(x, c): (&f64, &f64)| {
        let moved = match norm {
            BallNorm::Linf => c + (x - c).clamp(-radius, radius),
            BallNorm::L2 if distance > radius => c + (x - c) * radius / distance,
            BallNorm::L2 => *x,
        };
        moved.clamp(0.0, 1.0)
    };
    x.iter().zip(c).map(project).collect()
}

#[test]
fn by_hand() {
    let view = View::new(2, 1, 2, 1);
    let kernel = |norm| Ball {
        x: view,
        c: View::new(1, 1, 2, 1),
        norm,
        radius: 0.25,
    };
    // Differences (0.3, −0.4), norm 0.5, beyond the ball; and (0.125, −0.0625) within.
    let x = [0.5 + 0.3, 0.1 - 0.4, 0.625, 0.1 - 0.0625];
    let c = Data::Reals(to_quads(View::new(1, 1, 2, 1), &[0.5, 0.1]));
    let x = Data::Reals(to_quads(view, &x));
    let near = |got: &[f64], expected: [f64; 4]| {
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-7, "{got} should be {expected}");
        }
    };
    let data = [c, x];
    let linf = from_quads(view, check(&kernel(BallNorm::Linf), &data)[0].reals());
    near(&linf, [0.75, 0.0, 0.625, 0.0375]);
    let [c, x] = data;
    let sums = [0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.01953125, 0.0];
    let data = [c, x, Data::Reals(sums.to_vec())];
    let l2 = from_quads(view, check(&kernel(BallNorm::L2), &data)[0].reals());
    near(&l2, [0.65, 0.0, 0.625, 0.0375]);
}

#[test]
fn the_definition_everywhere() {
    for (seed, (x, c)) in shapes().into_iter().enumerate() {
        for norm in NORMS {
            for radius in [0.0, 0.125, 2.0] {
                let mut rng = random(seed as u64);
                let (xv, cv) = (tensor(&mut rng, x), tensor(&mut rng, c));
                let cv: Vec<f32> = cv.iter().map(|c| c.abs()).collect();
                let (before, centres) = (images(x, &wide(&xv)), images(c, &wide(&cv)));
                let centre = |i: usize| &centres[i % centres.len()];
                let moments: Vec<f32> = (0..x.n as usize)
                    .flat_map(|i| {
                        let pairs = before[i].iter().zip(centre(i));
                        plain(&pairs.map(|(x, c)| x - c).collect::<Vec<_>>())
                    })
                    .map(|v| v as f32)
                    .collect();
                let kernel = Ball { x, c, norm, radius };
                let mut data = vec![Data::Reals(cv), Data::Reals(xv)];
                if norm == BallNorm::L2 {
                    data.push(Data::Reals(moments));
                }
                let after = images(x, check(&kernel, &data)[0].reals());
                for i in 0..x.n as usize {
                    let expected = plain_ball(norm, radius.into(), &before[i], centre(i));
                    for (got, expected) in after[i].iter().zip(&expected) {
                        // The moments were rounded to f32.
                        assert!(
                            (got - expected).abs() <= 1e-7,
                            "{kernel:?} image {i}: {got} should be {expected}"
                        );
                    }
                }
            }
        }
    }
}

/// Random images around random originals: inside after the projection, which changes nothing the second time.
#[test]
fn recorded() {
    let view = View::new(3, 17, 23, 3);
    let mut rng = random(9);
    let centre: Vec<f32> = tensor(&mut rng, view).iter().map(|c| c.abs()).collect();
    let noise = wide(&tensor(&mut rng, view));
    let each = centre.len() / 3;
    // The third image stays within either ball.
    let x: Vec<f64> = centre
        .iter()
        .zip(&noise)
        .enumerate()
        .map(|(i, (&c, noise))| f64::from(c) + [0.5, 0.05, 1e-4][i / each] * noise)
        .map(|v| f64::from(v.clamp(0.0, 1.0) as f32))
        .collect();
    let (before, centres) = (images(view, &x), images(view, &wide(&centre)));
    for device in devices() {
        for (norm, radius) in [(BallNorm::Linf, 8.0 / 255.0), (BallNorm::L2, 0.5)] {
            let buffer = device.buffer_from("originals", &centre).expect("it fits");
            let mut recording = Recording::new();
            let site = site(&mut recording, view, 1);
            let ball = optim::Ball::new(norm, radius, buffer, view);
            ball.record(&mut recording, site);
            let run = Recorded::new(device, recording);
            run.set(site.x.value, &x);
            run.iterate();
            let once = run.get(site.x.value);
            let after = images(view, &once);
            let radius = f64::from(radius);
            let expected: Vec<_> = (0..3)
                .map(|i| plain_ball(norm, radius, &before[i], &centres[i]))
                .collect();
            assert_images(device, &format!("{norm:?}"), &after, &expected, 1e-6);
            assert_eq!(after[2], before[2], "{norm:?} on {device:?}");
            assert_ne!(after[0], before[0]);
            for (after, centre) in after.iter().zip(&centres) {
                let v: Vec<f64> = after.iter().zip(centre).map(|(x, c)| x - c).collect();
                let [_, _, square, largest] = plain(&v);
                // x₀ ± ε and a sum of squares are rounded.
                let rounding = if is_oracle(device) { 1e-12 } else { 1e-6 };
                match norm {
                    BallNorm::Linf => assert!(largest <= radius + 6e-8, "{largest}"),
                    BallNorm::L2 => assert!(square.sqrt() <= radius * (1.0 + rounding)),
                }
                assert!(after.iter().all(|v| (0.0..=1.0).contains(v)));
            }
            run.iterate();
            let twice = images(view, &run.get(site.x.value));
            assert_images(device, "projected twice", &twice, &after, 1e-6);
        }
    }
}
