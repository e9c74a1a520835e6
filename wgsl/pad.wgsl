// A border around every image, of the opposite side's pixels or (REPLICATE) of the outermost ones repeated:
//     y[n, row, col] = x[n, source(row − before), source(col − before)]
//     source(i) = i mod size, or clamp(i, 0, size − 1)
//     dx[n, row, col] (+)= Σ dy over the places that show (row, col)                                        (BACKWARD)
// What stands at the right and the bottom is the rest of y's size. ACCUMULATE adds to dx.
//
// Bindings: x; y. Backward: dy; dx.
// One invocation per vec4 of y, backward of dx. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // x, or dx: the smaller tensor.
    inner: View,
    // y, or dy.
    outer: View,
    columns: u32,
    items: u32,
    // Rows at the top, columns at the left.
    before: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

// The places along an axis that show position i: from x on, below y, z apart.
fn places(i: u32, size: u32, padded_size: u32, before: u32) -> vec3<u32> {
#ifdef REPLICATE
    let first = select(i + before, 0u, i == 0u);
    let end = select(i + before + 1u, padded_size, i + 1u == size);
    return vec3<u32>(first, end, 1u);
#else
    return vec3<u32>((i + before) % size, padded_size, size);
#endif
}
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// The position along an axis that place o shows.
fn source(o: u32, size: u32, before: u32) -> u32 {
#ifdef REPLICATE
    return min(max(o, before) - before, size - 1u);
#else
    // Whole sizes are added so that nothing is negative.
    return (o + (before + size - 1u) / size * size - before) % size;
#endif
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
    let rows = places((pixel / p.inner.w) % p.inner.h, p.inner.h, p.outer.h, p.before.x);
    let columns = places(pixel % p.inner.w, p.inner.w, p.outer.w, p.before.y);
    var sum = vec4<f32>(0.0);
    for (var row = rows.x; row < rows.y; row += rows.z) {
        for (var column = columns.x; column < columns.y; column += columns.z) {
            sum += dy[index(p.outer, n, row, column, quad)];
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
    let row = source((pixel / p.outer.w) % p.outer.h, p.inner.h, p.before.x);
    let column = source(pixel % p.outer.w, p.inner.w, p.before.y);
    y[place(p.outer, pixel, quad)] = x[index(p.inner, n, row, column, quad)];
#endif
}
