//! pair_kernel and shuffle: against their definitions, the shaders against the references.

use pixgrad::engine::kernels::{
    PairKernel, PairSums, SEGMENT_WORDS, Shuffle, Unshuffle, VectorKernel, View, from_quads,
};
use rand::Rng;

use crate::common::oracle::{run_f64, run_f64_with_words, wide};
use crate::common::{Data, check, random, tensor, uniform};

fn kernels() -> [VectorKernel; 3] {
    [
        VectorKernel::Gaussian(0.375f64.into()),
        VectorKernel::Polynomial {
            constant: 0.0,
            degree: 2,
        },
        VectorKernel::Polynomial {
            constant: 0.5,
            degree: 3,
        },
    ]
}

/// Every kernel with pairs of one set and of two, whole matrices and strips of them, weights and none.
fn cases() -> Vec<PairKernel> {
    let mut cases = Vec::new();
    for kernel in kernels() {
        for (rows, columns, batch, first_row, batch_rows) in [
            (1, 1, 1, 0, 1),
            (5, 6, 3, 0, 5),
            (17, 70, 1, 20, 37),
            (64, 64, 4, 0, 64),
        ] {
            let value = PairSums::Value {
                parts: 3,
                part: 1,
                factor: -2.0,
                addend: 0.25f64.into(),
            };
            for sums in [value.clone(), PairSums::OtherSlope, PairSums::OwnSlope] {
                for (weighted, skip_diagonal) in [(false, true), (true, false)] {
                    cases.push(PairKernel {
                        kernel: kernel.clone(),
                        batch,
                        rows,
                        columns,
                        first_matrix: 1,
                        first_row,
                        batch_rows,
                        // One matrix more than there are here comes first.
                        image_rows: batch_rows * (batch + 1) / if batch == 3 { 2 } else { 1 },
                        weight: 0.125,
                        weighted,
                        skip_diagonal,
                        sums: sums.clone(),
                    });
                }
            }
        }
    }
    cases
}

struct Bound {
    m: Vec<f32>,
    sums: Vec<f32>,
    weights: Vec<f32>,
}

fn bound(case: &PairKernel, seed: u64) -> Bound {
    let mut rng = random(seed);
    let width = case.columns.next_multiple_of(4);
    let all = (case.batch + 1) * case.batch_rows;
    let parts = if let PairSums::Value { parts, .. } = case.sums {
        parts
    } else {
        1
    };
    let positive = |v: Vec<f32>| v.into_iter().map(f32::abs).collect();
    Bound {
        m: positive(uniform(&mut rng, (case.batch * case.rows * width) as usize)),
        sums: uniform(&mut rng, (all * parts) as usize),
        weights: positive(uniform(&mut rng, width as usize)),
    }
}

