// One step against the gradient, then the projection into [low, high]:
//     x = clamp(x − rateᵢ·g, low, high)
// The rate of image i is rate·max(1 + slope·step, 0); under PROGRESS min(rate, desired/Σg²), where Σg² is the third
// number of moments[i] (moments.wgsl): the first-order change of the objective is then at most `desired`. Under
// PROGRESS and LOSS desired = max(min(early, late·(1 − objective)), 0) with objective = −losses[i·slots + slot].
//
// One invocation per item (vec4). Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    gradient: View,
    columns: u32,
    // pixels·quads
    items: u32,
    rate: f32,
    slope: f32,
    // `desired`, or `early`.
    desired: f32,
    late: f32,
    slots: u32,
    slot: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
#ifdef PROGRESS
@group(0) @binding(3) var<storage, read> moments: array<vec4<f32>>;
#ifdef LOSS
@group(0) @binding(4) var<storage, read> losses: array<f32>;
#endif
#else
@group(0) @binding(3) var<storage, read> step: array<u32>;
#endif

fn rate(image: u32) -> f32 {
#ifdef PROGRESS
    let square = moments[image].z;
    var desired = p.desired;
#ifdef LOSS
    desired = max(min(desired, p.late * (1.0 + losses[image * p.slots + p.slot])), 0.0);
#endif
    // Never a division by 0.
    if desired >= p.rate * square { return p.rate; }
    return desired / square;
#else
    return p.rate * max(1.0 + p.slope * f32(step[0]), 0.0);
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let at = place(p.x, pixel, quad);
    let moved = x[at] - rate(pixel / (p.x.h * p.x.w)) * gradient[place(p.gradient, pixel, quad)];
    x[at] = clamp(moved, vec4<f32>(p.low), vec4<f32>(p.high));
}
