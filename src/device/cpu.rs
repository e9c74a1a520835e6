//! The processor as a device: runs each kernel's twin.

use std::sync::{Arc, RwLockReadGuard, RwLockWriteGuard};

use rayon::prelude::*;

use super::buffer::{CpuMemory, Memory, typed, typed_mut};
use super::packed::{Words, decode_all, encode_all};
use super::{Binding, Bindings, Buffer, DeviceInfo, DeviceKind, Kind, Operation, Real, vectorized};

/// What the `cpu` device computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The product.
    F32,
    /// The tests' oracle.
    F64,
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

    /// Runs one twin on `buffers`, in the order of the kernel's bindings.
    ///
    /// # Panics
    /// When a buffer comes from another device or is bound both to be read and written: bugs in the caller.
    pub fn run(&self, operation: &dyn Operation, buffers: &[&Buffer]) {
        match self.arithmetic {
            Arithmetic::F32 => with_bindings(operation, buffers, |b| operation.twin_f32(b)),
            Arithmetic::F64 => with_bindings(operation, buffers, |b| operation.twin_f64(b)),
        }
    }
}

/// Quads of a buffer that one task unpacks or packs.
const QUADS: usize = 1 << 14;

/// The reals of quads.
fn unpack<T: Real>(kind: Kind, quads: &[Words]) -> Vec<T> {
    let mut reals = vec![T::ZERO; quads.len() * 4];
    let tasks = reals.par_chunks_mut(QUADS * 4).zip(quads.par_chunks(QUADS));
    tasks.for_each(|(reals, quads)| vectorized(|| decode_all(kind, quads, reals)));
    reals
}

/// Puts reals back where they came from.
fn pack_into<T: Real>(kind: Kind, reals: &[T], quads: &mut [Words]) {
    let tasks = quads.par_chunks_mut(QUADS).zip(reals.par_chunks(QUADS * 4));
    tasks.for_each(|(quads, reals)| vectorized(|| encode_all(kind, reals, quads)));
}

/// Locks every buffer as its slot says and hands the slices to `run`. Of quads it gets the reals, and what it has
/// written is packed after.
fn with_bindings<T: Real + bytemuck::Pod>(
    operation: &dyn Operation,
    buffers: &[&Buffer],
    run: impl FnOnce(Bindings<'_, T>),
) {
    enum Lock<'a> {
        Read(RwLockReadGuard<'a, Vec<u64>>),
        Write(RwLockWriteGuard<'a, Vec<u64>>),
    }
    let slots = operation.bindings();
    assert_eq!(
        slots.len(),
        buffers.len(),
        "{operation:?}: wrong number of buffers"
    );
    let mut locks: Vec<Lock<'_>> = slots
        .iter()
        .zip(buffers)
        .map(|(slot, buffer)| {
            if slot.writes() {
                Lock::Write(buffer.write())
            } else {
                Lock::Read(buffer.read())
            }
        })
        .collect();
    // Also of what is only written: a kernel's view may be a part of the buffer, and the rest must stay.
    let mut unpacked: Vec<Vec<T>> = locks
        .iter()
        .zip(buffers)
        .map(|(lock, buffer)| {
            let memory: &[u64] = match lock {
                Lock::Read(memory) => memory,
                Lock::Write(memory) => memory,
            };
            match buffer.kind() {
                kind if kind.in_quads() => unpack(kind, typed(memory, buffer.len().div_ceil(4))),
                _ => Vec::new(),
            }
        })
        .collect();
    let bindings = locks
        .iter_mut()
        .zip(&mut unpacked)
        .zip(buffers)
        .map(|((lock, unpacked), buffer)| match (lock, buffer.kind()) {
            (Lock::Read(memory), Kind::Real) => Binding::Real(typed(memory, buffer.len())),
            (Lock::Write(memory), Kind::Real) => Binding::RealMut(typed_mut(memory, buffer.len())),
            (Lock::Read(memory), Kind::Word) => Binding::Words(typed(memory, buffer.len())),
            (Lock::Write(memory), Kind::Word) => Binding::WordsMut(typed_mut(memory, buffer.len())),
            (Lock::Read(_), _) => Binding::Real(unpacked),
            (Lock::Write(_), _) => Binding::RealMut(unpacked),
        })
        .collect();
    run(Bindings::new(bindings));
    for ((lock, reals), buffer) in locks.iter_mut().zip(&unpacked).zip(buffers) {
        if let (Lock::Write(memory), true) = (lock, buffer.kind().in_quads()) {
            pack_into(
                buffer.kind(),
                reals,
                typed_mut(memory, buffer.len().div_ceil(4)),
            );
        }
    }
}