#[test]
fn the_reference_is_the_definition() {
    for case in cases() {
        let Bound { m, sums, weights } = bound(&case, 1);
        let (m, sums, weights) = (wide(&m), wide(&sums), wide(&weights));
        let mut given: Vec<&[f64]> = vec![&m, &sums];
        if case.weighted {
            given.push(&weights);
        }
        let after = run_f64(&case, &given);
        let width = case.columns.next_multiple_of(4) as usize;
        let mut expected = sums.clone();
        for z in 0..case.batch as usize {
            for r in 0..case.rows as usize {
                let i = case.first_row as usize + r;
                let at = (1 + z) * case.batch_rows as usize + i;
                let row = |j: usize| (z * case.rows as usize + r) * width + j;
                let omega = |j: usize| match (case.skip_diagonal && i == j, case.weighted) {
                    (true, _) => 0.0,
                    (false, true) => weights[j],
                    (false, false) => 0.125,
                };
                let k = |v: f64| match &case.kernel {
                    VectorKernel::Gaussian(gamma) => (-v * f64::from(gamma.get())).exp(),
                    VectorKernel::Polynomial { constant, degree } => {
                        (v + f64::from(*constant)).powi(*degree as i32)
                    }
                };
                let slope = |v: f64| match &case.kernel {
                    VectorKernel::Gaussian(_) => k(v),
                    VectorKernel::Polynomial { constant, degree } => {
                        f64::from(*degree) * (v + f64::from(*constant)).powi(*degree as i32 - 1)
                    }
                };
                let columns = 0..case.columns as usize;
                if let PairSums::Value { .. } = case.sums {
                    let each = case.image_rows as usize;
                    let sum: f64 = columns.map(|j| omega(j) * k(m[row(j)])).sum();
                    expected[(at / each * 3 + 1) * each + at % each] = -2.0 * sum + 0.25;
                    continue;
                }
                let sign = if case.sums == PairSums::OwnSlope {
                    -1.0
                } else {
                    1.0
                };
                let w: Vec<f64> = columns
                    .map(|j| sign * omega(j) * slope(m[row(j)]))
                    .collect();
                let total: f64 = w.iter().sum();
                for (j, w) in w.iter().enumerate() {
                    let own = sign < 0.0 && i == j && case.kernel.of_distance();
                    let w = if own { w - total - sums[at] } else { *w };
                    assert!(
                        (after[0][row(j)] - w).abs() < 1e-12,
                        "{case:?} ({z},{r},{j})"
                    );
                }
                for j in case.columns as usize..width {
                    assert_eq!(after[0][row(j)], 0.0, "{case:?}");
                }
                if sign > 0.0 && case.kernel.of_distance() {
                    expected[at] = total;
                }
            }
        }
        for (i, (a, b)) in after[1].iter().zip(&expected).enumerate() {
            assert!(
                (a - b).abs() < 1e-12,
                "{case:?}, sum {i}: {a} should be {b}"
            );
        }
    }
}

#[test]
fn shaders_of_pairs() {
    for (seed, case) in cases().into_iter().enumerate() {
        let Bound { m, sums, weights } = bound(&case, 40 + seed as u64);
        let mut data = vec![Data::Reals(m), Data::Reals(sums)];
        if case.weighted {
            data.push(Data::Reals(weights));
        }
        check(&case, &data);
    }
}

fn words(of: &[(u32, u32, f64)]) -> Vec<u32> {
    let word = |(first, count, share): &(u32, u32, f64)| {
        [*first, *count, (share * f64::from(u32::MAX)) as u32]
    };
    of.iter().flat_map(word).collect()
}

/// Pixel numbers as the one channel.
fn numbered(view: View) -> Vec<f64> {
    let mut data = vec![0.0; view.len()];
    for i in 0..view.pixels() {
        data[i * view.pixel_stride()] = i as f64;
    }
    data
}

#[test]
fn a_shuffle_is_a_permutation_that_changes_with_step_image_and_seed() {
    for (h, w) in [(1, 1), (1, 2), (5, 7), (16, 16), (31, 33)] {
        let (x, pixels) = (View::new(2, h, w, 1), h * w);
        let order = |seed: u32, step: u32| {
            let shuffle = Shuffle {
                x,
                y: x,
                each: pixels,
                segments: 1,
                seed,
                stream: 0,
            };
            let segments = words(&[(0, pixels, 1.0)]);
            let nan = vec![f64::NAN; x.len()];
            let y = run_f64_with_words(&shuffle, &[&numbered(x), &nan], &[&[step], &segments]);
            from_quads(x, &y[1])
        };
        let first = order(1, 0);
        for (n, image) in first.chunks(pixels as usize).enumerate() {
            let mut sorted: Vec<u32> = image
                .iter()
                .map(|v| *v as u32 - n as u32 * pixels)
                .collect();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..pixels).collect::<Vec<_>>(), "{h}x{w}");
        }
        if pixels > 30 {
            let (a, b) = first.split_at(pixels as usize);
            let shift = f64::from(pixels);
            assert!(a.iter().zip(b).any(|(a, b)| a + shift != *b));
            assert_ne!(first, order(1, 1));
            assert_ne!(first, order(2, 0));
            // Pairs of neighbours are torn apart.
            let near = a.windows(2).filter(|p| (p[0] - p[1]).abs() <= 1.0).count();
            assert!(near < pixels as usize / 4, "{near} of {pixels}");
        }
    }
}

