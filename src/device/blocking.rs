//! The calls that block: the futures of the same names, waited for. A browser has none of them.

use std::time::Duration;

use pollster::block_on;

use super::{Buffer, Device, DeviceError, DeviceInfo, DeviceOptions, Gpu, Operation, Submission};

/// Every device, in the order of their indices; the last is `cpu`.
#[must_use]
pub fn list() -> Vec<DeviceInfo> {
    block_on(super::list_async())
}

impl Gpu {
    /// Waits until a submission (`None`: the last) is done and the callbacks that depend on it have run.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub fn wait(&self, submission: Option<Submission>) -> Result<(), DeviceError> {
        block_on(self.finished(submission)).map(|_| ())
    }
}

impl Device {
    /// Opens the device that `options` names; by default the best GPU, else the processor.
    ///
    /// # Errors
    /// [`DeviceError::NotFound`] lists the devices there are when a named one is not among them.
    pub fn new(options: &DeviceOptions) -> Result<Self, DeviceError> {
        block_on(Self::new_async(options))
    }

    /// Reads a whole buffer of reals back; waits for the work submitted before.
    ///
    /// # Errors
    /// [`DeviceError::Lost`] when the device fails; [`DeviceError::Mismatch`] on a buffer of words.
    pub fn download(&self, buffer: &Buffer) -> Result<Vec<f32>, DeviceError> {
        block_on(self.download_async(buffer))
    }

    /// Reads a whole buffer of reals in f64.
    ///
    /// # Errors
    /// As [`Device::download`].
    pub fn download_f64(&self, buffer: &Buffer) -> Result<Vec<f64>, DeviceError> {
        block_on(self.download_f64_async(buffer))
    }

    /// Reads a whole buffer of words back.
    ///
    /// # Errors
    /// As [`Device::download`].
    pub fn download_words(&self, buffer: &Buffer) -> Result<Vec<u32>, DeviceError> {
        block_on(self.download_words_async(buffer))
    }

    /// Times of `runs` runs of one kernel on `buffers`, see [`Device::time_async`].
    ///
    /// # Errors
    /// As [`Device::run`].
    pub fn time(
        &self,
        operation: &dyn Operation,
        buffers: &[&Buffer],
        runs: usize,
    ) -> Result<Vec<Duration>, DeviceError> {
        block_on(self.time_async(operation, buffers, runs))
    }
}
