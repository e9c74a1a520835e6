//! Runs a plan: on a GPU as command buffers of whole iterations, on the `cpu` device call by call.

mod allowed;
mod cooperative;
mod gpu;
mod measure;
mod slices;
mod tune;
mod warm;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::Error;
use crate::device::{Buffer, Device, Home, Kind, Value, ValueId};
use crate::kernels::Tensor;
use crate::plan::{Place, Plan, RING_ROWS};
pub use allowed::is_allowed;
use gpu::GpuProgram;
pub use measure::Deviation;

/// One completed iteration.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its number since the plan began, from 0.
    pub iteration: u64,
    /// The weighted value of every loss slot, at the image before the iteration's step.
    pub losses: Vec<f32>,
    /// Time since the iteration before was completed; iterations of one submission share its time evenly.
    pub elapsed: Duration,
}

/// A plan with its memory, ready to run.
#[derive(Debug)]
pub struct Executor {
    device: Device,
    plan: Plan,
    /// The memory of each slot of the plan, and that of each value.
    slots: Vec<Option<Buffer>>,
    buffers: Vec<Option<Buffer>>,
    program: Option<GpuProgram>,
    done: u64,
    /// Whether all memory is there: not yet, or no more.
    ready: bool,
}

impl Executor {
    /// Allocates the plan's slots and, on a GPU, compiles its pipelines and makes its bind groups. Nothing is
    /// created after this.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is allocated, [`Error::Device`] when the driver refuses.
    pub fn new(device: &Device, plan: Plan) -> Result<Self, Error> {
        let mut executor = Self::with_state(device, plan)?;
        executor.complete()?;
        Ok(executor)
    }

    /// Allocates only what is kept from one iteration to the next, for a coarser scale to hand over to while it still has
    /// memory itself. Nothing runs before [`Executor::complete`].
    ///
    /// # Errors
    /// As [`Executor::new`].
    pub fn with_state(device: &Device, plan: Plan) -> Result<Self, Error> {
        plan.check_fits(device, plan.cost().total_bytes())?;
        let none = vec![None; plan.layout.slots.len()];
        let mut executor = Self::on(device, plan, none);
        executor.allocate(|home| matches!(home, Home::Persistent))?;
        Ok(executor)
    }

    /// As [`Executor::new`] in the memory of an earlier executor, see [`Executor::into_memory`], whose plan had the same slots:
    /// no memory is allocated.
    ///
    /// # Errors
    /// [`Error::Plan`] where the slots were others, [`Error::Device`] when the driver refuses.
    pub fn in_memory(device: &Device, plan: Plan, slots: Vec<Buffer>) -> Result<Self, Error> {
        let same = |(bytes, buffer): (&u64, &Buffer)| *bytes == buffer.kind().bytes(buffer.len());
        let planned = &plan.layout.slots;
        if planned.len() != slots.len() || !planned.iter().zip(&slots).all(same) {
            return Err(Error::Plan(
                "the memory is that of a plan with other slots".to_string(),
            ));
        }
        let mut executor = Self::on(device, plan, slots.into_iter().map(Some).collect());
        executor.allocate(|home| matches!(home, Home::Persistent))?;
        executor.complete()?;
        executor.reset()?;
        Ok(executor)
    }

    /// The memory of the plan's slots, in their order, for [`Executor::in_memory`]; none where it has been given back.
    #[must_use]
    pub fn into_memory(self) -> Option<Vec<Buffer>> {
        self.slots.into_iter().collect()
    }

    /// The plan on those of its slots that have memory already.
    fn on(device: &Device, plan: Plan, slots: Vec<Option<Buffer>>) -> Self {
        let of = |value: &Value| match &value.home {
            Home::Given(buffer) => Some(buffer.clone()),
            Home::Transient | Home::Persistent => None,
        };
        Self {
            device: device.clone(),
            buffers: plan.recording.values().iter().map(of).collect(),
            slots,
            plan,
            program: None,
            done: 0,
            ready: false,
        }
    }

