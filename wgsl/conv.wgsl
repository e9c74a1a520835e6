// Convolution with any window, stride, dilation and padding; formula, operands and variants: shared/conv.wgsl.
//
// One invocation per strip of y (8 pixels of a row) and two vec4s of output channels (one under SINGLE, where their
// number is odd): each matrix of weights is loaded once for eight pixels.
#import pixgrad::tensor::{index, mask_index, masked}
#import pixgrad::divide::divide
#import pixgrad::strip::Strip
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{WIDTH, p, x, weights, zero_sums, mac_sums, store, work}

// The row (or column) of x behind a position of the padded, dilated one; −1 where that is zero.
fn source(position: u32, size: u32, pad: u32, dilation: u32) -> i32 {
    if position < pad { return -1; }
    let at = divide(position - pad, dilation);
    return select(-1, i32(at.quotient), at.rest == 0u && at.quotient < size);
}

// Where a pixel of x is: its first vec4 and, under MASKED, the word of its first mask and how far that is to be
// shifted.
struct Pixel {
    inside: bool,
    at: u32,
#ifdef MASKED
    word: u32,
    shift: u32,
#endif
}

// The pixel of row `yy` behind a position; a row of −1 is zero.
fn pixel(n: u32, yy: i32, position: u32) -> Pixel {
    let xx = source(position, p.x.w, p.pad.y, p.input_dilation.y);
    let column = u32(max(xx, 0));
    let row = u32(max(yy, 0));
    return Pixel(
        min(xx, yy) >= 0,
        index(p.x, n, row, column, 0u),
#ifdef MASKED
        mask_index(p.x, n, row, column / 8u, 0u),
        column % 8u * 4u,
#endif
    );
}

fn load_pixel(v: Pixel, quad: u32) -> vec4<f32> {
#ifdef BROADCAST
    // Of a dilated x most pixels are zero for all invocations of a subgroup, and none of them loads.
    if !v.inside { return vec4<f32>(0.0); }
#endif
    // Elsewhere nothing branches: all loads are under way at once.
    var value = x[select(0u, v.at + quad, v.inside)];
#ifdef MASKED
    value = masked(value, mask[select(0u, v.word + quad, v.inside)] >> v.shift);
#endif
    return select(vec4<f32>(0.0), value, v.inside);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let item = work(id, lane, WIDTH, p.y.strips);
#ifndef BROADCAST
    if !item.inside { return; }
#endif
    let n = id.z;
    var sums = zero_sums();
    for (var ky = 0u; ky < p.kernel.x; ky++) {
        let yy = source(item.row * p.stride.x + ky * p.dilation.x, p.x.h, p.pad.x, p.input_dilation.x);
#ifdef BROADCAST
        if !subgroupAny(yy >= 0) { continue; }
#else
        if yy < 0 { continue; }
#endif
        for (var kx = 0u; kx < p.kernel.y; kx++) {
            let tap = (ky * p.kernel.y + kx) * p.x.quads * 4u;
            let at = item.piece * 8u * p.stride.y + kx * p.dilation.y;
            let a = pixel(n, yy, at);
            let b = pixel(n, yy, at + p.stride.y);
            let c = pixel(n, yy, at + 2u * p.stride.y);
            let d = pixel(n, yy, at + 3u * p.stride.y);
            let e = pixel(n, yy, at + 4u * p.stride.y);
            let f = pixel(n, yy, at + 5u * p.stride.y);
            let g = pixel(n, yy, at + 6u * p.stride.y);
            let h = pixel(n, yy, at + 7u * p.stride.y);
            for (var quad = 0u; quad < p.x.quads; quad++) {
                let s = Strip(
                    load_pixel(a, quad), load_pixel(b, quad), load_pixel(c, quad), load_pixel(d, quad),
                    load_pixel(e, quad), load_pixel(f, quad), load_pixel(g, quad), load_pixel(h, quad),
                );
                sums = mac_sums(sums, s, weights(n, tap + quad * 4u, item.quad_out, lane));
            }
        }
    }
    store(sums, n, item);
}
