// Total variation with an exponent, and its gradient (Mahendran & Vedaldi 2015, eq. 3): with v = dx² + dy², dx and dy
// being the differences to the right and the lower neighbour of the same channel, 0 where there is none,
//     partials[i·parts + g] = Σ v^(β/2) over share g of image i
//     dx (+)= alpha·∂/∂x                                                                                  (BACKWARD)
// v^(β/2) has the gradient β·v^(β/2−1)·(dx, dy) with respect to the differences; v counts there as at least `floor`,
// which for β < 2 keeps the power finite. ACCUMULATE adds to dx. Under WRAP the neighbour of the last pixel of a row or
// a column is the first.
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
    columns: u32,
    // pixels·quads of all images; forward: of one.
    items: u32,
    // Shares of each image.
    parts: u32,
    // The exponent, whole + fraction: β/2; in the gradient β/2 − 1 where that is not negative, else β/2 still.
    whole: u32,
    fraction: f32,
    // 1 where the power is still to be divided by v.
    divide: u32,
    floor: f32,
    // alpha·β
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

// The differences of one pixel, to the right and down.
struct Differences {
    right: vec4<f32>,
    down: vec4<f32>,
}

// Those of a pixel with the given column and row in its image.
fn differences(pixel: u32, column: u32, row: u32, quad: u32) -> Differences {
    let here = x[place(p.x, pixel, quad)];
    var right = here;
    var below = here;
#ifdef WRAP
    right = x[place(p.x, pixel - column + (column + 1u) % p.x.w, quad)];
    below = x[place(p.x, pixel - row * p.x.w + (row + 1u) % p.x.h * p.x.w, quad)];
#else
    if column + 1u < p.x.w { right = x[place(p.x, pixel + 1u, quad)]; }
    if row + 1u < p.x.h { below = x[place(p.x, pixel + p.x.w, quad)]; }
#endif
    return Differences(right - here, below - here);
}

fn squared(d: Differences) -> vec4<f32> {
    return d.right * d.right + d.down * d.down;
}

// v^(β/2−1)
fn slope(d: Differences) -> vec4<f32> {
    let v = max(squared(d), vec4<f32>(p.floor));
    let root = power(v, p.whole, p.fraction);
    if p.divide == 1u { return root / v; }
    return root;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let column = pixel % p.x.w;
    let row = (pixel / p.x.w) % p.x.h;
    // A pixel is in its own differences, in its left neighbour's to the right and in its upper neighbour's down.
    let own = differences(pixel, column, row, quad);
    var value = -slope(own) * (own.right + own.down);
#ifdef WRAP
    let before = vec2<u32>((column + p.x.w - 1u) % p.x.w, (row + p.x.h - 1u) % p.x.h);
#else
    // Of the first of a row or a column the pixel itself, which is not counted.
    let before = vec2<u32>(max(column, 1u) - 1u, max(row, 1u) - 1u);
#endif
    if before.x != column {
        let left = differences(pixel - column + before.x, before.x, row, quad);
        value += slope(left) * left.right;
    }
    if before.y != row {
        let above = differences(pixel - row * p.x.w + before.y * p.x.w, column, before.y, quad);
        value += slope(above) * above.down;
    }
    value *= p.scale;
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
        let pixel = item / p.x.quads;
        let d = differences(pixel, pixel % p.x.w, (pixel / p.x.w) % p.x.h, item % p.x.quads);
        sum += power(squared(d), p.whole, p.fraction);
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