    /// Allocates the rest and makes everything ready to run.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver refuses.
    pub fn complete(&mut self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        self.allocate(|home| matches!(home, Home::Transient))?;
        // Without a call (only the image is asked for) there is nothing to submit.
        let empty = self.plan.recording.calls().is_empty();
        if let Some(gpu) = self.device.gpu().filter(|_| !empty) {
            let memory: Vec<Vec<Buffer>> = self
                .plan
                .recording
                .calls()
                .iter()
                .map(|call| self.bound(&call.values).into_iter().cloned().collect())
                .collect();
            tune::tune(gpu, &mut self.plan.recording, &memory)?;
            let calls = self.plan.recording.calls();
            let bound: Vec<Vec<&Buffer>> =
                calls.iter().map(|call| self.bound(&call.values)).collect();
            warm::up(gpu, &self.plan.recording, &bound, &self.transient_slots())?;
            let slots = self.plan.groups.len().max(1);
            let program = GpuProgram::new(gpu, &self.plan.recording, &bound, slots)?;
            self.program = Some(program);
        }
        self.ready = true;
        Ok(())
    }

    /// Memory for the values whose home is `wanted`, where their slots have none yet.
    fn allocate(&mut self, wanted: impl Fn(&Home) -> bool) -> Result<(), Error> {
        let values = self.plan.recording.values().iter();
        for (i, (value, place)) in values.zip(&self.plan.layout.places).enumerate() {
            let Some(Place { slot, offset }) = place.filter(|_| wanted(&value.home)) else {
                continue;
            };
            let memory = match &self.slots[slot] {
                Some(memory) => memory,
                None => {
                    let words = (self.plan.layout.slots[slot] / 4) as usize;
                    let label = format!("slot {slot}");
                    let made = self.device.buffer(&label, Kind::Word, words)?;
                    self.slots[slot].insert(made)
                }
            };
            self.buffers[i] = Some(memory.viewed(offset, value.kind, value.len));
        }
        Ok(())
    }

