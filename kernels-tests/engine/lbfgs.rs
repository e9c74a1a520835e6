//! L-BFGS as a whole, on every device: against the plainest one in f64, on functions of a few numbers.

use std::ops::ControlFlow;

use pixgrad::engine::device::{Device, Kind, Recording};
use pixgrad::engine::kernels::{Record, Tensor, View};
use pixgrad::engine::optim::{Lbfgs, Optimizer, Site};
use pixgrad::engine::plan::{Iteration, RING_ROWS};
use pixgrad::engine::schedule::Executor;

use crate::common::lbfgs_plain::{self, minimize};
use crate::common::{GPU, random, uniform};
use crate::functions::{Evaluate, Function};

/// A batch of functions of one kind.
struct Case {
    function: Function,
    view: View,
    x: Vec<f32>,
    stiffness: Vec<f32>,
    rest: Vec<f32>,
    lbfgs: Lbfgs,
}

/// What a device made of it.
struct Outcome {
    /// For each image the value of every evaluation.
    values: Vec<Vec<f64>>,
    /// The result, of all images.
    result: Vec<f64>,
    /// The trial point.
    x: Vec<f64>,
    /// The counters of each image.
    counters: Vec<Vec<u32>>,
}

impl Outcome {
    /// The least value of an image within its first evaluations.
    fn best(&self, image: usize, evaluations: usize) -> f64 {
        let values = &self.values[image][..evaluations];
        values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// Evaluations until the value was below `goal`.
    fn until(&self, image: usize, goal: f64) -> usize {
        until(&self.values[image], goal)
    }
}

fn until(values: &[f64], goal: f64) -> usize {
    values
        .iter()
        .position(|v| *v < goal)
        .map_or(usize::MAX, |i| i + 1)
}

fn devices() -> [(&'static str, Device); 3] {
    [
        ("oracle", Device::oracle()),
        ("cpu", Device::cpu()),
        ("gpu", GPU.clone()),
    ]
}

impl Case {
    /// Evaluations in f64 by the kernel's own definition.
    fn evaluate(&self, image: usize, x: &[f64]) -> (f64, Vec<f64>) {
        let own = image * x.len()..(image + 1) * x.len();
        let wide = |v: &[f32]| -> Vec<f64> { v[own.clone()].iter().map(|v| (*v).into()).collect() };
        self.function
            .at(x, &wide(&self.stiffness), &wide(&self.rest))
    }

    fn plain(&self, image: usize, evaluations: usize) -> lbfgs_plain::Run {
        let x = self.alone(image).x.iter().map(|v| (*v).into()).collect();
        minimize(&self.lbfgs, evaluations, x, |x| self.evaluate(image, x))
    }

    /// One image of the batch.
    fn alone(&self, image: usize) -> Self {
        let len = self.view.len() / self.view.n as usize;
        let own = |v: &[f32]| v[image * len..(image + 1) * len].to_vec();
        Self {
            view: View { n: 1, ..self.view },
            x: own(&self.x),
            stiffness: own(&self.stiffness),
            rest: own(&self.rest),
            ..*self
        }
    }

    fn run(&self, device: &Device, evaluations: u64) -> Outcome {
        let mut recording = Recording::new();
        let n = self.view.n;
        let step = recording.persistent("step", Kind::Word, 1);
        let losses = recording.persistent("losses", Kind::Real, n as usize);
        let ring = recording.persistent("ring", Kind::Real, (RING_ROWS * n) as usize);
        let x = Tensor::persistent(&mut recording, "x", self.view);
        let gradient = Tensor::transient(&mut recording, "gradient", self.view);
        let data = |recording: &mut Recording, data: &[f32]| {
            let buffer = device.buffer_from("data", data).expect("a small buffer");
            recording.given("data", buffer)
        };
        let stiffness = data(&mut recording, &self.stiffness);
        let rest = data(&mut recording, &self.rest);
        recording.call(
            "function",
            Evaluate {
                function: self.function,
                n,
                len: (self.view.len() / n as usize) as u32,
            },
            &[x.value, stiffness, rest, losses, gradient.value],
        );
        let site = Site {
            x,
            gradient,
            step,
            losses,
            slots: 1,
        };
        let state = self.lbfgs.record(&mut recording, site);
        let record = Record {
            slots: n,
            rows: RING_ROWS,
        };
        recording.call("record", record, &[losses, ring, step]);
        let iteration = Iteration::recorded(recording, x, step, ring, n as usize);
        let mut executor = Executor::new(device, iteration).expect("an executor");
        device
            .upload(executor.buffer(x.value), &self.x)
            .expect("x fits");
        let mut values = vec![Vec::new(); n as usize];
        let _ = executor
            .run(evaluations, &mut |step| {
                for (values, loss) in values.iter_mut().zip(&step.losses) {
                    values.push(f64::from(*loss));
                }
                ControlFlow::Continue(())
            })
            .expect("a run");
        let read = |id| device.download_f64(executor.buffer(id)).expect("reals");
        let counters = executor.buffer(state.counters.expect("counters"));
        let counters = device.download_words(counters).expect("words");
        Outcome {
            values,
            result: read(state.result.expect("a result").value),
            x: read(x.value),
            counters: counters.chunks(8).map(<[u32]>::to_vec).collect(),
        }
    }
}

fn rosenbrock() -> Case {
    let view = View::new(1, 1, 5, 4);
    Case {
        function: Function::Rosenbrock,
        view,
        x: (0..20).map(|i| [-1.2, 1.0][i % 2]).collect(),
        stiffness: vec![1.0; 20],
        rest: vec![0.0; 20],
        lbfgs: Lbfgs {
            range: None,
            ..Lbfgs::default()
        },
    }
}

/// Three springs' worlds in one batch, of condition 10⁴, whose values and sizes differ by factors.
fn quadratics() -> Case {
    let view = View::new(3, 5, 7, 4);
    let each = 140;
    let stiffness = |i: usize| 10f32.powf(4.0 * (i % each) as f32 / (each - 1) as f32);
    let scale = |i: usize| [1.0, 1e-3, 50.0][i / each];
    let mut rng = random(21);
    let rest = uniform(&mut rng, 3 * each);
    Case {
        function: Function::Quadratic { coupling: 0.0 },
        view,
        x: vec![0.0; 3 * each],
        stiffness: (0..3 * each).map(|i| scale(i) * stiffness(i)).collect(),
        rest: rest
            .iter()
            .enumerate()
            .map(|(i, r)| r * [1.0, 3.0, 0.1][i / each])
            .collect(),
        lbfgs: Lbfgs {
            range: None,
            ..Lbfgs::default()
        },
    }
}

#[test]
fn rosenbrock_in_20_dimensions() {
    let case = rosenbrock();
    let plain = case.plain(0, 200);
    let goal = 1e-6 * plain.values[0];
    let needed = until(&plain.values, goal);
    assert!(needed < 150, "the plain one took {needed} evaluations");
    for (name, device) in devices() {
        let out = case.run(&device, 200);
        // The valley is curved, and rounding errors grow along it: later the paths are as good, but others.
        for evaluations in [10, 20, 30] {
            let expected = plain.values[..evaluations].iter().copied();
            let expected = expected.fold(f64::INFINITY, f64::min);
            let best = out.best(0, evaluations);
            assert!(
                (best - expected).abs() <= 0.01 * expected,
                "{name} after {evaluations}: {best} should be {expected}"
            );
        }
        let took = out.until(0, goal);
        assert!(
            took.abs_diff(needed) <= 15,
            "{name} took {took} evaluations instead of {needed}"
        );
        let (value, _) = case.evaluate(0, &out.result);
        assert!(value < goal, "{name}: the result has value {value}");
        let counters = &out.counters[0];
        assert_eq!(counters[4], 200, "{name}: evaluations");
        assert!(counters[5] > 100 && counters[5] < 200, "{name}: accepted");
    }
}

#[test]
fn images_of_a_batch_converge_each_for_itself() {
    let case = quadratics();
    for (name, device) in devices() {
        let out = case.run(&device, 500);
        for image in 0..3 {
            let plain = case.plain(image, 500);
            for goal in [1e-2, 1e-6, 1e-9] {
                let needed = until(&plain.values, goal * plain.values[0]);
                let took = out.until(image, goal * plain.values[0]);
                assert!(
                    took.abs_diff(needed) <= needed / 10,
                    "{name} image {image} took {took} evaluations to {goal:e} instead of {needed}"
                );
            }
            let alone = case.alone(image).run(&device, 500);
            let own = image * alone.x.len()..(image + 1) * alone.x.len();
            assert_eq!(alone.values[0], out.values[image], "{name} image {image}");
            assert_eq!(
                alone.result,
                out.result[own.clone()],
                "{name} image {image}"
            );
            assert_eq!(alone.x, out.x[own], "{name} image {image}");
            assert_eq!(alone.counters[0], out.counters[image]);
        }
        // Images were accepted and rejected in one dispatch.
        let accepted: Vec<u32> = out.counters.iter().map(|c| c[5]).collect();
        assert!(
            accepted.iter().any(|a| *a != accepted[0]),
            "{name}: {accepted:?}"
        );
    }
}

/// Coupled springs, some of which would rest outside of [0, 1].
fn boxed() -> Case {
    let view = View::new(2, 5, 7, 4);
    let rest = uniform(&mut random(22), 280);
    Case {
        function: Function::Quadratic { coupling: 3.0 },
        view,
        x: vec![0.5; 280],
        stiffness: (0..280).map(|i| [1.0, 10.0, 100.0, 0.1][i % 4]).collect(),
        rest: rest.iter().map(|r| 0.5 + 1.5 * r).collect(),
        lbfgs: Lbfgs::default(),
    }
}

#[test]
fn bounds_are_kept_and_the_minimum_within_them_is_found() {
    let case = boxed();
    let outs = devices().map(|(name, device)| (name, case.run(&device, 100)));
    for image in 0..2 {
        // Projected gradient descent; no eigenvalue is above 100 + 4·3.
        let mut solution = vec![0.5; 140];
        for _ in 0..20_000 {
            let (_, g) = case.evaluate(image, &solution);
            for (x, g) in solution.iter_mut().zip(&g) {
                *x = (*x - g / 112.0).clamp(0.0, 1.0);
            }
        }
        let (least, g) = case.evaluate(image, &solution);
        let held = |x: f64| x == 0.0 || x == 1.0;
        let active = solution.iter().filter(|x| held(**x)).count();
        assert!((30..110).contains(&active), "{active} bounds are active");
        for (x, g) in solution.iter().zip(&g) {
            let stationary = (*x == 0.0 && *g > 0.0) || (*x == 1.0 && *g < 0.0) || g.abs() < 1e-9;
            assert!(stationary, "the reference has not converged: {x} {g}");
        }
        let plain = case.plain(image, 100);
        assert!(plain.value <= least * (1.0 + 1e-12));
        let apart = plain.base.iter().zip(&solution).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) <= 1e-6, "the plain one");
        for (name, out) in &outs {
            let result = &out.result[140 * image..][..140];
            let x = &out.x[140 * image..][..140];
            assert!(result.iter().chain(x).all(|x| (0.0..=1.0).contains(x)));
            let (value, _) = case.evaluate(image, result);
            assert!(
                value <= least * (1.0 + 1e-7),
                "{name} image {image}: {value} {least}"
            );
            for (i, (got, expected)) in result.iter().zip(&solution).enumerate() {
                assert!(
                    (got - expected).abs() <= 1e-5,
                    "{name} image {image} element {i}: {got} should be {expected}"
                );
            }
        }
    }
}

