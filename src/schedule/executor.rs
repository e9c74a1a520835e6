//! An iteration with its memory: run again and again, its losses read back.

use std::ops::ControlFlow;
use std::time::Duration;

use web_time::Instant;

use super::gpu::{GpuProgram, Ring};
use super::{Kept, Loaded};
use crate::Error;
use crate::device::{Buffer, Device, ValueId};
use crate::kernels::Tensor;
use crate::plan::{Handles, Iteration, PlanError, Program, RING_ROWS};

/// One completed iteration.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number since the first, from 0.
    pub iteration: u64,
    /// The weighted value of every loss slot, at the image before the iteration's step.
    pub losses: Vec<f32>,
    /// Time since the iteration before was completed; iterations of one submission share its time evenly.
    pub elapsed: Duration,
}

/// An iteration with its memory, ready to run.
#[derive(Debug)]
pub struct Executor {
    pub(super) loaded: Loaded,
    handles: Handles,
    ring: Option<Ring>,
    pub(super) done: u64,
}

impl Executor {
    /// Allocates the iteration's memory and makes everything ready to run, see [`Loaded::new`].
    ///
    /// # Errors
    /// As [`Loaded::new`].
    pub async fn new_async(device: &Device, iteration: Iteration) -> Result<Self, Error> {
        let mut executor = Self::with_state(device, iteration)?;
        executor.complete_async().await?;
        Ok(executor)
    }

    /// Allocates only what is kept from one iteration to the next, for a coarser scale to hand over to while it still
    /// has memory itself. Nothing runs before [`Executor::complete`].
    ///
    /// # Errors
    /// As [`Loaded::new`].
    pub fn with_state(device: &Device, iteration: Iteration) -> Result<Self, Error> {
        Ok(Self {
            loaded: Loaded::with_state(device, iteration.program)?,
            handles: iteration.handles,
            ring: None,
            done: 0,
        })
    }

    /// As [`Executor::new`] in the memory of an earlier one, see [`Executor::into_memory`], whose program had the same
    /// slots: no memory is allocated.
    ///
    /// # Errors
    /// [`PlanError::OtherSlots`] where the slots were others, [`Error::Device`] when the driver refuses.
    pub async fn in_memory(
        device: &Device,
        iteration: Iteration,
        slots: Vec<Buffer>,
    ) -> Result<Self, Error> {
        let mut executor = Self {
            loaded: Loaded::in_memory(device, iteration.program, slots).await?,
            handles: iteration.handles,
            ring: None,
            done: 0,
        };
        executor.complete_async().await?;
        Ok(executor)
    }

    /// The memory of the program's slots, in their order, for [`Executor::in_memory`]; none where it has been given
    /// back.
    #[must_use]
    pub fn into_memory(self) -> Option<Vec<Buffer>> {
        self.loaded.into_memory()
    }

    /// Allocates the rest and makes everything ready to run.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver refuses.
    pub async fn complete_async(&mut self) -> Result<(), Error> {
        self.loaded.complete_async().await?;
        let slots = self.handles.groups.len();
        if let Some(gpu) = self.loaded.device().gpu()
            && slots > 0
            && self.ring.is_none()
        {
            self.ring = Some(Ring::new(gpu, slots)?);
        }
        Ok(())
    }

    /// Memory for `len` reals that lasts until the next iteration, see [`Loaded::scratch`].
    #[must_use]
    pub fn scratch(&self, len: usize) -> Option<Buffer> {
        self.loaded.scratch(len)
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.loaded.device()
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        self.loaded.program()
    }

    /// Which of the program's values are what.
    #[must_use]
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// Completed iterations.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// The memory of a value.
    ///
    /// # Panics
    /// When no call touches the value: a bug in the caller.
    #[must_use]
    pub fn buffer(&self, value: ValueId) -> &Buffer {
        self.loaded.buffer(value)
    }

