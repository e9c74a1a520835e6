// For every channel of each image
//     y (+)= scale[n, c]·(x − mean[n, c]) + shift[n, c]                  CENTRE: y = x − mean[n, c]
// with `coefficients` [n, 2, C⁺]: the scales, then the shifts. ACCUMULATE adds to y.
//
// One invocation per item (vec4) of y. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // pixels·quads of all images.
    items: u32,
    // Pixels of one image.
    each: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> means: array<vec4<f32>>;
#ifdef CENTRE
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let n = pixel / p.each;
    var value = x[place(p.x, pixel, quad)] - means[n * p.x.quads + quad];
#ifndef CENTRE
    let at = n * 2u * p.x.quads + quad;
    value = fma(coefficients[at], value, coefficients[at + p.x.quads]);
#endif
    let i = place(p.y, pixel, quad);
#ifdef ACCUMULATE
    y[i] += value;
#else
    y[i] = value;
#endif
}
