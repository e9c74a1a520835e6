//! How much memory a device's buffers hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of all buffers that exist, and the most there ever were.
#[derive(Debug, Default)]
pub(super) struct Tally {
    now: AtomicU64,
    peak: AtomicU64,
}

/// One buffer's part of a [`Tally`], given back when its last clone is dropped.
#[derive(Debug)]
pub(super) struct Share {
    tally: Arc<Tally>,
    bytes: u64,
}

impl Tally {
    pub fn take(self: &Arc<Self>, bytes: u64) -> Share {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Share {
            tally: Arc::clone(self),
            bytes,
        }
    }

    /// Bytes now, and the most since the device was opened.
    pub fn read(&self) -> (u64, u64) {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (of(&self.now), of(&self.peak))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.tally.now.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
