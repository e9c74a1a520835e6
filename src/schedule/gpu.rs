//! A program on a GPU: dispatches made once, submitted in slices, losses ringed back without stalling the queue.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use web_time::Instant;

use super::slices::{Clock, Rate, Slice, Slicer};
use super::{Step, slices};
use crate::device::{
    Buffer, Call, DeviceError, Dispatch, Gpu, Kind, Mapping, Operation, PARAMS_SLOT, PipelineKey,
    Recording, Submission,
};
use crate::kernels::{Conv, Conv3x3, View};
use crate::plan::RING_ROWS;

/// Submissions on their way at a time: one runs while the next waits behind it.
const IN_FLIGHT: usize = 2;

/// Bind groups and parameters of a program.
#[derive(Debug)]
pub struct GpuProgram {
    dispatches: Vec<Dispatch>,
    /// For each dispatch its kernel and the milliseconds that the rate of the device predicts.
    kernels: Vec<(PipelineKey, f64)>,
    /// For each dispatch the call of the recording that it is a part of.
    calls: Vec<usize>,
    /// For each dispatch its first workgroup.
    origins: Vec<[u32; 3]>,
    /// The parameters of all dispatches, and what they are to be from the next iteration on.
    params: wgpu::Buffer,
    next_params: Option<Vec<u8>>,
    slicer: Slicer,
    /// The next dispatch to be submitted.
    position: usize,
    /// Submissions on their way, the oldest first.
    flights: VecDeque<Flight>,
    /// Number of the read-back buffer of the next submission.
    next_staging: usize,
    clock: Clock,
}

/// Where losses are read back from.
#[derive(Debug)]
pub struct Ring {
    /// Read-back buffers, one for each submission in flight and one for the one being read.
    staging: Vec<wgpu::Buffer>,
    /// Losses of an iteration.
    slots: usize,
}

impl Ring {
    /// Read-back buffers for `slots` losses of an iteration.
    pub fn new(gpu: &Gpu, slots: usize) -> Result<Self, DeviceError> {
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
        let bytes = u64::from(RING_ROWS) * slots as u64 * 4;
        let staging = (0..=IN_FLIGHT)
            .map(|_| gpu.raw_buffer("losses", bytes, usage))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { staging, slots })
    }
}

/// What the time of a call's kernel is known by.
fn key(call: &Call) -> PipelineKey {
    (call.operation.shader(), call.operation.bindings())
}

/// A submission that has not been waited for.
#[derive(Debug)]
struct Flight {
    submission: Submission,
    slice: Slice,
    staging: usize,
    /// The read-back of the losses, where an iteration ends in the slice.
    mapping: Option<Mapping>,
    submitted: Instant,
}

impl GpuProgram {
    /// Makes every dispatch of the recording; those that would alone exceed the budget are split into parts.
    pub async fn new(
        gpu: &Gpu,
        recording: &Recording,
        bound: &[Vec<&Buffer>],
    ) -> Result<Self, DeviceError> {
        let rate = Rate {
            gflops: measured_gflops(gpu).await?,
        };
        let mut parts = Vec::new();
        for (i, call) in recording.calls().iter().enumerate() {
            let ms = rate.predict_ms(call.operation.work());
            let pace = gpu.pace(&key(call)).unwrap_or(slices::UNKNOWN);
            let grid = call.operation.grid();
            for (origin, grid) in split(grid, (ms * pace / slices::BUDGET_MS).ceil() as u32) {
                let share = f64::from(grid.iter().product::<u32>())
                    / f64::from(call.operation.grid().iter().product::<u32>().max(1));
                parts.push((i, origin, grid, ms * share));
            }
        }
        let calls: Vec<usize> = parts.iter().map(|(call, ..)| *call).collect();
        let origins: Vec<[u32; 3]> = parts.iter().map(|(_, origin, ..)| *origin).collect();
        let params = gpu.params_buffer(&params_bytes(recording, &calls, &origins))?;
        let mut dispatches = Vec::with_capacity(parts.len());
        for (slot, (call, _, grid, _)) in parts.iter().enumerate() {
            let operation = &*recording.calls()[*call].operation;
            dispatches.push(gpu.dispatch(operation, &bound[*call], &params, slot as u64, *grid)?);
        }
        gpu.settled().await?;
        let kernels: Vec<_> = parts
            .iter()
            .map(|(call, .., ms)| (key(&recording.calls()[*call]), *ms))
            .collect();
        let slicer = Slicer::new(
            kernels
                .iter()
                .map(|(kernel, ms)| ms * gpu.pace(kernel).unwrap_or(slices::UNKNOWN)),
        );
        Ok(Self {
            dispatches,
            kernels,
            calls,
            origins,
            params,
            next_params: None,
            slicer,
            position: 0,
            flights: VecDeque::new(),
            next_staging: 0,
            clock: Clock::new(Instant::now()),
        })
    }

    /// Dispatches per iteration.
    pub fn len(&self) -> usize {
        self.dispatches.len()
    }

    /// Whether nothing is on its way and no iteration has only been begun.
    pub fn is_at_rest(&self) -> bool {
        self.flights.is_empty() && self.position == 0
    }

