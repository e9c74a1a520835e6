// losses[slot] = scale·Σ partials: the end of every reduction.
//
// One workgroup; invocation i sums elements i, i + 256, …, then a tree of fixed shape. The other slots are not touched.
#import pixgrad::reduce::workgroup_sum

struct Params {
    origin: vec4<u32>,
    len: u32,
    slot: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < p.len; i += 256u) {
        sum += partials[i];
    }
    let total = workgroup_sum(lane, sum);
    if lane == 0u {
        losses[p.slot] = p.scale * total;
    }
}
