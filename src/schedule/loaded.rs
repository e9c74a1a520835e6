//! A program with its memory, ready to run.

use std::collections::HashMap;

use super::gpu::GpuProgram;
use super::{tune, warm};
use crate::Error;
use crate::device::{Buffer, Device, Home, Kind, Operation, ValueId};
use crate::kernels::Tensor;
use crate::plan::{Place, PlanError, Program};

/// A value that is kept from one run of a program to the next.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Its label, with a number where others have the same.
    pub name: String,
    /// Its memory.
    pub buffer: &'a Buffer,
    /// Of words that kernels index by: word i is below `below[i % below.len()]`. Empty where any word will do.
    pub below: Vec<u32>,
}

/// A program with its memory.
#[derive(Debug)]
pub struct Loaded {
    pub(super) device: Device,
    pub(super) program: Program,
    /// The memory of each slot of the program, and that of each value.
    slots: Vec<Option<Buffer>>,
    buffers: Vec<Option<Buffer>>,
    pub(super) gpu: Option<GpuProgram>,
    /// Whether all memory is there: not yet, or no more.
    ready: bool,
}

impl Loaded {
    /// Allocates the program's slots and, on a GPU, compiles its pipelines and makes its bind groups. Nothing is
    /// created after this.
    ///
    /// # Errors
    /// [`Error::TooLarge`] before anything is allocated, [`Error::Device`] when the driver refuses.
    pub async fn new_async(device: &Device, program: Program) -> Result<Self, Error> {
        let mut loaded = Self::with_state(device, program)?;
        loaded.complete_async().await?;
        Ok(loaded)
    }

    /// Allocates only what is kept from one run to the next, for a coarser scale to hand over to while it still has
    /// memory itself. Nothing runs before [`Loaded::complete`].
    ///
    /// # Errors
    /// As [`Loaded::new`].
    pub fn with_state(device: &Device, program: Program) -> Result<Self, Error> {
        program.check_fits(device, program.cost().total_bytes())?;
        let none = vec![None; program.layout.slots.len()];
        let mut loaded = Self::on(device, program, none);
        loaded.allocate(|home| matches!(home, Home::Persistent))?;
        Ok(loaded)
    }

    /// As [`Loaded::new`] in the memory of an earlier executor, see [`Loaded::into_memory`], whose program had the same
    /// slots: no memory is allocated.
    ///
    /// # Errors
    /// [`PlanError::OtherSlots`] where the slots were others, [`Error::Device`] when the driver refuses.
    pub async fn in_memory(
        device: &Device,
        program: Program,
        slots: Vec<Buffer>,
    ) -> Result<Self, Error> {
        let same = |(bytes, buffer): (&u64, &Buffer)| *bytes == buffer.kind().bytes(buffer.len());
        let planned = &program.layout.slots;
        if planned.len() != slots.len() || !planned.iter().zip(&slots).all(same) {
            return Err(PlanError::OtherSlots.into());
        }
        let mut loaded = Self::on(device, program, slots.into_iter().map(Some).collect());
        loaded.allocate(|home| matches!(home, Home::Persistent))?;
        loaded.complete_async().await?;
        loaded.clear()?;
        Ok(loaded)
    }

    /// The memory of the program's slots, in their order, for [`Loaded::in_memory`]; none where it has been given back.
    #[must_use]
    pub fn into_memory(self) -> Option<Vec<Buffer>> {
        self.slots.into_iter().collect()
    }

    /// The program on those of its slots that have memory already.
    fn on(device: &Device, program: Program, slots: Vec<Option<Buffer>>) -> Self {
        Self {
            device: device.clone(),
            buffers: vec![None; program.recording.values().len()],
            slots,
            program,
            gpu: None,
            ready: false,
        }
    }

    /// Allocates the rest and makes everything ready to run.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver refuses.
    pub async fn complete_async(&mut self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        self.allocate(|home| matches!(home, Home::Transient))?;
        let recording = &self.program.recording;
        for id in recording.calls().iter().flat_map(|call| &call.values) {
            if let Home::Given(given) = &recording.value(*id).home {
                self.buffers[id.0 as usize] = Some(given.buffer()?);
            }
        }
        if let Some(gpu) = self.device.gpu() {
            gpu.settled().await?;
        }
        // Without a call (only the image is asked for) there is nothing to submit.
        let empty = self.program.recording.calls().is_empty();
        if let Some(gpu) = self.device.gpu().filter(|_| !empty) {
            let memory: Vec<Vec<Buffer>> = self
                .program
                .recording
                .calls()
                .iter()
                .map(|call| self.bound(&call.values).into_iter().cloned().collect())
                .collect();
            tune::tune(gpu, &mut self.program.recording, &memory).await?;
            let calls = self.program.recording.calls();
            let bound: Vec<Vec<&Buffer>> =
                calls.iter().map(|call| self.bound(&call.values)).collect();
            warm::up(
                gpu,
                &self.program.recording,
                &bound,
                &self.transient_slots(),
            )
            .await?;
            self.gpu = Some(GpuProgram::new(gpu, &self.program.recording, &bound).await?);
        }
        self.ready = true;
        Ok(())
    }

