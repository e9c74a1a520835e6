//! The term `wasserstein`: value and gradient against decompositions in f64, for small random layers and for the layers
//! of networks.

use nalgebra::{DMatrix, SVD, SymmetricEigen};
use pixgrad::engine::device::{Device, Recording};
use pixgrad::engine::kernels::{DiagonalScale, Ridge, Tensor, View, from_quads, to_quads};
use pixgrad::engine::methods::features;
use pixgrad::engine::net::Purpose;
use pixgrad::engine::objective::{
    Term, Wasserstein, covariance_factor, record_polar, record_roots,
};
use pixgrad::engine::plan::{Network, Program};
use pixgrad::engine::schedule::Loaded;

use crate::channel_statistics::repeated;
use crate::common::oracle::{dot, run_f64, wide};
use crate::common::{Data, GPU, check, random, root, sample, tensor};
use crate::term::Case;

/// What the term adds to the diagonals.
const EPSILON: f64 = 1e-4;

/// Means, and deviations from them as a C × positions matrix, of a [C, positions] array.
fn centred(planes: &[f64], c: usize) -> (Vec<f64>, DMatrix<f64>) {
    let positions = planes.len() / c;
    let mut deviations = DMatrix::from_row_slice(c, positions, planes);
    let means: Vec<f64> = deviations
        .row_iter()
        .map(|row| row.sum() / positions as f64)
        .collect();
    for (mut row, mean) in deviations.row_iter_mut().zip(&means) {
        row.add_scalar_mut(-mean);
    }
    (means, deviations)
}

/// Σ + ε·I.
fn regular(deviations: &DMatrix<f64>) -> DMatrix<f64> {
    let (c, positions) = deviations.shape();
    deviations * deviations.transpose() / positions as f64 + DMatrix::identity(c, c) * EPSILON
}

/// The power of a symmetric matrix without eigenvalues below ε.
fn power(matrix: &DMatrix<f64>, power: f64) -> DMatrix<f64> {
    let SymmetricEigen {
        eigenvectors: v,
        eigenvalues,
    } = SymmetricEigen::new(matrix.clone());
    let powers = eigenvalues.map(|value| value.max(EPSILON).powf(power));
    &v * DMatrix::from_diagonal(&powers) * v.transpose()
}

/// What a term compares with, as it is given: f32.
struct Target {
    c: usize,
    means: Vec<f32>,
    factor: Vec<f32>,
}

impl Target {
    fn new(planes: &[f64], c: usize) -> Self {
        let (means, deviations) = centred(planes, c);
        let positions = deviations.ncols() as f64;
        let covariance = &deviations * deviations.transpose() / positions;
        let mut means: Vec<f32> = means.iter().map(|v| *v as f32).collect();
        means.resize(c.next_multiple_of(4), 0.0);
        Self {
            c,
            means,
            factor: covariance_factor(covariance.as_slice(), c),
        }
    }

    fn term(&self, device: &Device, weight: f64) -> Box<dyn Term> {
        Box::new(self.wasserstein(device, weight))
    }

    fn wasserstein(&self, device: &Device, weight: f64) -> Wasserstein {
        let upload = |data: &[f32]| device.buffer_from("target", data).expect("it fits");
        let (means, factor) = (upload(&self.means), upload(&self.factor));
        Wasserstein::new(means, factor, self.c as u32, weight)
    }

    /// K with K·Kᵀ = Σ' + ε·I, as f32 has it.
    fn factor(&self) -> DMatrix<f64> {
        let side = self.c.next_multiple_of(4);
        DMatrix::from_fn(self.c, self.c, |i, j| f64::from(self.factor[j * side + i]))
    }

    /// Value and gradient ([C, positions]).
    fn reference(&self, planes: &[f64]) -> (f64, Vec<f64>) {
        reference(planes, &wide(&self.means[..self.c]), &self.factor())
    }
}

