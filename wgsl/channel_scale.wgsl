// What every channel has numbers of its own for:
//     y (+)= x·scale[c] + bias[c]                                        SCALE, BIAS: those that there are
//     y = x, or x·scale[c] where x ≤ 0                                   LEAK
//     dx (+)= dy, or dy·scale[c] where x ≤ 0                             LEAK BACKWARD
// ACCUMULATE adds to what is there. The gradient of the first is itself without BIAS.
//
// Bindings: x; dy (BACKWARD); scale [C⁺] (SCALE, LEAK); bias [C⁺] (BIAS); y. Padding channels of both are 0.
// One invocation per vec4 of y. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    // Of the backward pass.
    dy: View,
    y: View,
    columns: u32,
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef LEAK
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#endif
#else
#ifdef SCALE
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
#ifdef BIAS
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#endif
#else
#ifdef BIAS
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#endif
#endif
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.y.quads;
    let quad = item % p.y.quads;
    let v = x[place(p.x, pixel, quad)];
    var value = v;
#ifdef LEAK
#ifdef BACKWARD
    value = dy[place(p.dy, pixel, quad)];
#endif
    value = select(value * scale[quad], value, v > vec4<f32>(0.0));
#endif
#ifdef SCALE
    value *= scale[quad];
#endif
#ifdef BIAS
    value += bias[quad];
#endif
    let at = place(p.y, pixel, quad);
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}
