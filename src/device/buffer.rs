//! Buffers of reals and of words, on either kind of device.

use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::packed::{Words, decode, encode};
use super::tally::Share;
use super::{Arithmetic, DeviceError};

/// What the elements of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Floating-point numbers: f32, except f64 on the oracle.
    Real,
    /// Reals of which some are too large for f16 by the factor that kernels on cooperative matrices put to weights, or
    /// not finite: no kernel may take these apart into numbers of f16.
    Wide,
    /// Floating-point numbers in f16, read only: weights.
    Half,
    /// Floating-point numbers in 16 bits, of which four share an exponent: see `wgsl/shared/packed.wgsl`.
    Packed,
    /// As packed, of numbers that are never negative, which have a bit more: what a ReLU leaves.
    Rectified,
    /// u32: bit masks, argmax positions, counters.
    Word,
}

impl Kind {
    /// Bytes that `len` elements take.
    #[must_use]
    pub fn bytes(self, len: usize) -> u64 {
        match self {
            Self::Real | Self::Wide | Self::Word => len as u64 * 4,
            Self::Half | Self::Packed | Self::Rectified => len.div_ceil(4) as u64 * 8,
        }
    }

    /// Bytes of a buffer for `len` elements. WebGPU has no empty bindings, and a binding of vec4s is never shorter than
    /// one.
    #[must_use]
    pub fn buffer_bytes(self, len: usize) -> u64 {
        self.bytes(len).max(16).next_multiple_of(16)
    }

    /// Whether four elements are stored together, in two words.
    #[must_use]
    pub fn in_quads(self) -> bool {
        matches!(self, Self::Half | Self::Packed | Self::Rectified)
    }

    /// Whether the elements are numbers, however they are stored.
    #[must_use]
    pub fn is_real(self) -> bool {
        self != Self::Word
    }
}

/// What the first byte of a buffer in the middle of another is a multiple of: WebGPU's most for bindings.
pub const ALIGNMENT: u64 = 256;

/// Memory on a device; a clone is the same memory.
#[derive(Debug, Clone)]
pub struct Buffer {
    kind: Kind,
    len: usize,
    memory: Memory,
    /// Its first byte in the memory, which others may share, and how many the memory has.
    offset: u64,
    bytes: u64,
    /// Told when the last clone is dropped.
    _share: Option<Arc<Share>>,
}

#[derive(Debug, Clone)]
pub(super) enum Memory {
    Gpu(wgpu::Buffer),
    Cpu(Arc<CpuMemory>),
}

/// Untyped, and aligned for all that buffers hold.
type Untyped = RwLock<Vec<u64>>;

/// Main memory that is taken when it is first touched: a plan that is only looked at costs none.
#[derive(Debug)]
pub(super) struct CpuMemory {
    /// What its reals are.
    arithmetic: Arithmetic,
    bytes: LazyLock<Untyped, Box<dyn FnOnce() -> Untyped + Send>>,
}

impl CpuMemory {
    /// Zeroed memory that can hold `len` elements of `kind`, or whatever a GPU has in as many bytes.
    pub fn new(arithmetic: Arithmetic, kind: Kind, len: usize) -> Self {
        let words = arithmetic.words(kind.buffer_bytes(len));
        Self {
            arithmetic,
            bytes: LazyLock::new(Box::new(move || RwLock::new(vec![0; words]))),
        }
    }
}

/// The first `len` elements of memory.
pub(super) fn typed<T: bytemuck::Pod>(memory: &[u64], len: usize) -> &[T] {
    &bytemuck::cast_slice(memory)[..len]
}

/// As [`typed`], to be written.
pub(super) fn typed_mut<T: bytemuck::Pod>(memory: &mut [u64], len: usize) -> &mut [T] {
    &mut bytemuck::cast_slice_mut(memory)[..len]
}

