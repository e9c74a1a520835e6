// What the norms of each image of a tensor are made of: with v = a − centre, or v = a − b under DIFFERENCE,
//     moments[i] = (Σ |v|, Σ v, Σ v², max |v|)
// over the pixels and channels of image i. b may be one image, or one pixel, where a is a batch; `centre` is one for
// each of the first four channels. Padding channels are zero in all of them, and so add nothing.
//
// The first stage leaves partials[i·parts + g] for share g of image i; REDUCE makes the moments of them.
//
// First stage: one invocation per 8 items (vec4s) of a, 256 apart; a workgroup takes a share of 2048 items. Grid:
// shared/flat.wgsl. REDUCE: one workgroup per image; invocation l takes parts l, l + 256, …. Grid (n).
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}

#ifdef REDUCE
struct Params {
    origin: vec4<u32>,
    parts: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partials: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> moments: array<vec4<f32>>;
#else
struct Params {
    origin: vec4<u32>,
    a: View,
    b: View,
    centre: vec4<f32>,
    columns: u32,
    // pixels·quads of one image of a.
    items: u32,
    // Shares of each image.
    parts: u32,
    // Pixels of b: those of a, of one image, or 1.
    wrap: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
#ifdef DIFFERENCE
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<vec4<f32>>;
#endif
#endif

var<workgroup> totals: array<vec4<f32>, 256>;

// Moments of two sets together.
fn join(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return vec4<f32>(a.xyz + b.xyz, max(a.w, b.w));
}

// The moments of all 256 invocations together, as a tree of fixed shape; lane 0 has them.
fn workgroup_join(lane: u32, value: vec4<f32>) -> vec4<f32> {
    totals[lane] = value;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { totals[lane] = join(totals[lane], totals[lane + reach]); }
    }
    return totals[lane];
}

#ifdef REDUCE
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = id.x + p.origin.x;
    var value = vec4<f32>(0.0);
    for (var i = lane; i < p.parts; i += 256u) {
        value = join(value, partials[image * p.parts + i]);
    }
    let total = workgroup_join(lane, value);
    if lane == 0u {
        moments[image] = total;
    }
}
#else
fn sum(v: vec4<f32>) -> f32 {
    return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    var absolute = vec4<f32>(0.0);
    var plain = vec4<f32>(0.0);
    var square = vec4<f32>(0.0);
    var largest = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let pixel = item / p.a.quads;
        let quad = item % p.a.quads;
#ifdef DIFFERENCE
        let v = a[place(p.a, pixel, quad)] - b[place(p.b, pixel % p.wrap, quad)];
#else
        let v = a[place(p.a, pixel, quad)] - p.centre;
#endif
        absolute += abs(v);
        plain += v;
        square = fma(v, v, square);
        largest = max(largest, abs(v));
    }
    let maximum = max(max(largest.x, largest.y), max(largest.z, largest.w));
    let total = workgroup_join(lane, vec4<f32>(sum(absolute), sum(plain), sum(square), maximum));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.a.n * p.parts {
        partials[group] = total;
    }
}
#endif
