// losses[i·slots + slot] = scale·Σ partials of image i: the end of every reduction. `partials` is [n, parts], `losses`
// [n, slots]; the other slots are not touched.
//
// One workgroup per image; invocation l sums parts l, l + 256, …, then a tree of fixed shape. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index
#import pixgrad::reduce::workgroup_sum

struct Params {
    origin: vec4<u32>,
    columns: u32,
    n: u32,
    parts: u32,
    slots: u32,
    slot: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = group_index(id + p.origin.xyz, p.columns);
    var sum = 0.0;
    for (var i = lane; i < p.parts; i += 256u) {
        sum += partials[image * p.parts + i];
    }
    let total = workgroup_sum(lane, sum);
    // The grid's last row may reach beyond the last image.
    if lane == 0u && image < p.n {
        losses[image * p.slots + p.slot] = p.scale * total;
    }
}
