// The α-norm of an image about a mean, to the power α, and its gradient:
//     partials[i·parts + g] = Σ |x − mean|^exponent over share g of image i
//     dx (+)= alpha·exponent·|x − mean|^(exponent − 1)·sign(x − mean)                                     (BACKWARD)
// x has at most four channels, of which `mean` has one number each, 0 for padding.
// ACCUMULATE adds to dx.
//
// Forward: one invocation per 8 pixels of x, 256 apart; a workgroup sums a share of 2048. Backward: one invocation per
// pixel. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}
#ifndef BACKWARD
#import pixgrad::reduce::workgroup_sum
#endif

struct Params {
    origin: vec4<u32>,
    x: View,
    dx: View,
    mean: vec4<f32>,
    columns: u32,
    // Pixels of all images; forward: of one.
    items: u32,
    // Shares of each image.
    parts: u32,
    // Of |x − mean|: forward α, backward α − 1.
    exponent: f32,
    // Backward: alpha·α.
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

// |d|^exponent, 0 at 0.
fn power(d: vec4<f32>) -> vec4<f32> {
    let length = max(abs(d), vec4<f32>(1e-37));
    return select(vec4<f32>(0.0), pow(length, vec4<f32>(p.exponent)), d != vec4<f32>(0.0));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let pixel = group * 256u + lane;
    if pixel >= p.items { return; }
    let d = x[place(p.x, pixel, 0u)] - p.mean;
    let value = p.scale * sign(d) * power(d);
    let to = place(p.dx, pixel, 0u);
#ifdef ACCUMULATE
    dx[to] += value;
#else
    dx[to] = value;
#endif
#else
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var pixel = range.x + lane; pixel < range.y; pixel += 256u) {
        sum += power(x[place(p.x, pixel, 0u)] - p.mean);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
