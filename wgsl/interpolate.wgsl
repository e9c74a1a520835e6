// Other sizes, as ONNX's Resize defines them. Output position o of an axis lies at at(o) = o·scale + shift among the
// input positions, and is made of
//     taps 0          the two beside it, by their distance
//     taps 1 to 4     one of them: before, behind, the nearest (of two the one before), the nearest (the one behind)
// kept inside the input. Backward: dx[i] (+)= Σ_o weight of i in o · dy[o]; ACCUMULATE adds to dx.
//
// Bindings: x; y. Backward: dy; dx.
// One invocation per vec4 of y, backward of dx. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // x, or dx.
    inner: View,
    // y, or dy.
    outer: View,
    columns: u32,
    items: u32,
    taps: u32,
    // Nearer to a border of rounding than this is on it.
    near: f32,
    // scale and shift of rows, then of columns.
    along: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#endif

struct Taps {
    first: u32,
    second: u32,
    // Weight of the second.
    part: f32,
}

fn taps(o: u32, size: u32, along: vec2<f32>) -> Taps {
    let at = f32(o) * along.x + along.y;
    let last = f32(size - 1u);
    if p.taps == 0u {
        let inside = clamp(at, 0.0, last);
        let first = floor(inside);
        return Taps(u32(first), u32(min(first + 1.0, last)), inside - first);
    }
    var one = floor(at + p.near);
    if p.taps == 2u { one = ceil(at - p.near); }
    if p.taps == 3u { one = ceil(at - 0.5 - p.near); }
    if p.taps == 4u { one = floor(at + 0.5 + p.near); }
    let inside = u32(clamp(one, 0.0, last));
    return Taps(inside, inside, 0.0);
}

#ifdef BACKWARD
// The output positions that input position i may be part of: from x on, below y. They lie less than 1 from it; the
// rounding of the bounds is less than one output position, and one more is taken on either side.
fn places(i: u32, size: u32, outer: u32, along: vec2<f32>) -> vec2<u32> {
    if along.x <= 0.0 { return vec2<u32>(0u, outer); }
    let first = floor((f32(i) - 1.0 - along.y) / along.x);
    let end = ceil((f32(i) + 1.0 - along.y) / along.x) + 1.0;
    let within = vec2<u32>(clamp(vec2<f32>(first, end), vec2<f32>(0.0), vec2<f32>(f32(outer))));
    return select(within, vec2<u32>(0u, outer), vec2<bool>(i == 0u, i + 1u == size));
}

fn weight(o: u32, i: u32, size: u32, along: vec2<f32>) -> f32 {
    let t = taps(o, size, along);
    return select(0.0, 1.0 - t.part, t.first == i) + select(0.0, t.part, t.second == i);
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
#ifdef BACKWARD
    let quad = item % p.inner.quads;
    let pixel = item / p.inner.quads;
    let n = pixel / (p.inner.w * p.inner.h);
    let row = (pixel / p.inner.w) % p.inner.h;
    let column = pixel % p.inner.w;
    let rows = places(row, p.inner.h, p.outer.h, p.along.xy);
    let columns = places(column, p.inner.w, p.outer.w, p.along.zw);
    var sum = vec4<f32>(0.0);
    for (var o = rows.x; o < rows.y; o++) {
        let down = weight(o, row, p.inner.h, p.along.xy);
        if down == 0.0 { continue; }
        for (var q = columns.x; q < columns.y; q++) {
            let across = weight(q, column, p.inner.w, p.along.zw);
            if across == 0.0 { continue; }
            sum += down * across * dy[index(p.outer, n, o, q, quad)];
        }
    }
    let at = place(p.inner, pixel, quad);
#ifdef ACCUMULATE
    dx[at] += sum;
#else
    dx[at] = sum;
#endif
#else
    let quad = item % p.outer.quads;
    let pixel = item / p.outer.quads;
    let n = pixel / (p.outer.w * p.outer.h);
    let rows = taps((pixel / p.outer.w) % p.outer.h, p.inner.h, p.along.xy);
    let columns = taps(pixel % p.outer.w, p.inner.w, p.along.zw);
    let a = x[index(p.inner, n, rows.first, columns.first, quad)];
    let b = x[index(p.inner, n, rows.first, columns.second, quad)];
    let c = x[index(p.inner, n, rows.second, columns.first, quad)];
    let d = x[index(p.inner, n, rows.second, columns.second, quad)];
    y[place(p.outer, pixel, quad)] = mix(mix(a, b, columns.part), mix(c, d, columns.part), rows.part);
#endif
}
