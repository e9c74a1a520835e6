#define_import_path pixgrad::conv
#import pixgrad::tensor::{View, index, mask_index, positive}
#import pixgrad::strip::{Strip, zero_strip, mac_strip, add_strip, scale_strip, relu_strip}

// What the convolution kernels share: parameters, bindings, weights and the way a strip is stored. With zeros
// outside x they all compute
//     y[n,oy,ox,co] (+)= alpha·( Σ_ky,kx,ci x°[n, oy·stride+ky·dilation−pad, ox·stride+kx·dilation−pad, ci]
//                                           · w[ky,kx,ci,co] + bias[co] )
// where x° is x with input_dilation−1 zeros between neighbouring pixels: the backward pass of a convolution with
// stride s is a convolution with input_dilation s and rotated, transposed weights.
// BIAS adds the bias; RELU clamps at 0 and writes which elements were positive; MASKED reads x through a bit mask of
// its own shape (the backward pass of a ReLU); ACCUMULATE adds to y. SINGLE: one vec4 of output channels per invocation
// instead of two, where their number is odd. BROADCAST is the adapter's: subgroups of 8, in which a load costs as much
// as many multiply-adds; all 8 must then reach every load of weights.
//
// w: [kh·kw·4·x.quads, y.quads] vec4s, row (ky·kw + kx)·4·x.quads + ci; image n's begin n·image_weights vec4s further
// on (0: all images share them); bias: [y.quads] vec4s.
struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    // Of rows and of columns; so the next four.
    kernel: vec2<u32>,
    stride: vec2<u32>,
    pad: vec2<u32>,
    input_dilation: vec2<u32>,
    dilation: vec2<u32>,
    // Channels of x and of y in a group: conv_grouped.wgsl, conv_depthwise.wgsl.
    group: vec2<u32>,
    alpha: f32,
    image_weights: u32,
    // vec4s of x that a vec4 of y reads: conv_grouped.wgsl.
    span: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#ifdef BIAS
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
#endif
#ifdef RELU
@group(0) @binding(5) var<storage, read_write> relu: array<u32>;
#endif
#ifdef MASKED
@group(0) @binding(4) var<storage, read> mask: array<u32>;
#endif

// Weights from 4 input channels to the output channels of one invocation; column j is input channel j.
struct Weights {
    first: mat4x4<f32>,
#ifndef SINGLE
    second: mat4x4<f32>,
#endif
}

#ifdef BROADCAST
// Rows `row`.. of image n's w. The invocations of a subgroup need the same: each loads one vec4 for all.
fn weights(n: u32, row: u32, quad_out: u32, lane: u32) -> Weights {
    let at = n * p.image_weights + (row + lane % 4u) * p.y.quads + quad_out;
#ifdef SINGLE
    let v = w[at];
#else
    let v = w[at + lane / 4u % 2u];
#endif
    return Weights(
        mat4x4<f32>(
            subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u)),
#ifndef SINGLE
        mat4x4<f32>(
            subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u)),
#endif
    );
}
#else
// Rows `row`.. of image n's w.
fn weights(n: u32, row: u32, quad_out: u32, lane: u32) -> Weights {
    let s = p.y.quads;
    let i = n * p.image_weights + row * s + quad_out;
    return Weights(
        mat4x4<f32>(w[i], w[i + s], w[i + 2u * s], w[i + 3u * s]),
#ifndef SINGLE
        mat4x4<f32>(w[i + 1u], w[i + s + 1u], w[i + 2u * s + 1u], w[i + 3u * s + 1u]),
#endif
    );
}
#endif

// The sums of one invocation.
struct Sums {
    first: Strip,
#ifndef SINGLE
    second: Strip,
#endif
}

fn zero_sums() -> Sums {
#ifdef SINGLE
    return Sums(zero_strip());
#else
    return Sums(zero_strip(), zero_strip());
#endif
}

// One tap of the window, from 4 input channels.
fn mac_sums(acc: Sums, v: Strip, m: Weights) -> Sums {
#ifdef SINGLE
    return Sums(mac_strip(acc.first, v, m.first));
#else
    return Sums(mac_strip(acc.first, v, m.first), mac_strip(acc.second, v, m.second));
#endif
}

fn put(at: u32, value: vec4<f32>) {
#ifdef ACCUMULATE
    y[at] += value;
#else
    y[at] = value;
#endif
}

// The vec4s of output channels of one invocation of the fast kernels.
#ifdef SINGLE
const WIDTH: u32 = 1u;
#else
const WIDTH: u32 = 2u;
#endif

