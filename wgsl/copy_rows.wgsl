// Rows of one tensor written to, or added to (ACCUMULATE), rows of another: bands of an image that is worked on piece
// by piece.
//     y[n, to + r, x, c] (+)= x[n, from + r, x, c]        for r < rows
// The other rows of y stay as they are.
//
// Bindings: x; y, of the same n, w and c.
// One invocation per vec4 that is copied. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    from_row: u32,
    to_row: u32,
    rows: u32,
    columns: u32,
    // n·rows·w·quads.
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.y.quads;
    let pixel = item / p.y.quads;
    let col = pixel % p.y.w;
    let row = (pixel / p.y.w) % p.rows;
    let n = pixel / (p.y.w * p.rows);
    let value = x[index(p.x, n, p.from_row + row, col, quad)];
    let at = index(p.y, n, p.to_row + row, col, quad);
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}
