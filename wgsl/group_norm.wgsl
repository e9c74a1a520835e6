// What a normalization over groups of channels (Wu and He 2018) needs beside channel_sums.wgsl and channel_affine.wgsl.
// A group is of `size` channels, one behind the other, and N numbers, the positions of all of them. C⁺ = 4·quads.
//     MEAN: centre[n, c] = Σ partials of c's group / N
//     SCALE: deviation[n, c] = 1/√(Σ partials of c's group / N + epsilon)
//            coefficients[n, 2, C⁺] = deviation·weight, then bias; without WEIGHT deviation, then 0
//     SUMS: partials[n, split, 2, C⁺] = Σ dy, then Σ dy·(x − centre), over a share of the positions
//     GRADIENT: coefficients[n, 3, C⁺] = s·weight, −s³·B/N, −s·A/N with s = deviation, and A and B the sums of
//     weight·dy
//            and of weight·dy·(x − centre) over c's group
//     APPLY: dx (+)= coefficients[0]·dy + coefficients[1]·(x − centre) + coefficients[2]       ACCUMULATE adds to dx
// All are 0 for padding channels. The partials of MEAN and SCALE ([n, splits, C⁺]) are those of channel_sums.wgsl.
//
// Bindings: MEAN: partials; centre. SCALE: partials; weight and bias (WEIGHT); deviation; coefficients. SUMS: x;
// centre; dy; partials. GRADIENT: partials; deviation; weight (WEIGHT); coefficients. APPLY: x; centre; dy;
// coefficients; dx. MEAN, SCALE, GRADIENT: one workgroup of 256 per group; each invocation takes every 256th of its
// partials, and a tree adds them up: grid (groups, 1, n). SUMS: a workgroup has 16 vec4s of channels and 16 invocations
// for each, which take every 16th position: grid (⌈quads/16⌉, splits, n). APPLY: one invocation per vec4 of dx; grid:
// shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}
#import pixgrad::reduce::workgroup_total

struct Params {
    origin: vec4<u32>,
    x: View,
    dy: View,
    dx: View,
    columns: u32,
    items: u32,
    // Positions of one image, shares of them, and positions of a share.
    pixels: u32,
    splits: u32,
    share: u32,
    size: u32,
    epsilon: f32,
    // 1/N
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef MEAN
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read_write> centre: array<f32>;
#endif
#ifdef SCALE
@group(0) @binding(1) var<storage, read> partials: array<f32>;
#ifdef WEIGHT
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> deviation: array<f32>;
@group(0) @binding(5) var<storage, read_write> coefficients: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> deviation: array<f32>;
@group(0) @binding(3) var<storage, read_write> coefficients: array<f32>;
#endif
#endif
#ifdef SUMS
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> centre: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4<f32>>;
#endif
#ifdef GRADIENT
@group(0) @binding(1) var<storage, read> partials: array<f32>;
@group(0) @binding(2) var<storage, read> deviation: array<f32>;
#ifdef WEIGHT
@group(0) @binding(3) var<storage, read> weight: array<f32>;
@group(0) @binding(4) var<storage, read_write> coefficients: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> coefficients: array<f32>;
#endif
#endif
#ifdef APPLY
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> centre: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> dx: array<vec4<f32>>;
#endif

#ifdef SUMS
var<workgroup> plain_tree: array<vec4<f32>, 256>;
var<workgroup> product_tree: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let quads = p.x.quads;
    let quad = id.x * 16u + lane % 16u;
    var plain = vec4<f32>(0.0);
    var product = vec4<f32>(0.0);
    if quad < quads {
        let begin = id.y * p.share;
        let end = min(begin + p.share, p.pixels);
        let middle = centre[id.z * quads + quad];
        for (var i = begin + lane / 16u; i < end; i += 16u) {
            let pixel = id.z * p.pixels + i;
            let gradient = dy[place(p.dy, pixel, quad)];
            plain += gradient;
            product = fma(gradient, x[place(p.x, pixel, quad)] - middle, product);
        }
    }
    plain_tree[lane] = plain;
    product_tree[lane] = product;
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach {
            plain_tree[lane] += plain_tree[lane + reach];
            product_tree[lane] += product_tree[lane + reach];
        }
    }
    if lane < 16u && quad < quads {
        let at = (id.z * p.splits + id.y) * 2u * quads + quad;
        partials[at] = plain_tree[lane];
        partials[at + quads] = product_tree[lane];
    }
}
#else
#ifdef APPLY
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.dx.quads;
    let quad = item % p.dx.quads;
    let n = pixel / p.pixels;
    let first = n * 3u * p.dx.quads + quad;
    let v = x[place(p.x, pixel, quad)] - centre[n * p.dx.quads + quad];
    let line = fma(coefficients[first + p.dx.quads], v, coefficients[first + 2u * p.dx.quads]);
    let value = fma(coefficients[first], dy[place(p.dy, pixel, quad)], line);
    let at = place(p.dx, pixel, quad);
#ifdef ACCUMULATE
    dx[at] += value;
#else
    dx[at] = value;
#endif
}
#else
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let n = id.z;
    let padded = 4u * p.x.quads;
    let first = id.x * p.size;
    let count = p.size * p.splits;
    var sum = 0.0;
#ifdef GRADIENT
    var product = 0.0;
#endif
    for (var i = lane; i < count; i += 256u) {
        let c = first + i % p.size;
        let split = n * p.splits + i / p.size;
#ifdef GRADIENT
        let at = split * 2u * padded + c;
#ifdef WEIGHT
        sum += weight[c] * partials[at];
        product += weight[c] * partials[at + padded];
#else
        sum += partials[at];
        product += partials[at + padded];
#endif
#else
        sum += partials[split * padded + c];
#endif
    }
    let mean = workgroup_total(lane, sum) * p.scale;
#ifdef GRADIENT
    let slope = workgroup_total(lane, product) * p.scale;
#endif
#ifdef SCALE
    let factor = 1.0 / sqrt(mean + p.epsilon);
#endif
    // The last group writes the zeros of padding channels, too.
    let end = select(first + p.size, padded, first + p.size >= p.x.c);
    for (var c = first + lane; c < end; c += 256u) {
        let inside = c < p.x.c;
        let at = n * padded + c;
#ifdef MEAN
        centre[at] = select(0.0, mean, inside);
#endif
#ifdef SCALE
        deviation[at] = select(0.0, factor, inside);
        let to = n * 2u * padded + c;
#ifdef WEIGHT
        coefficients[to] = select(0.0, factor * weight[c], inside);
        coefficients[to + padded] = select(0.0, bias[c], inside);
#else
        coefficients[to] = select(0.0, factor, inside);
        coefficients[to + padded] = 0.0;
#endif
#endif
#ifdef GRADIENT
        let to = n * 3u * padded + c;
        let s = deviation[at];
#ifdef WEIGHT
        coefficients[to] = select(0.0, s * weight[c], inside);
#else
        coefficients[to] = select(0.0, s, inside);
#endif
        coefficients[to + padded] = select(0.0, -s * s * s * slope, inside);
        coefficients[to + 2u * padded] = select(0.0, -s * mean, inside);
#endif
    }
}
#endif
#endif
