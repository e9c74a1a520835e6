// The end of an iteration: ring[(step mod rows)·slots + i] = losses[i] for every slot i, then step += 1.
//
// One workgroup, each invocation every 256th slot.
struct Params {
    origin: vec4<u32>,
    slots: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read_write> ring: array<f32>;
@group(0) @binding(3) var<storage, read_write> step: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let now = step[0];
    let row = (now % p.rows) * p.slots;
    for (var i = lane; i < p.slots; i += 256u) {
        ring[row + i] = losses[i];
    }
    // Everybody has read the step before it changes.
    storageBarrier();
    if lane == 0u {
        step[0] = now + 1u;
    }
}
