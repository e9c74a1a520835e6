// dx[n,y,x,c] (+)= scale · Σ of dy[n,oy,ox,c] / (positions of the window that count) over the windows that hold (y, x):
// those of avg_pool.wgsl, or under ADAPTIVE those of adaptive_avg_pool.wgsl. Each pixel of dx gathers from them, always
// in the same order. ACCUMULATE adds to dx.
//
// Bindings: dy; dx.
// One invocation per pixel and vec4 of channels of dx: grid (⌈w·quads/64⌉, h, n).
#import pixgrad::divide::divide
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    dy: View,
    dx: View,
#ifdef ADAPTIVE
    scale: f32,
    end_0: u32,
    end_1: u32,
    end_2: u32,
#else
    // Of rows and of columns; so the next two.
    kernel: vec2<u32>,
    stride: vec2<u32>,
    pad: vec2<u32>,
    dilation: vec2<u32>,
    after: vec2<u32>,
    counts: u32,
    scale: f32,
#endif
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

// How many positions along `axis` (0 for rows, 1 for columns) count in the window of output `o`, of `outputs`, over
// `size` inputs.
fn window_size(o: u32, size: u32, outputs: u32, axis: u32) -> u32 {
#ifdef ADAPTIVE
    return ((o + 1u) * size + outputs - 1u) / outputs - o * size / outputs;
#else
    let at = o * p.stride[axis];
    let pad = p.pad[axis];
    let dilation = p.dilation[axis];
    let behind = at + (p.kernel[axis] - 1u) * dilation + 1u;
    if p.counts != 0u {
        return divide(min(behind, pad + size + p.after[axis]) - at + dilation - 1u, dilation).quotient;
    }
    let first = at + divide(max(pad, at) - at + dilation - 1u, dilation).quotient * dilation;
    return divide(min(behind, pad + size) - first + dilation - 1u, dilation).quotient;
#endif
}

// The first output whose window holds input `i`, and the end of those that do.
fn covering(i: u32, size: u32, outputs: u32, axis: u32) -> vec2<u32> {
#ifdef ADAPTIVE
    return vec2<u32>(i * outputs / size, ((i + 1u) * outputs + size - 1u) / size);
#else
    let at = i + p.pad[axis];
    let extent = (p.kernel[axis] - 1u) * p.dilation[axis] + 1u;
    let stride = p.stride[axis];
    let first = divide(max(at + 1u, extent) - extent + stride - 1u, stride).quotient;
    return vec2<u32>(first, min(divide(at, stride).quotient + 1u, outputs));
#endif
}

// Whether input `i` is one of those of an output that covers it, and not between two of them.
fn holds(o: u32, i: u32, axis: u32) -> bool {
#ifdef ADAPTIVE
    return true;
#else
    let dilation = p.dilation[axis];
    return dilation == 1u || divide(i + p.pad[axis] - o * p.stride[axis], dilation).rest == 0u;
#endif
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.dx.w * p.dx.quads { return; }
    let place = divide(flat, p.dx.quads);
    let xx = place.quotient;
    let quad = place.rest;
    let rows = covering(id.y, p.dx.h, p.dy.h, 0u);
    let columns = covering(xx, p.dx.w, p.dy.w, 1u);
    var sum = vec4<f32>(0.0);
    for (var oy = rows.x; oy < rows.y; oy++) {
        if !holds(oy, id.y, 0u) { continue; }
        let height = window_size(oy, p.dx.h, p.dy.h, 0u);
        for (var ox = columns.x; ox < columns.y; ox++) {
            if !holds(ox, xx, 1u) { continue; }
            let width = window_size(ox, p.dx.w, p.dy.w, 1u);
            sum += dy[index(p.dy, id.z, oy, ox, quad)] / f32(height * width);
        }
    }
    sum *= p.scale;
    let at = index(p.dx, id.z, id.y, xx, quad);
#ifdef ACCUMULATE
    dx[at] += sum;
#else
    dx[at] = sum;
#endif
}
