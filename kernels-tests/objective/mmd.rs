//! The term `mmd`: value and gradient against all pairs; blocks against the pairs of the same shuffle; equal to `gram`.

use pixgrad::device::{Buffer, Device, Kind, Recording};
use pixgrad::kernels::{Shuffle, Tensor, VectorKernel, View, unpack};
use pixgrad::objective::{Columns, Gram, Mmd, record_similarity};
use pixgrad::plan::{Iteration, RING_ROWS};
use pixgrad::schedule::Executor;

use crate::common::gram_value;
use crate::common::oracle::{run_f64_with_words, wide};
use crate::common::{random, tensor};
use crate::term::Case;

const GAUSSIAN: VectorKernel = VectorKernel::Gaussian(0.1875);
const CUBIC: VectorKernel = VectorKernel::Polynomial {
    constant: 0.5,
    degree: 3,
};

/// k from the definition.
fn k(kernel: VectorKernel, x: &[f64], y: &[f64]) -> f64 {
    match kernel {
        VectorKernel::Gaussian(gamma) => {
            let square: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
            (-square * f64::from(gamma)).exp()
        }
        VectorKernel::Polynomial { constant, degree } => {
            let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
            (product + f64::from(constant)).powi(degree as i32)
        }
    }
}

/// The columns of a [C, pixels] array.
fn columns_of(planes: &[f64], c: usize) -> Vec<Vec<f64>> {
    let pixels = planes.len() / c;
    (0..pixels)
        .map(|i| (0..c).map(|channel| planes[channel * pixels + i]).collect())
        .collect()
}

fn target(seed: u64, c: u32, pictures: &[(u32, f64)]) -> Columns {
    let mut rng = random(seed);
    let pictures: Vec<(Vec<f32>, f64)> = pictures
        .iter()
        .map(|(count, weight)| {
            let view = View::new(1, 1, *count, c);
            // Not the distribution of the layer.
            let planes = unpack(view, &tensor(&mut rng, view));
            (planes.iter().map(|v| v.abs()).collect(), *weight)
        })
        .collect();
    Columns::new(c, &pictures)
}

fn target_columns(target: &Columns) -> Vec<Vec<f64>> {
    let planes = unpack(target.view, &wide(&target.packed));
    columns_of(&planes, target.view.c as usize)
}

/// Σ over all pairs, each column with its weight.
fn mean_k(
    kernel: VectorKernel,
    (x, u): (&[Vec<f64>], &[f64]),
    (y, v): (&[Vec<f64>], &[f64]),
) -> f64 {
    let pairs = x
        .iter()
        .zip(u)
        .flat_map(|x| y.iter().zip(v).map(move |y| (x, y)));
    pairs.map(|((x, u), (y, v))| u * v * k(kernel, x, y)).sum()
}

fn weights_of(target: &Columns) -> Vec<f64> {
    wide(&target.weights)
}

#[test]
fn exact_value_and_gradient() {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let cases = [
        (same(2, 3, 5, 6), vec![(9, 1.0)]),
        (same(1, 1, 1, 1), vec![(2, 1.0)]),
        (same(1, 8, 9, 33), vec![(40, 0.75), (21, 0.25)]),
        (
            (
                View::new(2, 5, 6, 24).slice(8, 11),
                View::new(2, 5, 6, 16).slice(4, 11),
            ),
            vec![(13, 0.25), (5, 0.5), (2, 0.25)],
        ),
    ];
    for (seed, ((x, dx), pictures)) in cases.into_iter().enumerate() {
        let target = target(seed as u64, x.c, &pictures);
        let input = tensor(&mut random(50 + seed as u64), x);
        for kernel in [GAUSSIAN, CUBIC] {
            let (s, v) = (target_columns(&target), weights_of(&target));
            // What the term is given, in f32.
            let similarity = f64::from(mean_k(kernel, (&s, &v), (&s, &v)) as f32);
            let plain = |_: usize, image: &[f64]| -> f64 {
                let f = columns_of(image, x.c as usize);
                let own = vec![f64::from((1.0 / f.len() as f64) as f32); f.len()];
                let each = vec![1.0 / f.len() as f64; f.len()];
                let ff = mean_k(kernel, (&f, &each), (&f, &own));
                -0.5 * (ff + similarity - 2.0 * mean_k(kernel, (&f, &each), (&s, &v)))
            };
            Case {
                name: &format!("mmd {kernel:?} of {x:?}"),
                x,
                dx,
                input: &input,
                make: &|device| {
                    let mmd = Mmd::new(device, kernel, x, &target, similarity, 3, -0.5);
                    Box::new(mmd.expect("a term"))
                },
                plain: &plain,
                step: 1e-4,
                error: 1e-6,
            }
            .check();
        }
    }
}

