// dx[n,y,x,c] (+)= Σ of dy[n,oy,ox,c] over the windows whose maximum was (y, x), as max_pool.wgsl noted it (its head
// says how). Windows may overlap; each pixel of dx gathers from those that cover it, always in the same order.
// ACCUMULATE adds to dx.
//
// Bindings: dy; the argmax; dx.
// One invocation per pixel and vec4 of channels of dx: grid (⌈w·quads/64⌉, h, n).
#import pixgrad::divide::{Divided, divide}
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    dy: View,
    dx: View,
    // Of rows and of columns; so the next two.
    kernel: vec2<u32>,
    stride: vec2<u32>,
    pad: vec2<u32>,
    dilation: vec2<u32>,
    // Per element of the argmax: 2, 4 or 8.
    bits: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

// The first output whose window, which reaches over `extent` positions, reaches padded position `at`, and the end of
// those that do, of `count`.
fn covering(at: u32, count: u32, extent: u32, stride: u32) -> vec2<u32> {
    let first = divide(max(at + 1u, extent) - extent + stride - 1u, stride).quotient;
    return vec2<u32>(first, min(divide(at, stride).quotient + 1u, count));
}

// The position of a window that is `distance` behind its first; none where the rest is not 0.
fn tap(distance: u32, dilation: u32) -> Divided {
    if dilation == 1u { return Divided(distance, 0u); }
    return divide(distance, dilation);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.dx.w * p.dx.quads { return; }
    let place = divide(flat, p.dx.quads);
    let xx = place.quotient;
    let quad = place.rest;
    // The binary logarithm of the pixels of a word.
    let log = select(select(1u, 2u, p.bits == 2u), 0u, p.bits == 8u);
    let groups = (p.dy.w + (1u << log) - 1u) >> log;
    let low = vec4<u32>((1u << p.bits) - 1u);
    let extent = (p.kernel - 1u) * p.dilation + 1u;
    let rows = covering(id.y + p.pad.x, p.dy.h, extent.x, p.stride.x);
    let columns = covering(xx + p.pad.y, p.dy.w, extent.y, p.stride.y);
    var sum = vec4<f32>(0.0);
    for (var oy = rows.x; oy < rows.y; oy++) {
        let down = tap(id.y + p.pad.x - oy * p.stride.x, p.dilation.x);
        if down.rest != 0u { continue; }
        for (var ox = columns.x; ox < columns.y; ox++) {
            let across = tap(xx + p.pad.y - ox * p.stride.y, p.dilation.y);
            if across.rest != 0u { continue; }
            let word = argmax[((id.z * p.dy.h + oy) * groups + (ox >> log)) * p.dy.quads + quad];
            let shift = (vec4<u32>(0u, 1u, 2u, 3u) + (ox & ((1u << log) - 1u)) * 4u) * p.bits;
            let here = ((vec4<u32>(word) >> shift) & low) 
                == vec4<u32>(down.quotient * p.kernel.y + across.quotient);
            sum += select(vec4<f32>(0.0), dy[index(p.dy, id.z, oy, ox, quad)], here);
        }
    }
    let at = index(p.dx, id.z, id.y, xx, quad);
#ifdef ACCUMULATE
    dx[at] += sum;
#else
    dx[at] = sum;
#endif
}