    /// Memory for the values whose home is `wanted`, where their slots have none yet.
    fn allocate(&mut self, wanted: impl Fn(&Home) -> bool) -> Result<(), Error> {
        let values = self.program.recording.values().iter();
        for (i, (value, place)) in values.zip(&self.program.layout.places).enumerate() {
            let Some(Place { slot, offset }) = place.filter(|_| wanted(&value.home)) else {
                continue;
            };
            let memory = match &self.slots[slot] {
                Some(memory) => memory,
                None => {
                    let words = (self.program.layout.slots[slot] / 4) as usize;
                    let label = format!("slot {slot}");
                    let made = self.device.buffer(&label, Kind::Word, words)?;
                    self.slots[slot].insert(made)
                }
            };
            self.buffers[i] = Some(memory.viewed(offset, value.kind, value.len));
        }
        Ok(())
    }

    /// The memory that holds nothing between runs.
    fn transient_slots(&self) -> Vec<&Buffer> {
        let kept = self.program.layout.kept(&self.program.recording);
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(i, _)| !kept.contains(i))
            .filter_map(|(_, slot)| slot.as_ref())
            .collect()
    }

    /// Memory for `len` reals that lasts until the next run, where the program has some: what a run alone needs is free
    /// between two.
    #[must_use]
    pub fn scratch(&self, len: usize) -> Option<Buffer> {
        let bytes = Kind::Real.buffer_bytes(len);
        let slot = self.program.layout.spare(&self.program.recording, bytes)?;
        Some(self.slots[slot].as_ref()?.viewed(0, Kind::Real, len))
    }

    pub(super) fn bound(&self, values: &[ValueId]) -> Vec<&Buffer> {
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

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
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
                self.program.recording.value(value).label
            ),
        }
    }

    /// Everything that is kept from one run to the next, each value under a name of its own.
    pub fn persistent(&self) -> impl Iterator<Item = Kept<'_>> {
        let mut seen: HashMap<&str, u32> = HashMap::new();
        let values = self.program.recording.values().iter().zip(&self.buffers);
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
            Some(Kept {
                name,
                buffer,
                below: value.below.clone(),
            })
        })
    }

    /// Sets everything that is kept from one run to the next to zero, as it was before the first.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn clear(&mut self) -> Result<(), Error> {
        for Kept { buffer, .. } in self.persistent() {
            match buffer.kind() {
                Kind::Word => self.device.upload_words(buffer, &vec![0; buffer.len()])?,
                _ => self.device.upload(buffer, &vec![0.0; buffer.len()])?,
            }
        }
        Ok(())
    }

    /// Gives back all memory but that of `keep`, for a finer scale to take: values can then be read, but nothing runs.
    pub fn release(&mut self, keep: &[ValueId]) {
        self.gpu = None;
        self.ready = false;
        self.slots.fill(None);
        // The recording holds weights and targets, too.
        self.program.recording.release_given();
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
    pub async fn read_async(&self, tensor: Tensor) -> Result<Vec<f32>, Error> {
        let packed = self
            .device
            .download_async(self.buffer(tensor.value))
            .await?;
        Ok(crate::kernels::from_quads(tensor.view, &packed))
    }

    /// Fills a value with numbers in the engine's layout.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn upload(&self, value: ValueId, numbers: &[f32]) -> Result<(), Error> {
        Ok(self.device.upload(self.buffer(value), numbers)?)
    }

    /// Runs the program once, to its end.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub async fn run_once_async(&mut self) -> Result<(), Error> {
        self.expect_ready()?;
        match (&mut self.gpu, self.device.gpu()) {
            (Some(program), Some(gpu)) => {
                let mut done = 0;
                while done == 0 {
                    program.advance(gpu, None, 1, &mut done).await?;
                }
                Ok(())
            }
            _ => self.run_calls(|_, _| Ok(())),
        }
    }

    /// Runs the program call by call; `after` sees each.
    pub(super) fn run_calls(
        &self,
        mut after: impl FnMut(usize, &dyn Operation) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let mut run = || {
            for (i, call) in self.program.recording.calls().iter().enumerate() {
                self.device
                    .run(&*call.operation, &self.bound(&call.values))?;
                after(i, &*call.operation)?;
            }
            Ok(())
        };
        // By one of the threads that the calls share: any other would fall asleep in each call and be woken at its end.
        rayon::scope(|_| run())
    }

    pub(super) fn expect_ready(&self) -> Result<(), Error> {
        if self.ready {
            return Ok(());
        }
        Err(PlanError::NoMemory.into())
    }
}
