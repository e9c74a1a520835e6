// The mean over a selected box of each image, of a linear and a quadratic function of what is there, and its gradient:
//     partials[i·parts + g] = Σ (linear·a + quadratic·a²) / countᵢ over the selected elements in share g of image i
//     dx (+)= (linear + 2·quadratic·a) / countᵢ where selected, else 0                                     (BACKWARD)
// selections: 6 words for each image, or 6 for all: first channel, the one after the last, likewise rows, columns. They
// lie within the layer, so that padding channels are never selected. countᵢ is the number of selected elements. x may
// be a band of the layer's rows, from the row `first` on; countᵢ is the whole layer's.
// ACCUMULATE adds to dx.
//
// Forward: one invocation per 8 items (vec4s) of x, 256 apart; a workgroup sums a share of 2048 items, and reads only
// those that are selected. Backward: one invocation per item. Grid: shared/flat.wgsl.
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
    // The layer's row that x begins with.
    first: u32,
    // Selections there are: one for each image, or 1.
    selections: u32,
    // Forward: factors on a and a². Backward: on 1 and a.
    linear: f32,
    quadratic: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> selections: array<u32>;
#ifdef BACKWARD
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
#endif

struct Selection {
    // The first channel, row and column, and those after the last.
    first: vec3<u32>,
    end: vec3<u32>,
}

fn selection(image: u32) -> Selection {
    let at = image % p.selections * 6u;
    return Selection(
        vec3<u32>(selections[at], selections[at + 2u], selections[at + 4u]),
        vec3<u32>(selections[at + 1u], selections[at + 3u], selections[at + 5u]),
    );
}

fn one_over_count(s: Selection) -> f32 {
    let sides = s.end - s.first;
    return 1.0 / f32(sides.x * sides.y * sides.z);
}

// Which channels of an item are selected.
fn selected(s: Selection, pixel: u32, quad: u32) -> vec4<bool> {
    let column = pixel % p.x.w;
    let row = (pixel / p.x.w) % p.x.h + p.first;
    let inside = row >= s.first.y && row < s.end.y && column >= s.first.z && column < s.end.z;
    let channels = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
    return vec4<bool>(inside) & (channels >= s.first.xxxx) & (channels < s.end.xxxx);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let s = selection(pixel / (p.x.w * p.x.h));
    let mine = selected(s, pixel, quad);
    let to = place(p.dx, pixel, quad);
    var value = vec4<f32>(0.0);
    if any(mine) {
        let slope = p.linear + p.quadratic * x[place(p.x, pixel, quad)];
        value = select(value, one_over_count(s) * slope, mine);
    }
#ifdef ACCUMULATE
    if any(mine) { dx[to] += value; }
#else
    dx[to] = value;
#endif
#else
    // The grid's last row may reach beyond the last share; its groups sum something that nobody writes.
    let s = selection(group / p.parts);
    var sum = vec4<f32>(0.0);
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let pixel = item / p.x.quads;
        let quad = item % p.x.quads;
        let mine = selected(s, pixel, quad);
        if any(mine) {
            let a = x[place(p.x, pixel, quad)];
            sum += select(vec4<f32>(0.0), a * (p.linear + p.quadratic * a), mine);
        }
    }
    let total = workgroup_sum(lane, (sum.x + sum.y) + (sum.z + sum.w));
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total * one_over_count(s);
    }
#endif
}
