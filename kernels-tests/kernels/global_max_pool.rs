//! global_max_pool: against plain loops, with equal maxima, and where the gradient goes.

use pixgrad::engine::kernels::{GlobalMaxPool, GlobalMaxPoolBackward, View, from_quads, to_quads};

use crate::common::{Data, check, random, tensor};

#[test]
fn the_first_maximum_is_found_and_gets_the_gradient() {
    let view = View::new;
    for (seed, (x, y)) in [
        (view(1, 1, 1, 1), view(1, 1, 1, 1)),
        (view(2, 5, 7, 6), view(2, 1, 1, 6)),
        (view(1, 40, 33, 70), view(1, 1, 1, 70)),
        (
            view(2, 4, 3, 24).slice(8, 11),
            view(2, 1, 1, 20).slice(4, 11),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let rng = &mut random(seed as u64);
        // Few different numbers, so that most maxima are there several times; all below 0.
        let input = from_quads(x, &tensor(rng, x));
        let input: Vec<f32> = input.iter().map(|v| (v * 3.0).round() - 4.0).collect();
        let pool = GlobalMaxPool { x, y };
        let data = [
            Data::Reals(to_quads(x, &input)),
            Data::PoisonedWords(pool.whence_len()),
            Data::Poisoned(y),
        ];
        let found = check(&pool, &data);
        let plane = (x.h * x.w) as usize;
        let mut first = Vec::new();
        for (i, y) in from_quads(y, found[1].reals()).iter().enumerate() {
            let values = &input[i * plane..(i + 1) * plane];
            let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(*y, f64::from(most), "{pool:?}");
            first.push(values.iter().position(|v| *v == most).expect("it is there"));
        }
        let gradient = tensor(rng, y);
        let each = from_quads(y, &gradient);
        for accumulate in [false, true] {
            let backward = GlobalMaxPoolBackward {
                dy: y,
                dx: x,
                accumulate,
            };
            let start = tensor(rng, x);
            let data = [
                Data::Reals(gradient.clone()),
                Data::Words(found[0].words().to_vec()),
                if accumulate {
                    Data::Reals(start.clone())
                } else {
                    Data::Poisoned(x)
                },
            ];
            let dx = check(&backward, &data).remove(0);
            let start = from_quads(x, &start);
            for (i, dx) in from_quads(x, dx.reals()).iter().enumerate() {
                let (channel, place) = (i / plane, i % plane);
                let own = if place == first[channel] {
                    each[channel]
                } else {
                    0.0
                };
                let before = if accumulate { f64::from(start[i]) } else { 0.0 };
                assert!((dx - f64::from(own) - before).abs() < 1e-12, "{backward:?}");
            }
        }
    }
}
