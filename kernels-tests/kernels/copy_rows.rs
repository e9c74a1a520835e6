//! copy_rows: by hand, against plain indexing, and what it must leave alone.

use pixgrad::engine::kernels::{CopyRows, View, from_quads, to_quads};

use crate::common::{Data, check_within, random, tensor};

/// Moving numbers rounds nothing.
const EXACT: f64 = 0.0;

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 3, 2, 1), View::new(1, 4, 2, 1));
    let copy = CopyRows {
        x,
        y,
        from: 1,
        to: 0,
        rows: 2,
        accumulate: false,
    };
    let data = |y: &[f32]| {
        [
            Data::Reals(to_quads(x, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            Data::Reals(to_quads(View::new(1, 4, 2, 1), y)),
        ]
    };
    let before = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0];
    let copied = check_within(&copy, &data(&before), EXACT).remove(0);
    let expected = [3.0, 4.0, 5.0, 6.0, 50.0, 60.0, 70.0, 80.0];
    assert_eq!(from_quads(y, copied.reals()), expected);
    let add = CopyRows {
        to: 2,
        accumulate: true,
        ..copy
    };
    let added = check_within(&add, &data(&before), EXACT).remove(0);
    let expected = [10.0, 20.0, 30.0, 40.0, 53.0, 64.0, 75.0, 86.0];
    assert_eq!(from_quads(y, added.reals()), expected);
}

#[test]
fn rows_come_from_where_they_should() {
    for (i, (x, y, from, to, rows)) in [
        (View::new(1, 1, 1, 3), View::new(1, 1, 1, 3), 0, 0, 1),
        (View::new(2, 9, 7, 6), View::new(2, 5, 7, 6), 3, 0, 5),
        (View::new(3, 4, 33, 5), View::new(3, 17, 33, 5), 1, 11, 3),
        (
            View::new(2, 8, 70, 24).slice(8, 11),
            View::new(2, 12, 70, 16).slice(4, 11),
            2,
            5,
            6,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for accumulate in [false, true] {
            let kernel = CopyRows {
                x,
                y,
                from,
                to,
                rows,
                accumulate,
            };
            let mut rng = random(i as u64);
            let (from_data, to_data) = (tensor(&mut rng, x), tensor(&mut rng, y));
            let whole = rows == y.h && !accumulate;
            let target = if whole {
                Data::Poisoned(y)
            } else {
                Data::Reals(to_data.clone())
            };
            let result = check_within(
                &kernel,
                &[Data::Reals(from_data.clone()), target],
                // One sum in f32 against f64.
                if accumulate { 1e-7 } else { EXACT },
            )
            .remove(0);
            for n in 0..y.n as usize {
                for row in 0..y.h as usize {
                    for col in 0..y.w as usize {
                        for c in 0..y.c as usize {
                            let at = y.at(n, row, col) + c;
                            let old = if whole { 0.0 } else { f64::from(to_data[at]) };
                            let inside = (to as usize..(to + rows) as usize).contains(&row);
                            let expected = if inside {
                                let source = x.at(n, row + from as usize - to as usize, col) + c;
                                let value = f64::from(from_data[source]);
                                if accumulate { old + value } else { value }
                            } else {
                                old
                            };
                            assert_eq!(result.reals()[at], expected, "{kernel:?}");
                        }
                    }
                }
            }
        }
    }
}
