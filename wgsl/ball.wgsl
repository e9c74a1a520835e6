// The projection of each image into a ball around another, c, and then into [0, 1]:
//     LINF   x = clamp(x, c − radius, c + radius)
//     L2     x = c + (x − c)·min(1, radius/‖x − c‖₂)      ‖x − c‖₂² is the third number of moments[i] (moments.wgsl)
// c may be a single image where x is a batch. With c within [0, 1] the result is in both sets.
//
// One invocation per item (vec4). Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    c: View,
    columns: u32,
    // pixels·quads
    items: u32,
    // Pixels of c.
    wrap: u32,
    radius: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> c: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
#ifdef L2
@group(0) @binding(3) var<storage, read> moments: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
    let at = place(p.x, pixel, quad);
    let centre = c[place(p.c, pixel % p.wrap, quad)];
    var value = x[at];
#ifdef LINF
    value = clamp(value, centre - p.radius, centre + p.radius);
#endif
#ifdef L2
    let norm = sqrt(moments[pixel / (p.x.h * p.x.w)].z);
    if norm > p.radius {
        value = centre + (value - centre) * (p.radius / norm);
    }
#endif
    x[at] = clamp(value, vec4<f32>(0.0), vec4<f32>(1.0));
}
