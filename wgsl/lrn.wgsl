// Local response normalization across channels (Krizhevsky et al. 2012, section 3.3, as Caffe computes it):
//     y[n,y,x,c] = x[n,y,x,c] · s_c^−beta,   s_c = k + alpha/size · Σ x[n,y,x,c']² over |c' − c| ≤ (size − 1)/2,
// channels beyond the first and last counting as 0.
//
// Bindings: x; y, of the same shape; both as plain floats here, since the windows cross the vec4s.
// One invocation per pixel and channel, padding channels included: grid (⌈w·4·quads/64⌉, h, n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    // (size − 1)/2
    reach: u32,
    // alpha/size
    alpha: f32,
    beta: f32,
    k: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    let channels = p.y.quads * 4u;
    if flat >= p.y.w * channels { return; }
    let xx = flat / channels;
    let c = flat % channels;
    let pixel = index(p.x, id.z, id.y, xx, 0u) * 4u;
    let first = max(c, p.reach) - p.reach;
    let end = min(c + p.reach + 1u, p.x.c);
    var sum = 0.0;
    for (var i = first; i < end; i++) {
        sum += x[pixel + i] * x[pixel + i];
    }
    let value = x[pixel + c] * pow(p.k + p.alpha * sum, -p.beta);
    y[index(p.y, id.z, id.y, xx, 0u) * 4u + c] = select(0.0, value, c < p.x.c);
}