/// Columns in the order of the term's shuffle.
fn shuffled(
    seed: u64,
    stream: u32,
    x: View,
    data: &[f64],
    each: u32,
    segments: &[u32],
) -> Vec<Vec<f64>> {
    let y = View::new(1, 1, each, x.c);
    let shuffle = Shuffle {
        x,
        y,
        each,
        segments: segments.len() as u32 / 3,
        seed: seed as u32,
        stream,
    };
    let nan = vec![f64::NAN; y.len()];
    let shuffled = run_f64_with_words(&shuffle, &[data, &nan], &[&[0], segments]).remove(1);
    columns_of(&unpack(y, &shuffled), x.c as usize)
}

/// Too many columns for all pairs: those of the blocks, as Zaremba et al. have it.
#[test]
fn value_and_gradient_in_blocks() {
    const BLOCK: usize = 64;
    let x = View::new(1, 9, 15, 6);
    let target = target(1, 6, &[(1500, 0.75), (1000, 0.25)]);
    assert!(!Mmd::is_exact(135, target.count()));
    let input = tensor(&mut random(2), x);
    let s = shuffled(
        11,
        1,
        target.view,
        &wide(&target.packed),
        128,
        &target.segments,
    );
    let plain = |_: usize, image: &[f64]| -> f64 {
        let packed = pixgrad::kernels::pack(x, image);
        let f = shuffled(11, 0, x, &packed, 128, &[0, 135, u32::MAX]);
        let omega = f64::from((1.0 / (BLOCK as f64 - 1.0)) as f32);
        let mut sum = 0.0;
        for (f, s) in f.chunks(BLOCK).zip(s.chunks(BLOCK)) {
            for i in 0..BLOCK {
                for j in (0..BLOCK).filter(|j| *j != i) {
                    let pair = |a: &[Vec<f64>], b: &[Vec<f64>]| k(GAUSSIAN, &a[i], &b[j]);
                    sum += omega * (pair(f, f) + pair(s, s) - 2.0 * pair(f, s));
                }
            }
        }
        2.0 * sum / 128.0
    };
    Case {
        name: "mmd in blocks",
        x,
        dx: x,
        input: &input,
        make: &|device| {
            let mmd = Mmd::new(device, GAUSSIAN, x, &target, 0.5, 11, 2.0);
            Box::new(mmd.expect("a term"))
        },
        plain: &plain,
        step: 1e-4,
        error: 1e-6,
    }
    .check();
}

/// (xᵀy)², ÷4C², is the distance of the Gram matrices.
#[test]
fn the_square_kernel_is_gram() {
    let (x, c) = (View::new(1, 5, 6, 7), 7usize);
    let target = target(5, 7, &[(23, 1.0)]);
    let square = VectorKernel::Polynomial {
        constant: 0.0,
        degree: 2,
    };
    let input = wide(&tensor(&mut random(6), x));
    let (s, v) = (target_columns(&target), weights_of(&target));
    let similarity = mean_k(square, (&s, &v), (&s, &v));
    let scale = Mmd::scale(square, 7);
    assert_eq!(scale, 1.0 / (4.0 * 49.0));
    let device = Device::oracle();
    let columns = columns_of(&unpack(x, &input), c);
    let expected = gram_value::value(&device, &columns, &s);
    let gram: Vec<f32> = {
        let side = 8;
        let mut gram = vec![0.0; side * side];
        for (i, j) in (0..c).flat_map(|i| (0..c).map(move |j| (i, j))) {
            gram[i * side + j] = (s.iter().map(|s| s[i] * s[j]).sum::<f64>() / 23.0) as f32;
        }
        gram
    };
    let f32s: Vec<f32> = input.iter().map(|v| *v as f32).collect();
    let case = |make: &dyn Fn(&Device) -> Box<dyn pixgrad::objective::Term>| {
        let case = Case {
            name: "mmd poly",
            x,
            dx: x,
            input: &f32s,
            make,
            plain: &|_, _| 0.0,
            step: 0.0,
            error: 0.0,
        };
        case.evaluate(&device, &input, &vec![f64::NAN; x.len()], false)
    };
    let (value, gradient) = case(&|device| {
        Box::new(Mmd::new(device, square, x, &target, similarity, 0, scale).expect("a term"))
    });
    let (of_gram, gram_gradient) = case(&|device| {
        let target = device.buffer_from("gram", &gram).expect("it fits");
        Box::new(Gram::new(target, 7, 1.0))
    });
    assert!(
        (value[0] - expected).abs() < 1e-6 * expected,
        "{} {expected}",
        value[0]
    );
    assert!((value[0] - of_gram[0]).abs() < 1e-6 * expected);
    let norm: f64 = gram_gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
    let error: f64 = gradient
        .iter()
        .zip(&gram_gradient)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    assert!(error.sqrt() < 1e-6 * norm, "{error:e} {norm}");
}

