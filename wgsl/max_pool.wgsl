// y[n,oy,ox,c] = max over ky, kx of x[n, oy·stride − pad + ky·dilation, ox·stride − pad + kx·dilation, c], inside the
// image only. A window without a pixel has a maximum of 0, one with a NaN is NaN.
//
// The argmax ky·width + kx (the first maximum in that order) goes to max_pool_backward.wgsl in 2 bits per element
// for windows of at most 4 positions, in 4 bits for those of at most 16, in 8 for those of at most 256 (`bits`). A word
// holds a group of 32/(4·bits) neighbouring pixels of a row (4, 2 or 1) times 4 channels: word ((n·h + oy)·groups + ox
// / pixels)·quads + c / 4, groups = ⌈w / pixels⌉, of y's n, h, w and quads; pixel ox, channel c begins at bit ((ox %
// pixels)·4 + c % 4)·bits.
//
// Bindings: x; y; the argmax.
// One invocation per word, that is per group of pixels and vec4 of channels: grid (⌈groups·quads/64⌉, h, n) of y.
#import pixgrad::divide::divide
#import pixgrad::nan::exceeds
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    // Of rows and of columns; so the next two.
    kernel: vec2<u32>,
    stride: vec2<u32>,
    pad: vec2<u32>,
    dilation: vec2<u32>,
    // Per element of the argmax: 2, 4 or 8.
    bits: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

struct Best {
    value: vec4<f32>,
    tap: vec4<u32>,
}

fn window(n: u32, oy: u32, ox: u32, quad: u32) -> Best {
    // Taps inside the image: first ≤ k < end.
    let top = oy * p.stride.x;
    let left = ox * p.stride.y;
    let d = p.dilation;
    let first_y = (max(p.pad.x, top) - top + d.x - 1u) / d.x;
    let first_x = (max(p.pad.y, left) - left + d.y - 1u) / d.y;
    // Windows begin at most at the last pixel or, if they are dilated, in the padding behind it.
    let end_y = min(p.kernel.x, (max(p.x.h + p.pad.x, top) - top + d.x - 1u) / d.x);
    let end_x = min(p.kernel.y, (max(p.x.w + p.pad.y, left) - left + d.y - 1u) / d.y);
    if first_y >= end_y || first_x >= end_x { return Best(vec4<f32>(0.0), vec4<u32>(0u)); }
    let corner = x[index(p.x, n, top + first_y * d.x - p.pad.x, left + first_x * d.y - p.pad.y, quad)];
    var best = Best(corner, vec4<u32>(first_y * p.kernel.y + first_x));
    for (var ky = first_y; ky < end_y; ky++) {
        for (var kx = first_x; kx < end_x; kx++) {
            let value = x[index(p.x, n, top + ky * d.x - p.pad.x, left + kx * d.y - p.pad.y, quad)];
            let better = exceeds(value, best.value);
            best.value = select(best.value, value, better);
            best.tap = select(best.tap, vec4<u32>(ky * p.kernel.y + kx), better);
        }
    }
    return best;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    // The binary logarithm of the pixels of a word.
    let log = select(select(1u, 2u, p.bits == 2u), 0u, p.bits == 8u);
    let groups = (p.y.w + (1u << log) - 1u) >> log;
    if flat >= groups * p.y.quads { return; }
    let place = divide(flat, p.y.quads);
    let quad = place.rest;
    let first = place.quotient << log;
    let end = min(first + (1u << log), p.y.w);
    var word = 0u;
    for (var ox = first; ox < end; ox++) {
        let best = window(id.z, id.y, ox, quad);
        y[index(p.y, id.z, id.y, ox, quad)] = best.value;
        let tap = best.tap << (vec4<u32>(0u, 1u, 2u, 3u) * p.bits);
        word |= (tap.x | tap.y | tap.z | tap.w) << ((ox - first) * 4u * p.bits);
    }
    argmax[((id.z * p.y.h + id.y) * groups) * p.y.quads + flat] = word;
}