    /// Everything that is kept from one iteration to the next, see [`Loaded::persistent`].
    pub fn persistent(&self) -> impl Iterator<Item = Kept<'_>> {
        self.loaded.persistent()
    }

    /// Goes on as after `done` iterations: for whoever fills the memory of [`Executor::persistent`] with what it was
    /// then.
    pub fn set_done(&mut self, done: u64) {
        self.done = done;
    }

    /// Sets everything that is kept from one iteration to the next to zero, as it was before the first.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn reset(&mut self) -> Result<(), Error> {
        self.done = 0;
        self.loaded.clear()
    }

    /// Gives back all memory but that of `keep`, for a finer scale to take: values can then be read, but nothing runs.
    pub fn release(&mut self, keep: &[ValueId]) {
        self.ring = None;
        self.loaded.release(keep);
    }

    /// Reads a tensor back as `[n,c,h,w]`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub async fn read_async(&self, tensor: Tensor) -> Result<Vec<f32>, Error> {
        self.loaded.read_async(tensor).await
    }

    /// Fills what is optimized with numbers in the engine's layout.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn set_parameter(&self, numbers: &[f32]) -> Result<(), Error> {
        self.loaded.upload(self.handles.parameter.value, numbers)
    }

    /// Works on at most `most` iterations until some work is done, and returns the iterations that were completed with
    /// it: on a GPU one slice, which may be a part of an iteration or several, while the next is on its way already; on
    /// `cpu` one iteration.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn advance(&mut self, most: u64) -> Result<Vec<Step>, Error> {
        self.loaded.expect_ready()?;
        let device = self.loaded.device.clone();
        let memory = self.losses();
        match (&mut self.loaded.gpu, device.gpu()) {
            (Some(program), Some(gpu)) => {
                let ring = memory.as_ref().zip(self.ring.as_ref());
                Ok(program.advance(gpu, ring, most, &mut self.done).await?)
            }
            _ if most == 0 => Ok(Vec::new()),
            _ => Ok(vec![self.run_directly().await?]),
        }
    }

    /// Completes what [`Executor::advance`] has left on its way, and the iteration that it is in: then all values
    /// belong together and may be read. Returns the iterations that were completed.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn settle(&mut self) -> Result<Vec<Step>, Error> {
        let device = self.loaded.device.clone();
        let memory = self.losses();
        match (&mut self.loaded.gpu, device.gpu()) {
            (Some(program), Some(gpu)) => {
                let ring = memory.as_ref().zip(self.ring.as_ref());
                Ok(program.settle(gpu, ring, &mut self.done).await?)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Takes up what has been set on the dials of the program's numbers, from the next iteration on.
    pub fn take_up(&mut self) {
        let recording = &self.loaded.program.recording;
        if let Some(program) = &mut self.loaded.gpu {
            program.take_up(recording);
        }
    }

    /// Whether nothing is on its way and no iteration has only been begun.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let program = self.loaded.gpu.as_ref();
        program.is_none_or(GpuProgram::is_at_rest)
    }

    /// Where an iteration writes its losses.
    fn losses(&self) -> Option<wgpu::Buffer> {
        let memory = self.ring.is_some().then(|| self.buffer(self.handles.ring));
        memory.and_then(|ring| Some(ring.wgpu()?.buffer.clone()))
    }

    /// Runs `iterations` iterations; `progress` is called for each in order and may stop the run, which then ends
    /// after the iterations already submitted.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn run_async(
        &mut self,
        iterations: u64,
        progress: &mut dyn FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let end = self.done + iterations;
        while self.done < end {
            let mut flow = ControlFlow::Continue(());
            for step in self.advance(end - self.done).await? {
                if progress(&step).is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            if flow.is_break() {
                for step in self.settle().await? {
                    let _ = progress(&step);
                }
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// One iteration, call by call, each completed before the next: the `cpu` device.
    async fn run_directly(&mut self) -> Result<Step, Error> {
        let start = Instant::now();
        self.loaded.run_calls(|_, _| Ok(()))?;
        let slots = self.handles.groups.len();
        let row = (self.done % u64::from(RING_ROWS)) as usize * slots;
        let ring = if slots == 0 {
            Vec::new()
        } else {
            let ring = self.buffer(self.handles.ring);
            self.device().download_async(ring).await?
        };
        let losses = ring
            .get(row..row + slots)
            .map(<[f32]>::to_vec)
            .unwrap_or_default();
        self.done += 1;
        Ok(Step {
            iteration: self.done - 1,
            losses,
            elapsed: start.elapsed(),
        })
    }

    /// Appends `iterations` whole iterations to the host program's command encoder, which it must submit before the
    /// next [`Executor::run`]: they count as done from here on, and are not cut to the time budget. On the `cpu` device
    /// there is no encoder to append to; use [`Executor::run`].
    ///
    /// # Errors
    /// [`PlanError::NoEncoder`] on the `cpu` device.
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        iterations: u64,
    ) -> Result<(), Error> {
        let device = self.loaded.device.clone();
        let (Some(program), Some(gpu)) = (&mut self.loaded.gpu, device.gpu()) else {
            return Err(PlanError::NoEncoder.into());
        };
        program.write_params(gpu);
        for _ in 0..iterations {
            program.encode(encoder, 0..program.len());
        }
        self.done += iterations;
        Ok(())
    }
}
