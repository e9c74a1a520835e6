// Local response normalization across channels (Krizhevsky et al. 2012, section 3.3, as Caffe computes it):
//     y[n,y,x,c] = x[n,y,x,c] · s_c^−beta,   s_c = k + alpha/size · Σ x[n,y,x,c']² over |c' − c| ≤ (size − 1)/2,
// channels beyond the first and last counting as 0.
//
// Bindings: x; y, of the same shape. One invocation per pixel and vec4 of channels: grid (⌈w·quads/64⌉, h, n).
#import pixgrad::tensor::{View, index, padded}

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
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.y.w * p.y.quads { return; }
    let xx = flat / p.y.quads;
    let quad = flat % p.y.quads;
    let pixel = index(p.x, id.z, id.y, xx, 0u);
    let channels = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
    // All channels that one of the four sees.
    let first = max(channels.x, p.reach) - p.reach;
    let end = min(channels.w + p.reach + 1u, p.x.c);
    var sums = vec4<f32>(0.0);
    for (var i = first; i < end; i++) {
        let value = x[pixel + i / 4u][i % 4u];
        let seen = channels <= vec4<u32>(i + p.reach) & channels + p.reach >= vec4<u32>(i);
        sums += select(vec4<f32>(0.0), vec4<f32>(value * value), seen);
    }
    let value = x[pixel + quad] * pow(p.k + p.alpha * sums, vec4<f32>(-p.beta));
    y[index(p.y, id.z, id.y, xx, quad)] = padded(p.y, quad, value);
}
