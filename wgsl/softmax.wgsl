// y[n,y,x,c] = exp(x[n,y,x,c] − m) / Σ_c' exp(x[n,y,x,c'] − m), m the maximum over the channels c' of the pixel.
// Padding channels take no part and stay 0.
//
// Bindings: x; y, of the same shape.
// One workgroup of 64 per pixel, each invocation every 64th vec4 of channels; trees make the maximum and the sum.
// Grid (w, h, n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> partial: array<f32, 64>;

// Which channels of a vec4 are no padding.
fn meaningful(quad: u32) -> vec4<bool> {
    return vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u < vec4<u32>(p.x.c);
}

// exp(z − top), and 0 for padding.
fn raised(quad: u32, z: vec4<f32>, top: f32) -> vec4<f32> {
    return select(vec4<f32>(0.0), exp(z - top), meaningful(quad));
}

fn sum_all(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach { partial[lane] += partial[lane + reach]; }
    }
    workgroupBarrier();
    return partial[0];
}

fn max_all(lane: u32, value: f32) -> f32 {
    partial[lane] = value;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach { partial[lane] = max(partial[lane], partial[lane + reach]); }
    }
    workgroupBarrier();
    return partial[0];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let at_x = index(p.x, id.z, id.y, id.x, 0u);
    let at_y = index(p.y, id.z, id.y, id.x, 0u);
    // Channel 0 stands in for padding and for what an idle invocation has not seen.
    let some = vec4<f32>(x[at_x].x);
    var tops = some;
    // All invocations go round equally often: in llvmpipe's OpenGL (Mesa 22.3) those that leave a loop before others do
    // not take part in what follows.
    for (var first = 0u; first < p.x.quads; first += 64u) {
        let quad = first + lane;
        if quad < p.x.quads { tops = max(tops, select(some, x[at_x + quad], meaningful(quad))); }
    }
    let top = max_all(lane, max(max(tops.x, tops.y), max(tops.z, tops.w)));
    // Everybody has read the maximum before its place is written again.
    workgroupBarrier();
    var sums = vec4<f32>(0.0);
    for (var first = 0u; first < p.x.quads; first += 64u) {
        let quad = first + lane;
        if quad < p.x.quads { sums += raised(quad, x[at_x + quad], top); }
    }
    let sum = sum_all(lane, (sums.x + sums.y) + (sums.z + sums.w));
    for (var first = 0u; first < p.x.quads; first += 64u) {
        let quad = first + lane;
        if quad < p.x.quads { y[at_y + quad] = raised(quad, x[at_x + quad], top) / sum; }
    }
}
