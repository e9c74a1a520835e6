//! The term `mmd`: value and gradient against all pairs; blocks against the pairs of the same shuffle; equal to `gram`.

use pixgrad::engine::device::{Device, Recording, Scalar};
use pixgrad::engine::kernels::{Shuffle, Tensor, VectorKernel, View, from_quads, to_quads};
use pixgrad::engine::objective::{
    Gram, Mmd, MmdTarget, VectorSet, evenly_spread, record_similarity, record_similarity_to_zero,
};
use pixgrad::engine::plan::Program;
use pixgrad::engine::schedule::Loaded;

use crate::common::gram_value;
use crate::common::oracle::{run_f64_with_words, wide};
use crate::common::{random, tensor};
use crate::term::Case;

/// exp(−0.1875·‖x − y‖²) and (⟨x, y⟩ + 0.5)³.
fn gaussian() -> VectorKernel {
    VectorKernel::Gaussian(Scalar::from(0.1875f64))
}

fn cubic() -> VectorKernel {
    VectorKernel::Polynomial {
        constant: 0.5,
        degree: 3,
    }
}

/// k from the definition.
fn k(kernel: &VectorKernel, x: &[f64], y: &[f64]) -> f64 {
    match kernel {
        VectorKernel::Gaussian(gamma) => {
            let square: f64 = x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum();
            (-square * f64::from(gamma.get())).exp()
        }
        VectorKernel::Polynomial { constant, degree } => {
            let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
            (product + f64::from(*constant)).powi(*degree as i32)
        }
    }
}

/// A target of the tests.
struct Target {
    set: VectorSet,
    /// The vectors in the engine's layout.
    packed: Vec<f32>,
}

impl Target {
    fn on(&self, device: &Device, kernel: &VectorKernel, similarity: f64) -> MmdTarget {
        let vectors = device
            .buffer_from("vectors", &self.packed)
            .expect("it fits");
        MmdTarget {
            kernel: kernel.clone(),
            set: self.set.clone(),
            vectors: vectors.into(),
            similarity: similarity.into(),
        }
    }

    fn vectors(&self) -> Vec<Vec<f64>> {
        let view = self.set.view;
        vectors_of(&from_quads(view, &wide(&self.packed)), view.c as usize)
    }

    fn weights(&self) -> Vec<f64> {
        wide(&self.set.weights)
    }
}

/// The feature vectors of a [C, positions] array.
fn vectors_of(planes: &[f64], c: usize) -> Vec<Vec<f64>> {
    let pixels = planes.len() / c;
    (0..pixels)
        .map(|i| (0..c).map(|channel| planes[channel * pixels + i]).collect())
        .collect()
}

fn target(seed: u64, c: u32, pictures: &[(u32, f64)]) -> Target {
    let mut rng = random(seed);
    let set = VectorSet::new(c, pictures);
    // Not the distribution of the layer.
    let values = tensor(&mut rng, set.view);
    Target {
        packed: values.iter().map(|v| v.abs()).collect(),
        set,
    }
}

