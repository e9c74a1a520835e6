//! A GPU through `wgpu`: buffers, read-back, counters; its kernels are in `pipeline.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::buffer::Memory;
use super::pipeline::{PipelineKey, Pipelines};
use super::timing::Timer;
use super::tuning::Tuned;
use super::{
    BROADCAST, Buffer, DeviceError, DeviceInfo, DeviceOptions, Kind, LANES_8, LANES_64, adapters,
};

/// An open GPU.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: DeviceInfo,
    pub(super) checked: bool,
    /// Whether parameters are bound as read-only storage instead of as a uniform buffer. Mesa's software Vulkan takes
    /// the contents of uniform buffers for constants and compiles a kernel anew for each that it meets.
    pub(super) params_in_storage: bool,
    /// What the shaders of this adapter are compiled with beside their own definitions.
    pub(super) definitions: &'static [&'static str],
    pub(super) pipelines: Mutex<Pipelines>,
    pub(super) counters: Counters,
    rate: std::sync::OnceLock<f64>,
    /// For each kernel that has run, its time relative to the one predicted from the rate.
    paces: Mutex<HashMap<PipelineKey, f64>>,
    timer: Timer,
    tuned: Tuned,
    cooperative: Cooperative,
    failure: Arc<Mutex<Option<String>>>,
    #[cfg(target_arch = "wasm32")]
    pub(super) refusals: super::waiting::Refusals,
}

/// Cooperative matrices.
#[derive(Debug, Default)]
struct Cooperative {
    /// Sides of those that the adapter says it has.
    has: Vec<u32>,
    /// Those that were found to work.
    works: std::sync::OnceLock<Vec<CooperativeTile>>,
}

/// Cooperative matrices of f16 that add up in f32 and were found to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CooperativeTile {
    /// Rows and columns.
    pub side: u32,
    /// Whether the sums have the digits of f32.
    pub exact: bool,
}

/// What the engine has asked of the driver since the device was opened.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) buffers: AtomicU64,
    pub(super) bind_groups: AtomicU64,
    pub(super) pipelines: AtomicU64,
    submissions: AtomicU64,
    long_submissions: AtomicU64,
    longest_us: AtomicU64,
    bytes_read: AtomicU64,
}

/// The counters at one moment; two of them are compared by subtraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Buffers created.
    pub buffers: u64,
    /// Bind groups created.
    pub bind_groups: u64,
    /// Pipelines compiled.
    pub pipelines: u64,
    /// Command buffers submitted.
    pub submissions: u64,
    /// Of a plan's submissions those that ran longer than 100 ms.
    pub long_submissions: u64,
    /// What the longest of a plan's submissions since the device was opened took, in microseconds.
    pub longest_us: u64,
    /// Bytes copied back to main memory.
    pub bytes_read: u64,
}

impl std::ops::Sub for Usage {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self {
            buffers: self.buffers - before.buffers,
            bind_groups: self.bind_groups - before.bind_groups,
            pipelines: self.pipelines - before.pipelines,
            submissions: self.submissions - before.submissions,
            long_submissions: self.long_submissions - before.long_submissions,
            longest_us: self.longest_us,
            bytes_read: self.bytes_read - before.bytes_read,
        }
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gpu({})", self.info)
    }
}

