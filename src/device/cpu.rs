//! The processor as a device: runs each kernel's reference implementation.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{RwLockReadGuard, RwLockWriteGuard};
use rayon::prelude::*;

use super::buffer::{CpuMemory, Memory, typed, typed_mut};
use super::packed::{Words, decode_all, encode_all};
use super::{
    Binding, Bindings, Buffer, DeviceInfo, DeviceKind, Kind, Operation, Real, Slot, Tasks,
    vectorized,
};

/// What the `cpu` device computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The product.
    F32,
    /// The tests' oracle.
    F64,
}

impl Arithmetic {
    /// Words of 64 bits that hold what a GPU has in so many bytes.
    pub(super) fn words(self, bytes: u64) -> usize {
        let wide = match self {
            Self::F32 => 1,
            Self::F64 => 2,
        };
        (bytes * wide).div_ceil(8) as usize
    }
}

/// The processor.
#[derive(Debug)]
pub struct Cpu {
    arithmetic: Arithmetic,
    info: DeviceInfo,
}

impl Cpu {
    pub(super) fn new(arithmetic: Arithmetic) -> Self {
        Self {
            arithmetic,
            info: Self::describe(),
        }
    }

    /// What `pixgrad devices` says of it.
    pub(super) fn describe() -> DeviceInfo {
        DeviceInfo {
            index: 0,
            name: "cpu".to_string(),
            backend: "cpu".to_string(),
            driver: format!("{} threads", rayon::current_num_threads()),
            kind: DeviceKind::Cpu,
            max_binding_bytes: u64::MAX,
            max_buffer_bytes: u64::MAX,
            max_workgroup_bytes: 0,
            max_invocations: 0,
            subgroup: None,
            features: Vec::new(),
        }
    }

    pub(super) fn info(&self) -> &DeviceInfo {
        &self.info
    }

    pub(super) fn buffer(&self, kind: Kind, len: usize) -> Buffer {
        let memory = CpuMemory::new(self.arithmetic, kind, len);
        Buffer::new(kind, len, Memory::Cpu(Arc::new(memory)))
    }

    /// Runs one kernel on `buffers`, in the order of the kernel's bindings.
    ///
    /// # Panics
    /// When a buffer comes from another device, or what is written is bound twice: bugs in the caller.
    pub fn run(&self, operation: &dyn Operation, buffers: &[&Buffer]) {
        match self.arithmetic {
            Arithmetic::F32 => with_bindings(operation, buffers, |b| operation.reference_f32(b)),
            Arithmetic::F64 => with_bindings(operation, buffers, |b| operation.reference_f64(b)),
        }
    }
}

/// Quads of a buffer that one task unpacks or packs.
const QUADS: usize = 1 << 14;

/// The reals of quads.
fn unpack<T: Real>(kind: Kind, quads: &[Words]) -> Vec<T> {
    let mut reals = vec![T::ZERO; quads.len() * 4];
    let tasks = reals.par_chunks_mut(QUADS * 4).zip(quads.par_chunks(QUADS));
    tasks.run(|(reals, quads)| vectorized(|| decode_all(kind, quads, reals)));
    reals
}

/// Puts reals back where they came from.
fn pack_into<T: Real>(kind: Kind, reals: &[T], quads: &mut [Words]) {
    let tasks = quads.par_chunks_mut(QUADS).zip(reals.par_chunks(QUADS * 4));
    tasks.run(|(quads, reals)| vectorized(|| encode_all(kind, reals, quads)));
}

/// Memory that some of the bindings share.
enum Lock<'a> {
    Read(RwLockReadGuard<'a, Vec<u64>>),
    Write(RwLockWriteGuard<'a, Vec<u64>>),
}

/// The part of it that is one binding's.
enum Part<'a> {
    Read(&'a [u64]),
    Write(&'a mut [u64]),
}

impl Part<'_> {
    fn memory(&self) -> &[u64] {
        match self {
            Self::Read(memory) => memory,
            Self::Write(memory) => memory,
        }
    }
}

/// Locks the memory of every buffer, to be written where one of its buffers is.
fn locked<'a>(slots: &[Slot], buffers: &[&'a Buffer]) -> HashMap<usize, Lock<'a>> {
    let mut locks = HashMap::new();
    for buffer in buffers {
        let of_it = |(_, other): &(&Slot, &&Buffer)| other.address() == buffer.address();
        let written = || {
            slots
                .iter()
                .zip(buffers)
                .filter(of_it)
                .any(|(slot, _)| slot.writes())
        };
        locks.entry(buffer.address()).or_insert_with(|| {
            if written() {
                Lock::Write(buffer.write())
            } else {
                Lock::Read(buffer.read())
            }
        });
    }
    locks
}

