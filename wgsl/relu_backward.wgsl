// dx (+)= dy where the mask of relu.wgsl has its bit, 0 elsewhere. ACCUMULATE adds to dx.
//
// Bindings: dy; the mask over dy's shape; dx, of the same shape.
// One invocation per strip (8 pixels of a row) and vec4 of channels: grid (⌈strips·quads/64⌉, h, n).
#import pixgrad::tensor::{View, index, mask_index, masked}

struct Params {
    origin: vec4<u32>,
    dy: View,
    dx: View,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.dx.strips * p.dx.quads { return; }
    let strip = flat / p.dx.quads;
    let quad = flat % p.dx.quads;
    let end = min(strip * 8u + 8u, p.dx.w);
    let bits = mask[mask_index(p.dy, id.z, id.y, strip, quad)];
    for (var xx = strip * 8u; xx < end; xx++) {
        let value = masked(dy[index(p.dy, id.z, id.y, xx, quad)], bits >> ((xx % 8u) * 4u));
        let at = index(p.dx, id.z, id.y, xx, quad);
#ifdef ACCUMULATE
        dx[at] += value;
#else
        dx[at] = value;
#endif
    }
}