impl Gpu {
    pub(super) async fn open(
        adapter: &wgpu::Adapter,
        index: usize,
        options: &DeviceOptions,
    ) -> Result<Self, DeviceError> {
        let has = adapter.limits();
        let wanted = adapters::USED_FEATURES
            .iter()
            .fold(wgpu::Features::empty(), |all, (f, _)| all | *f);
        let tiles = adapters::cooperative_tiles(adapter);
        let cooperative = !tiles.is_empty();
        let mut wanted = wanted & adapter.features();
        wanted.set(adapters::COOPERATIVE, cooperative);
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("pixgrad"),
            required_features: wanted,
            required_limits: wgpu::Limits {
                max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
                max_buffer_size: has.max_buffer_size,
                max_compute_workgroup_storage_size: has.max_compute_workgroup_storage_size,
                max_storage_buffers_per_shader_stage: has.max_storage_buffers_per_shader_stage,
                ..wgpu::Limits::default()
            },
            experimental_features: if cooperative {
                // SAFETY: of the experimental features only cooperative matrices are asked for. The kernels that use
                // them are checked by the same validation as all others, and by a test on the device before they serve.
                unsafe { wgpu::ExperimentalFeatures::enabled() }
            } else {
                wgpu::ExperimentalFeatures::disabled()
            },
            // A plan makes a handful of large buffers: big pre-allocated blocks would only waste memory.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            trace: wgpu::Trace::Off,
        });
        let (device, queue) = request.await.map_err(|source| DeviceError::Open {
            name: adapter.get_info().name,
            source,
        })?;
        let checked = options.checked || cfg!(debug_assertions);
        let mut gpu = Self::from_wgpu(adapter.get_info(), device, queue, checked);
        gpu.info.index = index;
        gpu.cooperative.has = tiles;
        gpu.tuned.tuning = options.tuning;
        gpu.tuned.folder.clone_from(&options.tuning_folder);
        Ok(gpu)
    }

    pub(super) fn from_wgpu(
        info: wgpu::AdapterInfo,
        device: wgpu::Device,
        queue: wgpu::Queue,
        checked: bool,
    ) -> Self {
        let failure = Arc::new(Mutex::new(None));
        let first = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            first.lock().get_or_insert(error.to_string());
        }));
        let first = Arc::clone(&failure);
        device.set_device_lost_callback(move |_, message| {
            first
                .lock()
                .get_or_insert(format!("device lost: {message}"));
        });
        let info = adapters::describe(0, &info, &device.limits(), device.features());
        // It takes one storage binding more than a device of WebGPU's default limits has.
        let bindings = |limits: &wgpu::Limits| limits.max_storage_buffers_per_shader_stage;
        let spare = bindings(&device.limits()) > bindings(&wgpu::Limits::default());
        Self {
            params_in_storage: info.is_software() && spare,
            // A software adapter gathers what each invocation of a subgroup loads one by one.
            definitions: match info.subgroup {
                Some((8, 8)) if info.is_software() => &[BROADCAST, LANES_8],
                // At most so many, for the kernels of cooperative matrices.
                Some((_, 64)) => &[LANES_64],
                _ => &[],
            },
            device,
            queue,
            info,
            checked,
            pipelines: Mutex::default(),
            counters: Counters::default(),
            rate: std::sync::OnceLock::new(),
            paces: Mutex::default(),
            timer: Timer::default(),
            tuned: Tuned::default(),
            cooperative: Cooperative::default(),
            failure,
            #[cfg(target_arch = "wasm32")]
            refusals: super::waiting::Refusals::default(),
        }
    }

    /// The `wgpu` device.
    #[must_use]
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// The `wgpu` queue.
    #[must_use]
    pub fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    pub(super) fn tuned(&self) -> &Tuned {
        &self.tuned
    }

    pub(super) fn timer(&self) -> &Timer {
        &self.timer
    }

    /// Name, backend, driver and limits.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What has been asked of the driver so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            buffers: get(&self.counters.buffers),
            bind_groups: get(&self.counters.bind_groups),
            pipelines: get(&self.counters.pipelines),
            submissions: get(&self.counters.submissions),
            long_submissions: get(&self.counters.long_submissions),
            longest_us: get(&self.counters.longest_us),
            bytes_read: get(&self.counters.bytes_read),
        }
    }

    /// 10⁹ floating-point operations per second of a typical kernel: `measure` is called once per device.
    ///
    /// # Errors
    /// Those of `measure`.
    pub async fn rate_or_measure(
        &self,
        measure: impl AsyncFnOnce() -> Result<f64, DeviceError>,
    ) -> Result<f64, DeviceError> {
        if let Some(rate) = self.rate.get() {
            return Ok(*rate);
        }
        let rate = measure().await?;
        Ok(*self.rate.get_or_init(|| rate))
    }

    /// The cooperative matrices that have passed `test`, which is asked once for each side that the adapter has:
    /// whether they work, and whether their sums are exact.
    ///
    /// # Errors
    /// Those of `test`.
    pub async fn cooperative_tiles(
        &self,
        test: impl AsyncFn(u32, bool) -> Result<bool, DeviceError>,
    ) -> Result<&[CooperativeTile], DeviceError> {
        if let Some(works) = self.cooperative.works.get() {
            return Ok(works);
        }
        let mut works = Vec::new();
        for &side in &self.cooperative.has {
            let matrices = format!("the adapter's cooperative matrices of {side}×{side}");
            if !test(side, false).await? {
                self.warn(format!(
                    "{matrices} do not work as they should and are not used"
                ));
                continue;
            }
            let exact = test(side, true).await?;
            if !exact {
                self.warn(format!(
                    "{matrices} do not add up in f32 as they should and are used for gradients in f16 only"
                ));
            }
            works.push(CooperativeTile { side, exact });
        }
        Ok(self.cooperative.works.get_or_init(|| works))
    }

    /// How long a kernel takes relative to what the rate predicts, where a plan has found that out.
    #[must_use]
    pub fn pace(&self, kernel: &PipelineKey) -> Option<f64> {
        self.paces.lock().get(kernel).copied()
    }

    /// Notes how long a kernel takes relative to what the rate predicts.
    pub fn set_pace(&self, kernel: PipelineKey, pace: f64) {
        self.paces.lock().insert(kernel, pace);
    }

    /// Counts how long a submission of a plan ran.
    pub fn count_run(&self, ran: std::time::Duration, long: bool) {
        let us = u64::try_from(ran.as_micros()).unwrap_or(u64::MAX);
        self.counters.longest_us.fetch_max(us, Ordering::Relaxed);
        self.counters
            .long_submissions
            .fetch_add(u64::from(long), Ordering::Relaxed);
    }

    /// Keeps what has made the device unusable, for every later call to tell; the first counts.
    pub(super) fn fail(&self, message: &str) -> DeviceError {
        let mut failure = self.failure.lock();
        DeviceError::Lost(failure.get_or_insert_with(|| message.to_string()).clone())
    }

    /// The first error that the driver has reported outside an error scope, if any.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] with the driver's message.
    pub fn check(&self) -> Result<(), DeviceError> {
        match &*self.failure.lock() {
            Some(message) => Err(DeviceError::Lost(message.clone())),
            None => Ok(()),
        }
    }

    /// A raw buffer with the given usage, zeroed; every buffer of the engine is made here.
    ///
    /// # Errors
    /// As [`super::Device::buffer`].
    pub fn raw_buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, DeviceError> {
        let limit = self.info.max_binding_bytes.min(self.info.max_buffer_bytes);
        if usage.contains(wgpu::BufferUsages::STORAGE) && bytes > limit {
            return Err(DeviceError::TooLarge {
                label: label.into(),
                bytes,
                limit,
                device: self.info.name.clone(),
            });
        }
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        self.close(validation, |error| DeviceError::Lost(error.to_string()))?;
        let (label, device) = (label.to_string(), self.info.name.clone());
        self.close(memory, move |_| DeviceError::OutOfMemory {
            label,
            bytes,
            device,
        })?;
        self.counters.buffers.fetch_add(1, Ordering::Relaxed);
        Ok(buffer)
    }

    /// A zeroed buffer of `len` reals or words, see [`super::Device::buffer`].
    ///
    /// # Errors
    /// As [`super::Device::buffer`].
    pub fn buffer(&self, label: &str, kind: Kind, len: usize) -> Result<Buffer, DeviceError> {
        let bytes = kind.buffer_bytes(len);
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        Ok(Buffer::new(
            kind,
            len,
            Memory::Gpu(self.raw_buffer(label, bytes, usage)?),
        ))
    }

    pub(crate) fn write(&self, buffer: &Buffer, bytes: &[u8]) -> Result<(), DeviceError> {
        if let Some(own) = buffer.wgpu() {
            self.queue.write_buffer(own.buffer, own.offset, bytes);
        }
        self.check()
    }

    /// Reads a whole buffer back; waits for it.
    pub(crate) async fn read(&self, buffer: &Buffer) -> Result<Vec<u8>, DeviceError> {
        let Some(own) = buffer.wgpu() else {
            return Ok(Vec::new());
        };
        let bytes = buffer.kind().bytes(buffer.len());
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let staging = self.raw_buffer("read-back", bytes, usage)?;
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(own.buffer, own.offset, &staging, 0, bytes);
        let submission = self.submit(encoder);
        let mapping = self.map(&staging, bytes);
        self.finished(Some(submission)).await?;
        mapping.done().await?;
        let read = self.mapped(&staging, bytes);
        staging.destroy();
        read
    }

    /// The contents of a buffer whose mapping has completed; unmaps it.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the mapping failed.
    pub fn mapped(&self, staging: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        self.check()?;
        let view = staging
            .get_mapped_range(..bytes)
            .map_err(|error| self.fail(&error.to_string()))?;
        let copy = view.to_vec();
        drop(view);
        staging.unmap();
        self.counters.bytes_read.fetch_add(bytes, Ordering::Relaxed);
        Ok(copy)
    }

    pub(super) fn count_submission(&self) {
        self.counters.submissions.fetch_add(1, Ordering::Relaxed);
    }
}
