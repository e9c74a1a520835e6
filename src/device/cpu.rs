//! The processor as a device: runs each kernel's twin.

use std::sync::{Arc, RwLock};

use rayon::prelude::*;

use super::buffer::{CpuMemory, Memory, Storage};
use super::packed::{Words, decode, encode};
use super::{Binding, Bindings, Buffer, DeviceInfo, DeviceKind, Kind, Operation, Real};

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
        let arithmetic = self.arithmetic;
        let memory = CpuMemory::new(Box::new(move || {
            RwLock::new(match (kind, arithmetic) {
                (Kind::Word, _) => Storage::Word(vec![0; len]),
                (Kind::Real, Arithmetic::F32) => Storage::F32(vec![0.0; len]),
                (Kind::Real, Arithmetic::F64) => Storage::F64(vec![0.0; len]),
                (Kind::Half | Kind::Packed, _) => {
                    Storage::Quads(kind, vec![[0; 2]; len.div_ceil(4)])
                }
            })
        }));
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

/// The two element types a store of reals can have.
trait Element: Real {
    fn slice(storage: &Storage) -> Option<&[Self]>;
    fn slice_mut(storage: &mut Storage) -> Option<&mut [Self]>;
}

impl Element for f32 {
    fn slice(storage: &Storage) -> Option<&[Self]> {
        if let Storage::F32(v) = storage {
            Some(v)
        } else {
            None
        }
    }
    fn slice_mut(storage: &mut Storage) -> Option<&mut [Self]> {
        if let Storage::F32(v) = storage {
            Some(v)
        } else {
            None
        }
    }
}

impl Element for f64 {
    fn slice(storage: &Storage) -> Option<&[Self]> {
        if let Storage::F64(v) = storage {
            Some(v)
        } else {
            None
        }
    }
    fn slice_mut(storage: &mut Storage) -> Option<&mut [Self]> {
        if let Storage::F64(v) = storage {
            Some(v)
        } else {
            None
        }
    }
}

/// Quads of a buffer that one task unpacks or packs.
const QUADS: usize = 1 << 14;

/// The reals of quads.
fn unpacked<T: Real>(kind: Kind, quads: &[Words]) -> Vec<T> {
    let mut reals = vec![T::ZERO; quads.len() * 4];
    let tasks = reals
        .par_chunks_mut(QUADS * 4)
        .zip(quads.par_chunks(QUADS));
    tasks.for_each(|(reals, quads)| {
        for (to, from) in reals.chunks_exact_mut(4).zip(quads) {
            to.copy_from_slice(&decode(kind, *from));
        }
    });
    reals
}

/// Puts reals back where they came from.
fn pack_into<T: Real>(kind: Kind, reals: &[T], quads: &mut [Words]) {
    let tasks = quads.par_chunks_mut(QUADS).zip(reals.par_chunks(QUADS * 4));
    tasks.for_each(|(quads, reals)| {
        for (to, from) in quads.iter_mut().zip(reals.chunks_exact(4)) {
            *to = encode(kind, from);
        }
    });
}

/// Locks every buffer as its slot says and hands the slices to `run`. Of quads it gets the reals, and what it has
/// written is packed after.
fn with_bindings<T: Element>(
    operation: &dyn Operation,
    buffers: &[&Buffer],
    run: impl FnOnce(Bindings<'_, T>),
) {
    enum Lock<'a> {
        Read(std::sync::RwLockReadGuard<'a, Storage>),
        Write(std::sync::RwLockWriteGuard<'a, Storage>),
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
    let mut reals: Vec<Vec<T>> = locks
        .iter()
        .map(|lock| match lock {
            Lock::Read(guard) => &**guard,
            Lock::Write(guard) => &**guard,
        })
        .map(|storage| match storage {
            Storage::Quads(kind, quads) => unpacked(*kind, quads),
            _ => Vec::new(),
        })
        .collect();
    let bindings = locks
        .iter_mut()
        .zip(&mut reals)
        .map(|(lock, reals)| match lock {
            Lock::Read(guard) => match &**guard {
                Storage::Word(words) => Binding::Words(words),
                Storage::Quads(..) => Binding::Real(reals),
                own => Binding::Real(T::slice(own).unwrap_or_default()),
            },
            Lock::Write(guard) => match &mut **guard {
                Storage::Word(words) => Binding::WordsMut(words),
                Storage::Quads(..) => Binding::RealMut(reals),
                own => Binding::RealMut(T::slice_mut(own).unwrap_or_default()),
            },
        })
        .collect();
    run(Bindings::new(bindings));
    for (lock, reals) in locks.iter_mut().zip(&reals) {
        if let Lock::Write(guard) = lock
            && let Storage::Quads(kind, quads) = &mut **guard
        {
            pack_into(*kind, reals, quads);
        }
    }
}
