// Chosen positions of a tensor, one after the other:
//     y[i, c] = x[chosen[i], c]        positions counted over rows and images, (n·h + y)·w + x
//
// Bindings: chosen, one word for each position of y; x; y, of the same channels.
// One invocation per vec4 of y. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // Positions of y times its quads.
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.y.quads;
    let position = item / p.y.quads;
    let value = x[chosen[position] * p.x.stride + p.x.offset + quad];
    y[position * p.y.stride + p.y.offset + quad] = value;
}
