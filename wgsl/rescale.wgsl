// Each image of a tensor divided by a norm of its own, in place: with N elements per image, (Σ|x|, Σx, Σx², max|x|) =
// moments[i] (moments.wgsl) and ε = epsilon,
//     x = x/d        d = Σ|x|/N + ε                             mode 0: mean_abs
//                        √(Σx²/N − (Σx/N)²) + ε                      1: std
//                        max(√(Σx²/N), ε)                            2: rms
//                        √Σx² + ε                                    3: l2
//                        Σ|x| + ε                                    4: l1
//                        max|x| + ε                                  5: linf
// An image whose d is no normal number becomes 0: it has no direction. SIGN: x = sign x, with sign 0 = 0.
//
// One invocation per item (vec4). Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    columns: u32,
    // pixels·quads
    items: u32,
    mode: u32,
    epsilon: f32,
    // N
    elements: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef SIGN
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

fn divisor(sums: vec4<f32>) -> f32 {
    let mean_square = sums.z / p.elements;
    let mean = sums.y / p.elements;
    switch p.mode {
        case 0u: { return sums.x / p.elements + p.epsilon; }
        // Rounding may leave a variance below 0.
        case 1u: { return sqrt(max(mean_square - mean * mean, 0.0)) + p.epsilon; }
        case 2u: { return max(sqrt(mean_square), p.epsilon); }
        case 3u: { return sqrt(sums.z) + p.epsilon; }
        case 4u: { return sums.x + p.epsilon; }
        default: { return sums.w + p.epsilon; }
    }
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let at = place(p.x, pixel, item % p.x.quads);
#ifdef SIGN
    x[at] = sign(x[at]);
#else
    let d = divisor(moments[pixel / (p.x.h * p.x.w)]);
    if d < 1.1754944e-38 {
        x[at] = vec4<f32>(0.0);
    } else {
        x[at] = x[at] / d;
    }
#endif
}
