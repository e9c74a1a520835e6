//! The term `wasserstein`: value and gradient against eigen-decompositions, where matrices are well conditioned and
//! where they are not: more channels than pixels.

use pixgrad::engine::device::{Device, Recording};
use pixgrad::engine::kernels::{Ridge, Tensor, TraceDistance, TraceSlope, View, from_quads};
use pixgrad::engine::objective::{Term, Wasserstein, record_root};
use pixgrad::engine::plan::Program;
use pixgrad::engine::schedule::Loaded;

use crate::channel_statistics::repeated;
use crate::common::oracle::{dot, run_f64, wide};
use crate::common::{Data, check, random, tensor, uniform};
use crate::term::Case;

/// A square matrix, row by row.
type Matrix = Vec<f64>;

fn product(a: &[f64], b: &[f64], n: usize) -> Matrix {
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for k in 0..n {
            let v = a[i * n + k];
            for j in 0..n {
                c[i * n + j] += v * b[k * n + j];
            }
        }
    }
    c
}

/// Eigenvalues and, as columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(a: &[f64], n: usize) -> (Vec<f64>, Matrix) {
    let (mut a, mut v) = (a.to_vec(), vec![0.0; n * n]);
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    let all: f64 = dot(&a, &a);
    for _ in 0..40 {
        let mut off = 0.0;
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                off += apq * apq;
                if apq.abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for m in [&mut a, &mut v] {
                    for k in 0..n {
                        let (x, y) = (m[k * n + p], m[k * n + q]);
                        (m[k * n + p], m[k * n + q]) = (c * x - s * y, s * x + c * y);
                    }
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
        if off < 1e-28 * all {
            break;
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

/// f(a) of a symmetric matrix.
fn function(a: &[f64], n: usize, f: impl Fn(f64) -> f64) -> Matrix {
    let (values, v) = eigen(a, n);
    let mut scaled = v.clone();
    let mut transposed = v.clone();
    for i in 0..n {
        for j in 0..n {
            scaled[i * n + j] *= f(values[j]);
            transposed[j * n + i] = v[i * n + j];
        }
    }
    product(&scaled, &transposed, n)
}

fn trace(m: &[f64], n: usize) -> f64 {
    (0..n).map(|i| m[i * n + i]).sum()
}

/// Means and covariance of a [C, pixels] array.
fn normal(planes: &[f64], c: usize) -> (Vec<f64>, Matrix) {
    let pixels = planes.len() / c;
    let plane = |i: usize| &planes[i * pixels..][..pixels];
    let means: Vec<f64> = (0..c)
        .map(|i| plane(i).iter().sum::<f64>() / pixels as f64)
        .collect();
    let mut covariance = vec![0.0; c * c];
    for i in 0..c {
        for j in 0..=i {
            let pairs = plane(i).iter().zip(plane(j));
            let sum: f64 = pairs.map(|(a, b)| (a - means[i]) * (b - means[j])).sum();
            covariance[i * c + j] = sum / pixels as f64;
            covariance[j * c + i] = covariance[i * c + j];
        }
    }
    (means, covariance)
}

/// A matrix of c rows in rows of whole vec4s, and back.
fn padded(m: &[f64], c: usize) -> Matrix {
    let side = c.next_multiple_of(4);
    let mut to = vec![0.0; side * side];
    for i in 0..c {
        to[i * side..][..c].copy_from_slice(&m[i * c..][..c]);
    }
    to
}

/// What a term compares with, as it is given: f32.
struct Target {
    c: usize,
    means: Vec<f32>,
    covariance: Vec<f32>,
    root: Vec<f32>,
}

impl Target {
    fn new(planes: &[f64], c: usize) -> Self {
        let (means, covariance) = normal(planes, c);
        let mut ridged = covariance;
        (0..c).for_each(|i| ridged[i * c + i] += 1e-4);
        let root = function(&ridged, c, |v| v.max(0.0).sqrt());
        let narrow = |m: &[f64]| m.iter().map(|v| *v as f32).collect::<Vec<_>>();
        let mut means = narrow(&means);
        means.resize(c.next_multiple_of(4), 0.0);
        Self {
            c,
            means,
            covariance: narrow(&padded(&ridged, c)),
            root: narrow(&padded(&root, c)),
        }
    }

    fn term(&self, device: &Device, weight: f64) -> Box<dyn Term> {
        Box::new(self.wasserstein(device, weight))
    }

    fn wasserstein(&self, device: &Device, weight: f64) -> Wasserstein {
        let upload = |data: &[f32]| device.buffer_from("target", data).expect("it fits");
        Wasserstein::new(
            upload(&self.means),
            upload(&self.covariance),
            upload(&self.root),
            self.c as u32,
            weight,
        )
    }

    fn square(&self, m: &[f32]) -> Matrix {
        let side = self.c.next_multiple_of(4);
        (0..self.c)
            .flat_map(|i| m[i * side..][..self.c].iter().map(|v| f64::from(*v)))
            .collect()
    }

    /// Value and gradient ([C, pixels]) by eigen-decomposition.
    fn reference(&self, planes: &[f64]) -> (f64, Vec<f64>) {
        let c = self.c;
        let pixels = planes.len() / c;
        let (means, mut covariance) = normal(planes, c);
        (0..c).for_each(|i| covariance[i * c + i] += f64::from(1e-4f32));
        let root = self.square(&self.root);
        let a = product(&product(&root, &covariance, c), &root, c);
        let inverse = function(&a, c, |v| v.max(1e-9).powf(-0.5));
        let of_a = trace(&product(&a, &inverse, c), c);
        let apart: Vec<f64> = means
            .iter()
            .zip(&self.means)
            .map(|(m, g)| m - f64::from(*g))
            .collect();
        let goal = trace(&self.square(&self.covariance), c);
        let value = (dot(&apart, &apart) + trace(&covariance, c) + goal - 2.0 * of_a) / c as f64;
        let mut slope = product(&product(&root, &inverse, c), &root, c);
        for (i, v) in slope.iter_mut().enumerate() {
            *v = (if i / c == i % c { 1.0 } else { 0.0 } - *v) / c as f64;
        }
        let mut gradient = vec![0.0; planes.len()];
        let n = pixels as f64;
        for i in 0..c {
            let row = &mut gradient[i * pixels..][..pixels];
            row.fill(2.0 * apart[i] / (c as f64 * n));
            for j in 0..c {
                let factor = 2.0 / n * slope[i * c + j];
                for (to, from) in row.iter_mut().zip(&planes[j * pixels..]) {
                    *to += factor * (from - means[j]);
                }
            }
        }
        (value, gradient)
    }
}

fn planes(seed: u64, view: View) -> (Vec<f32>, Vec<f64>) {
    let data = tensor(&mut random(seed), view);
    let planes = from_quads(view, &wide(&data));
    (data, planes)
}

#[test]
fn value_and_gradient() {
    let same = |n, h, w, c| (View::new(n, h, w, c), View::new(n, h, w, c));
    let cases = [
        same(2, 5, 7, 3),
        same(1, 1, 9, 1),
        same(1, 9, 11, 18),
        (
            View::new(2, 5, 8, 24).slice(8, 7),
            View::new(2, 5, 8, 16).slice(4, 7),
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
            let expected = target.reference(image).1;
            let error: f64 = got
                .iter()
                .zip(&expected)
                .map(|(g, e)| (g - 1.25 * e).powi(2))
                .sum();
            assert!(
                error.sqrt() < 1e-6 * dot(&expected, &expected).sqrt(),
                "{error:e}"
            );
        }
    }
}

/// As [`crate::channel_statistics`] has it: pixels four times, once and not at all.
#[test]
fn through_a_guide() {
    let x = View::new(2, 4, 5, 6);
    let guide: Vec<f32> = (0..20)
        .map(|i| [2.0, 1.0, 0.0, 0.0, 0.0][(i + i / 5) % 5])
        .collect();
    let target = Target::new(&planes(80, View::new(1, 12, 9, 6)).1, 6);
    let input = planes(7, x).0;
    Case {
        name: "wasserstein through a guide",
        x,
        dx: x,
        input: &input,
        make: &|device| {
            let guide = device.buffer_from("guide", &guide).expect("it fits");
            Box::new(target.wasserstein(device, 1.25).through(Some(guide.into())))
        },
        plain: &|_, image| {
            let planes = image.chunks(20);
            let seen: Vec<f64> = planes.flat_map(|plane| repeated(plane, &guide)).collect();
            1.25 * target.reference(&seen).0
        },
        step: 1e-4,
        error: 1e-6,
    }
    .check();
}

/// More channels than pixels, on a GPU and the processor in f32: covariances whose eigenvalues f32 cannot tell from 0.
/// Value to 1 % of that at all-zero activations, gradient to 5 %: what 12 steps reach (they are too few for the
/// smallest eigenvalues on purpose), and what f32 allows.
#[test]
fn more_channels_than_pixels() {
    for (c, h, w) in [(96, 6, 7)] {
        let x = View::new(1, h, w, c);
        let relu = |data: &[f64]| data.iter().map(|v| 4.0 * v.max(0.0)).collect::<Vec<_>>();
        let target = Target::new(&relu(&planes(1, View::new(1, 7, 6, c)).1), c as usize);
        let image = relu(&planes(2, x).1);
        let (value, gradient) = target.reference(&image);
        let zero = target.reference(&vec![0.0; image.len()]).0;
        let input: Vec<f32> = pixgrad::engine::kernels::to_quads(x, &image)
            .iter()
            .map(|v| *v as f32)
            .collect();
        let make = |device: &Device| target.term(device, 1.0);
        let case = Case {
            name: "wasserstein",
            x,
            dx: x,
            input: &input,
            make: &make,
            plain: &|_, _| 0.0,
            step: 0.0,
            error: 0.0,
        };
        for device in [Device::oracle(), Device::cpu(), crate::common::open_gpu()] {
            let before = vec![f64::NAN; x.len()];
            let (got, slopes) = case.evaluate(&device, &wide(&input), &before, false);
            assert!(
                (got[0] - value).abs() < 0.01 * zero,
                "{} should be {value}, {zero} at 0",
                got[0]
            );
            let slopes = from_quads(x, &slopes);
            let error: f64 = slopes
                .iter()
                .zip(&gradient)
                .map(|(a, b)| (a - b).powi(2))
                .sum();
            let norm = dot(&gradient, &gradient).sqrt();
            assert!(error.sqrt() < 0.05 * norm, "{} of {norm}", error.sqrt());
        }
    }
}

/// 512 channels, 20 pixels: nothing overflows, and the value falls along the gradient.
#[test]
fn as_deep_as_vgg_goes() {
    let c = 512usize;
    let x = View::new(1, 4, 5, c as u32);
    let relu = |v: &f64| 20.0 * v.max(0.0);
    let image: Vec<f64> = planes(3, x).1.iter().map(relu).collect();
    let goal: Vec<f64> = planes(4, x).1.iter().map(relu).collect();
    let (means, covariance) = normal(&goal, c);
    let (ridged, norm) = regular(&covariance, c as u32);
    let device = Device::cpu();
    let root = root_on(&device, &ridged, norm, c);
    let narrow = |m: &[f64]| m.iter().map(|v| *v as f32).collect::<Vec<_>>();
    let target = Target {
        c,
        means: narrow(&means),
        covariance: narrow(&ridged),
        root: narrow(&root),
    };
    let at_zero = at_zero(&means, &ridged, &target.root, c);
    let input: Vec<f32> = narrow(&pixgrad::engine::kernels::to_quads(x, &image));
    let make = |device: &Device| target.term(device, 1.0);
    let case = Case {
        name: "wasserstein",
        x,
        dx: x,
        input: &input,
        make: &make,
        plain: &|_, _| 0.0,
        step: 0.0,
        error: 0.0,
    };
    let before = vec![f64::NAN; x.len()];
    let at = |data: &[f64]| case.evaluate(&device, data, &before, false);
    let data = wide(&input);
    let (value, slopes) = at(&data);
    assert!(slopes.iter().all(|v| v.is_finite()) && value[0].is_finite());
    assert!(
        value[0] > 0.05 * at_zero && value[0] < 2.0 * at_zero,
        "{} {at_zero}",
        value[0]
    );
    // A step that would take a tenth off if the value were linear takes more than half of that off.
    let square = dot(&slopes, &slopes);
    let step = 0.1 * value[0] / square;
    let moved: Vec<f64> = data
        .iter()
        .zip(&slopes)
        .map(|(x, g)| x - step * g)
        .collect();
    let after = at(&moved).0[0];
    assert!(after < 0.95 * value[0], "{} became {after}", value[0]);
    // At the target itself nothing is left but rounding.
    let itself = at(&pixgrad::engine::kernels::to_quads(x, &goal)).0[0];
    assert!(itself.abs() < 0.01 * at_zero, "{itself} of {at_zero}");
}

/// Σ + ε·I of a covariance of C rows, [C⁺, C⁺], and its norm.
fn regular(covariance: &[f64], channels: u32) -> (Matrix, f64) {
    let side = channels.next_multiple_of(4) as usize;
    let mut regular = covariance.to_vec();
    for i in 0..channels as usize {
        regular[i * side + i] += 1e-4;
    }
    let norm = regular.iter().map(|v| v * v).sum::<f64>().sqrt();
    (regular, norm)
}

fn root_on(device: &Device, m: &[f64], norm: f64, c: usize) -> Matrix {
    let side = c.next_multiple_of(4) as u32;
    let mut recording = Recording::new();
    let a = Tensor::persistent(&mut recording, "matrix", View::new(1, 1, side, side));
    let root = record_root(&mut recording, a, c as u32);
    let program = Program::new(recording, []);
    let mut loaded = Loaded::new(device, program).expect("memory");
    let normalised: Vec<f64> = m.iter().map(|v| v / norm).collect();
    let to = loaded.buffer(a.value);
    device.upload_f64(to, &normalised).expect("it fits");
    loaded.run_once().expect("a run");
    let root = device
        .download_f64(loaded.buffer(root.value))
        .expect("a root");
    root.iter().map(|v| v * norm.sqrt()).collect()
}

#[test]
fn the_root_is_a_root() {
    for c in [1, 6, 33] {
        let (_, covariance) = normal(&planes(9, View::new(1, 20, 11, c)).1, c as usize);
        let (ridged, norm) = regular(&padded(&covariance, c as usize), c);
        let side = (c as usize).next_multiple_of(4);
        for (device, tolerance) in [(Device::oracle(), 1e-9), (crate::common::open_gpu(), 1e-5)] {
            let root = root_on(&device, &ridged, norm, c as usize);
            let square = product(&root, &root, side);
            let error: f64 = square
                .iter()
                .zip(&ridged)
                .map(|(a, b)| (a - b).powi(2))
                .sum();
            assert!(error.sqrt() < tolerance * norm, "{c}: {error:e} of {norm}");
        }
    }
}

/// The value at all-zero activations, whose covariance is ε·I, from the formula.
fn at_zero(means: &[f64], ridged: &[f64], root: &[f32], c: usize) -> f64 {
    let side = c.next_multiple_of(4);
    let trace = |m: &dyn Fn(usize) -> f64| (0..c).map(|i| m(i * side + i)).sum::<f64>();
    let spread = trace(&|i| ridged[i] + 1e-4);
    let common = 2.0 * 1e-4f64.sqrt() * trace(&|i| f64::from(root[i]));
    (dot(means, means) + spread - common) / c as f64
}

#[test]
fn at_zero_is_the_value_of_zeros() {
    let c = 5;
    let (means, covariance) = normal(&planes(20, View::new(1, 6, 7, c)).1, c as usize);
    let (ridged, _) = regular(&padded(&covariance, c as usize), c);
    let target = Target::new(&planes(20, View::new(1, 6, 7, c)).1, c as usize);
    let expected = target.reference(&[0.0; 5 * 12]).0;
    let got = at_zero(&means, &ridged, &target.root, c as usize);
    assert!(
        (got - expected).abs() < 1e-6 * expected,
        "{got} should be {expected}"
    );
    // The term itself, at one position: what a relative term is divided by.
    let x = View::new(1, 1, 1, c);
    let make = |device: &Device| target.term(device, 1.0);
    let case = Case {
        name: "wasserstein at zero",
        x,
        dx: x,
        input: &vec![0.0; x.len()],
        make: &make,
        plain: &|_, _| 0.0,
        step: 0.0,
        error: 0.0,
    };
    for device in [Device::oracle(), Device::cpu(), crate::common::open_gpu()] {
        let (zero, before) = (vec![0.0; x.len()], vec![f64::NAN; x.len()]);
        let got = case.evaluate(&device, &zero, &before, false).0[0];
        let close = (got - expected).abs() < 1e-5 * expected;
        assert!(close, "{got} should be {expected}");
    }
}

#[test]
fn small_kernels() {
    for (n, channels) in [(1, 1), (2, 7), (1, 65)] {
        let side = (channels as usize).next_multiple_of(4);
        let matrices = View::new(n, side as u32, 1, channels);
        let mut rng = random(70 + u64::from(channels));
        let mut matrix = || tensor(&mut rng, matrices);
        let (m, root) = (matrix(), matrix());
        let moments: Vec<f32> = (0..n)
            .flat_map(|i| [0.0, 0.0, 2.5 + i as f32, 0.0])
            .collect();
        let of = |m: &[f32]| Data::Reals(m.to_vec());
        let ridge = Ridge {
            n,
            channels,
            alpha: -1.5,
            epsilon: 0.5,
        };
        let after = check(&ridge, &[of(&m), Data::Poisoned(matrices)]);
        let diagonal = 4 * usize::from(channels > 1) * side / 4 + usize::from(channels > 1);
        assert_eq!(
            after[0].reals()[diagonal],
            -1.5 * f64::from(m[diagonal]) + 0.5
        );
        let slope = TraceSlope {
            n,
            channels,
            alpha: 2.0.into(),
        };
        let after = run_f64(
            &slope,
            &[&wide(&m), &wide(&moments), &vec![f64::NAN; m.len()]],
        )
        .remove(2);
        let expected = 2.0 * (1.0 - f64::from(m[0]) / f64::from(moments[2]).powf(0.25));
        assert!((after[0] - expected).abs() < 1e-12);
        check(&slope, &[of(&m), of(&moments), Data::Poisoned(matrices)]);
        let goal = tensor(&mut random(3), View { n: 1, ..matrices });
        let values = uniform(&mut random(4), n as usize * side);
        let trace = TraceDistance { n, channels };
        let given = [&m, &goal, &root, &moments, &values].map(|v| wide(v));
        let bound: Vec<&[f64]> = given.iter().map(Vec::as_slice).collect();
        let after = run_f64(&trace, &bound).remove(4);
        let expected = f64::from(values[0]) + given[0][0] + given[1][0]
            - 2.0 * given[3][2].powf(0.25) * given[2][0];
        assert!((after[0] - expected).abs() < 1e-12);
        check(
            &trace,
            &[of(&m), of(&goal), of(&root), of(&moments), of(&values)],
        );
    }
}
