//! How much memory a device's buffers hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Buffer;

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
    /// A browser frees memory when it has collected garbage, or when it is told to.
    #[cfg(target_arch = "wasm32")]
    memory: Option<wgpu::Buffer>,
}

impl Share {
    /// Frees the memory of a buffer together with the part.
    pub fn owns(&mut self, buffer: &Buffer) {
        let _ = buffer;
        #[cfg(target_arch = "wasm32")]
        {
            self.memory = buffer.wgpu().map(|own| own.buffer.clone());
        }
    }
}

impl Tally {
    pub fn take(self: &Arc<Self>, bytes: u64) -> Share {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Share {
            tally: Arc::clone(self),
            bytes,
            #[cfg(target_arch = "wasm32")]
            memory: None,
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
        #[cfg(target_arch = "wasm32")]
        if let Some(memory) = &self.memory {
            memory.destroy();
        }
    }
}