/// In several buffers of pairs as in one, bit for bit.
#[test]
fn pairs_in_several_buffers() {
    let mut case = boxed();
    for (name, device) in devices() {
        case.lbfgs.buffer_bytes = u64::MAX;
        let one = case.run(&device, 40);
        // Pairs are 2·280·4 bytes: buffers of 1, 3 and 7 pairs.
        for bytes in [0, 7000, 16_000] {
            case.lbfgs.buffer_bytes = bytes;
            let several = case.run(&device, 40);
            assert_eq!(one.result, several.result, "{name}");
            assert_eq!(one.values, several.values, "{name}");
        }
    }
}

/// A first step so long that f32 overflows is taken back, and nothing of it remains.
#[test]
fn an_overflow_is_a_rejected_trial() {
    let mut case = rosenbrock();
    case.lbfgs.step_size = 1e12;
    for (name, device) in devices() {
        let out = case.run(&device, 250);
        // f64 holds 10⁵⁰.
        let overflows = out.values[0].iter().filter(|v| !v.is_finite()).count();
        assert!(overflows > 0 || name == "oracle", "{name}");
        assert!(
            out.x.iter().chain(&out.result).all(|x| x.is_finite()),
            "{name}"
        );
        let (value, _) = case.evaluate(0, &out.result);
        assert!(value < 1e-6 * out.values[0][0], "{name}: {value}");
    }
}

/// Where the start is the minimum nothing moves; where f32 knows no better point, steps stop.
#[test]
fn it_stays_at_the_minimum() {
    let mut case = quadratics();
    case.x = case.rest.clone();
    for (name, device) in devices() {
        let out = case.run(&device, 3);
        let start: Vec<f64> = case.x.iter().map(|x| (*x).into()).collect();
        assert_eq!(out.x, start, "{name}");
        assert_eq!(out.result, start, "{name}");
        assert!(
            out.counters.iter().all(|c| c[0] == 2 && c[5] == 0),
            "{name}"
        );
    }
    let case = boxed();
    for (name, device) in [("cpu", &Device::cpu()), ("gpu", &*GPU)] {
        let out = case.run(device, 200);
        assert!(
            out.counters.iter().all(|c| c[0] == 2),
            "{name}: {:?}",
            out.counters
        );
        assert_eq!(out.x, out.result, "{name}");
    }
}
