// The gradient of guide.wgsl: each position gets the guide's column that it matches,
//     dx_i (+)= alpha·y_matches[i]
// ACCUMULATE adds to dx.
//
// Bindings: y; matches, one word for each position of x; dx, of the shape of x.
// One invocation per item (vec4) of dx. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    y: View,
    dx: View,
    // pixels·quads of all images.
    items: u32,
    // Of the grid.
    width: u32,
    // Positions of one image of x, of one guide.
    positions: u32,
    columns: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> matches: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.width) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.dx.quads;
    let quad = item % p.dx.quads;
    let guide = (pixel / p.positions) % p.y.n;
    let value = p.alpha * y[place(p.y, guide * p.columns + matches[pixel], quad)];
    let to = place(p.dx, pixel, quad);
#ifdef ACCUMULATE
    dx[to] += value;
#else
    dx[to] = value;
#endif
}