    /// Takes up what the numbers of the recording are now, from the next iteration on.
    pub fn take_up(&mut self, recording: &Recording) {
        self.next_params = Some(params_bytes(recording, &self.calls, &self.origins));
    }

    /// Writes what was taken up; it holds for whatever is submitted from now on.
    pub fn write_params(&mut self, gpu: &Gpu) {
        if let Some(params) = self.next_params.take() {
            gpu.queue().write_buffer(&self.params, 0, &params);
        }
    }

    /// Iterations that end in what is on its way.
    fn ending(&self) -> u64 {
        self.flights.iter().map(|flight| flight.slice.ends).sum()
    }

    /// Encodes a range of one iteration's dispatches as one pass.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder, range: Range<usize>) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for dispatch in &self.dispatches[range] {
            dispatch.encode(&mut pass);
        }
    }

    /// Submits slices until enough are on their way, of at most `most` iterations together, and waits for the oldest.
    /// Returns the iterations that ended in it, often none or several. `done` counts them. With a ring, and the memory
    /// that it is in, they have their losses; without one nothing is read back.
    pub async fn advance(
        &mut self,
        gpu: &Gpu,
        ring: Option<(&wgpu::Buffer, &Ring)>,
        most: u64,
        done: &mut u64,
    ) -> Result<Vec<Step>, DeviceError> {
        if self.flights.is_empty() {
            self.clock = Clock::new(Instant::now());
        }
        while self.flights.len() < IN_FLIGHT {
            let ending = self.ending();
            let mut left = most.saturating_sub(ending);
            if left == 0 {
                break;
            }
            if self.position == 0 {
                self.write_params(gpu);
            }
            if self.next_params.is_some() {
                left = 1;
            }
            let slice = self
                .slicer
                .next(self.position, left.min(u64::from(RING_ROWS)));
            let first = *done + ending;
            self.submit(gpu, slice, ring, first..first + slice.ends);
        }
        let Some(flight) = self.flights.pop_front() else {
            return Ok(Vec::new());
        };
        let now = gpu.finished(Some(flight.submission)).await?;
        let (ran, elapsed) = self
            .clock
            .completed(flight.submitted, now, flight.slice.ends);
        let ms = ran.as_secs_f64() * 1e3;
        self.slicer.measured(&flight.slice, ms);
        gpu.count_run(ran, ms > slices::LIMIT_MS);
        let mut losses: Vec<f32> = Vec::new();
        let slots = ring.map_or(0, |(_, ring)| ring.slots);
        if let (Some((_, ring)), Some(mapping)) = (ring, flight.mapping) {
            let bytes = flight.slice.ends * slots as u64 * 4;
            mapping.done().await?;
            losses =
                bytemuck::pod_collect_to_vec(&gpu.mapped(&ring.staging[flight.staging], bytes)?);
        }
        if self.is_at_rest() {
            self.teach(gpu);
        }
        let steps = (0..flight.slice.ends as usize).map(|i| {
            *done += 1;
            Step {
                iteration: *done - 1,
                losses: losses[i * slots..(i + 1) * slots].to_vec(),
                elapsed,
            }
        });
        Ok(steps.collect())
    }

    /// Completes what is on its way and the iteration that has been begun, so that all values belong together. Returns
    /// the iterations that ended.
    pub async fn settle(
        &mut self,
        gpu: &Gpu,
        ring: Option<(&wgpu::Buffer, &Ring)>,
        done: &mut u64,
    ) -> Result<Vec<Step>, DeviceError> {
        let mut steps = Vec::new();
        while !self.is_at_rest() {
            let most = self.ending() + u64::from(self.position != 0);
            steps.extend(self.advance(gpu, ring, most, done).await?);
        }
        Ok(steps)
    }

    /// Runs one iteration, slice by slice, and tells how long the GPU worked on it.
    pub async fn time_iteration(&self, gpu: &Gpu) -> Result<Duration, DeviceError> {
        let (mut at, mut time) = (0, Duration::ZERO);
        while at < self.len() {
            let end = at + self.slicer.next(at, 1).count;
            time += gpu.time(&self.dispatches[at..end]).await?;
            at = end;
        }
        Ok(time)
    }

    /// Runs one iteration, dispatch by dispatch, and adds to `times` how long the GPU worked on each call.
    pub async fn time_calls(&self, gpu: &Gpu, times: &mut [Duration]) -> Result<(), DeviceError> {
        for (dispatch, call) in self.dispatches.iter().zip(&self.calls) {
            times[*call] += gpu.time([dispatch]).await?;
        }
        Ok(())
    }

    /// Leaves with the device how long its kernels take, for the plans to come.
    fn teach(&self, gpu: &Gpu) {
        let mut sums: HashMap<&PipelineKey, (f64, f64)> = HashMap::new();
        for (i, (kernel, predicted)) in self.kernels.iter().enumerate() {
            if let Some(ms) = self.slicer.cost(i) {
                let sum = sums.entry(kernel).or_default();
                *sum = (sum.0 + ms, sum.1 + predicted);
            }
        }
        for (kernel, (measured, predicted)) in sums {
            gpu.set_pace(kernel.clone(), measured / predicted);
        }
    }

    /// Submits a slice, with the copies of the loss rows of the iterations that end in it.
    fn submit(
        &mut self,
        gpu: &Gpu,
        slice: Slice,
        ring: Option<(&wgpu::Buffer, &Ring)>,
        rows: Range<u64>,
    ) {
        let mut encoder = gpu
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for i in 0..slice.count {
                self.dispatches[(slice.first + i) % self.len()].encode(&mut pass);
            }
        }
        let staging = self.next_staging;
        let mut read = None;
        if let Some((memory, ring)) = ring.filter(|_| !rows.is_empty()) {
            let row_bytes = ring.slots as u64 * 4;
            let staging = &ring.staging[staging];
            for (to, row) in rows.clone().enumerate() {
                let from = (row % u64::from(RING_ROWS)) * row_bytes;
                let to = to as u64 * row_bytes;
                encoder.copy_buffer_to_buffer(memory, from, staging, to, row_bytes);
            }
            read = Some((staging, (rows.end - rows.start) * row_bytes));
        }
        let submission = gpu.submit(encoder);
        self.flights.push_back(Flight {
            submission,
            slice,
            staging,
            mapping: read.map(|(staging, bytes)| gpu.map(staging, bytes)),
            submitted: Instant::now(),
        });
        self.next_staging = (staging + 1) % (IN_FLIGHT + 1);
        self.position = (self.position + slice.count) % self.len();
    }
}

