//! How long kernels take: by the GPU's own clock where it has one, else by the wall's.

use std::sync::OnceLock;
use std::time::Duration;

use web_time::Instant;

use super::{Buffer, Device, DeviceError, Dispatch, Gpu, Operation};

/// Where one pass notes when it began and ended. Made at the first measurement, used by all.
#[derive(Debug, Default)]
pub(super) struct Timer(OnceLock<Option<Queries>>);

#[derive(Debug)]
struct Queries {
    set: wgpu::QuerySet,
    /// The two times, where the GPU resolves them and where they can be read.
    resolved: wgpu::Buffer,
    staging: wgpu::Buffer,
}

/// Two times of 64 bits.
const BYTES: u64 = 16;

impl Gpu {
    /// Submits the dispatches as one pass, waits for it and tells how long it ran: without the time that the submission
    /// took to get there, where the adapter has timestamps; else with it.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub async fn time<'a>(
        &self,
        dispatches: impl IntoIterator<Item = &'a Dispatch>,
    ) -> Result<Duration, DeviceError> {
        let queries = self.queries()?;
        let mut encoder = self
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let writes = queries.map(|queries| wgpu::ComputePassTimestampWrites {
                query_set: &queries.set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: writes,
            });
            for dispatch in dispatches {
                dispatch.encode(&mut pass);
            }
        }
        let Some(queries) = queries else {
            let start = Instant::now();
            let submission = self.submit(encoder);
            return Ok(self.finished(Some(submission)).await? - start);
        };
        encoder.resolve_query_set(&queries.set, 0..2, &queries.resolved, 0);
        encoder.copy_buffer_to_buffer(&queries.resolved, 0, &queries.staging, 0, BYTES);
        let submission = self.submit(encoder);
        let mapping = self.map(&queries.staging, BYTES);
        self.finished(Some(submission)).await?;
        mapping.done().await?;
        let times: Vec<u64> = bytemuck::pod_collect_to_vec(&self.mapped(&queries.staging, BYTES)?);
        // The period turns ticks into nanoseconds.
        let ticks = times[1].saturating_sub(times[0]) as f64;
        let nanoseconds = ticks * f64::from(self.queue().get_timestamp_period());
        Ok(Duration::from_secs_f64(nanoseconds / 1e9))
    }

    /// Whether times are the GPU's own, not the wall's.
    #[must_use]
    pub fn has_clock(&self) -> bool {
        self.device()
            .features()
            .contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    fn queries(&self) -> Result<Option<&Queries>, DeviceError> {
        if let Some(queries) = self.timer().0.get() {
            return Ok(queries.as_ref());
        }
        let made = if self.has_clock() {
            let (from, to) = (wgpu::BufferUsages::COPY_SRC, wgpu::BufferUsages::COPY_DST);
            Some(Queries {
                set: self.device().create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("time"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: self.raw_buffer(
                    "time",
                    BYTES,
                    wgpu::BufferUsages::QUERY_RESOLVE | from,
                )?,
                staging: self.raw_buffer("time", BYTES, wgpu::BufferUsages::MAP_READ | to)?,
            })
        } else {
            None
        };
        Ok(self.timer().0.get_or_init(|| made).as_ref())
    }
}

/// Runs of a kernel are counted together until they are at least this long: the clock of a GPU may be coarse.
const LEAST: Duration = Duration::from_micros(200);
/// The most runs that are counted together.
const MOST: u32 = 64;

impl Device {
    /// Times of `runs` runs of one kernel on `buffers`, after one that does not count; short runs are counted several
    /// at a time.
    ///
    /// # Errors
    /// As [`Device::run`].
    pub async fn time_async(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
        runs: usize,
    ) -> Result<Vec<Duration>, DeviceError> {
        let Some(gpu) = self.gpu() else {
            let once = || {
                let start = Instant::now();
                self.run(operation, buffers)?;
                Ok(start.elapsed())
            };
            once()?;
            return (0..runs).map(|_| once()).collect();
        };
        let params = gpu.params_buffer(&Gpu::params_bytes(operation, [0; 3]))?;
        let dispatch = gpu.dispatch(operation, buffers, &params, 0, operation.grid())?;
        gpu.time([&dispatch]).await?;
        let once = gpu.time([&dispatch]).await?;
        let repeats = (LEAST.as_secs_f64() / once.as_secs_f64().max(1e-9)).ceil();
        let repeats = (repeats as u32).clamp(1, MOST);
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            times.push(gpu.time((0..repeats).map(|_| &dispatch)).await? / repeats);
        }
        Ok(times)
    }
}
