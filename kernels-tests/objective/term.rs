//! A term alone at one tensor, as the engine computes it: its value against the definition, its gradient against
//! central differences of the value in f64, the devices against the oracle.

use std::ops::Range;

use pixgrad::engine::device::{Device, Kind, Recording};
use pixgrad::engine::kernels::{CopyRows, Tensor, View, from_quads, to_quads};
use pixgrad::engine::objective::{
    Band, Content, Gathered, Loss, Saved, Term, record_gradient, record_value,
};
use pixgrad::engine::plan::Program;
use pixgrad::engine::schedule::Loaded;

use crate::common::oracle::{dot, wide};
use crate::common::{GPU, Output, TOLERANCE, random, same, tensor};

/// Values of one image's losses; the term under test writes the middle one.
const SLOTS: u32 = 3;

/// Stands in the other slots of the losses and must stay there.
const UNTOUCHED: f64 = -7.5;

/// A term to be tested.
pub struct Case<'a> {
    /// What it is, for a failure.
    pub name: &'a str,
    /// The tensor it reads, and the one its gradient goes to: the same n, h, w, c.
    pub x: View,
    pub dx: View,
    /// What stands in x.
    pub input: &'a [f32],
    /// Makes the term on a device.
    pub make: &'a dyn Fn(&Device) -> Box<dyn Term>,
    /// weight · L of image i from its [C,H,W] array: the plainest definition.
    pub plain: &'a dyn Fn(usize, &[f64]) -> f64,
    /// Half the distance between the two points of a central difference.
    pub step: f64,
    /// The difference's error relative to the slope: of order step² times the third derivative; 1e-9 for quadratics.
    pub error: f64,
}

/// Value (each image's) and gradient (the buffer of dx).
type Answer = (Vec<f64>, Vec<f64>);