// Pixel xx of the row of x that begins at `row`, 0 outside the image.
fn load(row: u32, xx: i32) -> vec4<f32> {
    let inside = clamp(xx, 0, i32(p.x.w) - 1);
    return select(vec4<f32>(0.0), x[row + u32(inside) * p.x.stride], xx == inside);
}

// The work of one invocation: a piece of a row of y, mostly a strip, and `width` vec4s of output channels.
struct Work {
    // Whether there is such a piece. Under BROADCAST invocations without one help along at another's.
    inside: bool,
    row: u32,
    piece: u32,
    quad_out: u32,
}

// One workgroup has 64 pieces, `per_row` in each row, and one column of output channels, so that its weights are the
// same for all: grid (⌈pieces/64⌉, columns, n).
// Under FLAT, for images of few pieces or very many, pieces are numbered first, up to a multiple of 8, and columns
// after them, so that nearly all invocations are busy and every 8 of them have the same weights: grid of workgroups in
// rows of 32768 (no dimension may exceed 65535), images in z.
fn work(group: vec3<u32>, lane: u32, width: u32, per_row: u32) -> Work {
    let columns = p.y.quads / width;
    let pieces = p.y.h * per_row;
#ifdef FLAT
    let flat = (group.y * 32768u + group.x) * 64u + lane;
    let numbered = (pieces + 7u) / 8u * 8u;
    let column = flat / numbered;
    let piece = flat % numbered;
#else
    let column = group.y;
    let piece = group.x * 64u + lane;
#endif
    let s = min(piece, pieces - 1u);
    let inside = piece < pieces && column < columns;
    return Work(inside, s / per_row, s % per_row, min(column, columns - 1u) * width);
}

// Finishes and writes the sums of one invocation, whose piece is a strip.
fn store(sums: Sums, n: u32, item: Work) {
    if !item.inside { return; }
    store_strip(sums.first, n, item.row, item.piece, item.quad_out);
#ifndef SINGLE
    store_strip(sums.second, n, item.row, item.piece, item.quad_out + 1u);
#endif
}

// As `store_strip` without a mask, for pixels x0, x0 + step, ..: there may be none inside the image.
fn store_apart(sum: Strip, n: u32, oy: u32, x0: u32, step: u32, quad_out: u32) {
    var s = sum;
#ifdef BIAS
    s = add_strip(s, bias[quad_out]);
#endif
    s = scale_strip(s, p.alpha);
    let at = index(p.y, n, oy, x0, quad_out);
    let d = p.y.stride * step;
    let end = p.y.w;
    if x0 < end { put(at, s.a); }
    if x0 + step < end { put(at + d, s.b); }
    if x0 + 2u * step < end { put(at + 2u * d, s.c); }
    if x0 + 3u * step < end { put(at + 3u * d, s.d); }
    if x0 + 4u * step < end { put(at + 4u * d, s.e); }
    if x0 + 5u * step < end { put(at + 5u * d, s.f); }
    if x0 + 6u * step < end { put(at + 6u * d, s.g); }
    if x0 + 7u * step < end { put(at + 7u * d, s.h); }
}

// Finishes the sums of one strip and writes those pixels that lie inside the image.
fn store_strip(sum: Strip, n: u32, oy: u32, strip: u32, quad_out: u32) {
    var s = sum;
#ifdef BIAS
    s = add_strip(s, bias[quad_out]);
#endif
    s = scale_strip(s, p.alpha);
    let x0 = strip * 8u;
    let left = p.y.w - x0;
#ifdef RELU
    var bits = positive(s.a) | (positive(s.b) << 4u) | (positive(s.c) << 8u) | (positive(s.d) << 12u)
        | (positive(s.e) << 16u) | (positive(s.f) << 20u) | (positive(s.g) << 24u) | (positive(s.h) << 28u);
    if left < 8u {
        // Pixels beyond the image have no bits.
        bits &= (1u << (left * 4u)) - 1u;
    }
    relu[mask_index(p.y, n, oy, strip, quad_out)] = bits;
    s = relu_strip(s);
#endif
    let at = index(p.y, n, oy, x0, quad_out);
    let d = p.y.stride;
    put(at, s.a);
    if left > 1u { put(at + d, s.b); }
    if left > 2u { put(at + 2u * d, s.c); }
    if left > 3u { put(at + 3u * d, s.d); }
    if left > 4u { put(at + 4u * d, s.e); }
    if left > 5u { put(at + 5u * d, s.f); }
    if left > 6u { put(at + 6u * d, s.g); }
    if left > 7u { put(at + 7u * d, s.h); }
}
