// Total variation with an exponent, summed over pixels and channels, and its gradient:
//     partials[i·parts + g] = Σ v^(beta/2) over share g of image i,   v = dx² + dy²
//     dx (+)= alpha·∂/∂x                                                                                  (BACKWARD)
// dx and dy are the differences to the right and the lower neighbour, 0 in the last column and the last row. With
// s = beta/2·max(v, least)^(beta/2 − 1) at each pixel, ∂/∂x = 2·(s_left·dx_left + s_above·dy_above − s·(dx + dy)): `least`
// keeps it finite where v → 0 and beta < 2.
// ACCUMULATE adds to dx.
//
// Forward: one invocation per 8 items (vec4s) of x, 256 apart; a workgroup sums a share of 2048 items. Backward: one
// invocation per item. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place, share}
#ifndef BACKWARD
#import pixgrad::reduce::workgroup_sum
#endif

struct Params {
    origin: vec4<u32>,
    x: View,
    dx: View,
    columns: u32,
    // pixels·quads of all images; forward: of one.
    items: u32,
    // Shares of each image.
    parts: u32,
    // The exponent of v: forward beta/2, backward beta/2 − 1.
    exponent: f32,
    least: f32,
    // Backward: alpha·beta.
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

// The differences from a pixel to its right and its lower neighbour.
struct Differences {
    across: vec4<f32>,
    down: vec4<f32>,
}

fn differences(pixel: u32, quad: u32) -> Differences {
    let here = x[place(p.x, pixel, quad)];
    var d = Differences(vec4<f32>(0.0), vec4<f32>(0.0));
    if pixel % p.x.w + 1u < p.x.w { d.across = x[place(p.x, pixel + 1u, quad)] - here; }
    if (pixel / p.x.w) % p.x.h + 1u < p.x.h { d.down = x[place(p.x, pixel + p.x.w, quad)] - here; }
    return d;
}

// max(v, least)^exponent
fn power(d: Differences) -> vec4<f32> {
    let v = max(fma(d.across, d.across, d.down * d.down), vec4<f32>(p.least));
    return pow(v, vec4<f32>(p.exponent));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let own = differences(pixel, quad);
    var slope = -power(own) * (own.across + own.down);
    if pixel % p.x.w > 0u {
        let left = differences(pixel - 1u, quad);
        slope += power(left) * left.across;
    }
    if (pixel / p.x.w) % p.x.h > 0u {
        let above = differences(pixel - p.x.w, quad);
        slope += power(above) * above.down;
    }
    let value = p.scale * slope;
    let to = place(p.dx, pixel, quad);
#ifdef ACCUMULATE
    dx[to] += value;
#else
    dx[to] = value;
#endif
#else
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let d = differences(item / p.x.quads, item % p.x.quads);
        // Nothing where nothing differs: 0 itself has no power.
        let differs = (d.across != vec4<f32>(0.0)) | (d.down != vec4<f32>(0.0));
        sum += select(vec4<f32>(0.0), power(d), differs);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
