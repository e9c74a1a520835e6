// The two halves of a Laplacian pyramid (Burt and Adelson 1983) with k = (1, 4, 6, 4, 1)/16 along either axis:
//     coarse[o] = Σ_j k[j]·fine[2·o + j − pad]                     (one level down, zeros outside)
//     fine[i] += alpha·Σ_o 2·k[i + pad − 2·o]·coarse[o]            (UP: its transpose, times 2 per axis)
// coarse has half the size of fine, rounded up. pad is 1 where the size of fine is even, else 2: padding "SAME" of
// stride 2, of which the larger half is at the end. Under WRAP, for even sides only, what is outside is the opposite
// side.
//
// One invocation per item (vec4) of what is written. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    fine: View,
    coarse: View,
    columns: u32,
    // pixels·quads of what is written.
    items: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef UP
@group(0) @binding(1) var<storage, read> coarse: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> fine: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> fine: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> coarse: array<vec4<f32>>;
#endif

// k[j] for j from 0 to 4.
fn weight(j: u32) -> f32 {
    let t = u32(abs(i32(j) - 2));
    return f32(6u - t * (t + 3u) / 2u) / 16.0;
}

fn pad(size: u32) -> u32 {
    return 1u + size % 2u;
}

const NONE: u32 = 0xffffffffu;

#ifdef UP
// The coarse pixel of which pixel i of an axis is tap j.
fn reader(i: u32, j: u32, size: u32) -> u32 {
#ifdef WRAP
    let at = (i + pad(size) + 2u * size - j) % size;
#else
    if i + pad(size) < j { return NONE; }
    let at = i + pad(size) - j;
#endif
    return select(NONE, at / 2u, at % 2u == 0u && at / 2u < (size + 1u) / 2u);
}
#else
// The fine pixel that is tap j of pixel o of an axis.
fn tap(o: u32, j: u32, size: u32) -> u32 {
#ifdef WRAP
    return (2u * o + j + size - pad(size)) % size;
#else
    let at = 2u * o + j;
    return select(NONE, at - pad(size), at >= pad(size) && at - pad(size) < size);
#endif
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    var sum = vec4<f32>(0.0);
#ifdef UP
    let quad = item % p.fine.quads;
    let pixel = item / p.fine.quads;
    let column = pixel % p.fine.w;
    let row = (pixel / p.fine.w) % p.fine.h;
    let n = pixel / (p.fine.w * p.fine.h);
    for (var j = 0u; j < 5u; j++) {
        let y = reader(row, j, p.fine.h);
        if y == NONE { continue; }
        for (var i = 0u; i < 5u; i++) {
            let x = reader(column, i, p.fine.w);
            if x == NONE { continue; }
            let k = 4.0 * weight(j) * weight(i);
            sum = fma(vec4<f32>(k), coarse[index(p.coarse, n, y, x, quad)], sum);
        }
    }
    fine[place(p.fine, pixel, quad)] += p.alpha * sum;
#else
    let quad = item % p.coarse.quads;
    let pixel = item / p.coarse.quads;
    let column = pixel % p.coarse.w;
    let row = (pixel / p.coarse.w) % p.coarse.h;
    let n = pixel / (p.coarse.w * p.coarse.h);
    for (var j = 0u; j < 5u; j++) {
        let y = tap(row, j, p.fine.h);
        if y == NONE { continue; }
        for (var i = 0u; i < 5u; i++) {
            let x = tap(column, i, p.fine.w);
            if x == NONE { continue; }
            let value = fine[index(p.fine, n, y, x, quad)];
            sum = fma(vec4<f32>(weight(j) * weight(i)), value, sum);
        }
    }
    coarse[place(p.coarse, pixel, quad)] = sum;
#endif
}
