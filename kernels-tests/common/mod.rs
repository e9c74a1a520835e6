//! What the tests of kernels, objective and engine share: devices, random data, and the comparison with the f64
//! reference.
//!
//! Each of the three is a program of its own, compiled with this module, and none of them uses all of it.
#![allow(dead_code)]

pub mod elsewhere;
pub mod finite;
pub mod gram_value;
pub mod lbfgs_plain;
pub mod oracle;
pub mod recorded;

use std::path::PathBuf;
use std::sync::LazyLock;

use pixgrad::engine::device::{Buffer, Device, DeviceKind, DeviceOptions, Kernel, Kind, list};
use pixgrad::engine::image::{Filter, Image, load};
use pixgrad::engine::kernels::View;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// ‖a − b‖/‖b‖ allowed for one kernel in f32.
pub const TOLERANCE: f64 = 1e-5;

/// The project's folder: where it is now, if the variable that cargo sets says so, else where the tests were built.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// The adapter the tests run on: `PIXGRAD_TEST_DEVICE`, else the best one, software included, of the graphics API
/// `PIXGRAD_TEST_BACKEND`. There must be one.
pub static GPU: LazyLock<Device> = LazyLock::new(open_gpu);

/// Another handle on the test adapter, with counters of its own.
pub fn open_gpu() -> Device {
    let named = std::env::var("PIXGRAD_TEST_DEVICE").ok();
    let backend = std::env::var("PIXGRAD_TEST_BACKEND").ok();
    let is_wanted = |found: &str| match &backend {
        Some(backend) => found == backend,
        None => found != "cpu",
    };
    let device = named
        .or_else(|| {
            list()
                .iter()
                .find(|d| is_wanted(&d.backend))
                .map(|d| d.index.to_string())
        })
        .expect(
            "the kernel tests need a Vulkan, Metal or DX12 adapter and found none; \
         on Debian and Ubuntu `apt-get install mesa-vulkan-drivers` installs a software one",
        );
    let device = Device::new(&DeviceOptions {
        device: Some(device),
        checked: true,
        ..Default::default()
    })
    .expect("the test adapter opens");
    assert!(
        device.gpu().is_some(),
        "the kernel tests must run on an adapter, not on {:?}",
        device.info()
    );
    if device.info().kind == DeviceKind::Cpu {
        eprintln!("kernel tests on the software adapter {}", device.info());
    }
    device
}

/// A generator for one test; the same numbers on every run.
pub fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// `len` numbers, uniform in [−1, 1).
pub fn uniform(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// A random tensor in the engine's layout: the padding channels of its view are zero, what lies outside the view
/// (other slices of the same buffer) is random.
pub fn tensor(rng: &mut ChaCha8Rng, view: View) -> Vec<f32> {
    let mut data = uniform(rng, view.len());
    for n in 0..view.n as usize {
        for y in 0..view.h as usize {
            for x in 0..view.w as usize {
                let at = view.at(n, y, x);
                data[at + view.c as usize..at + view.padded()].fill(0.0);
            }
        }
    }
    data
}

/// A random mask over a view, with no bit set beyond the image.
pub fn mask(rng: &mut ChaCha8Rng, view: View) -> Vec<u32> {
    let mut words: Vec<u32> = (0..view.mask_len()).map(|_| rng.random()).collect();
    let left = view.w % 8;
    if left != 0 {
        for n in 0..view.n as usize {
            for y in 0..view.h as usize {
                for quad in 0..view.quads as usize {
                    words[view.mask_at(n, y, view.strips as usize - 1, quad)] &=
                        (1 << (left * 4)) - 1;
                }
            }
        }
    }
    words
}

/// What stands at one binding before the kernel runs.
pub enum Data {
    /// Reals.
    Reals(Vec<f32>),
    /// Words.
    Words(Vec<u32>),
    /// A tensor to be written: poisoned with NaN, and every element of the view must be overwritten.
    Poisoned(View),
    /// A plain array of reals to be written, poisoned likewise.
    PoisonedReals(usize),
    /// Words to be written, poisoned with ones.
    PoisonedWords(usize),
}

impl Data {
    /// As a buffer holds it.
    fn words(&self) -> Vec<u32> {
        match self {
            Self::Reals(data) => data.iter().map(|v| v.to_bits()).collect(),
            Self::Words(data) => data.clone(),
            Self::Poisoned(view) => vec![f32::NAN.to_bits(); view.len()],
            Self::PoisonedReals(len) => vec![f32::NAN.to_bits(); *len],
            Self::PoisonedWords(len) => vec![u32::MAX; *len],
        }
    }

    fn buffer(&self, device: &Device) -> Buffer {
        let (kind, len) = match self {
            Self::Reals(data) => (Kind::Real, data.len()),
            Self::Words(data) => (Kind::Word, data.len()),
            Self::Poisoned(view) => (Kind::Real, view.len()),
            Self::PoisonedReals(len) => (Kind::Real, *len),
            Self::PoisonedWords(len) => (Kind::Word, *len),
        };
        let buffer = device
            .buffer("test", kind, len)
            .expect("a test buffer fits");
        match self {
            Self::Reals(data) => device.upload(&buffer, data),
            Self::Words(data) => device.upload_words(&buffer, data),
            Self::Poisoned(_) | Self::PoisonedReals(_) => {
                device.upload(&buffer, &vec![f32::NAN; len])
            }
            Self::PoisonedWords(_) => device.upload_words(&buffer, &vec![u32::MAX; len]),
        }
        .expect("test data fits its buffer");
        buffer
    }
}

/// One written binding after the kernel has run.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Reals(Vec<f64>),
    Words(Vec<u32>),
}

