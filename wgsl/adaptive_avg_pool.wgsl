// y[n,oy,ox,c] = scale · mean of x[n,y,x,c] over rows ⌊oy·h/oh⌋ .. ⌈(oy+1)·h/oh⌉ and columns likewise, torch's
// adaptive average pool; with y of 1×1 the global one. oh, ow: y's height and width.
//
// Bindings: x; y.
// The windows may be the whole image: one workgroup per pixel of y and four vec4s of channels. Its 256 invocations
// are 64 for each vec4, neighbours reading neighbouring vec4s; each sums every 64th pixel of the window, and a tree
// adds their sums. Grid (ow·⌈quads/4⌉, oh, n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    scale: f32,
    end_0: u32,
    end_1: u32,
    end_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> sums: array<vec4<f32>, 256>;

// First input and end of the window of output `o`.
fn window(o: u32, size: u32, outputs: u32) -> vec2<u32> {
    return vec2<u32>(o * size / outputs, ((o + 1u) * size + outputs - 1u) / outputs);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let bundles = (p.y.quads + 3u) / 4u;
    let ox = id.x / bundles;
    let quad = id.x % bundles * 4u + lane % 4u;
    let rows = window(id.y, p.x.h, p.y.h);
    let columns = window(ox, p.x.w, p.y.w);
    let width = columns.y - columns.x;
    let count = (rows.y - rows.x) * width;
    var total = vec4<f32>(0.0);
    if quad < p.y.quads {
        // In blocks of 64 terms, so that no rounding error is carried through a long sum.
        for (var block = lane / 4u; block < count; block += 64u * 64u) {
            var sum = vec4<f32>(0.0);
            let end = min(block + 64u * 64u, count);
            for (var i = block; i < end; i += 64u) {
                sum += x[index(p.x, id.z, rows.x + i / width, columns.x + i % width, quad)];
            }
            total += sum;
        }
    }
    sums[lane] = total;
    for (var reach = 128u; reach >= 4u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach { sums[lane] += sums[lane + reach]; }
    }
    // The invocation has added this sum itself: no barrier is needed.
    if lane < 4u && quad < p.y.quads {
        y[index(p.y, id.z, id.y, ox, quad)] = p.scale * sums[lane] / f32(count);
    }
}
