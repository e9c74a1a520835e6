// Random vectors of length 1, all directions alike: independent normal numbers (Box and Muller 1958, "A Note on the
// Generation of Random Normal Deviates"), divided by their length. Vec4 `quad` of vector k of an image draws index
//     slot·2²⁰ + k·quads + quad
// Two pairs of words become two pairs of normals, r·(cos, sin) of a random angle. The angle is a quarter turn for each
// of four cases and a rest in [−π/4, π/4), for which the series of sine and cosine are exact to rounding: WGSL promises
// little of its own `cos`. Channels that only fill the last vec4 are 0.
//
// One invocation per vector. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::group_index
#import pixgrad::random::{random, uniform_real}

struct Params {
    origin: vec4<u32>,
    // [images, 1, vectors, channels]
    y: View,
    columns: u32,
    seed: u32,
    slot: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// Two independent normals of two words.
fn normals(radius: f32, angle: f32) -> vec2<f32> {
    let r = sqrt(max(-2.0 * log(radius + 0x1p-25f), 0.0));
    let turns = floor(angle * 4.0);
    let a = (angle * 4.0 - turns - 0.5) * 1.5707963267948966;
    let b = a * a;
    let sine = a * (1.0 + b * (-1.0 / 6.0 + b * (1.0 / 120.0 + b * (-1.0 / 5040.0 + b / 362880.0))));
    let cosine = 1.0 + b * (-0.5 + b * (1.0 / 24.0 + b * (-1.0 / 720.0 + b * (1.0 / 40320.0 - b / 3628800.0))));
    let turned = select(vec2<f32>(cosine, sine), vec2<f32>(-sine, cosine), (u32(turns) & 1u) == 1u);
    return r * select(turned, -turned, turns >= 2.0);
}

fn drawn(image: u32, vector: u32, quad: u32) -> vec4<f32> {
    let u = uniform_real(random(p.seed, step[0], image, p.slot * 1048576u + vector * p.y.quads + quad));
    return padded(p.y, quad, vec4<f32>(normals(u.x, u.y), normals(u.z, u.w)));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.y.n * p.y.w { return; }
    let image = item / p.y.w;
    let vector = item % p.y.w;
    var square = 0.0;
    for (var quad = 0u; quad < p.y.quads; quad++) {
        let v = drawn(image, vector, quad);
        square += dot(v, v);
    }
    let scale = 1.0 / sqrt(max(square, 1e-30));
    for (var quad = 0u; quad < p.y.quads; quad++) {
        y[item * p.y.quads + quad] = scale * drawn(image, vector, quad);
    }
}
