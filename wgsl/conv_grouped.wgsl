// Convolution in groups: group g of the channels of y, group.y of them, sees group g of those of x, group.x of them,
// with any window, stride, dilation and padding; formula, operands and variants: shared/conv.wgsl, without images' own
// weights. DENSE: strides and dilations are 1 and the window is at least 3 wide; a row of 8 pixels and three taps is
// then read as 10 pixels.
//
// A vec4 of y sees the channels of its groups only: at most `span` vec4s of x, in a row. w: [kh·kw·span·4, y.quads]
// vec4s: row ((ky·kw + kx)·span + i)·4 + j of the column of a vec4 of y has the weights of component j of the i-th vec4
// that it sees; 0 for a channel of another group.
//
// One invocation per piece (shared/window.wgsl) and two vec4s of output channels that see the same, or one under
// SINGLE.
#import pixgrad::tensor::{index, mask_index}
#import pixgrad::conv::{WIDTH, p, weights, zero_sums, mac_sums, store_apart, store, work}
#import pixgrad::window::{pieces, first_column, source, pixels, shifted}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let item = work(id, lane, WIDTH, pieces());
#ifndef BROADCAST
    if !item.inside { return; }
#endif
    let n = id.z;
    let ox = first_column(item.piece);
    // The first vec4 of x that is seen.
    let first = item.quad_out * 4u / p.group.y * p.group.x / 4u;
    var sums = zero_sums();
    for (var ky = 0u; ky < p.kernel.x; ky++) {
        let down = source(item.row, ky, 0u);
        let inside = down.exact && down.at >= 0 && down.at < i32(p.x.h);
#ifdef BROADCAST
        // All of a subgroup must reach the loads of weights, or none: where x° has nothing, pixels are far outside.
        if !subgroupAny(inside) { continue; }
#else
        if !inside { continue; }
#endif
        let yy = u32(clamp(down.at, 0, i32(p.x.h) - 1));
        for (var i = 0u; i < p.span; i++) {
            // Beyond the last vec4 there are weights of 0 only.
            let quad = min(first + i, p.x.quads - 1u);
            let row = index(p.x, n, yy, 0u, quad);
            let words = mask_index(p.x, n, yy, 0u, quad);
#ifdef DENSE
            for (var kx = 0u; kx < p.kernel.y; kx += 3u) {
                let s = shifted(row, words, select(-1000000, i32(ox + kx) - i32(p.pad.y), inside));
                let at = ((ky * p.kernel.y + kx) * p.span + i) * 4u;
                let next = p.span * 4u;
                sums = mac_sums(sums, s.left, weights(n, at, item.quad_out, lane));
                if kx + 1u < p.kernel.y {
                    sums = mac_sums(sums, s.middle, weights(n, at + next, item.quad_out, lane));
                }
                if kx + 2u < p.kernel.y {
                    sums = mac_sums(sums, s.right, weights(n, at + 2u * next, item.quad_out, lane));
                }
            }
#else
            for (var kx = 0u; kx < p.kernel.y; kx++) {
                let across = source(ox, kx, 1u);
#ifdef BROADCAST
                if !subgroupAny(across.exact && inside) { continue; }
#else
                if !across.exact { continue; }
#endif
                let xx = select(-1000000, across.at, across.exact && inside);
                let s = pixels(row, words, xx, i32(p.stride.y));
                let at = ((ky * p.kernel.y + kx) * p.span + i) * 4u;
                sums = mac_sums(sums, s, weights(n, at, item.quad_out, lane));
            }
#endif
        }
    }
#ifdef RELU
    store(sums, n, item);
#else
    if !item.inside { return; }
    store_apart(sums.first, n, item.row, ox, p.input_dilation.y, item.quad_out);
#ifndef SINGLE
    store_apart(sums.second, n, item.row, ox, p.input_dilation.y, item.quad_out + 1u);
#endif
#endif
}
