//! roll: by hand, against plain indexing, and the way back.

use std::collections::HashSet;

use pixgrad::engine::kernels::{Roll, View, from_quads, to_quads};

use crate::common::{Data, check_within, random, tensor};

/// Moving numbers rounds nothing.
const EXACT: f64 = 0.0;

fn roll(x: View, y: View, seed: u32, reach: u32) -> Roll {
    Roll {
        x,
        y,
        seed,
        reach,
        fixed: [0, 0],
        shared: false,
        inverse: false,
    }
}

#[test]
fn by_hand() {
    let view = View::new(1, 2, 3, 1);
    let x = to_quads(view, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let one_right = Roll {
        fixed: [1, 0],
        ..roll(view, view, 0, 0)
    };
    for (kernel, expected) in [
        (one_right, [3.0, 1.0, 2.0, 6.0, 4.0, 5.0]),
        (
            Roll {
                inverse: true,
                ..one_right
            },
            [2.0, 3.0, 1.0, 5.0, 6.0, 4.0],
        ),
        (
            Roll {
                fixed: [-7, 3],
                ..one_right
            },
            [5.0, 6.0, 4.0, 2.0, 3.0, 1.0],
        ),
    ] {
        let data = [
            Data::Words(vec![4]),
            Data::Reals(x.clone()),
            Data::Poisoned(view),
        ];
        let y = check_within(&kernel, &data, EXACT).remove(0);
        assert_eq!(from_quads(view, y.reals()), expected, "{kernel:?}");
    }
}

#[test]
fn every_pixel_comes_from_where_it_should() {
    for (i, (x, y)) in [
        (View::new(1, 1, 1, 3), View::new(1, 1, 1, 3)),
        (View::new(2, 5, 7, 3), View::new(2, 5, 7, 3)),
        (View::new(3, 17, 33, 6), View::new(3, 17, 33, 6)),
        (
            View::new(2, 9, 4, 24).slice(8, 11),
            View::new(2, 9, 4, 16).slice(4, 11),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for (reach, step, shared, inverse) in [
            (0, 0, false, false),
            (2, 0, false, false),
            (2, 1, false, true),
            (40, 7, true, false),
            (Roll::MAX_SHIFT, 8, false, true),
        ] {
            let kernel = Roll {
                shared,
                inverse,
                fixed: [3, -Roll::MAX_SHIFT.cast_signed()],
                ..roll(x, y, 11 + i as u32, reach)
            };
            let values = tensor(&mut random(i as u64), x);
            let data = [
                Data::Words(vec![step]),
                Data::Reals(values.clone()),
                Data::Poisoned(y),
            ];
            let out = check_within(&kernel, &data, EXACT).remove(0);
            let (from, to) = (from_quads(x, &values), from_quads(y, out.reals()));
            let (h, w, c) = (x.h as usize, x.w as usize, x.c as usize);
            for (at, got) in to.iter().enumerate() {
                let (plane, row, col) = (at / (h * w), at / w % h, at % w);
                let [dx, dy] = kernel.shift(step, (plane / c) as u32).map(i64::from);
                let [dx, dy] = if inverse { [-dx, -dy] } else { [dx, dy] };
                let row = (row as i64 - dy).rem_euclid(h as i64) as usize;
                let col = (col as i64 - dx).rem_euclid(w as i64) as usize;
                assert_eq!(
                    *got,
                    f64::from(from[(plane * h + row) * w + col]),
                    "{kernel:?}"
                );
            }
        }
    }
}

#[test]
fn shifts_fill_their_range_and_differ() {
    let view = View::new(4, 8, 8, 3);
    let kernel = roll(view, view, 5, 3);
    let draws: Vec<_> = (0..600).map(|step| kernel.shift(step, 0)).collect();
    let seen: HashSet<_> = draws.iter().copied().collect();
    assert_eq!(seen.len(), 49, "all of [−3, 3]²");
    assert!(seen.iter().flatten().all(|v| (-3..=3).contains(v)));
    let same =
        |a: &dyn Fn(u32) -> [i32; 2]| draws.iter().zip(0..).filter(|(d, i)| **d == a(*i)).count();
    // 600/49 = 12 by chance.
    assert!(
        same(&|step| kernel.shift(step, 1)) < 40,
        "another image, another draw"
    );
    assert!(
        same(&|step| kernel.shift(step + 1, 0)) < 40,
        "another step, another draw"
    );
    assert!(
        same(&|step| Roll { seed: 6, ..kernel }.shift(step, 0)) < 40,
        "another seed"
    );
    assert_eq!(
        same(&|step| Roll {
            shared: true,
            ..kernel
        }
        .shift(step, 0)),
        600
    );
    let shared = Roll {
        shared: true,
        ..kernel
    };
    assert_eq!(shared.shift(9, 0), shared.shift(9, 3));
}