/// Value and gradient ([C, positions]) for a target of these means and of the covariance K·Kᵀ: with R = Σ^½ and
/// KᵀR = U·S·Vᵀ, trace ‖R‖² + ‖K‖² − 2·tr S, and transport K·U·Vᵀ·R⁻¹.
fn reference(planes: &[f64], goal: &[f64], k: &DMatrix<f64>) -> (f64, Vec<f64>) {
    let c = goal.len();
    let (means, deviations) = centred(planes, c);
    let covariance = regular(&deviations);
    let product = k.transpose() * power(&covariance, 0.5);
    let SVD {
        u,
        v_t,
        singular_values,
    } = SVD::new(product, true, true);
    let orthogonal = u.expect("asked for") * v_t.expect("asked for");
    let transport = k * orthogonal * power(&covariance, -0.5);
    let apart: Vec<f64> = means.iter().zip(goal).map(|(m, g)| m - g).collect();
    let traces = covariance.trace() + k.norm_squared() - 2.0 * singular_values.sum();
    let each = 2.0 / (c as f64 * deviations.ncols() as f64);
    let mut gradient = (&deviations - transport * &deviations) * each;
    for (mut row, apart) in gradient.row_iter_mut().zip(&apart) {
        row.add_scalar_mut(apart * each);
    }
    let by_row = gradient.transpose().as_slice().to_vec();
    ((dot(&apart, &apart) + traces) / c as f64, by_row)
}

fn planes(seed: u64, view: View) -> (Vec<f32>, Vec<f64>) {
    let data = tensor(&mut random(seed), view);
    let planes = from_quads(view, &wide(&data));
    (data, planes)
}

/// ‖a − b‖/‖b‖.
fn error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    (square / dot(b, b)).sqrt()
}

/// Value and gradient ([C, positions]) of the term as a device computes them.
fn evaluate(device: &Device, target: &Target, x: View, planes: &[f64]) -> (f64, Vec<f64>) {
    let case = Case {
        name: "wasserstein",
        x,
        dx: x,
        input: &[],
        make: &|device| target.term(device, 1.0),
        plain: &|_, _| 0.0,
        step: 0.0,
        error: 0.0,
    };
    let before = vec![f64::NAN; x.len()];
    let (values, gradient) = case.evaluate(device, &to_quads(x, planes), &before, false);
    (values[0], from_quads(x, &gradient))
}

/// Layers with many positions and, from the fourth on, with fewer than twice their channels.
#[test]
fn value_and_gradient() {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let cases = [
        same(2, 5, 7, 3),
        same(1, 9, 11, 18),
        (
            View::new(2, 5, 8, 24).slice(8, 7),
            View::new(2, 5, 8, 16).slice(4, 7),
        ),
        same(1, 1, 1, 1),
        same(2, 3, 4, 10),
        (
            View::new(2, 2, 3, 24).slice(8, 7),
            View::new(2, 2, 3, 16).slice(4, 7),
        ),
    ];
    for (seed, (x, dx)) in cases.into_iter().enumerate() {
        let c = x.c as usize;
        let target = Target::new(&planes(80 + seed as u64, View::new(1, 12, 9, x.c)).1, c);
        let (input, all) = planes(seed as u64, x);
        let each = all.len() / x.n as usize;
        let plain = |_: usize, image: &[f64]| 1.25 * target.reference(image).0;
        let make = |device: &Device| target.term(device, 1.25);
        let case = Case {
            name: &format!("wasserstein of {x:?}"),
            x,
            dx,
            input: &input,
            make: &make,
            plain: &plain,
            step: 1e-4,
            error: 1e-6,
        };
        case.check();
        let (_, gradient) = case.evaluate(
            &Device::oracle(),
            &wide(&input),
            &vec![0.0; dx.len()],
            false,
        );
        let gradient = from_quads(dx, &gradient);
        for (image, got) in all.chunks(each).zip(gradient.chunks(each)) {
            let expected: Vec<f64> = target.reference(image).1.iter().map(|v| 1.25 * v).collect();
            let error = error(got, &expected);
            assert!(error < 1e-6, "{x:?}: {error:e}");
        }
    }
}

/// As [`crate::channel_statistics`] has it: pixels four times, once and not at all.
#[test]
fn through_a_mask() {
    for x in [View::new(2, 4, 5, 6), View::new(2, 4, 5, 14)] {
        let mask: Vec<f32> = (0..20)
            .map(|i| [2.0, 1.0, 0.0, 0.0, 0.0][(i + i / 5) % 5])
            .collect();
        let target = Target::new(&planes(80, View::new(1, 12, 9, x.c)).1, x.c as usize);
        let input = planes(7, x).0;
        Case {
            name: "wasserstein through a mask",
            x,
            dx: x,
            input: &input,
            make: &|device| {
                let mask = device.buffer_from("mask", &mask).expect("it fits");
                Box::new(target.wasserstein(device, 1.25).through(Some(mask.into())))
            },
            plain: &|_, image| {
                let planes = image.chunks(20);
                let seen: Vec<f64> = planes.flat_map(|plane| repeated(plane, &mask)).collect();
                1.25 * target.reference(&seen).0
            },
            step: 1e-4,
            error: 1e-6,
        }
        .check();
    }
}

