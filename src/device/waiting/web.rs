//! In a browser answers come as promises, and nothing can block.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;
use web_time::Instant;

use crate::device::{DeviceError, Gpu};

/// A value that somebody else gives later.
#[derive(Debug)]
struct Promised<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Promised<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Promised<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn give(&self, value: T) {
        let mut state = self.0.lock();
        state.0 = Some(value);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    async fn get(self) -> T {
        poll_fn(|context| {
            let mut state = self.0.lock();
            match state.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    state.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

/// Work that was submitted, to be waited for: when it was done.
#[derive(Debug)]
pub struct Submission(Promised<Instant>);

/// A read-back buffer whose contents have been asked for.
#[derive(Debug)]
pub struct Mapping(Promised<Result<(), wgpu::BufferAsyncError>>);

impl Mapping {
    /// Waits until the contents are there.
    ///
    /// # Errors
    /// [`DeviceError::Lost`].
    pub async fn done(self) -> Result<(), DeviceError> {
        let answer = self.0.get().await;
        answer.map_err(|error| DeviceError::Lost(error.to_string()))
    }
}

/// Error scopes that the driver has not answered for, the first refusal, and who waits for them.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Refusals(Arc<Mutex<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    scopes: usize,
    first: Option<DeviceError>,
    waker: Option<Waker>,
}

impl Gpu {
    fn promise_of_submitted(&self) -> Submission {
        let promised = Promised::new();
        let giver = promised.clone();
        self.queue()
            .on_submitted_work_done(move || giver.give(Instant::now()));
        Submission(promised)
    }

    /// Submits one command buffer.
    pub fn submit(&self, encoder: wgpu::CommandEncoder) -> Submission {
        self.count_submission();
        self.queue().submit([encoder.finish()]);
        self.promise_of_submitted()
    }

    /// Waits until a submission (`None`: the last) is done, and tells when it was.
    ///
    /// # Errors
    /// [`DeviceError::Lost`], and what the driver has refused meanwhile.
    pub async fn finished(&self, submission: Option<Submission>) -> Result<Instant, DeviceError> {
        let submission = submission.unwrap_or_else(|| self.promise_of_submitted());
        let done = submission.0.get().await;
        self.settled().await?;
        Ok(done)
    }

    /// Asks for the first `bytes` of a read-back buffer, once what is submitted is done.
    pub fn map(&self, staging: &wgpu::Buffer, bytes: u64) -> Mapping {
        let promised = Promised::new();
        let giver = promised.clone();
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |answer| {
            giver.give(answer);
        });
        Mapping(promised)
    }

    /// Closes an error scope: what the driver refused in it is the error of the next [`Gpu::settled`].
    pub(in super::super) fn close(
        &self,
        scope: wgpu::ErrorScopeGuard,
        tell: impl FnOnce(wgpu::Error) -> DeviceError + 'static,
    ) -> Result<(), DeviceError> {
        let refusals = self.refusals.clone();
        refusals.0.lock().scopes += 1;
        let answer = scope.pop();
        wasm_bindgen_futures::spawn_local(async move {
            let answer = answer.await;
            let mut pending = refusals.0.lock();
            pending.scopes -= 1;
            if let Some(error) = answer {
                pending.first.get_or_insert(tell(error));
            }
            if pending.scopes == 0
                && let Some(waker) = pending.waker.take()
            {
                waker.wake();
            }
        });
        Ok(())
    }

    /// Waits until the driver has answered for all error scopes.
    ///
    /// # Errors
    /// What it refused first.
    pub async fn settled(&self) -> Result<(), DeviceError> {
        let refused = poll_fn(|context| {
            let mut pending = self.refusals.0.lock();
            if pending.scopes == 0 {
                return Poll::Ready(pending.first.take());
            }
            pending.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        match refused {
            Some(refused) => Err(refused),
            None => self.check(),
        }
    }
}
