// Squared difference of two tensors, and its gradient:
//     partials[i·parts + g] = Σ (a − b)² over share g of image i       da (+)= alpha·(a − b)      (BACKWARD)
// b may be a single image where a is a batch; it is then compared with each. Padding channels are zero in both.
// ACCUMULATE adds to da.
//
// Forward: one invocation per 8 items (vec4s) of a, 256 apart; a workgroup sums a share of 2048 items. Backward: one
// invocation per item. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}
#ifndef BACKWARD
#import pixgrad::reduce::workgroup_sum
#endif

struct Params {
    origin: vec4<u32>,
    a: View,
    b: View,
    da: View,
    columns: u32,
    // pixels·quads of a; forward: of one of its images.
    items: u32,
    // Shares of each image.
    parts: u32,
    // Pixels of b: those of a, or of one image.
    wrap: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(3) var<storage, read_write> da: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
#endif

fn difference(pixel: u32, quad: u32) -> vec4<f32> {
    return a[place(p.a, pixel, quad)] - b[place(p.b, pixel % p.wrap, quad)];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.a.quads;
    let quad = item % p.a.quads;
    let value = p.alpha * difference(pixel, quad);
    let at = place(p.da, pixel, quad);
#ifdef ACCUMULATE
    da[at] += value;
#else
    da[at] = value;
#endif
#else
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let d = difference(item / p.a.quads, item % p.a.quads);
        sum = fma(d, d, sum);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.a.n * p.parts {
        partials[group] = total;
    }
#endif
}
