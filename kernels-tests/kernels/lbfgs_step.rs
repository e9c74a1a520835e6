//! lbfgs_step: a batch in which every image does something else; bounds; nothing that is no number gets through.

use pixgrad::engine::kernels::{LbfgsStep, View};

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor};

const HISTORY: u32 = 2;

/// Step length and action of every image: keep, accept, restart, wait; and a step of length 0.
const IMAGES: [(f32, f32); 5] = [(0.25, 0.0), (1.0, 1.0), (0.5, 2.0), (1.0, 3.0), (0.0, 0.0)];

fn coefficients() -> Vec<f32> {
    let row = |(length, action): &(f32, f32)| [9.0, 9.0, 9.0, 9.0, 9.0, *length, *action, 9.0];
    IMAGES.iter().flat_map(row).collect()
}

#[test]
fn every_image_for_itself() {
    let n = IMAGES.len() as u32;
    for (seed, (h, w, c)) in [(1, 1, 1), (5, 7, 3), (33, 63, 5), (16, 16, 4)]
        .into_iter()
        .enumerate()
    {
        let view = View::new(n, h, w, c);
        for range in [[-f32::MAX, f32::MAX], [-0.5, 0.5]] {
            let mut rng = random(seed as u64);
            let kernel = LbfgsStep {
                x: view,
                history: HISTORY,
                range,
            };
            let [g, direction, x, base, base_gradient] = [(); 5].map(|()| tensor(&mut rng, view));
            let [x, base] =
                [x, base].map(|v| v.iter().map(|v| v.clamp(range[0], range[1])).collect());
            let inputs = [&g, &direction, &coefficients(), &x, &base, &base_gradient];
            let out = check(&kernel, &inputs.map(|v: &Vec<f32>| Data::Reals(v.clone())));

            let [low, high] = range.map(f64::from);
            let [g, direction, mut x, mut base, mut base_gradient] =
                [g, direction, x, base, base_gradient].map(|v| wide(&v));
            let each = view.len() / n as usize;
            for i in 0..view.len() {
                let (length, action) = IMAGES[i / each];
                if action == 1.0 || action == 3.0 {
                    base[i] = x[i];
                }
                if action == 3.0 {
                    continue;
                }
                if action == 1.0 {
                    base_gradient[i] = g[i];
                }
                let held = (base[i] == low && base_gradient[i] > 0.0)
                    || (base[i] == high && base_gradient[i] < 0.0);
                let d = if held { 0.0 } else { direction[i] };
                x[i] = (base[i] + f64::from(length) * d).clamp(low, high);
            }
            for (out, expected) in out.iter().zip([x, base, base_gradient]) {
                for (i, (got, expected)) in out.reals().iter().zip(&expected).enumerate() {
                    assert!(
                        (got - expected).abs() <= 1e-12,
                        "{kernel:?} element {i}: {got} should be {expected}"
                    );
                }
            }
        }
    }
}

/// A gradient that is no number is neither taken over nor stepped along: the image of a rejected trial.
#[test]
fn a_rejected_gradient_leaves_no_trace() {
    let view = View::new(1, 1, 1, 4);
    for action in [0.0, 2.0, 3.0] {
        let data = [
            vec![f32::NAN, f32::INFINITY, 0.0, 0.0],
            vec![1.0, 1.0, 1.0, 0.0],
            vec![0.0, 0.0, 0.0, 0.5, action, 1.0],
            vec![0.5; 4],
            vec![0.25; 4],
            vec![1.0; 4],
        ];
        let kernel = LbfgsStep {
            x: view,
            history: 1,
            range: [0.0, 1.0],
        };
        let out = check(&kernel, &data.map(Data::Reals));
        for out in out {
            assert!(out.reals().iter().all(|v| v.is_finite()), "action {action}");
        }
    }
}
