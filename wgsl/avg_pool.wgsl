// y[n,oy,ox,c] = scale · mean over ky, kx of x[n, oy·stride − pad + ky·dilation, ox·stride − pad + kx·dilation, c], of
// the pixels inside the image only: padding neither adds nor, unless `counts` is set, counts. A window without a pixel
// has a mean of 0.
//
// Bindings: x; y.
// One invocation per pixel and vec4 of channels of y: grid (⌈w·quads/64⌉, h, n).
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
    // Padding behind the image, if padding counts.
    after: vec2<u32>,
    counts: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// The first input of a window, the end of its inputs, and how many of its positions count.
struct Window { first: u32, end: u32, count: u32 }

// The window of output `o`, of `size` inputs along `axis` (0 for rows, 1 for columns).
fn window(o: u32, size: u32, axis: u32) -> Window {
    let at = o * p.stride[axis];
    let pad = p.pad[axis];
    let dilation = p.dilation[axis];
    let behind = at + (p.kernel[axis] - 1u) * dilation + 1u;
    // The first position of the window that is no padding.
    let first = at + (max(pad, at) - at + dilation - 1u) / dilation * dilation - pad;
    let end = max(min(max(behind, pad) - pad, size), first);
    let inside = (end - first + dilation - 1u) / dilation;
    let padded = min(behind, pad + size + p.after[axis]);
    return Window(first, end, select(inside, (max(padded, at) - at + dilation - 1u) / dilation, p.counts != 0u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.y.w * p.y.quads { return; }
    let ox = flat / p.y.quads;
    let quad = flat % p.y.quads;
    let rows = window(id.y, p.x.h, 0u);
    let columns = window(ox, p.x.w, 1u);
    var sum = vec4<f32>(0.0);
    for (var yy = rows.first; yy < rows.end; yy += p.dilation.x) {
        for (var xx = columns.first; xx < columns.end; xx += p.dilation.y) {
            sum += x[index(p.x, id.z, yy, xx, quad)];
        }
    }
    let count = max(rows.count * columns.count, 1u);
    y[index(p.y, id.z, id.y, ox, quad)] = p.scale / f32(count) * sum;
}
