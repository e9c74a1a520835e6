// Keeps of each image the version that is nearest to another, among those whose loss is within a threshold.
//
// DECIDE: with d = distances[i], and b = best[i], which counts as FARTHEST in iteration 0,
//     better = losses[i·slots + slot] ≤ threshold and d < b
//     best[i] = better ? d : b          keep[i] = better or iteration 0
// A NaN is never better. One invocation per image. Grid (⌈n/256⌉).
//
// Else: y = x in images with keep[i] = 1. One invocation per item (vec4). Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

#ifdef DECIDE
struct Params {
    origin: vec4<u32>,
    // Images.
    n: u32,
    slots: u32,
    slot: u32,
    threshold: f32,
}

// 2^127. Not the largest f32: naga writes that one rounded up, and browsers refuse it.
const FARTHEST: f32 = 0x1p+127f;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> losses: array<f32>;
@group(0) @binding(2) var<storage, read> distances: array<f32>;
@group(0) @binding(3) var<storage, read> step: array<u32>;
@group(0) @binding(4) var<storage, read_write> best: array<f32>;
@group(0) @binding(5) var<storage, read_write> keep: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (id.x + p.origin.x) * 256u + lane;
    if i >= p.n { return; }
    let first = step[0] == 0u;
    let b = select(best[i], FARTHEST, first);
    let d = distances[i];
    let loss = losses[i * p.slots + p.slot];
    // A shader's compiler may take for granted that no float is NaN, so NaNs are told by their bits. Those of numbers
    // not below 0 are in the order of the numbers, and those of a NaN above them all.
    let number = (bitcast<u32>(loss) & 0x7fffffffu) <= 0x7f800000u;
    let nearer = bitcast<u32>(d) < bitcast<u32>(b);
    let better = number && loss <= p.threshold && nearer;
    best[i] = select(b, d, better);
    keep[i] = select(0u, 1u, better || first);
}
#else
struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // pixels·quads
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> keep: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    if keep[pixel / (p.x.h * p.x.w)] == 1u {
        y[place(p.y, pixel, quad)] = x[place(p.x, pixel, quad)];
    }
}
#endif
