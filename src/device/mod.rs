//! Devices: one face over a GPU (`wgpu`) and the processor.
//!
//! A [`Device`] owns buffers and runs [`Kernel`]s. On a GPU a kernel is its WGSL file; on the `cpu` device it is
//! the reference implementation that stands beside it in Rust. A [`Recording`] is a list of kernel calls on values;
//! nothing in it depends on which device will run it.

mod adapters;
#[cfg(not(target_arch = "wasm32"))]
mod blocking;
mod buffer;
mod cache;
mod cpu;
mod error;
mod fingerprint;
mod given;
mod gpu;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod host_memory;
#[cfg(target_arch = "wasm32")]
pub(crate) mod host_memory {
    /// A browser does not say.
    pub fn free() -> Option<u64> {
        None
    }

    /// Nor does it limit processes.
    pub fn planned_at_most() -> Option<u64> {
        None
    }
}
mod kernel;
mod packed;
mod packing;
mod pipeline;
mod preprocess;
mod real;
mod recording;
mod shader;
mod stored;
mod tally;
mod tasks;
mod timing;
mod tuning;
mod vectorized;
mod waiting;

use std::sync::Arc;

use tally::Tally;

pub use adapters::{DeviceInfo, DeviceKind, DeviceOptions, list_async};
#[cfg(not(target_arch = "wasm32"))]
pub use blocking::list;
pub use buffer::{ALIGNMENT, Buffer, Kind};
pub use cache::cache_folder;
pub use cpu::{Arithmetic, Cpu};
pub use error::DeviceError;
pub use fingerprint::fingerprint;
pub use given::{Dial, Given, Later, Scalar};
pub use gpu::{CooperativeTile, Gpu, Usage};
pub use kernel::{Access, Alternatives, Binding, Bindings, Kernel, Operation, Slot, Work};
pub use packed::{pack, pack_rectified, unpack, unpack_rectified};
pub use packing::apply as pack_bindings;
pub use pipeline::{Dispatch, PARAMS_SLOT, Pipeline, PipelineKey};
pub use real::{Gemm, Real};
pub use recording::{Call, Home, Recording, Value, ValueId};
pub use shader::{
    BROADCAST, COOP, COOP_TILES, HALF, LANES_8, LANES_64, LARGE, LARGE_BYTES, SPLIT, SPLIT_WEIGHTS,
    Shader, Source, T8, compose,
};
pub use stored::Stored;
pub(crate) use tasks::Tasks;
pub use tuning::{Choice, Choices, Tuning};
pub use vectorized::vectorized;
pub use waiting::{Mapping, Submission};

/// A device: cheap to clone, all clones are the same device.
#[derive(Clone)]
pub struct Device(Arc<Inner>);

struct Inner {
    hardware: Hardware,
    /// The most bytes that plans may take, where the host has set a limit.
    memory: Option<u64>,
    tally: Arc<Tally>,
}

enum Hardware {
    Cpu(Cpu),
    Gpu(Box<Gpu>),
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.info().name)
    }
}

impl Device {
    /// Opens the device that `options` names; by default the best GPU, else the processor.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] lists the devices there are when a named one is not among them.
    pub async fn new_async(options: &DeviceOptions) -> Result<Self, DeviceError> {
        let hardware = match adapters::choose(options).await? {
            None => Hardware::Cpu(Cpu::new(Arithmetic::F32)),
            Some((index, adapter)) => {
                Hardware::Gpu(Box::new(Gpu::open(&adapter, index, options).await?))
            }
        };
        Ok(Self::of(hardware, options.memory))
    }