/// The layers that a style transfer compares by default, for a photograph and a painting of this width: value and
/// gradient are within 1e-4 of the ones in f64. Both are relative to what they are; the target's statistics are exact.
fn check_network(model: &str, width: u32, devices: &[&Device]) {
    let network = Network::load(&Device::cpu(), model).expect("a network");
    let layers = network.graph().default_layers(Purpose::Style);
    let layers: Vec<String> = layers
        .expect("style layers")
        .into_iter()
        .map(|(layer, _)| layer)
        .collect();
    let height = width * 2 / 3;
    let of = |name: &str, height| {
        let image = sample(name, width, height);
        features(&network, &image, &layers).expect("activations")
    };
    let photograph = of("chelsea.png", height);
    let painting = of("starry_night.jpg", width * 4 / 5);
    for (ours, other) in photograph.iter().zip(&painting) {
        let (shape, c) = (ours.shape, ours.shape.channels as usize);
        let (image, goal) = (wide(&ours.values), wide(&other.values));
        let (means, deviations) = centred(&goal, c);
        let exact = reference(&image, &means, &power(&regular(&deviations), 0.5));
        let target = Target::new(&goal, c);
        let x = View::new(1, shape.height, shape.width, shape.channels);
        for device in devices {
            let (value, gradient) = evaluate(device, &target, x, &image);
            let of_value = (value - exact.0).abs() / exact.0;
            let of_gradient = error(&gradient, &exact.1);
            println!(
                "{model} {} {c} channels, {} positions: value {of_value:.1e}, gradient {of_gradient:.1e}",
                ours.layer,
                image.len() / c
            );
            assert!(
                of_value < 1e-4 && of_gradient < 1e-4,
                "{model} {} of {x:?} on {}: value off by {of_value:e}, gradient by {of_gradient:e}",
                ours.layer,
                device.info()
            );
        }
    }
}

#[test]
fn layers_of_the_embedded_networks() {
    check_network("squeezenet1_1", 64, &[&Device::cpu(), &GPU]);
    check_network("squeezenet1_1", 192, &[&Device::cpu(), &GPU]);
    check_network("vgg19", 160, &[&Device::cpu(), &GPU]);
    check_network("squeezenet1_1", 384, &[&Device::cpu()]);
}

/// The real networks beside the repository, where they are.
#[test]
fn layers_of_whole_networks() {
    let folder = root().join("../shared/weights");
    let Ok(files) = std::fs::read_dir(&folder) else {
        eprintln!("no {} here: the embedded networks only", folder.display());
        return;
    };
    for file in files {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            check_network(&path.display().to_string(), 96, &[&Device::cpu()]);
        }
    }
}

/// 512 channels and 20 positions, as in a small picture: within 1e-4 of f64, and nothing but rounding is left at the
/// target itself.
#[test]
fn far_more_channels_than_positions() {
    let c = 512;
    let x = View::new(1, 4, 5, c as u32);
    let relu = |planes: Vec<f64>| planes.iter().map(|v| 20.0 * v.max(0.0)).collect::<Vec<_>>();
    let (image, goal) = (relu(planes(3, x).1), relu(planes(4, x).1));
    let target = Target::new(&goal, c);
    let expected = target.reference(&image);
    for device in [&Device::cpu(), &*GPU] {
        let (value, gradient) = evaluate(device, &target, x, &image);
        assert!((value - expected.0).abs() < 1e-4 * expected.0, "{value}");
        let error = error(&gradient, &expected.1);
        assert!(error < 1e-4, "{error:e}");
        let itself = evaluate(device, &target, x, &goal).0;
        assert!(itself.abs() < 1e-6 * expected.0, "{itself}");
    }
}

