// Every position normalized over its channels (Ba et al. 2016), C of them:
//     y[…, c] = s·(x[…, c] − m)·weight[c] + bias[c]       m = Σ x/C, s = 1/√(Σ (x − m)²/C + epsilon)
// without WEIGHT the factor is 1 and the summand 0. The gradient with BACKWARD, g being weight·dy:
//     dx[…, c] (+)= s·(g_c − Σ g/C) − s³·(x_c − m)·Σ g·(x − m)/C         ACCUMULATE adds to dx.
//
// Bindings: x; weight [C⁺] and bias [C⁺] (WEIGHT); y. BACKWARD: x; dy; weight (WEIGHT); dx.
// A workgroup of 256 has 16 positions and 16 invocations for each, which take every 16th vec4 of channels; trees make
// the sums. Grid: shared/flat.wgsl. Padding channels are set to 0.
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    // Of the backward pass.
    dy: View,
    out: View,
    columns: u32,
    // Positions of all images.
    pixels: u32,
    epsilon: f32,
    // 1/C
    share: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
#ifdef WEIGHT
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#endif
#else
#ifdef WEIGHT
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif
#endif

var<workgroup> tree: array<f32, 256>;

// The sum of what the 16 invocations of a position have, which each of them gets.
fn total(lane: u32, value: vec4<f32>) -> f32 {
    // Everybody has read the last one.
    workgroupBarrier();
    tree[lane] = (value.x + value.y) + (value.z + value.w);
    for (var reach = 8u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane % 16u < reach { tree[lane] += tree[lane + reach]; }
    }
    workgroupBarrier();
    return tree[lane / 16u * 16u];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group_index(id + p.origin.xyz, p.columns) * 16u + lane / 16u;
    // Beyond the last position there is no channel to take.
    let quads = select(0u, p.out.quads, pixel < p.pixels);
    let first = lane % 16u;
    let from_x = place(p.x, pixel, 0u);
    let to = place(p.out, pixel, 0u);
    var sum = vec4<f32>(0.0);
    for (var quad = first; quad < quads; quad += 16u) {
        sum += x[from_x + quad];
    }
    let mean = total(lane, sum) * p.share;
    sum = vec4<f32>(0.0);
    for (var quad = first; quad < quads; quad += 16u) {
        let v = padded(p.x, quad, x[from_x + quad] - mean);
        sum = fma(v, v, sum);
    }
    let deviation = 1.0 / sqrt(total(lane, sum) * p.share + p.epsilon);
#ifdef BACKWARD
    let from_dy = place(p.dy, pixel, 0u);
    var plain = vec4<f32>(0.0);
    var product = vec4<f32>(0.0);
    for (var quad = first; quad < quads; quad += 16u) {
        // Padding channels of dy are 0.
#ifdef WEIGHT
        let g = weight[quad] * dy[from_dy + quad];
#else
        let g = dy[from_dy + quad];
#endif
        plain += g;
        product = fma(g, x[from_x + quad] - mean, product);
    }
    let shift = total(lane, plain) * p.share;
    let slope = total(lane, product) * p.share * deviation * deviation;
    for (var quad = first; quad < quads; quad += 16u) {
#ifdef WEIGHT
        let g = weight[quad] * dy[from_dy + quad];
#else
        let g = dy[from_dy + quad];
#endif
        let all = deviation * (g - shift - slope * (x[from_x + quad] - mean));
        let value = padded(p.out, quad, all);
#ifdef ACCUMULATE
        out[to + quad] += value;
#else
        out[to + quad] = value;
#endif
    }
#else
    for (var quad = first; quad < quads; quad += 16u) {
        let v = deviation * (x[from_x + quad] - mean);
#ifdef WEIGHT
        out[to + quad] = padded(p.out, quad, fma(v, weight[quad], bias[quad]));
#else
        out[to + quad] = padded(p.out, quad, v);
#endif
    }
#endif
}