    /// The memory that holds nothing between iterations.
    fn transient_slots(&self) -> Vec<&Buffer> {
        let kept = self.plan.layout.kept(&self.plan.recording);
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(i, _)| !kept.contains(i))
            .filter_map(|(_, slot)| slot.as_ref())
            .collect()
    }

    /// Memory for `len` reals that lasts until the next iteration, where the plan has some: what an iteration alone needs is free
    /// between two.
    #[must_use]
    pub fn scratch(&self, len: usize) -> Option<Buffer> {
        let bytes = Kind::Real.buffer_bytes(len);
        let slot = self.plan.layout.spare(&self.plan.recording, bytes)?;
        Some(self.slots[slot].as_ref()?.viewed(0, Kind::Real, len))
    }

    fn bound(&self, values: &[ValueId]) -> Vec<&Buffer> {
        values
            .iter()
            .filter_map(|id| self.buffers[id.0 as usize].as_ref())
            .collect()
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
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
        match &self.buffers[value.0 as usize] {
            Some(buffer) => buffer,
            None => panic!(
                "value `{}` has no memory",
                self.plan.recording.value(value).label
            ),
        }
    }

    /// Everything that is kept from one iteration to the next, each value under a name of its own: its label, with a
    /// number where others have the same.
    pub fn persistent(&self) -> impl Iterator<Item = (String, &Buffer)> {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let values = self.plan.recording.values().iter().zip(&self.buffers);
        values.filter_map(move |(value, buffer)| {
            let (Home::Persistent, Some(buffer)) = (&value.home, buffer) else {
                return None;
            };
            let count = seen.entry(&value.label).or_default();
            *count += 1;
            let name = match *count {
                1 => value.label.clone(),
                n => format!("{} {n}", value.label),
            };
            Some((name, buffer))
        })
    }

    /// Goes on as after `done` iterations: for whoever fills the memory of [`Executor::persistent`] with what it was then.
    pub fn set_done(&mut self, done: u64) {
        self.done = done;
    }

    /// Sets everything that is kept from one iteration to the next to zero, as it was before the first.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn reset(&mut self) -> Result<(), Error> {
        for (_, buffer) in self.persistent() {
            match buffer.kind() {
                Kind::Word => self.device.upload_words(buffer, &vec![0; buffer.len()])?,
                _ => self.device.upload(buffer, &vec![0.0; buffer.len()])?,
            }
        }
        self.done = 0;
        Ok(())
    }

    /// Gives back all memory but that of `keep`, for a finer scale to take: values can then be read, but nothing runs.
    pub fn release(&mut self, keep: &[ValueId]) {
        self.program = None;
        self.ready = false;
        self.slots.fill(None);
        // The recording holds weights and targets, too.
        self.plan.recording.release_given();
        let addresses: Vec<usize> = keep.iter().map(|id| self.buffer(*id).address()).collect();
        for buffer in &mut self.buffers {
            if buffer
                .as_ref()
                .is_some_and(|b| !addresses.contains(&b.address()))
            {
                *buffer = None;
            }
        }
    }

    /// Reads a tensor back as `[n,c,h,w]`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn read(&self, tensor: Tensor) -> Result<Vec<f32>, Error> {
        let packed = self.device.download(self.buffer(tensor.value))?;
        Ok(crate::kernels::unpack(tensor.view, &packed))
    }

    /// Runs `iterations` iterations; `progress` is called for each in order and may stop the run, which then ends
    /// after the iterations already submitted.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run(
        &mut self,
        iterations: u64,
        progress: &mut dyn FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        self.expect_ready()?;
        match (&mut self.program, self.device.gpu()) {
            (Some(program), Some(gpu)) => {
                let ring = self.buffers[self.plan.ring.0 as usize].as_ref();
                let ring = ring.and_then(|ring| Some(ring.wgpu()?.buffer));
                Ok(program.run(gpu, ring, iterations, &mut self.done, progress)?)
            }
            _ => self.run_directly(iterations, progress),
        }
    }

    fn expect_ready(&self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        Err(Error::Plan(
            "this scale has no memory to run in".to_string(),
        ))
    }

    /// Call by call, each completed before the next: the `cpu` device.
    fn run_directly(
        &mut self,
        iterations: u64,
        progress: &mut dyn FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        for _ in 0..iterations {
            let start = Instant::now();
            for call in self.plan.recording.calls() {
                self.device
                    .run(&*call.operation, &self.bound(&call.values))?;
            }
            let slots = self.plan.groups.len();
            let row = (self.done % u64::from(RING_ROWS)) as usize * slots;
            let ring = if slots == 0 {
                Vec::new()
            } else {
                self.device.download(self.buffer(self.plan.ring))?
            };
            let losses = ring
                .get(row..row + slots)
                .map(<[f32]>::to_vec)
                .unwrap_or_default();
            let step = Step {
                iteration: self.done,
                losses,
                elapsed: start.elapsed(),
            };
            self.done += 1;
            if progress(&step).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Appends `iterations` whole iterations to the host program's command encoder, which it must submit before the
    /// next [`Executor::run`]: they count as done from here on, and are not cut to the time budget. On the `cpu` device there is
    /// no encoder to append to; use [`Executor::run`].
    ///
    /// # Errors
    /// [`Error::Plan`] on the `cpu` device.
    pub fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        iterations: u64,
    ) -> Result<(), Error> {
        let Some(program) = &self.program else {
            return Err(Error::Plan(
                "the `cpu` device has no command encoder; use `run`".to_string(),
            ));
        };
        for _ in 0..iterations {
            program.encode(encoder, 0..program.len());
        }
        self.done += iterations;
        Ok(())
    }
}
