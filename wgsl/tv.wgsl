// Total variation, squared: mean dx² + mean dy², dx and dy being the differences to the right and the lower neighbour
// inside the image, each mean over the image's own number of differences (0 where there are none); and its gradient:
//     partials[i·parts + g] = Σ along_x·dx² + along_y·dy² over share g of image i
//     dx (+)= alpha·∂/∂x                                                                                  (BACKWARD)
// ACCUMULATE adds to dx. Under WRAP the neighbour of the last pixel of a row or a column is the first: there are as
// many differences as pixels.
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
    // One over the number of differences in each direction; in the gradient times 2·alpha.
    along_x: f32,
    along_y: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

fn at(pixel: u32, quad: u32) -> vec4<f32> {
    return x[place(p.x, pixel, quad)];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    let width = p.x.w;
#ifdef BACKWARD
    let item = group * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let column = pixel % width;
    let row = (pixel / width) % p.x.h;
    let here = at(pixel, quad);
    var horizontal = vec4<f32>(0.0);
    var vertical = vec4<f32>(0.0);
#ifdef WRAP
    let first = pixel - column;
    let top = pixel - row * width;
    let left = at(first + (column + width - 1u) % width, quad);
    let right = at(first + (column + 1u) % width, quad);
    let above = at(top + (row + p.x.h - 1u) % p.x.h * width, quad);
    let below = at(top + (row + 1u) % p.x.h * width, quad);
    horizontal = (here - left) + (here - right);
    vertical = (here - above) + (here - below);
#else
    if column > 0u { horizontal += here - at(pixel - 1u, quad); }
    if column + 1u < width { horizontal += here - at(pixel + 1u, quad); }
    if row > 0u { vertical += here - at(pixel - width, quad); }
    if row + 1u < p.x.h { vertical += here - at(pixel + width, quad); }
#endif
    let value = p.along_x * horizontal + p.along_y * vertical;
    let to = place(p.dx, pixel, quad);
#ifdef ACCUMULATE
    dx[to] += value;
#else
    dx[to] = value;
#endif
#else
    var sum = 0.0;
    let range = share(group, p.items, p.parts);
    for (var item = range.x + lane; item < range.y; item += 256u) {
        let pixel = item / p.x.quads;
        let quad = item % p.x.quads;
        let here = at(pixel, quad);
        let column = pixel % width;
        let row = (pixel / width) % p.x.h;
#ifdef WRAP
        let right = at(pixel - column + (column + 1u) % width, quad) - here;
        let down = at(pixel - row * width + (row + 1u) % p.x.h * width, quad) - here;
        sum += p.along_x * dot(right, right) + p.along_y * dot(down, down);
#else
        if column + 1u < width {
            let d = at(pixel + 1u, quad) - here;
            sum += p.along_x * dot(d, d);
        }
        if row + 1u < p.x.h {
            let d = at(pixel + width, quad) - here;
            sum += p.along_y * dot(d, d);
        }
#endif
    }
    let total = workgroup_sum(lane, sum);
    // The grid's last row may reach beyond the last share.
    if lane == 0u && group < p.x.n * p.parts {
        partials[group] = total;
    }
#endif
}
