//! sort: against the standard library's sort.

use pixgrad::engine::device::{Kind, Recording};
use pixgrad::engine::kernels::{SortChunks, record_sort};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::common::random;
use crate::common::recorded::{Recorded, devices};

/// Sorts the rows on every device, with what must not be read between them.
fn check_rows(len: usize, rows: &[Vec<f32>]) {
    let stride = len.next_multiple_of(4) + 4;
    let mut x = Vec::new();
    for row in rows {
        assert_eq!(row.len(), len);
        x.extend(row.iter().map(|v| f64::from(*v)));
        x.resize(x.len().next_multiple_of(stride), f64::NEG_INFINITY);
    }
    for device in devices() {
        let mut recording = Recording::new();
        let input = recording.persistent("x", Kind::Real, x.len());
        let sort = SortChunks {
            rows: rows.len() as u32,
            len: len as u32,
            stride: stride as u32,
        };
        let sorted = record_sort(&mut recording, "sort", input, sort);
        let recorded = Recorded::new(device, recording);
        recorded.set(input, &x);
        recorded.iterate();
        let (values, order) = (recorded.get(sorted.values), recorded.words(sorted.order));
        assert_eq!(
            (values.len(), order.len()),
            (rows.len() * len, rows.len() * len)
        );
        for (i, row) in rows.iter().enumerate() {
            let mut expected: Vec<u32> = (0..len as u32).collect();
            expected.sort_by(|a, b| row[*a as usize].total_cmp(&row[*b as usize]));
            let what = format!("{len} numbers, row {i} on {device:?}");
            assert_eq!(order[i * len..][..len], expected, "{what}");
            for (value, place) in values[i * len..][..len].iter().zip(&expected) {
                let own = f64::from(row[*place as usize]);
                assert_eq!(value.to_bits(), own.to_bits(), "{what}");
            }
        }
    }
}

#[test]
fn every_length_is_sorted() {
    let mut rng = random(1);
    for len in [1, 2, 3, 63, 64, 65, 1000, 1024, 1025, 2048, 2049, 5000] {
        let all_different: Vec<f32> = (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
        let of_every_size = (0..len).map(|_| {
            let size = rng.random_range(-60.0f32..60.0).exp2();
            rng.random_range(-size..size)
        });
        let of_every_size = of_every_size.collect();
        let few: Vec<f32> = (0..len).map(|i| [0.0, -0.0, 2.0, -1.0][i % 4]).collect();
        let mut endless = all_different.clone();
        endless.extend([f32::INFINITY, f32::NEG_INFINITY, f32::INFINITY, 0.0, -0.0]);
        endless.shuffle(&mut rng);
        endless.truncate(len);
        let upwards = (0..len).map(|i| i as f32).collect();
        let downwards = (0..len).map(|i| -(i as f32)).collect();
        let equal = vec![-3.5; len];
        let rows = [
            all_different,
            of_every_size,
            few,
            endless,
            upwards,
            downwards,
            equal,
        ];
        check_rows(len, &rows);
    }
}

/// More workgroups than stand in one row of a grid.
#[test]
fn many_rows() {
    let mut rng = random(2);
    let mut row = || (0..2).map(|_| rng.random_range(-1.0..1.0)).collect();
    let rows: Vec<Vec<f32>> = (0..70_001).map(|_| row()).collect();
    check_rows(2, &rows);
}