#[cfg(target_arch = "wasm32")]
impl Drop for GpuProgram {
    /// A browser frees memory when it has collected garbage, or when it is told to.
    fn drop(&mut self) {
        self.params.destroy();
    }
}

#[cfg(target_arch = "wasm32")]
impl Drop for Ring {
    fn drop(&mut self) {
        self.staging.iter().for_each(wgpu::Buffer::destroy);
    }
}

/// The parameters of dispatches: parts of these calls, beginning at these workgroups.
fn params_bytes(recording: &Recording, calls: &[usize], origins: &[[u32; 3]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(calls.len() * PARAMS_SLOT as usize);
    for (call, origin) in calls.iter().zip(origins) {
        let operation = &*recording.calls()[*call].operation;
        bytes.extend_from_slice(&Gpu::params_bytes(operation, *origin));
    }
    bytes
}

/// Cuts a grid into at most `count` parts along its longest axis: origins and sizes in workgroups.
pub(super) fn split(grid: [u32; 3], count: u32) -> Vec<([u32; 3], [u32; 3])> {
    let axis = (0..3).max_by_key(|axis| grid[*axis]).unwrap_or(0);
    let part = grid[axis].div_ceil(count.max(1)).max(1);
    (0..grid[axis])
        .step_by(part as usize)
        .map(|first| {
            let (mut origin, mut size) = ([0; 3], grid);
            origin[axis] = first;
            size[axis] = part.min(grid[axis] - first);
            (origin, size)
        })
        .collect()
}

/// What the adapter does on a small convolution like those that plans are made of; measured once per device.
pub(super) async fn measured_gflops(gpu: &Gpu) -> Result<f64, DeviceError> {
    gpu.rate_or_measure(async || {
        let view = View::new(1, 64, 64, 64);
        let conv = Conv {
            pad: [1; 2],
            ..Conv::new(view, view, 3)
        };
        let Some(kernel) = Conv3x3::serve(conv) else {
            return Ok(1.0);
        };
        let reals = |label, len: usize| gpu.buffer(label, Kind::Real, len);
        let buffers = [
            reals("x", view.len())?,
            reals("w", conv.weights_len())?,
            reals("y", view.len())?,
        ];
        let refs: Vec<&Buffer> = buffers.iter().collect();
        let params = gpu.params_buffer(&Gpu::params_bytes(&kernel, [0; 3]))?;
        let dispatch = gpu.dispatch(&kernel, &refs, &params, 0, Operation::grid(&kernel))?;
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            let mut encoder = gpu
                .device()
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            dispatch
                .encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
            let submission = gpu.submit(encoder);
            let done = gpu.finished(Some(submission)).await?;
            best = best.min((done - start).as_secs_f64());
        }
        Ok(Operation::work(&kernel).flop as f64 / 1e9 / best)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn parts_cover_the_grid_once() {
        for (grid, count) in [
            ([7, 3, 1], 3),
            ([1, 1, 1], 9),
            ([2, 100, 4], 7),
            ([5, 5, 5], 1),
        ] {
            let parts = split(grid, count);
            assert!(parts.len() <= count.max(1) as usize);
            let mut seen = std::collections::HashSet::new();
            for (origin, size) in parts {
                for z in 0..size[2] {
                    for y in 0..size[1] {
                        for x in 0..size[0] {
                            assert!(seen.insert([origin[0] + x, origin[1] + y, origin[2] + z]));
                        }
                    }
                }
            }
            assert_eq!(seen.len(), grid.iter().product::<u32>() as usize);
        }
    }
}