/// An image of one colour has a covariance of 0, and one of few colours a singular one: all stays finite, and the value
/// is that in f64.
#[test]
fn singular_covariances() {
    let (c, x) = (48, View::new(1, 16, 16, 48));
    let target = Target::new(&planes(1, x).1, c);
    for colours in [1, 5, 40] {
        let few = planes(2, View::new(1, 1, colours, 48)).1;
        let image: Vec<f64> = few
            .chunks(colours as usize)
            .flat_map(|plane| plane.iter().cycle().take(256).map(|v| 4.0 * v))
            .collect();
        let expected = target.reference(&image);
        for device in [&Device::cpu(), &*GPU] {
            let (value, gradient) = evaluate(device, &target, x, &image);
            let off = (value - expected.0).abs() / expected.0;
            assert!(off < 1e-4, "{colours} colours: value off by {off:e}");
            assert!(gradient.iter().all(|v| v.is_finite()), "{colours} colours");
            let error = error(&gradient, &expected.1);
            println!("{colours} colours: value {off:.1e}, gradient {error:.1e}");
        }
    }
}

/// What a relative term is divided by: its value at one position of zeros, whose covariance is ε·I.
#[test]
fn the_value_at_zero() {
    let (c, x) = (5, View::new(1, 1, 1, 5));
    let target = Target::new(&planes(20, View::new(1, 6, 7, 5)).1, c);
    let k = target.factor();
    let roots = power(&(&k * k.transpose()), 0.5).trace();
    let means = wide(&target.means);
    let spread = k.norm_squared() + c as f64 * EPSILON - 2.0 * EPSILON.sqrt() * roots;
    let expected = (dot(&means, &means) + spread) / c as f64;
    for device in [&Device::oracle(), &Device::cpu(), &*GPU] {
        let got = evaluate(device, &target, x, &[0.0; 5]).0;
        let close = (got - expected).abs() < 1e-6 * expected;
        assert!(close, "{got} should be {expected}");
    }
}

/// What a recording makes of a matrix on a device.
fn run(
    device: &Device,
    view: View,
    data: &[f64],
    record: impl FnOnce(&mut Recording, Tensor) -> Vec<Tensor>,
) -> Vec<Vec<f64>> {
    let mut recording = Recording::new();
    let a = Tensor::persistent(&mut recording, "matrix", view);
    let results: Vec<Tensor> = record(&mut recording, a)
        .into_iter()
        .map(|result| {
            let kept = Tensor::persistent(&mut recording, "result", result.view);
            let copy = pixgrad::engine::kernels::CopyRows {
                x: result.view,
                y: kept.view,
                from: 0,
                to: 0,
                rows: result.view.h,
                accumulate: false,
            };
            recording.call("result", copy, &[result.value, kept.value]);
            kept
        })
        .collect();
    let mut loaded = Loaded::new(device, Program::new(recording, [])).expect("memory");
    let to = loaded.buffer(a.value);
    device.upload_f64(to, data).expect("it fits");
    loaded.run_once().expect("a run");
    let read = |t: &Tensor| {
        device
            .download_f64(loaded.buffer(t.value))
            .expect("read back")
    };
    results.iter().map(read).collect()
}

/// A random matrix of `columns` columns in rows of whole vec4s.
fn padded(rows: u32, columns: u32, seed: u64) -> (View, Vec<f64>) {
    let view = View::new(1, rows, 1, columns);
    (view, wide(&tensor(&mut random(seed), view)))
}

#[test]
fn roots_of_a_symmetric_matrix() {
    for c in [1usize, 6, 33] {
        let side = c.next_multiple_of(4);
        let (_, deviations) = centred(&planes(9, View::new(1, 20, 11, c as u32)).1, c);
        let matrix = regular(&deviations) / c as f64;
        let mut data = vec![0.0; side * side];
        for i in 0..c {
            (0..c).for_each(|j| data[i * side + j] = matrix[(i, j)]);
        }
        let view = View::new(1, 1, side as u32, side as u32);
        for (device, tolerance) in [
            (&Device::oracle(), 1e-9),
            (&Device::cpu(), 1e-5),
            (&GPU, 1e-5),
        ] {
            let found = run(device, view, &data, |recording, a| {
                record_roots(recording, a, c as u32).to_vec()
            });
            let expected = [power(&matrix, 0.5), power(&matrix, -0.5)];
            for (got, expected) in found.iter().zip(expected) {
                let got = DMatrix::from_fn(c, c, |i, j| got[i * side + j]);
                let error = (&got - &expected).norm() / expected.norm();
                assert!(error < tolerance, "{c}: {error:e}");
            }
        }
    }
}

