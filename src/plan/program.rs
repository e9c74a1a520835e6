//! A program: kernel calls, memory for every value, and the values that are read when it has run.

use crate::Error;
use crate::device::{Device, Home, Recording, ValueId};
use crate::kernels::{MAX_TENSOR_BYTES, Tensor, View};
use crate::net::NodeId;

use super::{Forward, Layout, Network};

/// Kernel calls that run one after the other, once or again and again.
#[derive(Debug)]
pub struct Program {
    /// The calls.
    pub recording: Recording,
    /// Where their values live.
    pub layout: Layout,
    outputs: Vec<(String, Tensor)>,
}

/// What a program costs.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Cost {
    /// Bytes of the program's own buffers: activations, gradients, image, optimizer state, losses.
    pub buffer_bytes: u64,
    /// Bytes of weights and targets, which others own.
    pub given_bytes: u64,
    /// Bytes of the kernels' parameters.
    pub parameter_bytes: u64,
    /// The largest single buffer in bytes.
    pub largest_buffer_bytes: u64,
    /// Floating-point operations per run in units of 10⁹.
    pub gflop: f64,
    /// Kernel calls per run.
    pub dispatches: usize,
}

impl Cost {
    /// All bytes together.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.buffer_bytes + self.given_bytes + self.parameter_bytes
    }
}

impl Program {
    /// A program of a recording. Calls that contribute to nothing that is kept or read are left out; `outputs` can be
    /// read by name after it has run.
    #[must_use]
    pub fn new(
        mut recording: Recording,
        outputs: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Self {
        let outputs: Vec<_> = outputs.into_iter().collect();
        let read: Vec<ValueId> = outputs.iter().map(|(_, tensor)| tensor.value).collect();
        recording.prune(&read);
        let layout = Layout::new(&recording, &read);
        Self {
            recording,
            layout,
            outputs,
        }
    }

    /// The forward pass of a network, for reading layers back: the program, the image, to be filled, and the `wanted`
    /// layers.
    ///
    /// # Errors
    /// [`Error::Net`] where the image is too small for a layer.
    pub fn forward(
        network: &Network,
        image: View,
        wanted: &[NodeId],
    ) -> Result<(Self, Tensor, Vec<Tensor>), Error> {
        let mut recording = Recording::new();
        let image = Tensor::persistent(&mut recording, "image", image);
        let forward =
            Forward::record(&mut recording, network, image, wanted, wanted, |_, _, _| ())?;
        let layers = wanted.iter().map(|node| forward.tensor(*node)).collect();
        Ok((Self::new(recording, []), image, layers))
    }

    /// The output of that name.
    ///
    /// # Panics
    /// When there is none: a bug in the caller.
    #[must_use]
    pub fn output(&self, name: &str) -> Tensor {
        let found = self.outputs.iter().find(|(own, _)| own == name);
        found
            .unwrap_or_else(|| panic!("the program has no output `{name}`"))
            .1
    }

    /// What the program costs, known before anything is allocated.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let given: u64 = self.given_bytes().sum();
        let work = self.recording.work();
        let slots = self.layout.slots.iter().copied();
        Cost {
            buffer_bytes: self.layout.bytes(),
            given_bytes: given,
            parameter_bytes: self.recording.calls().len() as u64 * crate::device::PARAMS_SLOT,
            largest_buffer_bytes: slots.chain(self.given_bytes()).max().unwrap_or(0),
            gflop: work.flop as f64 / 1e9,
            dispatches: self.recording.calls().len(),
        }
    }

    /// Bytes that are kept from one run to the next.
    #[must_use]
    pub fn persistent_bytes(&self) -> u64 {
        let kept = self.recording.values().iter();
        let kept = kept.filter(|value| matches!(value.home, Home::Persistent));
        kept.map(|value| value.kind.bytes(value.len)).sum()
    }

    /// What is taken when the program gets its memory, on top of what the device holds already.
    #[must_use]
    pub fn bytes_on_top(&self, device: &Device) -> u64 {
        let cost = self.cost();
        device.allocated().0 + cost.buffer_bytes + cost.parameter_bytes
    }

    /// Bytes of each distinct piece of memory that others own.
    fn given_bytes(&self) -> impl Iterator<Item = u64> + '_ {
        let mut seen = std::collections::HashSet::new();
        let values = self.recording.values().iter();
        values.filter_map(move |value| match &value.home {
            Home::Given(given) => seen.insert(given.id()).then(|| value.kind.bytes(value.len)),
            Home::Transient | Home::Persistent => None,
        })
    }

    /// Whether every buffer of the program is within the device's limits, and `needed` bytes within its memory.
    ///
    /// # Errors
    /// [`Error::TooLarge`] names what does not fit.
    pub fn check_fits(&self, device: &Device, needed: u64) -> Result<(), Error> {
        let info = device.info();
        let limit = info
            .max_binding_bytes
            .min(info.max_buffer_bytes)
            .min(MAX_TENSOR_BYTES);
        let cost = self.cost();
        if cost.largest_buffer_bytes > limit {
            return Err(Error::TooLarge {
                what: "the largest layer",
                needed: cost.largest_buffer_bytes,
                limit,
                device: info.name.clone(),
                largest: None,
                uncut: None,
            });
        }
        if let Some(most) = device.memory_limit()
            && needed > most
        {
            return Err(Error::TooLarge {
                what: "the plan",
                needed,
                limit: most,
                device: info.name.clone(),
                largest: None,
                uncut: None,
            });
        }
        Ok(())
    }
}
