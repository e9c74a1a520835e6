//! A recording run call by call, on any device: what the parts of a plan record, without the plan.

use pixgrad::engine::device::{Buffer, Device, Home, Kind, Recording, ValueId};
use pixgrad::engine::kernels::{Tensor, View, from_quads};
use pixgrad::engine::optim::Site;

use crate::common::GPU;

/// The oracle, `cpu` and the test adapter.
pub fn devices() -> [&'static Device; 3] {
    static CPU: std::sync::LazyLock<[Device; 2]> =
        std::sync::LazyLock::new(|| [Device::oracle(), Device::cpu()]);
    [&CPU[0], &CPU[1], &GPU]
}

/// Whether a device computes in f64.
pub fn is_oracle(device: &Device) -> bool {
    std::ptr::eq(device, devices()[0])
}

/// A recording with a buffer of its own for each value.
pub struct Recorded {
    device: &'static Device,
    recording: Recording,
    buffers: Vec<Buffer>,
}

impl Recorded {
    pub fn new(device: &'static Device, recording: Recording) -> Self {
        let buffers = recording
            .values()
            .iter()
            .map(|value| match &value.home {
                Home::Given(given) => given.buffer().expect("given memory"),
                Home::Transient | Home::Persistent => device
                    .buffer(&value.label, value.kind, value.len)
                    .expect("it fits"),
            })
            .collect();
        Self {
            device,
            recording,
            buffers,
        }
    }

    fn buffer(&self, value: ValueId) -> &Buffer {
        &self.buffers[value.0 as usize]
    }

    pub fn set(&self, value: ValueId, data: &[f64]) {
        self.device
            .upload_f64(self.buffer(value), data)
            .expect("it fits");
    }

    pub fn set_words(&self, value: ValueId, words: &[u32]) {
        self.device
            .upload_words(self.buffer(value), words)
            .expect("it fits");
    }

    pub fn get(&self, value: ValueId) -> Vec<f64> {
        self.device
            .download_f64(self.buffer(value))
            .expect("read back")
    }

    pub fn words(&self, value: ValueId) -> Vec<u32> {
        self.device
            .download_words(self.buffer(value))
            .expect("read back")
    }

    /// Poisons what a call writes whole before any reads it, then runs every call once.
    pub fn iterate(&self) {
        for value in self.written_first() {
            let value = &self.buffers[value];
            if value.kind() == Kind::Real {
                let poison = vec![f64::NAN; value.len()];
                self.device.upload_f64(value, &poison).expect("it fits");
            }
        }
        for call in self.recording.calls() {
            let bound: Vec<_> = call.values.iter().map(|&id| self.buffer(id)).collect();
            self.device
                .run(&*call.operation, &bound)
                .unwrap_or_else(|e| panic!("{}: {e}", call.label));
        }
    }

    /// Transient values whose first call only writes them.
    fn written_first(&self) -> Vec<usize> {
        let transient = |i: &usize| matches!(self.recording.values()[*i].home, Home::Transient);
        let first_use = |i: usize| {
            self.recording.calls().iter().find_map(|call| {
                let place = call.values.iter().position(|id| id.0 as usize == i)?;
                Some(call.operation.bindings()[place])
            })
        };
        (0..self.buffers.len())
            .filter(transient)
            .filter(|&i| first_use(i).is_some_and(|slot| !slot.reads()))
            .collect()
    }
}

/// A site with memory of its own for everything: `x` and the gradient of one shape.
pub fn site(recording: &mut Recording, view: View, slots: u32) -> Site {
    let losses = (view.n * slots) as usize;
    Site {
        x: Tensor::persistent(recording, "x", view),
        gradient: Tensor::persistent(recording, "gradient", view),
        step: recording.persistent("step", Kind::Word, 1),
        losses: recording.persistent("losses", Kind::Real, losses),
        slots,
    }
}

/// The images of a batch as `[c,h,w]` each, from the engine's layout.
pub fn images(view: View, packed: &[f64]) -> Vec<Vec<f64>> {
    let each = view.elements() / view.n as usize;
    let all = from_quads(view, packed);
    all.chunks(each).map(<[f64]>::to_vec).collect()
}

/// Asserts ‖got − expected‖ ≤ tolerance·‖expected‖ for each image; in f64 to 1e-12.
pub fn assert_images(
    device: &Device,
    what: &str,
    got: &[Vec<f64>],
    expected: &[Vec<f64>],
    tolerance: f64,
) {
    let tolerance = if is_oracle(device) { 1e-12 } else { tolerance };
    assert_eq!(got.len(), expected.len());
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference: f64 = got.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
        let norm: f64 = expected.iter().map(|v| v * v).sum();
        assert!(
            got.len() == expected.len() && difference.sqrt() <= tolerance * norm.sqrt(),
            "{what} on {device:?}, image {i}: off by {} of {}; {:?} should be {:?}",
            difference.sqrt(),
            norm.sqrt(),
            &got[..got.len().min(6)],
            &expected[..expected.len().min(6)]
        );
    }
}
