// 1×1 convolution, stride 1, no padding: shared/conv.wgsl's formula, operands and variants as a matrix product
// [pixels, channels in] · [channels in, channels out]. The gradient of a Gram matrix is one, too: F·(G − A).
//
// One invocation per strip of y (8 pixels of a row) and two vec4s of output channels (one under SINGLE, where their
// number is odd).
//
#import pixgrad::tensor::{index, mask_index, masked}
#import pixgrad::strip::Strip
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{WIDTH, p, x, weights, zero_sums, mac_sums, store, work}

// The strip's pixels; those beyond the image repeat the last one and are not stored.
fn load_strip(n: u32, yy: u32, strip: u32, quad: u32) -> Strip {
    let x0 = strip * 8u;
    let at = index(p.x, n, yy, x0, quad);
    let last = p.x.w - 1u - x0;
    let d = p.x.stride;
    var s = Strip(
        x[at], x[at + min(1u, last) * d], x[at + min(2u, last) * d], x[at + min(3u, last) * d],
        x[at + min(4u, last) * d], x[at + min(5u, last) * d], x[at + min(6u, last) * d], x[at + min(7u, last) * d],
    );
#ifdef MASKED
    let word = mask[mask_index(p.x, n, yy, strip, quad)];
    s = Strip(
        masked(s.a, word), masked(s.b, word >> 4u), masked(s.c, word >> 8u), masked(s.d, word >> 12u),
        masked(s.e, word >> 16u), masked(s.f, word >> 20u), masked(s.g, word >> 24u), masked(s.h, word >> 28u),
    );
#endif
    return s;
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
    for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
        let s = load_strip(n, item.row, item.piece, quad_in);
        sums = mac_sums(sums, s, weights(n, quad_in * 4u, item.quad_out, lane));
    }
    store(sums, n, item);
}
