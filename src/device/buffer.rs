//! Buffers of reals and of words, on either kind of device.

use std::sync::{Arc, LazyLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::DeviceError;
use super::packed::{Words, decode, encode};
use super::tally::Share;

/// What the elements of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Floating-point numbers: f32, except f64 on the oracle.
    Real,
    /// Floating-point numbers in f16, read only: weights.
    Half,
    /// Floating-point numbers in 16 bits, of which four share an exponent: see `wgsl/shared/packed.wgsl`.
    Packed,
    /// u32: bit masks, argmax positions, counters.
    Word,
}

impl Kind {
    /// Bytes that `len` elements take.
    #[must_use]
    pub fn bytes(self, len: usize) -> u64 {
        match self {
            Self::Real | Self::Word => len as u64 * 4,
            Self::Half | Self::Packed => len.div_ceil(4) as u64 * 8,
        }
    }

    /// Bytes of a buffer for `len` elements. WebGPU has no empty bindings, and a binding of vec4s is never shorter than one.
    #[must_use]
    pub fn buffer_bytes(self, len: usize) -> u64 {
        self.bytes(len).max(16).next_multiple_of(16)
    }

    /// Whether the elements are numbers, however they are stored.
    #[must_use]
    pub fn is_real(self) -> bool {
        self != Self::Word
    }
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
    /// [`Kind::Half`] and [`Kind::Packed`]: four numbers each.
    Quads(Kind, Vec<Words>),
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

    /// Whether it holds numbers or words, and so many of them.
    pub(super) fn expect(&self, reals: bool, len: usize) -> Result<(), DeviceError> {
        if self.kind.is_real() == reals && len <= self.len {
            return Ok(());
        }
        Err(DeviceError::Mismatch {
            expected: format!("{len} {}", if reals { "reals" } else { "words" }),
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
            Storage::Quads(kind, v) => {
                let data: Vec<f64> = data.collect();
                for (to, from) in v.iter_mut().zip(data.chunks(4)) {
                    *to = encode(*kind, from);
                }
            }
            Storage::Word(_) => return self.expect(true, 0),
        }
        Ok(())
    }

    pub(super) fn write_words(&self, data: &[u32]) -> Result<(), DeviceError> {
        match &mut *self.write() {
            Storage::Word(v) => v[..data.len()].copy_from_slice(data),
            _ => return self.expect(false, 0),
        }
        Ok(())
    }

    pub(super) fn read_reals(&self) -> Vec<f64> {
        match &*self.read() {
            Storage::F32(v) => v.iter().map(|&v| f64::from(v)).collect(),
            Storage::F64(v) => v.clone(),
            Storage::Quads(kind, v) => {
                let reals = v.iter().flat_map(|words| decode(*kind, *words));
                reals.take(self.len).collect()
            }
            Storage::Word(_) => Vec::new(),
        }
    }

    pub(super) fn read_words(&self) -> Vec<u32> {
        match &*self.read() {
            Storage::Word(v) => v.clone(),
            _ => Vec::new(),
        }
    }
}
