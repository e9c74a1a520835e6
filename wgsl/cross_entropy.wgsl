// Cross-entropy of each image's scores z (logits, one pixel) with its label l, and its gradient:
//     values[i] = −weightsᵢ·ln pₗ,   p_j = exp(z_j − m) / Σ_k exp(z_k − m),   m = max z
//     dz_j (+)= alpha·weightsᵢ·(p_j − [j = l])                                                            (BACKWARD)
// labels: one word for each image; weights: one real for each. With R = Σ over all classes but l and E = exp(z_l − m),
// −ln pₗ is ln(1 + R/E) and pₗ − 1 is −R/(R + E): neither cancels where the network is sure, pₗ → 1.
// ACCUMULATE adds to dz.
//
// One workgroup per image, invocation k every 256th vec4 of classes; trees of fixed shape. Grid (n).
#import pixgrad::tensor::{View, index}
#import pixgrad::reduce::{workgroup_max, workgroup_total}

struct Params {
    origin: vec4<u32>,
    z: View,
    dz: View,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> labels: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
#ifdef BACKWARD
@group(0) @binding(4) var<storage, read_write> dz: array<vec4<f32>>;
#else
@group(0) @binding(4) var<storage, read_write> values: array<f32>;
#endif

fn classes(quad: u32) -> vec4<u32> {
    return vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
}

// ln(1 + u) for 0 ≤ u ≤ 1/2, to 1e-7 relative: 2·artanh(t) as its series in t = u/(2 + u) ≤ 1/5.
fn ln_one_plus(u: f32) -> f32 {
    let t = u / (2.0 + u);
    let s = t * t;
    return 2.0 * t * fma(s, fma(s, fma(s, fma(s, 1.0 / 9.0, 1.0 / 7.0), 1.0 / 5.0), 1.0 / 3.0), 1.0);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = id.x + p.origin.x;
    let at = index(p.z, image, 0u, 0u, 0u);
    let label = labels[image];
    // Class 0 stands in for padding and for what an idle invocation has not seen.
    let some = vec4<f32>(z[at].x);
    var tops = some;
    // All invocations go round equally often, see softmax.wgsl.
    for (var first = 0u; first < p.z.quads; first += 256u) {
        let quad = first + lane;
        if quad >= p.z.quads { continue; }
        tops = max(tops, select(some, z[at + quad], classes(quad) < vec4<u32>(p.z.c)));
    }
    let top = workgroup_max(lane, max(max(tops.x, tops.y), max(tops.z, tops.w)));
    var others = vec4<f32>(0.0);
    for (var first = 0u; first < p.z.quads; first += 256u) {
        let quad = first + lane;
        if quad >= p.z.quads { continue; }
        let these = classes(quad);
        let counts = (these < vec4<u32>(p.z.c)) & (these != vec4<u32>(label));
        others += select(vec4<f32>(0.0), exp(z[at + quad] - top), counts);
    }
    let rest = workgroup_total(lane, (others.x + others.y) + (others.z + others.w));
    let below = z[at + label / 4u][label % 4u] - top;
    let own = exp(below);
#ifdef BACKWARD
    let scale = p.alpha * weights[image] / (rest + own);
    let to = index(p.dz, image, 0u, 0u, 0u);
    for (var first = 0u; first < p.z.quads; first += 256u) {
        let quad = first + lane;
        if quad >= p.z.quads { continue; }
        let these = classes(quad);
        var slope = select(exp(z[at + quad] - top), vec4<f32>(-rest), these == vec4<u32>(label));
        slope = select(vec4<f32>(0.0), scale * slope, these < vec4<u32>(p.z.c));
#ifdef ACCUMULATE
        dz[to + quad] += slope;
#else
        dz[to + quad] = slope;
#endif
    }
#else
    if lane == 0u {
        var value = log(rest + own) - below;
        if rest <= 0.5 * own { value = ln_one_plus(rest / own); }
        values[image] = weights[image] * value;
    }
#endif
}
