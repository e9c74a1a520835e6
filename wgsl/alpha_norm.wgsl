// The α-norm of images around a mean colour, to the power α, and its gradient (Mahendran & Vedaldi 2015, section 3):
//     partials[i·parts + g] = Σ |x − mean|^α over share g of image i
//     dx (+)= alpha·α·|x − mean|^(α−1)·sign(x − mean)                                                     (BACKWARD)
// for tensors of one vec4 per pixel. The caller has set the mean of padding channels to 0. ACCUMULATE adds to dx.
//
// Forward: one invocation per 8 items (vec4s) of x, 256 apart; a workgroup sums a share of 2048 items. Backward: one
// invocation per item. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}
#import pixgrad::power::power
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
    // The exponent, whole + fraction: α; in the gradient α − 1.
    whole: u32,
    fraction: f32,
    // alpha·α
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let d = x[place(p.x, item, 0u)] - p.mean;
    let value = p.scale * sign(d) * power(abs(d), p.whole, p.fraction);
    let at = place(p.dx, item, 0u);
#ifdef ACCUMULATE
    dx[at] += value;
#else
    dx[at] = value;
#endif
#else
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let d = x[place(p.x, item, 0u)] - p.mean;
        sum += power(abs(d), p.whole, p.fraction);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
