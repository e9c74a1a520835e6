// The products of the pixels of x with their best matches in a guide y (guide_match.wgsl), and their gradient:
//     partials[i·parts + g] = Σ ⟨x_i, y_best(i)⟩ over share g of image i       dx (+)= alpha·y_best(i)      (BACKWARD)
// y is one image of any size, x a batch. ACCUMULATE adds to dx.
//
// Forward: one invocation per 8 items (vec4s) of x, 256 apart; a workgroup sums a share of 2048 items. Backward: one
// invocation per item of dx. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}
#ifndef BACKWARD
#import pixgrad::reduce::workgroup_sum
#endif

struct Params {
    origin: vec4<u32>,
    // Forward: x; backward: dx.
    x: View,
    y: View,
    columns: u32,
    // pixels·quads of x; forward: of one of its images.
    items: u32,
    // Shares of each image.
    parts: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> best: array<u32>;
#ifdef BACKWARD
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let value = p.alpha * y[place(p.y, best[pixel], quad)];
    let at = place(p.x, pixel, quad);
#ifdef ACCUMULATE
    dx[at] += value;
#else
    dx[at] = value;
#endif
#else
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let pixel = item / p.x.quads;
        let quad = item % p.x.quads;
        sum = fma(x[place(p.x, pixel, quad)], y[place(p.y, best[pixel], quad)], sum);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