impl Output {
    pub fn reals(&self) -> &[f64] {
        match self {
            Self::Reals(v) => v,
            Self::Words(_) => panic!("words where reals were expected"),
        }
    }
    pub fn words(&self) -> &[u32] {
        match self {
            Self::Words(v) => v,
            Self::Reals(_) => panic!("reals where words were expected"),
        }
    }
}

/// Runs a kernel on one device and returns its written bindings in order.
pub fn run_on<K: Kernel>(device: &Device, kernel: &K, data: &[Data]) -> Vec<Output> {
    if device.gpu().is_some() {
        elsewhere::ask(kernel, data);
        if let Some(outputs) = elsewhere::answer(kernel, data) {
            return outputs;
        }
    }
    let buffers: Vec<Buffer> = data.iter().map(|d| d.buffer(device)).collect();
    let refs: Vec<&Buffer> = buffers.iter().collect();
    device
        .run(kernel, &refs)
        .unwrap_or_else(|e| panic!("{kernel:?}: {e}"));
    let slots = kernel.bindings();
    slots
        .iter()
        .zip(&buffers)
        .filter(|(slot, _)| slot.writes())
        .map(|(slot, buffer)| match slot.kind {
            Kind::Word => Output::Words(device.download_words(buffer).expect("read back")),
            _ => Output::Reals(device.download_f64(buffer).expect("read back")),
        })
        .collect()
}

/// Runs a kernel on the GPU, on `cpu` and in f64, compares, and returns the f64 outputs.
pub fn check<K: Kernel>(kernel: &K, data: &[Data]) -> Vec<Output> {
    check_within(kernel, data, TOLERANCE)
}

/// As [`check`] with another tolerance, which the caller must justify.
pub fn check_within<K: Kernel>(kernel: &K, data: &[Data], tolerance: f64) -> Vec<Output> {
    let expected = run_on(&Device::oracle(), kernel, data);
    let written = kernel
        .bindings()
        .into_iter()
        .zip(data)
        .filter(|(slot, _)| slot.writes())
        .map(|(_, d)| d);
    for (output, data) in expected.iter().zip(written) {
        match data {
            Data::Poisoned(view) => assert_written(kernel, *view, output.reals()),
            Data::PoisonedReals(_) => {
                assert!(
                    output.reals().iter().all(|v| !v.is_nan()),
                    "{kernel:?}: the reference leaves elements unwritten"
                );
            }
            _ => {}
        }
    }
    for (name, device) in [("cpu", &Device::cpu()), ("gpu", &*GPU)] {
        let actual = run_on(device, kernel, data);
        for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            if let Err(why) = same(actual, expected, tolerance) {
                panic!("{kernel:?} on {name}, written binding {i}: {why}");
            }
        }
    }
    expected
}