    /// Whether the other is a clone of this device.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn of(hardware: Hardware, memory: Option<u64>) -> Self {
        Self(Arc::new(Inner {
            hardware,
            memory,
            tally: Arc::default(),
        }))
    }

    /// The processor in f32: every kernel's reference implementation, on all cores.
    #[must_use]
    pub fn cpu() -> Self {
        Self::of(Hardware::Cpu(Cpu::new(Arithmetic::F32)), None)
    }

    /// The processor in f64: slow and exact, what tests compare every other device with.
    #[must_use]
    pub fn oracle() -> Self {
        Self::of(Hardware::Cpu(Cpu::new(Arithmetic::F64)), None)
    }

    /// Runs on a GPU that the host program has opened, so that buffers and textures can be shared with it.
    ///
    /// The device needs at least the default limits of WebGPU. Its handlers of uncaptured errors and of device loss
    /// are replaced: such an error, also one of the host's own making, then is the [`DeviceError::Lost`] of every call.
    #[must_use]
    pub fn from_wgpu(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let gpu = Gpu::from_wgpu(adapter.get_info(), device, queue, false);
        Self::of(Hardware::Gpu(Box::new(gpu)), None)
    }

    /// Name, backend, driver and limits.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        match &self.0.hardware {
            Hardware::Cpu(cpu) => cpu.info(),
            Hardware::Gpu(gpu) => gpu.info(),
        }
    }

    /// The GPU behind this device, `None` on the processor.
    #[must_use]
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.0.hardware {
            Hardware::Gpu(gpu) => Some(gpu),
            Hardware::Cpu(_) => None,
        }
    }

    /// The processor behind this device, `None` on a GPU.
    #[must_use]
    pub fn as_cpu(&self) -> Option<&Cpu> {
        match &self.0.hardware {
            Hardware::Cpu(cpu) => Some(cpu),
            Hardware::Gpu(_) => None,
        }
    }

    /// Bytes of memory that buffers may take, those that exist already included, where that is known: what
    /// [`DeviceOptions::memory`] allows, and no more than the machine, the container or the process may still have on
    /// the processor and on software adapters, which share its memory. A GPU's driver tells only by refusing.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        let own = matches!(&self.0.hardware, Hardware::Cpu(_)) || self.info().is_software();
        let free = own
            .then(host_memory::free)
            .flatten()
            .map(|free| free + self.allocated().0);
        let process = own.then(host_memory::planned_at_most).flatten();
        [free, process, self.0.memory].into_iter().flatten().min()
    }

    /// Bytes of all buffers that exist on this device, and the most there have been at one time. Not counted: what the
    /// driver takes for itself, kernel parameters, and read-back.
    #[must_use]
    pub fn allocated(&self) -> (u64, u64) {
        self.0.tally.read()
    }

    /// A zeroed buffer of `len` elements.
    ///
    /// # Errors
    /// [`DeviceError::TooLarge`] beyond the device's limit for one binding, [`DeviceError::OutOfMemory`] when
    /// the device has no room for it.
    pub fn buffer(&self, label: &str, kind: Kind, len: usize) -> Result<Buffer, DeviceError> {
        let buffer = match &self.0.hardware {
            Hardware::Cpu(cpu) => cpu.buffer(kind, len),
            Hardware::Gpu(gpu) => gpu.buffer(label, kind, len)?,
        };
        let mut share = self.0.tally.take(kind.buffer_bytes(len));
        share.owns(&buffer);
        Ok(buffer.counted(share))
    }

    /// A buffer of reals holding `data`.
    ///
    /// # Errors
    /// As [`Device::buffer`].
    pub fn buffer_from(&self, label: &str, data: &[f32]) -> Result<Buffer, DeviceError> {
        self.buffer_of(label, Kind::Real, data)
    }

    /// A buffer of `kind`, one of reals, holding `data`.
    ///
    /// # Errors
    /// As [`Device::buffer`].
    pub fn buffer_of(&self, label: &str, kind: Kind, data: &[f32]) -> Result<Buffer, DeviceError> {
        let buffer = self.buffer(label, kind, data.len())?;
        self.upload(&buffer, data)?;
        Ok(buffer)
    }

    /// Writes `data` to the start of a buffer of reals, rounded to what the buffer can hold; there a quad that `data`
    /// fills only in part is filled with zeros.
    ///
    /// # Errors
    /// [`DeviceError::Mismatch`] when `data` is longer than the buffer or the buffer holds words.
    pub fn upload(&self, buffer: &Buffer, data: &[f32]) -> Result<(), DeviceError> {
        buffer.expect(true, data.len())?;
        match (&self.0.hardware, buffer.kind()) {
            (Hardware::Cpu(_), _) => {
                buffer.write_reals(data.iter().map(|&v| f64::from(v)));
                Ok(())
            }
            (Hardware::Gpu(gpu), kind) if kind.in_quads() => {
                let quads: Vec<_> = data.chunks(4).map(|q| packed::encode(kind, q)).collect();
                gpu.write(buffer, bytemuck::cast_slice(&quads))
            }
            (Hardware::Gpu(gpu), _) => gpu.write(buffer, bytemuck::cast_slice(data)),
        }
    }

    /// Writes `data` to the start of a buffer of words.
    ///
    /// # Errors
    /// As [`Device::upload`].
    pub fn upload_words(&self, buffer: &Buffer, data: &[u32]) -> Result<(), DeviceError> {
        buffer.expect(false, data.len())?;
        match &self.0.hardware {
            Hardware::Cpu(_) => {
                buffer.write_words(data);
                Ok(())
            }
            Hardware::Gpu(gpu) => gpu.write(buffer, bytemuck::cast_slice(data)),
        }
    }

    /// Writes f64 `data`; rounded to f32 except on [`Device::oracle`].
    ///
    /// # Errors
    /// As [`Device::upload`].
    pub fn upload_f64(&self, buffer: &Buffer, data: &[f64]) -> Result<(), DeviceError> {
        buffer.expect(true, data.len())?;
        match &self.0.hardware {
            Hardware::Cpu(_) => {
                buffer.write_reals(data.iter().copied());
                Ok(())
            }
            Hardware::Gpu(_) => {
                let narrow: Vec<f32> = data.iter().map(|&v| v as f32).collect();
                self.upload(buffer, &narrow)
            }
        }
    }

    /// Reads a whole buffer of reals back; waits for the work submitted before.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the device fails; [`DeviceError::Mismatch`] on a buffer of words.
    pub async fn download_async(&self, buffer: &Buffer) -> Result<Vec<f32>, DeviceError> {
        buffer.expect(true, 0)?;
        match (&self.0.hardware, buffer.kind()) {
            (Hardware::Cpu(_), _) => {
                Ok(buffer.read_reals().into_iter().map(|v| v as f32).collect())
            }
            (Hardware::Gpu(gpu), kind) if kind.in_quads() => {
                let quads: Vec<packed::Words> =
                    bytemuck::pod_collect_to_vec(&gpu.read(buffer).await?);
                let reals = quads.iter().flat_map(|q| packed::decode(kind, *q));
                Ok(reals.take(buffer.len()).collect())
            }
            (Hardware::Gpu(gpu), _) => Ok(bytemuck::pod_collect_to_vec(&gpu.read(buffer).await?)),
        }
    }

    /// Reads a whole buffer of reals in f64.
    ///
    /// # Errors
    /// As [`Device::download_async`].
    pub async fn download_f64_async(&self, buffer: &Buffer) -> Result<Vec<f64>, DeviceError> {
        buffer.expect(true, 0)?;
        match &self.0.hardware {
            Hardware::Cpu(_) => Ok(buffer.read_reals()),
            Hardware::Gpu(_) => {
                let narrow = self.download_async(buffer).await?;
                Ok(narrow.into_iter().map(f64::from).collect())
            }
        }
    }

    /// Reads a whole buffer of words back.
    ///
    /// # Errors
    /// As [`Device::download_async`].
    pub async fn download_words_async(&self, buffer: &Buffer) -> Result<Vec<u32>, DeviceError> {
        buffer.expect(false, 0)?;
        match &self.0.hardware {
            Hardware::Cpu(_) => Ok(buffer.read_words()),
            Hardware::Gpu(gpu) => Ok(bytemuck::pod_collect_to_vec(&gpu.read(buffer).await?)),
        }
    }

    /// Runs one kernel at once on `buffers`, in the order of [`Kernel::bindings`], and waits for nothing.
    ///
    /// This is for tests and for work outside the iteration; a plan runs whole recordings.
    ///
    /// # Errors
    /// [`DeviceError::Shader`] when the kernel does not compile on this device.
    pub fn run(&self, operation: &dyn Operation, buffers: &[&Buffer]) -> Result<(), DeviceError> {
        match &self.0.hardware {
            Hardware::Cpu(cpu) => {
                cpu.run(operation, buffers);
                Ok(())
            }
            Hardware::Gpu(gpu) => gpu.run(operation, buffers),
        }
    }
}