/// Σ over all pairs, each vector with its weight.
fn mean_k(
    kernel: &VectorKernel,
    (x, u): (&[Vec<f64>], &[f64]),
    (y, v): (&[Vec<f64>], &[f64]),
) -> f64 {
    let pairs = x
        .iter()
        .zip(u)
        .flat_map(|x| y.iter().zip(v).map(move |y| (x, y)));
    pairs.map(|((x, u), (y, v))| u * v * k(kernel, x, y)).sum()
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
        for kernel in &[gaussian(), cubic()] {
            let (s, v) = (target.vectors(), target.weights());
            // What the term is given, in f32.
            let similarity = f64::from(mean_k(kernel, (&s, &v), (&s, &v)) as f32);
            let plain = |_: usize, image: &[f64]| -> f64 {
                let f = vectors_of(image, x.c as usize);
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
                    let mmd = Mmd::new(device, x, target.on(device, kernel, similarity), 3, -0.5);
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
    vectors_of(&from_quads(y, &shuffled), x.c as usize)
}

/// Too many columns for all pairs: those of the blocks, as Zaremba et al. have it.
#[test]
fn value_and_gradient_in_blocks() {
    const BLOCK: usize = 64;
    let x = View::new(1, 9, 15, 6);
    let target = target(1, 6, &[(1500, 0.75), (1000, 0.25)]);
    let kernel = gaussian();
    assert!(!Mmd::is_exact(135, target.set.count()));
    let input = tensor(&mut random(2), x);
    let s = shuffled(
        11,
        1,
        target.set.view,
        &wide(&target.packed),
        128,
        &target.set.segments,
    );
    let plain = |_: usize, image: &[f64]| -> f64 {
        let packed = to_quads(x, image);
        let f = shuffled(11, 0, x, &packed, 128, &[0, 135, u32::MAX]);
        let omega = f64::from((1.0 / (BLOCK as f64 - 1.0)) as f32);
        let mut sum = 0.0;
        for (f, s) in f.chunks(BLOCK).zip(s.chunks(BLOCK)) {
            for i in 0..BLOCK {
                for j in (0..BLOCK).filter(|j| *j != i) {
                    let pair = |a: &[Vec<f64>], b: &[Vec<f64>]| k(&kernel, &a[i], &b[j]);
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
            let mmd = Mmd::new(device, x, target.on(device, &gaussian(), 0.5), 11, 2.0);
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
    let (s, v) = (target.vectors(), target.weights());
    let similarity = mean_k(&square, (&s, &v), (&s, &v));
    let scale = Mmd::scale(&square, 7);
    assert_eq!(scale, 1.0 / (4.0 * 49.0));
    let device = Device::oracle();
    let vectors = vectors_of(&from_quads(x, &input), c);
    let expected = gram_value::value(&device, &vectors, &s);
    let gram: Vec<f32> = {
        let side = 8;
        let mut gram = vec![0.0; side * side];
        for (i, j) in (0..c).flat_map(|i| (0..c).map(move |j| (i, j))) {
            gram[i * side + j] = (s.iter().map(|s| s[i] * s[j]).sum::<f64>() / 23.0) as f32;
        }
        gram
    };
    let f32s: Vec<f32> = input.iter().map(|v| *v as f32).collect();
    let case = |make: &dyn Fn(&Device) -> Box<dyn pixgrad::engine::objective::Term>| {
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
        let target = target.on(device, &square, similarity);
        Box::new(Mmd::new(device, x, target, 0, scale).expect("a term"))
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
fn similarities_are_means_over_all_pairs() {
    let target = target(7, 5, &[(30, 0.5), (11, 0.5)]);
    let (s, v) = (target.vectors(), target.weights());
    let zero = vec![vec![0.0; 5]];
    for kernel in &[gaussian(), cubic()] {
        let expected = mean_k(kernel, (&s, &v), (&s, &v));
        let expected_zero = mean_k(kernel, (&zero, &[1.0]), (&s, &v));
        for device in [Device::oracle(), Device::cpu(), crate::common::open_gpu()] {
            let mut recording = Recording::new();
            let vectors = device
                .buffer_from("vectors", &target.packed)
                .expect("it fits");
            let set = Tensor {
                value: recording.given("vectors", vectors),
                view: target.set.view,
            };
            let weights = device.buffer_from("weights", &target.set.padded_weights());
            let weights = recording.given("weights", weights.expect("it fits"));
            let own = record_similarity(&mut recording, kernel, set, weights);
            let zero = record_similarity_to_zero(&mut recording, kernel, set, weights);
            let output = |name: &str, value, w: u32| {
                let view = View::new(1, 1, 1, w);
                (name.to_string(), Tensor { value, view })
            };
            let outputs = [output("own", own, 41), output("zero", zero, 1)];
            let mut loaded =
                Loaded::new(&device, Program::new(recording, outputs)).expect("memory");
            loaded.run_once().expect("a run");
            let read = |value| device.download_f64(loaded.buffer(value)).expect("values");
            let got: f64 = read(own).iter().zip(&v).map(|(k, v)| k * v).sum();
            assert!(
                (got - expected).abs() < 1e-5 * expected,
                "{got} should be {expected}"
            );
            let got = read(zero)[0];
            let close = (got - expected_zero).abs() < 1e-5 * expected_zero;
            assert!(close, "{got} should be {expected_zero}");
        }
    }
}

#[test]
fn of_large_pictures_every_kth_vector_is_kept() {
    let set = VectorSet::new(1, &[(100_000, 0.5), (3, 0.5)]);
    assert_eq!(set.count(), 16_384 + 3);
    assert_eq!(set.segments[..5], [0, 16_384, u32::MAX / 2 + 1, 16_384, 3]);
    let chosen = evenly_spread(100_000, 16_384);
    assert_eq!(chosen[16_383], (16_383u64 * 100_000 / 16_384) as u32);
    let target = target(7, 5, &[(30, 0.5), (11, 0.5)]).set;
    let (thin, chosen) = target.thinned(7);
    assert_eq!((thin.count(), chosen.len()), (7, 7));
    assert!((thin.weights.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    let (same, all) = target.thinned(41);
    assert_eq!((same.view, all), (target.view, (0..41).collect()));
}
