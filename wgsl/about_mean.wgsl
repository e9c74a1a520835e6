// Each image drawn nearer to, or away from, a mean colour:
//     x = mean + s·(x − mean)
// s is `scale`; under NORM it is what makes ‖x − mean‖₂ = radius, or, where `at_most` is 1 and it is less already, 1.
// ‖x − mean‖₂² is the third number of moments[i] (moments.wgsl); an image equal to the mean stays as it is. `mean` is
// one for each of the first four channels, and zero for padding channels.
//
// One invocation per item (vec4). Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    mean: vec4<f32>,
    columns: u32,
    // pixels·quads
    items: u32,
    // s, or the radius.
    scale: f32,
    at_most: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef NORM
@group(0) @binding(1) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let at = place(p.x, pixel, item % p.x.quads);
    var s = p.scale;
#ifdef NORM
    let norm = sqrt(moments[pixel / (p.x.h * p.x.w)].z);
    if norm < 1.1754944e-38 || (p.at_most == 1u && norm <= p.scale) { return; }
    s = p.scale / norm;
#endif
    x[at] = p.mean + s * (x[at] - p.mean);
}
