// y[n,y,x,c] (+)= x[n,y,x,c]·scale[c] + bias[c], for tensors of one vec4 per pixel: the network's mean and standard
// deviation on RGB. ACCUMULATE adds to y. The caller has set scale and bias of padding channels to 0.
//
// Bindings: x; y, of the same shape.
// One invocation per pixel: grid (⌈w/64⌉, h, n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    scale: vec4<f32>,
    bias: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let xx = id.x * 64u + lane;
    if xx >= p.y.w { return; }
    let value = x[index(p.x, id.z, id.y, xx, 0u)] * p.scale + p.bias;
    let at = index(p.y, id.z, id.y, xx, 0u);
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}
