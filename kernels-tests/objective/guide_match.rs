//! guide_match: each match against all pairs.

use pixgrad::engine::kernels::{GuideMatch, View, from_quads, to_quads};
use rand::Rng;

use crate::common::oracle::wide;
use crate::common::{Data, check, random, tensor};

/// x, y, dx: one pixel, guides smaller and larger than a tile, quads that fill none, batches, slices.
pub fn shapes() -> Vec<(View, View, View)> {
    let same = |n, h, w, c, (yh, yw)| {
        let x = View::new(n, h, w, c);
        (x, View::new(1, yh, yw, c), x)
    };
    vec![
        same(1, 1, 1, 1, (1, 1)),
        same(2, 5, 7, 3, (1, 1)),
        same(2, 4, 8, 32, (4, 8)), // exactly one tile
        same(3, 3, 11, 33, (1, 3)),
        same(2, 9, 8, 70, (11, 13)),
        same(1, 33, 31, 6, (29, 37)), // more than one block of the reference
        (
            View::new(2, 6, 7, 24).slice(8, 11),
            View::new(1, 5, 9, 20).slice(4, 11),
            View::new(2, 6, 7, 16).slice(4, 11),
        ),
    ]
}

/// ⟨x_i, y_j⟩ for all j: pixel i of image n of x against each of y.
pub fn products(x: View, xs: &[f64], n: usize, i: usize, y: View, ys: &[f64]) -> Vec<f64> {
    let (c, pixels, candidates) = (x.c as usize, (x.h * x.w) as usize, y.pixels());
    (0..candidates)
        .map(|j| {
            (0..c)
                .map(|k| xs[(n * c + k) * pixels + i] * ys[k * candidates + j])
                .sum()
        })
        .collect()
}

/// The place of the first maximum.
pub fn argmax(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, j| if values[j] > values[best] { j } else { best })
}

pub fn matches(x: View, xs: Vec<f32>, y: View, ys: Vec<f32>) -> Vec<u32> {
    let data = [
        Data::Reals(xs),
        Data::Reals(ys),
        Data::PoisonedWords(x.pixels()),
    ];
    check(&GuideMatch { x, y }, &data)[0].words().to_vec()
}

#[test]
fn the_match_is_the_best_of_all_pairs() {
    for (seed, (x, y, _)) in shapes().into_iter().enumerate() {
        let mut rng = random(seed as u64);
        let (xs, ys) = (tensor(&mut rng, x), tensor(&mut rng, y));
        let best = matches(x, xs.clone(), y, ys.clone());
        let (xs, ys) = (from_quads(x, &wide(&xs)), from_quads(y, &wide(&ys)));
        let pixels = (x.h * x.w) as usize;
        for (at, &j) in best.iter().enumerate() {
            let all = products(x, &xs, at / pixels, at % pixels, y, &ys);
            assert_eq!(j as usize, argmax(&all), "{x:?} {y:?} pixel {at}");
        }
    }
}

/// Small whole numbers, whose products are exact and often equal, negative ones among them.
#[test]
fn the_first_of_equals_wins() {
    for (seed, (x, y, _)) in shapes().into_iter().enumerate() {
        let mut rng = random(30 + seed as u64);
        let mut whole = |view: View| -> Vec<f32> {
            let values: Vec<f32> = (0..view.elements())
                .map(|_| rng.random_range(-1..=1) as f32)
                .collect();
            to_quads(view, &values)
        };
        let (xs, ys) = (whole(x), whole(y));
        let best = matches(x, xs.clone(), y, ys.clone());
        let (xs, ys) = (from_quads(x, &wide(&xs)), from_quads(y, &wide(&ys)));
        let pixels = (x.h * x.w) as usize;
        let mut ties = 0;
        for (at, &j) in best.iter().enumerate() {
            let all = products(x, &xs, at / pixels, at % pixels, y, &ys);
            let first = argmax(&all);
            assert_eq!(j as usize, first, "{x:?} {y:?} pixel {at}");
            ties += usize::from(all[first + 1..].contains(&all[first]));
        }
        assert!(ties > 0 || y.pixels() < 32, "{x:?} {y:?} has no ties");
    }
}

/// All products negative: neither padding nor pixels beyond the guide, which are zero, may win.
#[test]
fn zeros_beyond_the_guide_do_not_match() {
    let (x, y) = (View::new(1, 5, 7, 3), View::new(1, 3, 3, 3));
    let mut rng = random(7);
    let xs: Vec<f32> = tensor(&mut rng, x).iter().map(|v| v.abs()).collect();
    let ys: Vec<f32> = tensor(&mut rng, y).iter().map(|v| -v.abs()).collect();
    assert!(matches(x, xs, y, ys).iter().all(|&j| j < 9));
}