/// Each binding's part of the locked memory, in their order. What is only read may be bound more than once.
fn parts<'a>(
    locks: &'a mut HashMap<usize, Lock<'_>>,
    slots: &[Slot],
    buffers: &[&Buffer],
) -> Vec<Part<'a>> {
    let mut parts: Vec<Option<Part<'a>>> = buffers.iter().map(|_| None).collect();
    for (address, lock) in locks {
        let mut own: Vec<usize> = (0..buffers.len())
            .filter(|i| buffers[*i].address() == *address)
            .collect();
        match lock {
            Lock::Read(memory) => {
                for i in own {
                    parts[i] = Some(Part::Read(&memory[buffers[i].range()]));
                }
            }
            Lock::Write(memory) => {
                // Piece by piece from the front.
                own.sort_by_key(|i| buffers[*i].range().start);
                let (mut rest, mut at): (&'a mut [u64], usize) = (memory, 0);
                for same in own.chunk_by(|a, b| buffers[*a].range() == buffers[*b].range()) {
                    let range = buffers[same[0]].range();
                    let (before, after) = rest.split_at_mut(range.end - at);
                    let piece = &mut before[range.start - at..];
                    (rest, at) = (after, range.end);
                    match same {
                        [one] if slots[*one].writes() => parts[*one] = Some(Part::Write(piece)),
                        _ => {
                            assert!(same.iter().all(|i| !slots[*i].writes()), "{slots:?}");
                            let piece: &'a [u64] = piece;
                            same.iter()
                                .for_each(|i| parts[*i] = Some(Part::Read(piece)));
                        }
                    }
                }
            }
        }
    }
    parts.into_iter().flatten().collect()
}

/// Locks every buffer as its slot says and hands the slices to `run`. Of quads it gets the reals, and what it has
/// written is packed after.
fn with_bindings<T: Real + bytemuck::Pod>(
    operation: &dyn Operation,
    buffers: &[&Buffer],
    run: impl FnOnce(Bindings<'_, T>),
) {
    let slots = operation.bindings();
    assert_eq!(
        slots.len(),
        buffers.len(),
        "{operation:?}: wrong number of buffers"
    );
    let mut locks = locked(&slots, buffers);
    let mut parts = parts(&mut locks, &slots, buffers);
    // Also of what is only written: a kernel's view may be a part of the buffer, and the rest must stay.
    let mut unpacked: Vec<Vec<T>> = parts
        .iter()
        .zip(buffers)
        .map(|(part, buffer)| match buffer.kind() {
            kind if kind.in_quads() => unpack(kind, typed(part.memory(), buffer.len().div_ceil(4))),
            _ => Vec::new(),
        })
        .collect();
    let bindings = parts
        .iter_mut()
        .zip(&mut unpacked)
        .zip(buffers)
        .map(|((part, unpacked), buffer)| match (part, buffer.kind()) {
            (Part::Read(memory), Kind::Real | Kind::Wide) => {
                Binding::Real(typed(memory, buffer.len()))
            }
            (Part::Write(memory), Kind::Real | Kind::Wide) => {
                Binding::RealMut(typed_mut(memory, buffer.len()))
            }
            (Part::Read(memory), Kind::Word) => Binding::Words(typed(memory, buffer.len())),
            (Part::Write(memory), Kind::Word) => Binding::WordsMut(typed_mut(memory, buffer.len())),
            (Part::Read(_), _) => Binding::Real(unpacked),
            (Part::Write(_), _) => Binding::RealMut(unpacked),
        })
        .collect();
    run(Bindings::new(bindings));
    for ((part, reals), buffer) in parts.iter_mut().zip(&unpacked).zip(buffers) {
        if let (Part::Write(memory), true) = (part, buffer.kind().in_quads()) {
            pack_into(
                buffer.kind(),
                reals,
                typed_mut(memory, buffer.len().div_ceil(4)),
            );
        }
    }
}
