// 3×3 convolution, stride 1, padding 1: shared/conv.wgsl's formula, operands and variants for the shape that nearly all
// the work of a CNN has.
//
// One invocation per strip of y (8 pixels of a row) and two vec4s of output channels (one under SINGLE, where their
// number is odd): 16 vec4 accumulators. For each vec4 of input channels and each of three rows it loads 10 pixels and
// 3·2 matrices of weights for 192 vec4 multiply-adds. The invocations of a workgroup are neighbouring strips and read
// the same weights.
//
// UNPOOL, in place of MASKED: what is convolved is the gradient of what conv3x3_pool.wgsl has pooled. x is the gradient
// of the pooled tensor, ⌊h/2⌋×⌊w/2⌋ of y's h×w, and an element of the unpooled one is x's where its bit of the mask of
// maxima is set, else 0; the last row and column of an odd size are 0. A row takes 6 pixels of x in place of 10.
#import pixgrad::tensor::{groups, index, mask_index, masked, maxima_index}
#import pixgrad::strip::Strip
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{WIDTH, p, x, Sums, load, weights, zero_sums, mac_sums, store, work}

#ifdef UNPOOL
@group(0) @binding(4) var<storage, read> maxima: array<u32>;
#endif

// Pixels x0−1 .. x0+8 of a row as three shifted strips.
struct Row { left: Strip, middle: Strip, right: Strip }

#ifdef UNPOOL
// The row of x that holds row `position` of what is convolved.
fn source(position: i32) -> i32 {
    return position >> 1u;
}

fn load_row(n: u32, position: i32, strip: u32, quad: u32) -> Row {
    let yy = u32(clamp(source(position), 0, i32(p.x.h) - 1));
    let at = index(p.x, n, yy, 0u, quad);
    // A row outside the image is zero, as pixels outside it are.
    let x0 = select(-16, i32(strip * 4u), source(position) == i32(yy));
    let q = load(at, x0 - 1);
    let ab = load(at, x0);
    let cd = load(at, x0 + 1);
    let ef = load(at, x0 + 2);
    let gh = load(at, x0 + 3);
    let r = load(at, x0 + 4);
    // The row's half of each word. Where there is no such group the pixel is 0 already, whatever the word says.
    let half = u32(position & 1) * 16u;
    let m = maxima_index(p.x, n, yy, 0u, quad);
    let last = groups(p.x) - 1u;
    let group = strip * 2u;
    let before = maxima[m + min(max(group, 1u) - 1u, last) * p.x.quads] >> half;
    let first = maxima[m + min(group, last) * p.x.quads] >> half;
    let second = maxima[m + min(group + 1u, last) * p.x.quads] >> half;
    let behind = maxima[m + min(group + 2u, last) * p.x.quads] >> half;
    let a = masked(ab, first);
    let b = masked(ab, first >> 4u);
    let c = masked(cd, first >> 8u);
    let d = masked(cd, first >> 12u);
    let e = masked(ef, second);
    let f = masked(ef, second >> 4u);
    let g = masked(gh, second >> 8u);
    let h = masked(gh, second >> 12u);
    return Row(
        Strip(masked(q, before >> 12u), a, b, c, d, e, f, g),
        Strip(a, b, c, d, e, f, g, h),
        Strip(b, c, d, e, f, g, h, masked(r, behind)),
    );
}
#else
fn source(position: i32) -> i32 {
    return position;
}

fn load_row(n: u32, position: i32, strip: u32, quad: u32) -> Row {
    let yy = u32(clamp(position, 0, i32(p.x.h) - 1));
    let at = index(p.x, n, yy, 0u, quad);
    // A row outside the image is zero, as pixels outside it are.
    let x0 = select(-16, i32(strip * 8u), position == i32(yy));
    var q = load(at, x0 - 1);
    var a = load(at, x0);
    var b = load(at, x0 + 1);
    var c = load(at, x0 + 2);
    var d = load(at, x0 + 3);
    var e = load(at, x0 + 4);
    var f = load(at, x0 + 5);
    var g = load(at, x0 + 6);
    var h = load(at, x0 + 7);
    var r = load(at, x0 + 8);
#ifdef MASKED
    let m = mask_index(p.x, n, yy, strip, quad);
    let word = mask[m];
    // The neighbours' words stand `quads` away; at the image's edge the pixel is 0 already, whatever the word says.
    q = masked(q, mask[select(m - p.x.quads, m, strip == 0u)] >> 28u);
    a = masked(a, word);
    b = masked(b, word >> 4u);
    c = masked(c, word >> 8u);
    d = masked(d, word >> 12u);
    e = masked(e, word >> 16u);
    f = masked(f, word >> 20u);
    g = masked(g, word >> 24u);
    h = masked(h, word >> 28u);
    r = masked(r, mask[select(m + p.x.quads, m, strip + 1u == p.x.strips)]);
#endif
    return Row(Strip(q, a, b, c, d, e, f, g), Strip(a, b, c, d, e, f, g, h), Strip(b, c, d, e, f, g, h, r));
}
#endif

// Adds one row of the window, row `position` of what is convolved, whose first row of weights is `tap`.
fn mac_row(acc: Sums, n: u32, position: i32, strip: u32, quad_in: u32, tap: u32, quad_out: u32, lane: u32) -> Sums {
#ifndef BROADCAST
    if position < 0 || source(position) >= i32(p.x.h) { return acc; }
#endif
    let cin = p.x.quads * 4u;
    let row = load_row(n, position, strip, quad_in);
    let s = mac_sums(acc, row.left, weights(n, tap, quad_out, lane));
    let t = mac_sums(s, row.middle, weights(n, tap + cin, quad_out, lane));
    return mac_sums(t, row.right, weights(n, tap + 2u * cin, quad_out, lane));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let item = work(id, lane, WIDTH, p.y.strips);
#ifndef BROADCAST
    if !item.inside { return; }
#endif
    let n = id.z;
    let oy = i32(item.row);
    let rows = p.x.quads * 12u;
    var sums = zero_sums();
    for (var q = 0u; q < p.x.quads; q++) {
        let tap = q * 4u;
        sums = mac_row(sums, n, oy - 1, item.piece, q, tap, item.quad_out, lane);
        sums = mac_row(sums, n, oy, item.piece, q, tap + rows, item.quad_out, lane);
        sums = mac_row(sums, n, oy + 1, item.piece, q, tap + 2u * rows, item.quad_out, lane);
    }
    store(sums, n, item);
}