/// Singular values from 1 down to 1e-6 of a matrix with more rows than columns.
#[test]
fn polar_factor_of_a_matrix() {
    for (rows, c) in [(1, 1), (7, 6), (60, 33)] {
        let (view, mut data) = padded(rows, c, 5);
        let (side, n) = (view.padded(), c as usize);
        let scale = |j: usize| 10f64.powf(-6.0 * j as f64 / n as f64);
        for row in data.chunks_exact_mut(side) {
            (0..n).for_each(|j| row[j] *= scale(j));
        }
        let of = |data: &[f64]| DMatrix::from_fn(rows as usize, n, |i, j| data[i * side + j]);
        let svd = SVD::new(of(&data), true, true);
        let expected = svd.u.expect("asked for") * svd.v_t.expect("asked for");
        for (device, tolerance) in [
            (&Device::oracle(), 1e-9),
            (&Device::cpu(), 1e-3),
            (&GPU, 1e-3),
        ] {
            let found = run(device, view, &data, |recording, a| {
                vec![record_polar(recording, a, c)]
            });
            let error = (of(&found[0]) - &expected).norm() / expected.norm();
            println!("{rows} {c} {error:e}");
            assert!(error < tolerance, "{rows} × {c}: {error:e}");
        }
    }
}

/// K·Kᵀ = Σ + ε·I, and the rows of Kᵀ fall.
#[test]
fn factor_of_a_covariance() {
    for c in [1usize, 6, 33] {
        let (_, deviations) = centred(&planes(9, View::new(1, 4, 5, c as u32)).1, c);
        let covariance = &deviations * deviations.transpose() / 20.0;
        let (side, factor) = (
            c.next_multiple_of(4),
            covariance_factor(covariance.as_slice(), c),
        );
        let rows = DMatrix::from_fn(c, c, |i, j| f64::from(factor[i * side + j]));
        let expected = regular(&deviations);
        let error = (rows.transpose() * &rows - &expected).norm() / expected.norm();
        assert!(error < 1e-7, "{c}: {error:e}");
        let largest: Vec<f64> = rows.row_iter().map(|row| row.amax()).collect();
        assert!(largest.is_sorted_by(|a, b| a >= b), "{largest:?}");
        assert_eq!(factor.len(), side * side);
    }
}

#[test]
fn small_kernels() {
    for (n, channels) in [(1, 1), (2, 7), (1, 65)] {
        let side = (channels as usize).next_multiple_of(4);
        let matrices = View::new(n, side as u32, 1, channels);
        let mut rng = random(70 + u64::from(channels));
        let m = tensor(&mut rng, matrices);
        let of = |m: &[f32]| Data::Reals(m.to_vec());
        let ridge = Ridge {
            n,
            channels,
            alpha: -1.5,
            epsilon: 0.5,
        };
        let after = check(&ridge, &[of(&m), Data::Poisoned(matrices)]);
        let last = (channels as usize - 1) * (side + 1);
        assert_eq!(after[0].reals()[last], -1.5 * f64::from(m[last]) + 0.5);

        // A diagonal of which the last element is 0.
        let mut s = tensor(&mut rng, matrices);
        for image in s.chunks_exact_mut(side * side) {
            for i in 0..channels as usize {
                let at = i * (side + 1);
                image[at] = if i > 0 && at == last {
                    0.0
                } else {
                    0.5 + image[at].abs()
                };
            }
        }
        for (rows, columns) in [(-1, -1), (0, 1), (-1, 0), (1, 1)] {
            let scale = DiagonalScale {
                n,
                channels,
                alpha: 2.0,
                rows,
                columns,
            };
            check(&scale, &[of(&m), of(&s), Data::Poisoned(matrices)]);
            let bound = [&wide(&m), &wide(&s), &vec![f64::NAN; m.len()]];
            let after = run_f64(&scale, &bound.map(Vec::as_slice)).remove(2);
            let power = |i: usize, power| match f64::from(s[i * (side + 1)]) {
                _ if power == 0 => 1.0,
                0.0 => 0.0,
                s => s.sqrt().powi(power),
            };
            for at in 0..side * side {
                let (i, j) = (at / side, at % side);
                if i.max(j) < channels as usize {
                    let expected = 2.0 * f64::from(m[at]) * power(i, rows) * power(j, columns);
                    assert!(
                        (after[at] - expected).abs() < 1e-12,
                        "{i} {j}: {}",
                        after[at]
                    );
                }
            }
        }
    }
}
