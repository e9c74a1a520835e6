//! Buffers of reals and of words, on either kind of device.

use std::sync::{Arc, LazyLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::DeviceError;
use super::tally::Share;

/// What the elements of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Floating-point numbers: f32, except f64 on the oracle.
    Real,
    /// u32: bit masks, argmax positions, counters.
    Word,
}

/// Memory on a device; a clone is the same memory.
#[derive(Debug, Clone)]
pub struct Buffer {
    kind: Kind,
    len: usize,
    memory: Memory,
    /// Told when the last clone is dropped.
    _share: Option<Arc<Share>>,
}

#[derive(Debug, Clone)]
pub(super) enum Memory {
    Gpu(wgpu::Buffer),
    Cpu(Arc<CpuMemory>),
}

/// Main memory that is taken when it is first touched: a plan that is only looked at costs none.
pub(super) type CpuMemory = LazyLock<RwLock<Storage>, Box<dyn FnOnce() -> RwLock<Storage> + Send>>;

/// The elements of a buffer in main memory.
#[derive(Debug)]
pub(super) enum Storage {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Word(Vec<u32>),
}

impl Buffer {
    pub(super) fn new(kind: Kind, len: usize, memory: Memory) -> Self {
        Self {
            kind,
            len,
            memory,
            _share: None,
        }
    }

    /// With its part of what the device counts.
    pub(super) fn counted(self, share: Share) -> Self {
        Self {
            _share: Some(Arc::new(share)),
            ..self
        }
    }

    /// Reals or words.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What tells this memory from any other: equal for clones.
    #[must_use]
    pub fn address(&self) -> usize {
        match &self.memory {
            Memory::Gpu(buffer) => {
                let mut hasher = std::hash::DefaultHasher::new();
                std::hash::Hash::hash(buffer, &mut hasher);
                std::hash::Hasher::finish(&hasher) as usize
            }
            Memory::Cpu(storage) => Arc::as_ptr(storage) as usize,
        }
    }

    /// The GPU buffer, `None` on the processor.
    #[must_use]
    pub fn wgpu(&self) -> Option<&wgpu::Buffer> {
        match &self.memory {
            Memory::Gpu(buffer) => Some(buffer),
            Memory::Cpu(_) => None,
        }
    }

    pub(super) fn expect(&self, kind: Kind, len: usize) -> Result<(), DeviceError> {
        if self.kind == kind && len <= self.len {
            return Ok(());
        }
        Err(DeviceError::Mismatch {
            expected: format!("{len} {kind:?}s"),
            found: format!("{} {:?}s", self.len, self.kind),
        })
    }

    // A twin that panics is a bug in this crate, reported as such; the poison it leaves on a lock says nothing more.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Storage> {
        match &self.memory {
            Memory::Cpu(storage) => storage
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
            Memory::Gpu(_) => unreachable!("a GPU buffer reached the processor's device"),
        }
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Storage> {
        match &self.memory {
            Memory::Cpu(storage) => storage
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
            Memory::Gpu(_) => unreachable!("a GPU buffer reached the processor's device"),
        }
    }

    pub(super) fn write_reals(&self, data: impl Iterator<Item = f64>) -> Result<(), DeviceError> {
        match &mut *self.write() {
            Storage::F32(v) => v
                .iter_mut()
                .zip(data)
                .for_each(|(to, from)| *to = from as f32),
            Storage::F64(v) => v.iter_mut().zip(data).for_each(|(to, from)| *to = from),
            Storage::Word(_) => return self.expect(Kind::Real, 0),
        }
        Ok(())
    }

    pub(super) fn write_words(&self, data: &[u32]) -> Result<(), DeviceError> {
        match &mut *self.write() {
            Storage::Word(v) => v[..data.len()].copy_from_slice(data),
            Storage::F32(_) | Storage::F64(_) => return self.expect(Kind::Word, 0),
        }
        Ok(())
    }

    pub(super) fn read_reals(&self) -> Vec<f64> {
        match &*self.read() {
            Storage::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Storage::F64(v) => v.clone(),
            Storage::Word(_) => Vec::new(),
        }
    }

    pub(super) fn read_words(&self) -> Vec<u32> {
        match &*self.read() {
            Storage::Word(v) => v.clone(),
            Storage::F32(_) | Storage::F64(_) => Vec::new(),
        }
    }
}
