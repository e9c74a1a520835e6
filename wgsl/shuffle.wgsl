// Pixels of x in the order of a permutation that is drawn anew in every iteration, for each image alone:
//     y[n, i] = x[n, σ(i)]                  SCATTER: x[n, σ(i)] (+)= y[n, i], pixels that y does not reach get 0
// x has segments of pixels (`segments`: first, count, and the share of the draws up to here times 2³²); with several
// each i first draws its segment. Within a segment of `count` pixels σ(i) is the (i mod count)-th of a permutation,
// another one for each multiple of count. ACCUMULATE, with SCATTER, adds to x.
//
// A permutation of count pixels is a Feistel network of four rounds on the least even number of bits that count them; a
// place beyond count is permuted again.
//
// One invocation per item (vec4) of y; SCATTER: of x. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}
#import pixgrad::random::random

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // pixels·quads of all images: of y, or of x.
    items: u32,
    // Pixels of one image of y.
    each: u32,
    // Pixels from one image of x to the next; 0: all share one.
    batch: u32,
    segments: u32,
    seed: u32,
    // What keeps the draws of one set from those of another.
    stream: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> step: array<u32>;
@group(0) @binding(2) var<storage, read> segments: array<u32>;
#ifdef SCATTER
@group(0) @binding(3) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
#endif

// The place of i among `count` pixels in a permutation.
fn permuted(i: u32, count: u32, image: u32, draw: u32) -> u32 {
    if count <= 1u { return 0u; }
    let bits = (32u - countLeadingZeros(count - 1u) + 1u) / 2u;
    let mask = (1u << bits) - 1u;
    var at = i;
    loop {
        var left = at >> bits;
        var right = at & mask;
        for (var round = 0u; round < 4u; round++) {
            let drawn = random(p.seed, step[0], image, draw * 262144u + round * 65536u + right).x & mask;
            let next = left ^ drawn;
            left = right;
            right = next;
        }
        at = (left << bits) | right;
        if at < count { break; }
    }
    return at;
}

// σ(i) of image n.
fn source(n: u32, i: u32) -> u32 {
    let image = n * 2u + p.stream;
    var segment = 0u;
    if p.segments > 1u {
        // The other draws have an index of less than 2³¹ here.
        let drawn = random(p.seed, step[0], image, 0x80000000u | i).x;
        while segment + 1u < p.segments && drawn > segments[segment * 3u + 2u] { segment += 1u; }
    }
    let count = segments[segment * 3u + 1u];
    let draw = (i / count) * p.segments + segment;
    return n * p.batch + segments[segment * 3u] + permuted(i % count, count, image, draw % 8192u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.x.quads;
    let quad = item % p.x.quads;
#ifdef SCATTER
    let pixels = p.x.h * p.x.w;
    let n = pixel / pixels;
    let i = pixel % pixels;
    let to = place(p.x, source(n, i), quad);
    var value = vec4<f32>(0.0);
    if i < p.each { value = y[place(p.y, n * p.each + i, quad)]; }
#ifdef ACCUMULATE
    x[to] += value;
#else
    x[to] = value;
#endif
#else
    y[place(p.y, pixel, quad)] = x[place(p.x, source(pixel / p.each, pixel % p.each), quad)];
#endif
}
