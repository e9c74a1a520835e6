//! On a native system somebody has to ask the driver: the futures here do so when they are polled, and are complete
//! then.

use web_time::Instant;

use crate::device::{DeviceError, Gpu};

/// Work that was submitted, to be waited for.
pub type Submission = wgpu::SubmissionIndex;

/// A read-back buffer whose contents have been asked for. They are there when the work submitted before is done.
#[derive(Debug)]
pub struct Mapping;

impl Gpu {
    /// Submits one command buffer.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) -> Submission {
        self.count_submission();
        self.queue().submit([encoder.finish()])
    }

    /// Waits until a submission (`None`: the last) is done and the callbacks that depend on it have run. Tells when.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub async fn finished(&self, submission: Option<Submission>) -> Result<Instant, DeviceError> {
        self.device()
            .poll(wgpu::PollType::Wait {
                submission_index: submission,
                timeout: None,
            })
            .map_err(|error| self.fail(&error.to_string()))?;
        self.check()?;
        Ok(Instant::now())
    }

    /// Asks for the first `bytes` of a read-back buffer, once what is submitted is done.
    pub fn map(&self, staging: &wgpu::Buffer, bytes: u64) -> Mapping {
        staging.map_async(wgpu::MapMode::Read, ..bytes, |_| ());
        Mapping
    }

    /// Closes an error scope: what the driver refused in it is the error that `tell` makes of it, at once on a native
    /// system, in a browser that of the next [`Gpu::settled`].
    pub(in super::super) fn close(
        &self,
        scope: wgpu::ErrorScopeGuard,
        tell: impl FnOnce(wgpu::Error) -> DeviceError + 'static,
    ) -> Result<(), DeviceError> {
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(tell(error)),
            None => Ok(()),
        }
    }

    /// Waits until the driver has answered for all error scopes.
    ///
    /// # Errors
    /// What it refused first.
    pub async fn settled(&self) -> Result<(), DeviceError> {
        self.check()
    }
}

impl Mapping {
    /// Waits until the contents are there.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub async fn done(self) -> Result<(), DeviceError> {
        Ok(())
    }
}
