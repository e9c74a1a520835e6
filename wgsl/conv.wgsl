// Convolution with any window, stride and padding; formula, operands and variants: shared/conv.wgsl.
//
// One invocation per strip of y (8 pixels of a row) and two vec4s of output channels (one under SINGLE, where their
// number is odd): each matrix of weights is loaded once for eight pixels.
#import pixgrad::tensor::{index, mask_index, masked}
#import pixgrad::strip::Strip
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{WIDTH, p, x, weights, zero_sums, mac_sums, store, work}

// The row (or column) of x behind a position of the padded, dilated one; −1 where that is zero.
fn source(position: u32, size: u32) -> i32 {
    if position < p.pad || (position - p.pad) % p.input_dilation != 0u { return -1; }
    let at = (position - p.pad) / p.input_dilation;
    return select(-1, i32(at), at < size);
}

// The pixel of row `yy` under column kx of the window of output pixel `ox`; a row of −1 is zero.
fn load(n: u32, yy: i32, ox: u32, kx: u32, quad: u32) -> vec4<f32> {
    let xx = source(ox * p.stride + kx, p.x.w);
    if min(xx, yy) < 0 { return vec4<f32>(0.0); }
    let value = x[index(p.x, n, u32(yy), u32(xx), quad)];
#ifdef MASKED
    let word = mask[mask_index(p.x, n, u32(yy), u32(xx) / 8u, quad)];
    return masked(value, word >> ((u32(xx) % 8u) * 4u));
#else
    return value;
#endif
}

fn load_strip(n: u32, yy: i32, x0: u32, kx: u32, quad: u32) -> Strip {
    return Strip(
        load(n, yy, x0, kx, quad), load(n, yy, x0 + 1u, kx, quad),
        load(n, yy, x0 + 2u, kx, quad), load(n, yy, x0 + 3u, kx, quad),
        load(n, yy, x0 + 4u, kx, quad), load(n, yy, x0 + 5u, kx, quad),
        load(n, yy, x0 + 6u, kx, quad), load(n, yy, x0 + 7u, kx, quad),
    );
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
    for (var ky = 0u; ky < p.kernel; ky++) {
        let yy = source(item.row * p.stride + ky, p.x.h);
#ifdef BROADCAST
        if !subgroupAny(yy >= 0) { continue; }
#else
        if yy < 0 { continue; }
#endif
        for (var kx = 0u; kx < p.kernel; kx++) {
            let tap = (ky * p.kernel + kx) * p.x.quads * 4u;
            for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
                let s = load_strip(n, yy, item.piece * 8u, kx, quad_in);
                sums = mac_sums(sums, s, weights(n, tap + quad_in * 4u, item.quad_out, lane));
            }
        }
    }
    store(sums, n, item);
}
