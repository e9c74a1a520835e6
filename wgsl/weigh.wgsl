// Every pixel of a layer by its own factor, the same for all channels:
//     y[n, pixel, c] (+)= weights[first + pixel]·x[n, pixel, c]
// It is its own adjoint: the backward pass is the same with gradients for x and y. ACCUMULATE adds to y.
//
// Bindings: x; weights, reals, first + h·w of them or more, the same for every image of the batch; y, of the shape of
// x. One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    items: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.x.quads;
    let pixel = item / p.x.quads;
    let value = weights[p.first + pixel % (p.x.h * p.x.w)] * x[place(p.x, pixel, quad)];
    let at = place(p.y, pixel, quad);
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}
