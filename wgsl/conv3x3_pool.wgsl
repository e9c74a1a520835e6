// 3×3 convolution, stride 1, padding 1, with bias and ReLU, and of its result the maximum over 2×2 windows with stride
// 2:
//     y[n,oy,ox,co] = max over r, s in {0, 1} of max(0, v[n, 2·oy + r, 2·ox + s, co])
// where v is shared/conv.wgsl's convolution of x, of x's size; an odd size's last row and column are in no window. v
// itself is never written. Which element of a window is the first maximum and positive, if any, goes to a mask of
// maxima (shared/tensor.wgsl says how), through which conv3x3.wgsl under UNPOOL reads the gradient on its way back.
//
// Bindings: x; w; y; bias; the mask of maxima.
// One invocation per two pixels of y, that is a block of v of 2 rows of 4 pixels, and two vec4s of output channels (one
// under SINGLE, where their number is odd): 16 vec4 accumulators, as conv3x3.wgsl has. For each vec4 of input channels
// it loads 4 rows of 6 pixels and 9·2 matrices of weights for 576 vec4 multiply-adds.
#import pixgrad::tensor::{groups, index}
#import pixgrad::strip::Strip
#import pixgrad::conv::{WIDTH, Sums, load, mac_sums, p, weights, work, zero_sums}
#import pixgrad::pool::store_pooled

// Six neighbouring pixels of a row of x.
struct Six { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32> }

// Row `position` of x around a block.
fn load_six(n: u32, position: i32, block: u32, quad: u32) -> Six {
    let yy = u32(clamp(position, 0, i32(p.x.h) - 1));
    let at = index(p.x, n, yy, 0u, quad);
    // A row outside the image is zero, as pixels outside it are.
    let x0 = select(-16, i32(block * 4u), position == i32(yy));
    return Six(
        load(at, x0 - 1), load(at, x0), load(at, x0 + 1), load(at, x0 + 2), load(at, x0 + 3), load(at, x0 + 4),
    );
}

// Adds one row of the window to both rows of the block, which see `upper` and `lower` in it; `tap` is its first row of
// weights.
fn mac_row(acc: Sums, upper: Six, lower: Six, n: u32, tap: u32, quad_out: u32, lane: u32) -> Sums {
    let cin = p.x.quads * 4u;
    let left = Strip(upper.a, upper.b, upper.c, upper.d, lower.a, lower.b, lower.c, lower.d);
    let middle = Strip(upper.b, upper.c, upper.d, upper.e, lower.b, lower.c, lower.d, lower.e);
    let right = Strip(upper.c, upper.d, upper.e, upper.f, lower.c, lower.d, lower.e, lower.f);
    let s = mac_sums(acc, left, weights(n, tap, quad_out, lane));
    let t = mac_sums(s, middle, weights(n, tap + cin, quad_out, lane));
    return mac_sums(t, right, weights(n, tap + 2u * cin, quad_out, lane));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let item = work(id, lane, WIDTH, groups(p.y));
#ifndef BROADCAST
    if !item.inside { return; }
#endif
    let n = id.z;
    let oy = i32(item.row * 2u);
    let rows = p.x.quads * 12u;
    var sums = zero_sums();
    for (var q = 0u; q < p.x.quads; q++) {
        let tap = q * 4u;
        // Each row of x only when it is needed: all four at once would not fit in the registers beside the sums.
        let above = load_six(n, oy - 1, item.piece, q);
        let upper = load_six(n, oy, item.piece, q);
        sums = mac_row(sums, above, upper, n, tap, item.quad_out, lane);
        let lower = load_six(n, oy + 1, item.piece, q);
        sums = mac_row(sums, upper, lower, n, tap + rows, item.quad_out, lane);
        let below = load_six(n, oy + 2, item.piece, q);
        sums = mac_row(sums, lower, below, n, tap + 2u * rows, item.quad_out, lane);
    }
    if !item.inside { return; }
    store_pooled(sums.first, n, item.row, item.piece, item.quad_out);
#ifndef SINGLE
    store_pooled(sums.second, n, item.row, item.piece, item.quad_out + 1u);
#endif
}
