// y = x·σ(x), with σ(x) = 1 / (1 + e⁻ˣ); the gradient with BACKWARD:
//     dx (+)= dy·σ(x)·(1 + x·(1 − σ(x)))                                 ACCUMULATE adds to dx.
//
// Bindings: x; y. BACKWARD: x; dy; dx. All of one shape.
// One invocation per pixel and vec4 of channels: grid (⌈w·quads/64⌉, h, n). Padding channels stay 0: x and dy are 0.
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
#ifdef BACKWARD
    dy: View,
#endif
    out: View,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif

// The exponent is never above 0, so nothing overflows.
fn sigmoid(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return select(e, vec4<f32>(1.0), v >= vec4<f32>(0.0)) / (1.0 + e);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.out.w * p.out.quads { return; }
    let xx = flat / p.out.quads;
    let quad = flat % p.out.quads;
    let value = x[index(p.x, id.z, id.y, xx, quad)];
    let s = sigmoid(value);
    let at = index(p.out, id.z, id.y, xx, quad);
#ifdef BACKWARD
    let gradient = dy[index(p.dy, id.z, id.y, xx, quad)] * s * (1.0 + value * (1.0 - s));
#ifdef ACCUMULATE
    out[at] += gradient;
#else
    out[at] = gradient;
#endif
#else
    out[at] = value * s;
#endif
}
