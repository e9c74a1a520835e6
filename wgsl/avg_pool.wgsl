// y[n,oy,ox,c] = scale · mean over ky, kx of x[n, oy·stride − pad + ky, ox·stride − pad + kx, c], of the pixels inside
// the image only: padding neither adds nor counts.
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
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// First input and end of the window of the output that begins at padded position `at`, of `size` inputs.
fn window(at: u32, size: u32, kernel: u32, pad: u32) -> vec2<u32> {
    return vec2<u32>(max(at, pad) - pad, min(max(at + kernel, pad) - pad, size));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.y.w * p.y.quads { return; }
    let ox = flat / p.y.quads;
    let quad = flat % p.y.quads;
    let rows = window(id.y * p.stride.x, p.x.h, p.kernel.x, p.pad.x);
    let columns = window(ox * p.stride.y, p.x.w, p.kernel.y, p.pad.y);
    var sum = vec4<f32>(0.0);
    for (var yy = rows.x; yy < rows.y; yy++) {
        for (var xx = columns.x; xx < columns.y; xx++) {
            sum += x[index(p.x, id.z, yy, xx, quad)];
        }
    }
    let count = (rows.y - rows.x) * (columns.y - columns.x);
    y[index(p.y, id.z, id.y, ox, quad)] = p.scale / f32(count) * sum;
}