#[test]
fn what_is_known_of_a_target() {
    let target = target(7, 5, &[(30, 0.5), (11, 0.5)]);
    let (s, v) = (target_columns(&target), weights_of(&target));
    // σ² is half the mean squared distance.
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut mean = 0.0;
    for (a, u) in s.iter().zip(&v) {
        mean += s
            .iter()
            .zip(&v)
            .map(|(b, w)| u * w * square(a, b))
            .sum::<f64>();
    }
    assert!((target.spread() - mean / 2.0).abs() < 1e-6 * mean);

    let weights = {
        let mut padded = target.weights.clone();
        padded.resize(44, 0.0);
        padded
    };
    for kernel in [GAUSSIAN, CUBIC] {
        let expected = mean_k(kernel, (&s, &v), (&s, &v));
        for device in [Device::oracle(), Device::cpu(), crate::common::open_gpu()] {
            let mut recording = Recording::new();
            let columns = Tensor::persistent(&mut recording, "columns", target.view);
            let buffer: Buffer = device.buffer_from("weights", &weights).expect("it fits");
            let given = recording.given("weights", buffer);
            let values = record_similarity(&mut recording, kernel, columns, given);
            let ring = recording.persistent("ring", Kind::Real, RING_ROWS as usize);
            let step = recording.persistent("step", Kind::Word, 1);
            let plan = Plan::finished(recording, columns, step, ring);
            let mut executor = Executor::new(&device, plan).expect("an executor");
            let to = executor.buffer(columns.value);
            device.upload(to, &target.packed).expect("the columns fit");
            let _ = executor.run(1, &mut |_| std::ops::ControlFlow::Continue(()));
            let values = device
                .download_f64(executor.buffer(values))
                .expect("values");
            let got: f64 = values.iter().zip(&v).map(|(k, v)| k * v).sum();
            assert!(
                (got - expected).abs() < 1e-5 * expected,
                "{got} should be {expected}"
            );
        }
        // From all-zero columns.
        let zero = vec![vec![0.0; 5]];
        let expected = k(kernel, &zero[0], &zero[0]) + expected
            - 2.0 * mean_k(kernel, (&zero, &[1.0]), (&s, &v));
        let got = target.from_zero(kernel, mean_k(kernel, (&s, &v), (&s, &v)));
        assert!((got - expected).abs() < 1e-9, "{got} should be {expected}");
    }
    // Of a large picture every k-th column is kept.
    let large: Vec<f32> = (0..100_000).map(|i| i as f32).collect();
    let kept = Columns::new(1, &[(large, 0.5), (vec![7.0; 3], 0.5)]);
    assert_eq!(kept.count(), 16_384 + 3);
    assert_eq!(
        kept.packed[4 * 16_383].trunc(),
        (16_383.0f32 * 100_000.0 / 16_384.0).trunc()
    );
    assert_eq!(kept.segments[..5], [0, 16_384, u32::MAX / 2 + 1, 16_384, 3]);
    let thin = target.thinned(7);
    assert_eq!(thin.count(), 7);
    assert!((thin.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(target.thinned(41), target);
}
