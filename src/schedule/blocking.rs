//! The calls that block: the futures of the same names, waited for. A browser has none of them.

use std::ops::ControlFlow;
use std::time::Duration;

use pollster::block_on;

use super::{Deviation, Executor, Loaded, Step};
use crate::Error;
use crate::device::{Device, DeviceError, Gpu, Shader};
use crate::kernels::Tensor;
use crate::plan::{Iteration, Program};

/// Whether a kernel can run, see [`super::is_allowed_async`].
///
/// # Errors
/// [`DeviceError`] when the device fails.
pub fn is_allowed(gpu: &Gpu, shader: Shader) -> Result<bool, DeviceError> {
    block_on(super::is_allowed_async(gpu, shader))
}

impl Loaded {
    /// Allocates the program's memory and makes everything ready to run, see [`Loaded::new_async`].
    ///
    /// # Errors
    /// As [`Loaded::new_async`].
    pub fn new(device: &Device, program: Program) -> Result<Self, Error> {
        block_on(Self::new_async(device, program))
    }

    /// Runs the program once, to its end.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run_once(&mut self) -> Result<(), Error> {
        block_on(self.run_once_async())
    }

    /// Reads a tensor back as `[n,c,h,w]`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn read(&self, tensor: Tensor) -> Result<Vec<f32>, Error> {
        block_on(self.read_async(tensor))
    }
}

impl Executor {
    /// Allocates the iteration's memory and makes everything ready to run, see [`Loaded::new_async`].
    ///
    /// # Errors
    /// As [`Loaded::new_async`].
    pub fn new(device: &Device, iteration: Iteration) -> Result<Self, Error> {
        block_on(Self::new_async(device, iteration))
    }

    /// Allocates the rest and makes everything ready to run.
    ///
    /// # Errors
    /// [`Error::Device`] when the driver refuses.
    pub fn complete(&mut self) -> Result<(), Error> {
        block_on(self.complete_async())
    }

    /// Reads a tensor back as `[n,c,h,w]`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device has failed.
    pub fn read(&self, tensor: Tensor) -> Result<Vec<f32>, Error> {
        block_on(self.read_async(tensor))
    }

    /// Runs `iterations` iterations, see [`Executor::run_async`].
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn run(
        &mut self,
        iterations: u64,
        progress: &mut dyn FnMut(&Step) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        block_on(self.run_async(iterations, progress))
    }

    /// Times one iteration as a whole, see [`Executor::time_iteration_async`].
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn time_iteration(&mut self) -> Result<Duration, Error> {
        block_on(self.time_iteration_async())
    }

    /// Times one iteration call by call, see [`Executor::time_calls_async`].
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn time_calls(&mut self) -> Result<Vec<Duration>, Error> {
        block_on(self.time_calls_async())
    }

    /// Compares one iteration with that of another device, see [`Executor::check_calls_async`].
    ///
    /// # Errors
    /// As [`Executor::check_calls_async`].
    pub fn check_calls(
        &mut self,
        reference: &Device,
        wanted: impl FnMut(usize) -> bool,
    ) -> Result<Vec<Option<Deviation>>, Error> {
        block_on(self.check_calls_async(reference, wanted))
    }
}
