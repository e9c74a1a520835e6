//! lbfgs_products: by hand, and against plain sums for every pair, with and without bounds.

use pixgrad::engine::kernels::{LbfgsProducts, View};

use crate::common::oracle::wide;
use crate::common::{Data, check, check_within, random, tensor};

const FREE: [f32; 2] = [-f32::MAX, f32::MAX];

#[test]
fn by_hand() {
    let kernel = LbfgsProducts {
        x: View::new(1, 1, 1, 4),
        history: 1,
        first: 0,
        pairs: 1,
        range: [0.0, 1.0],
    };
    // s = (0.5, 0, 0, 0); y = (2, 0, 1, −4) but for the second element, 0 before and after; q = (3, 0, 1, 0): the
    // second is held at 0 and the fourth at 1.
    let x = vec![0.5, 0.0, 0.5, 1.0];
    let g = vec![3.0, 7.0, 1.0, -4.0];
    let base = vec![0.0, 0.0, 0.5, 1.0];
    let base_gradient = vec![1.0, 6.0, 0.0, 0.0];
    let stored = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let data = [x, g, base, base_gradient, stored].map(Data::Reals);
    let mut data: Vec<Data> = data.into();
    data.push(Data::PoisonedReals(16));
    // The fourth element is at 1 in both points, so y is (2, 0, 1, 0).
    let pair = [0.5, 2.5, 5.0, 17.0, 6.0, 22.0, 10.0, 0.5];
    let own = [0.25, 1.0, 1.0, 5.0, 1.5, 7.0, 10.0, 0.5];
    assert_eq!(check(&kernel, &data)[0].reals(), [pair, own].concat());
}

#[test]
fn the_products_are_the_definition_everywhere() {
    let cases = [
        (View::new(1, 1, 1, 1), 1, 0, 1),
        (View::new(2, 5, 7, 3), 3, 0, 3),
        (View::new(2, 5, 7, 3), 3, 1, 2),
        (View::new(1, 32, 64, 4), 2, 0, 1), // exactly one share
        (View::new(1, 33, 63, 5), 4, 0, 2),
        (View::new(3, 40, 41, 10), 5, 3, 2),
    ];
    for (seed, (view, history, first, pairs)) in cases.into_iter().enumerate() {
        for range in [FREE, [-0.5, 0.5]] {
            let mut rng = random(seed as u64);
            let kernel = LbfgsProducts {
                x: view,
                history,
                first,
                pairs,
                range,
            };
            let mut at_most = |low: f32, high: f32| -> Vec<f32> {
                let values = tensor(&mut rng, view);
                values.iter().map(|v| v.clamp(low, high)).collect()
            };
            let [x, base] = [(); 2].map(|()| at_most(range[0], range[1]));
            let [g, base_gradient] = [(); 2].map(|()| at_most(FREE[0], FREE[1]));
            let vectors: Vec<Vec<f32>> = (0..2 * pairs).map(|_| at_most(-1.0, 1.0)).collect();
            let rows = (view.n * (history + 1) * 8) as usize;
            let parts = kernel.parts() as usize;
            let inputs = [&x, &g, &base, &base_gradient, &vectors.concat()];
            let mut data: Vec<Data> = inputs.map(|v| Data::Reals(v.clone())).into();
            // Rows of pairs in other buffers stay as they are.
            data.push(Data::Reals(vec![f32::NAN; rows * parts]));
            let out = check_within(&kernel, &data, 1e-6);

            let [low, high] = range.map(f64::from);
            let [x, g, base, base_gradient] = [x, g, base, base_gradient].map(|v| wide(&v));
            let vectors: Vec<Vec<f64>> = vectors.iter().map(|v| wide(v)).collect();
            let s: Vec<f64> = x.iter().zip(&base).map(|(x, b)| x - b).collect();
            let y: Vec<f64> = (0..x.len())
                .map(|i| {
                    let held = x[i] == base[i] && (x[i] == low || x[i] == high);
                    if held { 0.0 } else { g[i] - base_gradient[i] }
                })
                .collect();
            let q: Vec<f64> = (0..x.len())
                .map(|i| {
                    let held = (x[i] == low && g[i] > 0.0) || (x[i] == high && g[i] < 0.0);
                    if held { 0.0 } else { g[i] }
                })
                .collect();
            let each = view.len() / view.n as usize;
            for (row, got) in out[0].reals().chunks(parts).enumerate() {
                let (k, pair) = (row % 8, row / 8 % (history as usize + 1));
                let own = row / 8 / (history as usize + 1) * each;
                let dot =
                    |a: &[f64], b: &[f64]| -> f64 { (own..own + each).map(|i| a[i] * b[i]).sum() };
                let stored = pair as u32 >= first && (pair as u32) < first + pairs;
                let (v, w) = if stored {
                    let j = pair - first as usize;
                    (&vectors[2 * j], &vectors[2 * j + 1])
                } else if pair == history as usize && first == 0 {
                    (&s, &y)
                } else {
                    assert!(got.iter().all(|v| v.is_nan()), "row {row} is not its own");
                    continue;
                };
                let factors = [
                    (&s, v),
                    (&s, w),
                    (&y, v),
                    (&y, w),
                    (&q, v),
                    (&q, w),
                    (&q, &q),
                    (&base_gradient, &s),
                ];
                let expected = dot(factors[k].0, factors[k].1);
                let got: f64 = got.iter().sum();
                assert!(
                    (got - expected).abs() <= 1e-12 * expected.abs().max(1.0),
                    "{kernel:?} row {row}: {got} should be {expected}"
                );
            }
        }
    }
}