#[test]
fn segments_get_their_share_and_all_their_pixels() {
    let x = View::new(1, 1, 300, 1);
    let y = View::new(1, 1, 20_000, 1);
    let shuffle = Shuffle {
        x,
        y,
        each: 20_000,
        segments: 2,
        seed: 3,
        stream: 1,
    };
    let segments = words(&[(0, 100, 0.75), (100, 200, 1.0)]);
    assert_eq!(segments.len(), 2 * SEGMENT_WORDS);
    let nan = vec![f64::NAN; y.len()];
    let drawn = run_f64_with_words(&shuffle, &[&numbered(x), &nan], &[&[5], &segments]).remove(1);
    let drawn: Vec<usize> = from_quads(y, &drawn).iter().map(|v| *v as usize).collect();
    let first = drawn.iter().filter(|i| **i < 100).count();
    assert!(
        (14_700..15_300).contains(&first),
        "{first} of 20000, expected 15000"
    );
    for i in 0..300 {
        assert!(drawn.contains(&i), "pixel {i} is never drawn");
    }
}

#[test]
fn unshuffling_takes_a_shuffle_back() {
    let x = View::new(2, 9, 11, 24).slice(8, 6);
    let y = View::new(2, 1, 64, 6);
    let shuffle = Shuffle {
        x,
        y,
        each: 64,
        segments: 1,
        seed: 7,
        stream: 0,
    };
    let data = wide(&tensor(&mut random(1), x));
    let segments = words(&[(0, 99, 1.0)]);
    let nan = vec![f64::NAN; x.len()];
    let y = run_f64_with_words(&shuffle, &[&data, &nan[..y.len()]], &[&[2], &segments]).remove(1);
    let back = Unshuffle {
        shuffle,
        accumulate: false,
    };
    let after = run_f64_with_words(&back, &[&y, &nan], &[&[2], &segments]).remove(1);
    let (after, data) = (from_quads(x, &after), from_quads(x, &data));
    let mut zeros = 0;
    for (a, b) in after.iter().zip(&data) {
        assert!(*a == *b || *a == 0.0);
        zeros += usize::from(*a == 0.0);
    }
    assert_eq!(zeros, 2 * 6 * (99 - 64));
}

#[test]
fn shaders_of_shuffles() {
    for (seed, (x, pixels)) in [
        (View::new(1, 1, 1, 3), 1),
        (View::new(2, 9, 11, 24).slice(8, 6), 64),
        (View::new(3, 17, 16, 5), 256),
    ]
    .into_iter()
    .enumerate()
    {
        let mut rng = random(60 + seed as u64);
        let y = View::new(x.n, 1, pixels, x.c);
        let whole = x.h * x.w;
        let shuffle = Shuffle {
            x,
            y,
            each: pixels,
            segments: 1,
            seed: rng.random(),
            stream: 1,
        };
        let step = || Data::Words(vec![4]);
        let one = || Data::Words(words(&[(0, whole, 1.0)]));
        let data = tensor(&mut rng, x);
        check(
            &shuffle,
            &[step(), one(), Data::Reals(data.clone()), Data::Poisoned(y)],
        );
        if whole > 4 {
            let shared = Shuffle {
                x: View { n: 1, ..x },
                segments: 2,
                ..shuffle
            };
            let two = Data::Words(words(&[(0, whole - 3, 0.5), (whole - 3, 3, 1.0)]));
            check(
                &shared,
                &[step(), two, Data::Reals(data), Data::Poisoned(y)],
            );
        }
        for accumulate in [false, true] {
            let to = if accumulate {
                Data::Reals(tensor(&mut rng, x))
            } else {
                Data::Poisoned(x)
            };
            let y = Data::Reals(tensor(&mut rng, y));
            check(
                &Unshuffle {
                    shuffle,
                    accumulate,
                },
                &[step(), one(), y, to],
            );
        }
    }
}
