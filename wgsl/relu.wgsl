// y = max(x, 0), NaN where x is, and a bit for every element that is positive (shared/tensor.wgsl), for
// relu_backward.wgsl.
//
// Bindings: x; y, of the same shape; the mask over y's shape.
// One invocation per strip (8 pixels of a row, so that whole words are written) and vec4 of channels:
// grid (⌈strips·quads/64⌉, h, n).
#import pixgrad::nan::rectified
#import pixgrad::tensor::{View, index, mask_index, positive}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.y.strips * p.y.quads { return; }
    let strip = flat / p.y.quads;
    let quad = flat % p.y.quads;
    let end = min(strip * 8u + 8u, p.y.w);
    var bits = 0u;
    for (var xx = strip * 8u; xx < end; xx++) {
        let value = x[index(p.x, id.z, id.y, xx, quad)];
        let on = positive(value);
        y[index(p.y, id.z, id.y, xx, quad)] = rectified(value);
        bits |= on << ((xx % 8u) * 4u);
    }
    mask[mask_index(p.y, id.z, id.y, strip, quad)] = bits;
}
