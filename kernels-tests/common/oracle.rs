//! Kernels on f64 data, for derivatives by central differences.

use pixgrad::engine::device::{Buffer, Device, Kernel, Kind};

/// Runs a kernel of reals on the oracle and returns all its bindings as they are afterwards.
pub fn run_f64<K: Kernel>(kernel: &K, bindings: &[&[f64]]) -> Vec<Vec<f64>> {
    run_f64_with_words(kernel, bindings, &[])
}

/// As [`run_f64`] for a kernel that reads and writes words too: reals and words in the order of their bindings, and
/// the reals as they are afterwards.
pub fn run_f64_with_words<K: Kernel>(
    kernel: &K,
    reals: &[&[f64]],
    words: &[&[u32]],
) -> Vec<Vec<f64>> {
    let device = Device::oracle();
    let (mut reals, mut words) = (reals.iter(), words.iter());
    let buffers: Vec<Buffer> = kernel
        .bindings()
        .iter()
        .map(|slot| match slot.kind {
            Kind::Real | Kind::Wide | Kind::Half | Kind::Packed | Kind::Rectified => {
                let data = reals.next().expect("reals for every binding of reals");
                let buffer = device.buffer("test", Kind::Real, data.len());
                let buffer = buffer.expect("a test buffer fits");
                device.upload_f64(&buffer, data).expect("reals");
                buffer
            }
            Kind::Word => {
                let data = words.next().expect("words for every binding of words");
                let buffer = device.buffer("test", Kind::Word, data.len());
                let buffer = buffer.expect("a test buffer fits");
                device.upload_words(&buffer, data).expect("words");
                buffer
            }
        })
        .collect();
    let refs: Vec<&Buffer> = buffers.iter().collect();
    device
        .run(kernel, &refs)
        .unwrap_or_else(|e| panic!("{kernel:?}: {e}"));
    buffers
        .iter()
        .filter(|buffer| buffer.kind() == Kind::Real)
        .map(|buffer| device.download_f64(buffer).expect("read back"))
        .collect()
}

/// f32 data in f64.
pub fn wide(data: &[f32]) -> Vec<f64> {
    data.iter().map(|&v| f64::from(v)).collect()
}

/// Σ a·b.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The derivative of a quadratic `value` at `x` along `direction`, by central differences: exact whatever the step,
/// so it is a large one, in which rounding drowns.
pub fn derivative(x: &[f64], direction: &[f64], value: impl Fn(&[f64]) -> f64) -> f64 {
    let step = 0.25;
    let at = |t: f64| -> f64 {
        let moved: Vec<f64> = x.iter().zip(direction).map(|(x, d)| x + t * d).collect();
        value(&moved)
    };
    (at(step) - at(-step)) / (2.0 * step)
}

/// Asserts that a derivative by central differences is what the gradient says, to 1e-10 relative.
pub fn assert_derivative(what: &impl std::fmt::Debug, numeric: f64, analytic: f64) {
    assert!(
        (numeric - analytic).abs() <= 1e-10 * numeric.abs().max(1.0),
        "{what:?}: the derivative is {numeric}, the gradient says {analytic}"
    );
}
