//! lbfgs_direction: a batch in which every image does something else, against plain sums.

use pixgrad::engine::kernels::{LbfgsDirection, View};

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor, uniform};

const HISTORY: u32 = 3;
const KEEP: f32 = 0.0;
const ACCEPT: f32 = 1.0;
const RESTART: f32 = 2.0;
const WAIT: f32 = 3.0;

/// Each image's action and the slot of its new pair; 3 is none.
const IMAGES: [(f32, f32); 7] = [
    (ACCEPT, 0.0),
    (KEEP, 3.0),
    (ACCEPT, 2.0),
    (RESTART, 3.0),
    (WAIT, 3.0),
    (ACCEPT, 3.0),
    (ACCEPT, 1.0),
];

#[test]
fn every_image_for_itself() {
    let n = IMAGES.len() as u32;
    for (seed, (h, w, c)) in [(1, 1, 1), (5, 7, 3), (33, 63, 5), (16, 16, 4)]
        .into_iter()
        .enumerate()
    {
        let view = View::new(n, h, w, c);
        for (first, pairs) in [(0, 3), (0, 2), (2, 1)] {
            for range in [[-f32::MAX, f32::MAX], [-0.5, 0.5]] {
                let mut rng = random(seed as u64);
                let kernel = LbfgsDirection {
                    x: view,
                    history: HISTORY,
                    first,
                    pairs,
                    range,
                };
                let bounded = |v: Vec<f32>| -> Vec<f32> {
                    v.iter().map(|v| v.clamp(range[0], range[1])).collect()
                };
                let [x, base] = [(); 2].map(|()| bounded(tensor(&mut rng, view)));
                let [g, base_gradient, direction] = [(); 3].map(|()| tensor(&mut rng, view));
                let stored: Vec<Vec<f32>> =
                    (0..2 * pairs).map(|_| tensor(&mut rng, view)).collect();
                let coefficients: Vec<f32> = IMAGES
                    .iter()
                    .flat_map(|(action, slot)| {
                        let mut row = uniform(&mut rng, 7);
                        if *action == RESTART {
                            row[..6].fill(0.0);
                        }
                        row.extend([0.7, *action, *slot]);
                        row
                    })
                    .collect();
                let inputs = [
                    &x,
                    &g,
                    &base,
                    &base_gradient,
                    &coefficients,
                    &stored.concat(),
                    &direction,
                ];
                let data = inputs.map(|v| Data::Reals(v.clone()));
                let out = check(&kernel, &data);

                let [low, high] = range.map(f64::from);
                let [x, g, base, base_gradient] = [x, g, base, base_gradient].map(|v| wide(&v));
                let mut stored: Vec<Vec<f64>> = stored.iter().map(|v| wide(v)).collect();
                let mut direction = wide(&direction);
                let coefficients = wide(&coefficients);
                let each = view.len() / n as usize;
                for i in 0..view.len() {
                    let (action, slot) = IMAGES[i / each];
                    let own = &coefficients[i / each * 10..][..10];
                    let (point, gradient) = match action {
                        ACCEPT => (x[i], g[i]),
                        RESTART => (base[i], base_gradient[i]),
                        _ => continue,
                    };
                    let place = slot as i64 - i64::from(first);
                    if action == ACCEPT && place >= 0 && place < i64::from(pairs) {
                        let same = x[i] == base[i] && (x[i] == low || x[i] == high);
                        stored[2 * place as usize][i] = x[i] - base[i];
                        stored[2 * place as usize + 1][i] =
                            if same { 0.0 } else { g[i] - base_gradient[i] };
                    }
                    let held =
                        (point == low && gradient > 0.0) || (point == high && gradient < 0.0);
                    let mut d = if held { 0.0 } else { own[6] * gradient };
                    if first > 0 {
                        d = direction[i];
                    }
                    for j in 0..pairs as usize {
                        d += own[first as usize + j] * stored[2 * j][i];
                        d += own[3 + first as usize + j] * stored[2 * j + 1][i];
                    }
                    direction[i] = d;
                }
                for (out, expected) in out.iter().zip([stored.concat(), direction]) {
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
}
