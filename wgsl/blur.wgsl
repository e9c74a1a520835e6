// One pass of a separable Gaussian blur, along rows or (VERTICAL) columns:
//     y[o] = Σ_k w(k)·x[reflect(o + k)] / Σ_k w(k)          w(k) = exp(−k²/2σ²)          |k| ≤ radius
// Beyond an edge the image continues as its mirror image, the edge pixel twice: d c b a | a b c d | d c b a; under WRAP
// it is continued by its own copies. In iterations
// whose number `step` is no multiple of `every`, y = x.
//
// One invocation per item (vec4) of y. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // pixels·quads
    items: u32,
    radius: u32,
    every: u32,
    // −1/2σ²
    exponent: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.y.quads;
    let pixel = item / p.y.quads;
    let column = pixel % p.y.w;
    let row = (pixel / p.y.w) % p.y.h;
    let n = pixel / (p.y.w * p.y.h);
#ifdef VERTICAL
    let size = p.y.h;
    let o = row;
#else
    let size = p.y.w;
    let o = column;
#endif
    // Radius 0 is the identity, to the bit.
    let radius = select(0u, p.radius, step[0] % p.every == 0u);
    // A mirrored image repeats after two sizes; whole periods are added so that nothing is negative.
#ifdef WRAP
    let period = size;
#else
    let period = 2u * size;
#endif
    let first = o + (radius + period - 1u) / period * period - radius;
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var k = 0u; k <= 2u * radius; k++) {
        let distance = f32(k) - f32(radius);
        let weight = exp(p.exponent * distance * distance);
        let phase = (first + k) % period;
#ifdef WRAP
        let i = phase;
#else
        let i = min(phase, period - 1u - phase);
#endif
#ifdef VERTICAL
        let at = index(p.x, n, i, column, quad);
#else
        let at = index(p.x, n, row, i, quad);
#endif
        sum = fma(vec4<f32>(weight), x[at], sum);
        total += weight;
    }
    y[place(p.y, pixel, quad)] = sum / total;
}
