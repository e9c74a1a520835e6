//! Runs every kernel once before it counts: some drivers finish compiling a kernel only when it first runs.
//!
//! A first dispatch of llvmpipe's takes up to a second that way. That time belongs to the making of a plan, not to
//! the slices of its first iteration, which would exceed what a submission may take and teach the slicer wrong costs.

use std::num::NonZeroU64;

use crate::device::{Buffer, Call, DeviceError, Gpu, Home, Kind, Recording};

/// Runs one workgroup of each kernel of the recording that has not run on the device yet, and waits for it.
///
/// `bound` is the memory of each call. Nothing is written that outlives an iteration: such a binding is replaced by
/// memory of a transient value, where one of `slots` is large enough, or by memory of its own for the moment.
pub async fn up(
    gpu: &Gpu,
    recording: &Recording,
    bound: &[Vec<&Buffer>],
    slots: &[&Buffer],
) -> Result<(), DeviceError> {
    for (call, memory) in recording.calls().iter().zip(bound) {
        if !gpu.has_run(&*call.operation, memory)? {
            run(gpu, recording, call, memory, slots).await?;
        }
    }
    Ok(())
}

/// One workgroup of a call, to its end.
async fn run(
    gpu: &Gpu,
    recording: &Recording,
    call: &Call,
    memory: &[&Buffer],
    slots: &[&Buffer],
) -> Result<(), DeviceError> {
    let operation = &*call.operation;
    let bindings = operation.bindings();
    let transient = |i: usize| matches!(recording.value(call.values[i]).home, Home::Transient);
    let mut memory: Vec<Buffer> = memory.iter().map(|b| (*b).clone()).collect();
    // The bindings with nothing in them that anybody will read.
    let mut scratch: Vec<bool> = (0..memory.len()).map(transient).collect();
    for (i, slot) in bindings.iter().enumerate() {
        if !slot.writes() || transient(i) {
            continue;
        }
        let free = |b: &Buffer| memory.iter().all(|other| other.address() != b.address());
        let (kind, len) = (slot.kind, memory[i].len());
        let enough = |b: &Buffer| b.kind().bytes(b.len()) >= kind.buffer_bytes(len);
        let spare = slots.iter().find(|b| enough(b) && free(b));
        memory[i] = match spare {
            Some(spare) => spare.viewed(0, kind, len),
            None => gpu.buffer("warm-up", kind, len)?,
        };
        scratch[i] = true;
    }
    let params = gpu.params_buffer(&Gpu::params_bytes(operation, [0; 3]))?;
    let memory: Vec<&Buffer> = memory.iter().collect();
    let dispatch = gpu.dispatch(operation, &memory, &params, 0, [1; 3])?;
    let mut encoder = gpu
        .device()
        .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    for (i, slot) in bindings.iter().enumerate() {
        // Words are positions, and what another kernel left here may lie outside; 0 never does.
        if slot.kind == Kind::Word
            && slot.reads()
            && scratch[i]
            && let Some(own) = memory[i].wgpu()
        {
            encoder.clear_buffer(own.buffer, own.offset, own.size.map(NonZeroU64::get));
        }
    }
    dispatch.encode(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    let submission = gpu.submit(encoder);
    gpu.finished(Some(submission)).await?;
    Ok(())
}
