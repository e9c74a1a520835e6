//! pick: by hand, and against plain indexing.

use pixgrad::engine::kernels::{Pick, View, from_quads, to_quads};

use crate::common::{Data, check_within, random, tensor};

/// Moving numbers rounds nothing.
const EXACT: f64 = 0.0;

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 2, 2, 2), View::new(1, 1, 3, 2));
    let data = [
        Data::Words(vec![3, 0, 3]),
        Data::Reals(to_quads(x, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])),
        Data::PoisonedReals(y.len()),
    ];
    let picked = check_within(&Pick { x, y }, &data, EXACT).remove(0);
    let expected = [4.0, 1.0, 4.0, 8.0, 5.0, 8.0];
    assert_eq!(from_quads(y, picked.reals()), expected);
}

#[test]
fn positions_are_those_that_were_chosen() {
    for (i, (x, y)) in [
        (View::new(1, 1, 1, 1), View::new(1, 1, 1, 1)),
        (View::new(1, 9, 13, 7), View::new(1, 1, 40, 7)),
        (
            View::new(2, 5, 6, 24).slice(8, 11),
            View::new(1, 1, 300, 11),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rng = random(i as u64);
        let chosen: Vec<u32> = (0..y.pixels() as u32)
            .map(|place| place.wrapping_mul(2_654_435_761) % x.pixels() as u32)
            .collect();
        let input = tensor(&mut rng, x);
        let data = [
            Data::Words(chosen.clone()),
            Data::Reals(input.clone()),
            Data::PoisonedReals(y.len()),
        ];
        let picked = check_within(&Pick { x, y }, &data, EXACT).remove(0);
        let width = x.stride as usize * 4;
        for (place, from) in chosen.iter().enumerate() {
            for c in 0..y.c as usize {
                let expected = input[*from as usize * width + x.offset as usize * 4 + c];
                let got = picked.reals()[place * y.padded() + c];
                assert_eq!(got, f64::from(expected), "position {place}, channel {c}");
            }
        }
    }
}
