// Pixels that matter little go to the mean colour. A score for each pixel, over its channels c:
//     NORM           scores[pixel] = √Σ_c (x − mean)²
//     CONTRIBUTION   scores[pixel] = −Σ_c (x − mean)·gradient, or its absolute value where `absolute` is 1
// and, with a threshold for each image (percentile.wgsl),
//     CLIP           x = mean where scores[pixel] < thresholds[i]
// `mean` is one for each of the first four channels, and zero for padding channels.
//
// One invocation per pixel. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    gradient: View,
    mean: vec4<f32>,
    columns: u32,
    // Of all images.
    pixels: u32,
    absolute: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef NORM
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;
#endif
#ifdef CONTRIBUTION
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;
#endif
#ifdef CLIP
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> thresholds: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if pixel >= p.pixels { return; }
#ifdef CLIP
    if scores[pixel] < thresholds[pixel / (p.x.h * p.x.w)] {
        for (var quad = 0u; quad < p.x.quads; quad++) {
            x[place(p.x, pixel, quad)] = p.mean;
        }
    }
#else
    var score = 0.0;
    for (var quad = 0u; quad < p.x.quads; quad++) {
        let v = x[place(p.x, pixel, quad)] - p.mean;
#ifdef NORM
        score += dot(v, v);
#else
        score -= dot(v, gradient[place(p.gradient, pixel, quad)]);
#endif
    }
#ifdef NORM
    score = sqrt(score);
#else
    if p.absolute == 1u { score = abs(score); }
#endif
    scores[pixel] = score;
#endif
}
