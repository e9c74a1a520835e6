// y = low + span·u, u uniform in [0, 1) in multiples of 2⁻²⁴: white noise of the seed and the step. Channel 4·quad + i
// of a pixel (counted in its own image) draws word i of index pixel·quads + quad. Padding channels are 0.
//
// Bindings: step, one word; y.
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::{group_index, place}
#import pixgrad::random::{random, uniform_real}

struct Params {
    origin: vec4<u32>,
    y: View,
    columns: u32,
    items: u32,
    // Items of one image.
    each: u32,
    seed: u32,
    low: f32,
    span: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let u = uniform_real(random(p.seed, step[0], item / p.each, item % p.each));
    let quad = item % p.y.quads;
    y[place(p.y, item / p.y.quads, quad)] = padded(p.y, quad, vec4<f32>(p.low) + p.span * u);
}
