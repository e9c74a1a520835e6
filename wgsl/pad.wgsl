// A border around every image, of the opposite side's pixels, of the outermost ones repeated (REPLICATE), of those
// inside mirrored at the outermost ones (REFLECT, where it is narrower than the image), or of one number (CONSTANT):
//     y[n, row, col] = x[n, source(row − before), source(col − before)]
//     source(i) = i mod size, clamp(i, 0, size − 1), or |i| and 2·(size − 1) − i; none outside under CONSTANT
//     dx[n, row, col] (+)= Σ dy over the places that show (row, col)                                        (BACKWARD)
// What stands at the right and the bottom is the rest of y's size. Under CONSTANT what stands before may be negative,
// and y smaller than x: then that is cut off. ACCUMULATE adds to dx.
//
// Bindings: x; y. Backward: dy; dx.
// One invocation per vec4 of y, backward of dx. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index, padded}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // x, or dx.
    inner: View,
    // y, or dy.
    outer: View,
    columns: u32,
    items: u32,
    // Rows at the top, columns at the left. Negative numbers, in two's complement, wrap around as they should.
    before: vec2<u32>,
    // CONSTANT: the number.
    value: f32,
    end_0: u32,
    end_1: u32,
    end_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

#ifdef REFLECT
// Place number k of the three that may show position i; `padded_size` and above where there is none.
fn place_of(k: u32, i: u32, size: u32, padded_size: u32, before: u32) -> u32 {
    let low = select(padded_size, before - i, i > 0u && i <= before);
    let high = select(padded_size, before + 2u * (size - 1u) - i, i + 1u < size);
    return select(select(high, low, k == 1u), i + before, k == 0u);
}
#endif

// The places along an axis that show position i: from x on, below y, z apart.
fn places(i: u32, size: u32, padded_size: u32, before: u32) -> vec3<u32> {
#ifdef REPLICATE
    let first = select(i + before, 0u, i == 0u);
    let end = select(i + before + 1u, padded_size, i + 1u == size);
    return vec3<u32>(first, end, 1u);
#else
#ifdef CONSTANT
    // None where it was cut off.
    let at = i + before;
    return vec3<u32>(at, select(0u, at + 1u, at < padded_size), 1u);
#else
    return vec3<u32>((i + before) % size, padded_size, size);
#endif
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
#ifdef CONSTANT
    // Beyond `size` where there is none.
    return o - before;
#else
#ifdef REFLECT
    let i = max(o, before) - min(o, before);
    return select(i, 2u * (size - 1u) - i, i >= size);
#else
    // Whole sizes are added so that nothing is negative.
    return (o + (before + size - 1u) / size * size - before) % size;
#endif
#endif
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
    var sum = vec4<f32>(0.0);
#ifdef REFLECT
    for (var i = 0u; i < 3u; i++) {
        let row = place_of(i, (pixel / p.inner.w) % p.inner.h, p.inner.h, p.outer.h, p.before.x);
        if row >= p.outer.h { continue; }
        for (var j = 0u; j < 3u; j++) {
            let column = place_of(j, pixel % p.inner.w, p.inner.w, p.outer.w, p.before.y);
            if column >= p.outer.w { continue; }
            sum += dy[index(p.outer, n, row, column, quad)];
        }
    }
#else
    let rows = places((pixel / p.inner.w) % p.inner.h, p.inner.h, p.outer.h, p.before.x);
    let columns = places(pixel % p.inner.w, p.inner.w, p.outer.w, p.before.y);
    for (var row = rows.x; row < rows.y; row += rows.z) {
        for (var column = columns.x; column < columns.y; column += columns.z) {
            sum += dy[index(p.outer, n, row, column, quad)];
        }
    }
#endif
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
#ifdef CONSTANT
    let inside = row < p.inner.h && column < p.inner.w;
    let value = x[index(p.inner, n, select(0u, row, inside), select(0u, column, inside), quad)];
    y[place(p.outer, pixel, quad)] = select(padded(p.outer, quad, vec4<f32>(p.value)), value, inside);
#else
    y[place(p.outer, pixel, quad)] = x[index(p.inner, n, row, column, quad)];
#endif
#endif
}