/// Every vec4 of the view has been overwritten, and its padding channels are zero.
fn assert_written<K: Kernel>(kernel: &K, view: View, data: &[f64]) {
    for n in 0..view.n as usize {
        for y in 0..view.h as usize {
            for x in 0..view.w as usize {
                let pixel = &data[view.at(n, y, x)..][..view.padded()];
                assert!(
                    pixel.iter().all(|v| !v.is_nan()),
                    "{kernel:?}: ({n},{y},{x}) not written"
                );
                assert!(
                    pixel[view.c as usize..].iter().all(|v| *v == 0.0),
                    "{kernel:?}: ({n},{y},{x}) has padding {:?}",
                    &pixel[view.c as usize..]
                );
            }
        }
    }
}

/// ‖a − b‖/‖b‖.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    let error: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    let norm: f64 = b.iter().map(|b| b * b).sum();
    (error / norm).sqrt()
}

/// A picture of noise.
pub fn noise(width: u32, height: u32, seed: u64) -> Image {
    let values = uniform(&mut random(seed), (width * height * 3) as usize);
    let rgb = values.iter().map(|v| v.abs().min(1.0)).collect();
    Image::new(width, height, rgb).expect("an image")
}

/// A sample picture, made smaller.
pub fn sample(name: &str, width: u32, height: u32) -> Image {
    let path = root().join("samples/images").join(name);
    load(path)
        .expect("a sample")
        .resize(width, height, Filter::Bicubic)
        .expect("a smaller one")
        .clamp()
}

/// ‖actual − expected‖/‖expected‖ ≤ tolerance, NaN (unwritten) in the same places; words bit for bit.
pub fn same(actual: &Output, expected: &Output, tolerance: f64) -> Result<(), String> {
    match (actual, expected) {
        (Output::Words(a), Output::Words(b)) => match a.iter().zip(b).position(|(a, b)| a != b) {
            Some(i) => Err(format!(
                "word {i} is {:#010x}, should be {:#010x}",
                a[i], b[i]
            )),
            None => Ok(()),
        },
        (Output::Reals(a), Output::Reals(b)) => {
            if a.len() != b.len() {
                return Err(format!("{} elements, should be {}", a.len(), b.len()));
            }
            if let Some(i) = a.iter().zip(b).position(|(a, b)| a.is_nan() != b.is_nan()) {
                return Err(format!("element {i} is {}, should be {}", a[i], b[i]));
            }
            let pairs = || a.iter().zip(b).filter(|(_, b)| !b.is_nan());
            let error = pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            let norm = pairs().map(|(_, b)| b * b).sum::<f64>().sqrt();
            if error <= tolerance * norm {
                return Ok(());
            }
            let worst =
                (0..a.len()).max_by(|&i, &j| (a[i] - b[i]).abs().total_cmp(&(a[j] - b[j]).abs()));
            let worst = worst
                .map(|i| format!("element {i} is {}, should be {}", a[i], b[i]))
                .unwrap_or_default();
            Err(format!(
                "relative error {:.3e} > {tolerance:e}; {worst}",
                error / norm
            ))
        }
        _ => Err("kinds differ".to_string()),
    }
}

#[test]
fn the_comparator_notices_one_changed_element() {
    let expected: Vec<f64> = (0..10_000).map(|i| f64::from(i).sin()).collect();
    let same_data = Output::Reals(expected.clone());
    assert!(same(&same_data, &same_data, TOLERANCE).is_ok());
    let mut changed = expected.clone();
    changed[5_000] += 0.01;
    assert!(same(&Output::Reals(changed), &same_data, TOLERANCE).is_err());
    let mut unwritten = expected;
    unwritten[3] = f64::NAN;
    assert!(same(&Output::Reals(unwritten), &same_data, TOLERANCE).is_err());
    assert!(
        same(
            &Output::Words(vec![1, 2]),
            &Output::Words(vec![1, 3]),
            TOLERANCE
        )
        .is_err()
    );
}