impl Case<'_> {
    /// One iteration: the forward pass, then the backward pass into `before`, added where `accumulate`.
    pub fn evaluate(&self, device: &Device, x: &[f64], before: &[f64], accumulate: bool) -> Answer {
        self.iterate(device, x, before, |term, recording, [input, dx], loss| {
            let saved = record_value(recording, term, input, loss);
            record_gradient(recording, term, input, &saved, dx, accumulate);
        })
    }

    /// The same in bands of rows, the gradient added to `before`; the term must be banded.
    fn evaluate_bands(
        &self,
        device: &Device,
        x: &[f64],
        before: &[f64],
        bands: &[Range<u32>],
    ) -> Answer {
        let View { n, h, w, c, .. } = self.x;
        self.iterate(device, x, before, |term, recording, [input, dx], loss| {
            let mut cut = Vec::new();
            for (index, rows) in bands.iter().enumerate() {
                let view = View::new(n, rows.len() as u32, w, c);
                let x = Tensor::transient(recording, "rows", view);
                let copy = CopyRows {
                    x: self.x,
                    y: view,
                    from: rows.start,
                    to: 0,
                    rows: view.h,
                    accumulate: false,
                };
                recording.call("rows", copy, &[input.value, x.value]);
                let band = Band {
                    layer: View::new(n, h, w, c),
                    first: rows.start,
                    index: index as u32,
                    count: bands.len() as u32,
                };
                cut.push((x, band));
            }
            let mut gathered = Gathered::default();
            for (x, band) in &cut {
                term.gather(recording, *x, *band, &mut gathered);
            }
            let saved = term.conclude(recording, View::new(n, h, w, c), gathered, loss);
            for (x, band) in cut.into_iter().rev() {
                let slopes = Tensor::transient(recording, "gradient of rows", x.view);
                term.backward(recording, x, band, &saved, slopes, false);
                let copy = CopyRows {
                    x: x.view,
                    y: self.dx,
                    from: 0,
                    to: band.first,
                    rows: x.view.h,
                    accumulate: true,
                };
                recording.call("gradient of rows", copy, &[slopes.value, dx.value]);
            }
        })
    }

    /// One iteration of what `record` makes of the term, the tensor and its gradient.
    fn iterate(
        &self,
        device: &Device,
        x: &[f64],
        before: &[f64],
        record: impl FnOnce(&dyn Term, &mut Recording, [Tensor; 2], Loss),
    ) -> Answer {
        let mut recording = Recording::new();
        let input = Tensor::persistent(&mut recording, "x", self.x);
        let dx = Tensor::persistent(&mut recording, "dx", self.dx);
        let len = (self.x.n * SLOTS) as usize;
        let losses = recording.persistent("losses", Kind::Real, len);
        let term = (self.make)(device);
        let step = recording.persistent("step", Kind::Word, 1);
        let loss = Loss {
            losses,
            slots: SLOTS,
            slot: 1,
            step,
        };
        record(&*term, &mut recording, [input, dx], loss);
        let program = Program::new(recording, []);
        let mut loaded = Loaded::new(device, program).expect("a program in memory");
        let upload = |value, data: &[f64]| {
            let buffer = loaded.buffer(value);
            device.upload_f64(buffer, data).expect("it fits");
        };
        upload(input.value, x);
        upload(dx.value, before);
        upload(losses, &vec![UNTOUCHED; len]);
        loaded.run_once().expect("a run");
        let read = |value| {
            device
                .download_f64(loaded.buffer(value))
                .expect("read back")
        };
        let losses = read(losses);
        let values = losses.chunks(SLOTS as usize).map(|image| {
            assert_eq!([image[0], image[2]], [UNTOUCHED; 2], "{}", self.name);
            image[1]
        });
        // A slot may be larger than the value that lives in it.
        (values.collect(), read(dx.value)[..self.dx.len()].to_vec())
    }

    /// Checks everything.
    pub fn check(&self) {
        let name = self.name;
        let oracle = Device::oracle();
        let x = wide(self.input);
        let poison = vec![f64::NAN; self.dx.len()];
        let (values, gradient) = self.evaluate(&oracle, &x, &poison, false);

        // The value is the definition, up to factors that are f32 parameters.
        let each = self.x.elements() / self.x.n as usize;
        let planes = from_quads(self.x, &x);
        for (i, value) in values.iter().enumerate() {
            let expected = (self.plain)(i, &planes[i * each..][..each]);
            assert!(
                (value - expected).abs() <= 2e-7 * expected.abs(),
                "{name}: image {i} has {value}, should be {expected}"
            );
        }

        // The gradient is the derivative of the value, image by image; no image moves another.
        let slopes = from_quads(self.dx, &gradient);
        assert!(slopes.iter().all(|v| v.is_finite()), "{name}: not written");
        let mut rng = random(4711);
        for trial in 0..3 {
            for i in 0..self.x.n as usize {
                let mut direction = vec![0.0; planes.len()];
                let all = from_quads(self.x, &wide(&tensor(&mut rng, self.x)));
                direction[i * each..][..each].copy_from_slice(&all[i * each..][..each]);
                let moved = |t: f64| {
                    let there: Vec<f64> = planes
                        .iter()
                        .zip(&direction)
                        .map(|(x, d)| x + t * d)
                        .collect();
                    let mut packed = x.clone();
                    // Other slices of the buffer stay as they are.
                    let mine = to_quads(self.x, &vec![1.0; planes.len()]);
                    for (at, value) in to_quads(self.x, &there).into_iter().enumerate() {
                        if mine[at] == 1.0 {
                            packed[at] = value;
                        }
                    }
                    self.evaluate(&oracle, &packed, &poison, false).0
                };
                let (above, below) = (moved(self.step), moved(-self.step));
                for j in 0..values.len() {
                    if j != i {
                        assert_eq!(
                            [above[j], below[j]],
                            [values[j]; 2],
                            "{name}: image {j} moved with {i}"
                        );
                    }
                }
                let numeric = (above[i] - below[i]) / (2.0 * self.step);
                let analytic = dot(&slopes, &direction);
                let scale = norm(&slopes[i * each..][..each]) * norm(&direction);
                // The parameters' factors are f32.
                assert!(
                    (numeric - analytic).abs() <= (self.error + 2e-7) * scale,
                    "{name}: image {i}, direction {trial}: the derivative is {numeric}, the gradient says {analytic}"
                );
            }
        }

        // Added to what is there, and nothing else: slices beside it stay.
        let before = wide(&tensor(&mut rng, self.dx));
        let (again, sum) = self.evaluate(&oracle, &x, &before, true);
        assert_eq!(again, values, "{name}");
        let base = from_quads(self.dx, &before);
        for ((sum, base), slope) in from_quads(self.dx, &sum).iter().zip(base).zip(&slopes) {
            assert!(
                (sum - base - slope).abs() <= 1e-12 * (base.abs() + slope.abs()),
                "{name}: {base} + {slope} became {sum}"
            );
        }

        self.check_bands(&x, &values, &slopes);

        for (kind, device) in [("cpu", &Device::cpu()), ("gpu", &*GPU)] {
            for (accumulate, before, expected) in
                [(false, &poison, &gradient), (true, &before, &sum)]
            {
                let (v, dx) = self.evaluate(device, &x, before, accumulate);
                for (what, got, expected) in [("value", v, &values), ("gradient", dx, expected)] {
                    let expected = Output::Reals(expected.clone());
                    same(&Output::Reals(got), &expected, TOLERANCE)
                        .unwrap_or_else(|why| panic!("{name} on {kind}: {what}: {why}"));
                }
            }
        }
    }

    /// In bands of one row, of half of the others and of the rest value and gradient are the same, where the term can
    /// be computed so.
    fn check_bands(&self, x: &[f64], values: &[f64], slopes: &[f64]) {
        if (self.make)(&Device::oracle()).needs_whole_layer().is_some() || self.x.h < 2 {
            return;
        }
        let middle = 1 + (self.x.h - 1) / 2;
        let bands: Vec<Range<u32>> = [0..1, 1..middle, middle..self.x.h]
            .into_iter()
            .filter(|rows| !rows.is_empty())
            .collect();
        let zeros = vec![0.0; self.dx.len()];
        for (kind, device, tolerance) in [
            // The factors of the sums are f32 parameters there, too.
            ("oracle", &Device::oracle(), 3e-7),
            ("cpu", &Device::cpu(), TOLERANCE),
            ("gpu", &*GPU, TOLERANCE),
        ] {
            let (v, dx) = self.evaluate_bands(device, x, &zeros, &bands);
            let dx = from_quads(self.dx, &dx);
            for (what, got, expected) in [("value", v, values), ("gradient", dx, slopes)] {
                let expected = Output::Reals(expected.to_vec());
                same(&Output::Reals(got), &expected, tolerance).unwrap_or_else(|why| {
                    panic!("{} in {bands:?} on {kind}: {what}: {why}", self.name)
                });
            }
        }
    }
}

fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}

/// Whether the check fails for a case that is wrong.
fn fails(case: &Case<'_>) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case.check())).is_err()
}

#[test]
fn a_wrong_term_is_noticed() {
    let view = View::new(2, 3, 4, 3);
    let input = tensor(&mut random(1), view);
    // mean dx² + mean dy² of an image.
    let tv = |scale: f64| {
        move |_: usize, x: &[f64]| {
            let (mut across, mut down) = (0.0, 0.0);
            for plane in x.chunks(12) {
                for (at, here) in plane.iter().enumerate() {
                    if at % 4 < 3 {
                        across += (plane[at + 1] - here).powi(2) / 27.0;
                    }
                    if at < 8 {
                        down += (plane[at + 4] - here).powi(2) / 24.0;
                    }
                }
            }
            scale * (across + down)
        }
    };
    let right = tv(1.5);
    let make = |_: &Device| -> Box<dyn Term> { Box::new(pixgrad::engine::objective::Tv::new(1.5)) };
    let case = Case {
        name: "tv",
        x: view,
        dx: view,
        input: &input,
        make: &make,
        plain: &right,
        step: 0.1,
        error: 1e-9,
    };
    case.check();
    let wrong = tv(1.500_01);
    assert!(fails(&Case {
        plain: &wrong,
        ..case
    }));
    assert!(fails(&Case {
        make: &|_| Box::new(WrongGradient(pixgrad::engine::objective::Tv::new(1.5))),
        ..case
    }));
}

#[test]
fn a_wrong_band_is_noticed() {
    let view = View::new(2, 5, 4, 3);
    let input = tensor(&mut random(1), view);
    let content = |device: &Device| {
        let zeros = vec![0.0; View { n: 1, ..view }.len()];
        let target = device.buffer_from("target", &zeros).expect("it fits");
        Content::new(target, View { n: 1, ..view }, 1.5)
    };
    let case = Case {
        name: "content",
        x: view,
        dx: view,
        input: &input,
        make: &|device| Box::new(content(device)),
        plain: &|_, x| 1.5 * dot(x, x) / 60.0,
        step: 0.1,
        error: 1e-9,
    };
    case.check();
    for of_value in [true, false] {
        let make =
            |device: &Device| -> Box<dyn Term> { Box::new(WrongBand(content(device), of_value)) };
        assert!(fails(&Case {
            make: &make,
            ..case
        }));
    }
}

/// A term that is right whole; of several bands the last one is not gathered, or has twice its gradient.
#[derive(Debug)]
struct WrongBand(Content, bool);

impl Term for WrongBand {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        if self.1 && band.count > 1 && band.is_last() {
            return;
        }
        self.0.gather(recording, x, band, gathered);
    }
    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        self.0.conclude(recording, layer, gathered, loss)
    }
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let term = &self.0;
        term.backward(recording, x, band, saved, dx, accumulate);
        if !self.1 && band.count > 1 && band.is_last() {
            term.backward(recording, x, band, saved, dx, true);
        }
    }
}

/// A term whose gradient is twice what it should be.
#[derive(Debug)]
struct WrongGradient(pixgrad::engine::objective::Tv);

impl Term for WrongGradient {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        self.0.gather(recording, x, band, gathered);
    }
    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        self.0.conclude(recording, layer, gathered, loss)
    }
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let term = &self.0;
        term.backward(recording, x, band, saved, dx, accumulate);
        term.backward(recording, x, band, saved, dx, true);
    }
}