impl Buffer {
    pub(super) fn new(kind: Kind, len: usize, memory: Memory) -> Self {
        Self {
            kind,
            len,
            memory,
            offset: 0,
            bytes: kind.buffer_bytes(len),
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

    /// The same memory, from byte `offset` of it on, for `len` elements of `kind`: what is in it means something else
    /// then.
    ///
    /// # Panics
    /// When they are more bytes than the memory has, or `offset` is no multiple of [`ALIGNMENT`]: a bug in the caller.
    #[must_use]
    pub fn viewed(&self, offset: u64, kind: Kind, len: usize) -> Self {
        assert!(
            offset + kind.buffer_bytes(len) <= self.bytes && offset.is_multiple_of(ALIGNMENT),
            "{len} {kind:?}s from {offset} on in {} bytes",
            self.bytes
        );
        Self {
            kind,
            len,
            offset,
            ..self.clone()
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

    /// What tells this memory from any other: equal for clones, and for all that share it.
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

    /// The GPU buffer and the bytes of it that are this one's, `None` on the processor.
    #[must_use]
    pub fn wgpu(&self) -> Option<wgpu::BufferBinding<'_>> {
        match &self.memory {
            Memory::Gpu(buffer) => Some(wgpu::BufferBinding {
                buffer,
                offset: self.offset,
                size: NonZeroU64::new(self.kind.buffer_bytes(self.len)),
            }),
            Memory::Cpu(_) => None,
        }
    }

    /// Whether some of its bytes are another buffer's, too.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let end = |buffer: &Self| buffer.offset + buffer.kind.buffer_bytes(buffer.len);
        let apart = end(self) <= other.offset || end(other) <= self.offset;
        self.address() == other.address() && !apart
    }

    /// Where it stands in the processor's memory.
    pub(super) fn range(&self) -> std::ops::Range<usize> {
        let words = |bytes| self.cpu().arithmetic.words(bytes);
        let start = words(self.offset);
        start..start + words(self.kind.buffer_bytes(self.len))
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

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Vec<u64>> {
        // A thread that waits for others within a call may take up another run's calls: where both read the same
        // weights, it has the lock already, and must not queue behind one that wants to write.
        self.cpu().bytes.read_recursive()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Vec<u64>> {
        self.cpu().bytes.write()
    }

    fn cpu(&self) -> &CpuMemory {
        match &self.memory {
            Memory::Cpu(memory) => memory,
            Memory::Gpu(_) => unreachable!("a GPU buffer reached the processor's device"),
        }
    }

    pub(super) fn write_reals(&self, data: impl Iterator<Item = f64>) {
        let arithmetic = self.cpu().arithmetic;
        let memory = &mut self.write()[self.range()];
        match (self.kind, arithmetic) {
            (kind, _) if kind.in_quads() => {
                let data: Vec<f64> = data.collect();
                let quads = typed_mut::<Words>(memory, self.len.div_ceil(4));
                for (to, from) in quads.iter_mut().zip(data.chunks(4)) {
                    *to = encode(self.kind, from);
                }
            }
            (_, Arithmetic::F32) => {
                let reals = typed_mut::<f32>(memory, self.len).iter_mut();
                reals.zip(data).for_each(|(to, from)| *to = from as f32);
            }
            (_, Arithmetic::F64) => {
                let reals = typed_mut::<f64>(memory, self.len).iter_mut();
                reals.zip(data).for_each(|(to, from)| *to = from);
            }
        }
    }

    pub(super) fn write_words(&self, data: &[u32]) {
        typed_mut(&mut self.write()[self.range()], data.len()).copy_from_slice(data);
    }

    pub(super) fn read_reals(&self) -> Vec<f64> {
        let arithmetic = self.cpu().arithmetic;
        let memory = &self.read()[self.range()];
        match (self.kind, arithmetic) {
            (kind, _) if kind.in_quads() => {
                let quads = typed::<Words>(memory, self.len.div_ceil(4)).iter();
                let reals = quads.flat_map(|words| decode(self.kind, *words));
                reals.take(self.len).collect()
            }
            (_, Arithmetic::F32) => {
                let reals = typed::<f32>(memory, self.len).iter();
                reals.map(|v| f64::from(*v)).collect()
            }
            (_, Arithmetic::F64) => typed(memory, self.len).to_vec(),
        }
    }

    pub(super) fn read_words(&self) -> Vec<u32> {
        typed(&self.read()[self.range()], self.len).to_vec()
    }
}
