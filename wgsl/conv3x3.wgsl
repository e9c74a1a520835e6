// 3×3 convolution, stride 1, padding 1: shared/conv.wgsl's formula, operands and variants for the shape that nearly all the
// work of a CNN has.
//
// One invocation per strip of y (8 pixels of a row) and two vec4s of output channels (one under SINGLE, where their number is odd): 16 vec4
// accumulators. For each vec4 of input channels and each of three rows it loads 10 pixels and 3·2 matrices of
// weights for 192 vec4 multiply-adds. The invocations of a workgroup are neighbouring strips and read the same
// weights.
#import pixgrad::tensor::{index, mask_index, masked}
#import pixgrad::strip::{Strip, zero_strip, mac_strip}
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{p, x, weights, store, work}

// Pixel xx of the row that begins at `row`, 0 outside the image.
fn load(row: u32, xx: i32) -> vec4<f32> {
    let inside = clamp(xx, 0, i32(p.x.w) - 1);
    return select(vec4<f32>(0.0), x[row + u32(inside) * p.x.stride], xx == inside);
}

// Pixels x0−1 .. x0+9 of a row as three shifted strips.
struct Row { left: Strip, middle: Strip, right: Strip }

fn load_row(n: u32, yy: u32, strip: u32, quad: u32) -> Row {
    let at = index(p.x, n, yy, 0u, quad);
    let x0 = i32(strip * 8u);
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

// Adds one row of the window, whose first row of weights is `tap`, to one vec4 of output channels.
fn mac_row(acc: Strip, row: Row, n: u32, tap: u32, quad_out: u32) -> Strip {
    let cin = p.x.quads * 4u;
    let s = mac_strip(acc, row.left, weights(n, tap, quad_out));
    let t = mac_strip(s, row.middle, weights(n, tap + cin, quad_out));
    return mac_strip(t, row.right, weights(n, tap + 2u * cin, quad_out));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
#ifdef SINGLE
    let item = work(id, lane, p.y.quads);
    let quad_out = item.column;
#else
    let item = work(id, lane, p.y.quads / 2u);
    let quad_out = item.column * 2u;
    var second = zero_strip();
#endif
    if !item.inside { return; }
    let oy = item.row;
    let strip = item.strip;
    let n = id.z;
    var first = zero_strip();
    let rows = p.x.quads * 12u;
    for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
        let tap = quad_in * 4u;
        if oy > 0u {
            let row = load_row(n, oy - 1u, strip, quad_in);
            first = mac_row(first, row, n, tap, quad_out);
#ifndef SINGLE
            second = mac_row(second, row, n, tap, quad_out + 1u);
#endif
        }
        let row = load_row(n, oy, strip, quad_in);
        first = mac_row(first, row, n, tap + rows, quad_out);
#ifndef SINGLE
        second = mac_row(second, row, n, tap + rows, quad_out + 1u);
#endif
        if oy + 1u < p.y.h {
            let row = load_row(n, oy + 1u, strip, quad_in);
            first = mac_row(first, row, n, tap + 2u * rows, quad_out);
#ifndef SINGLE
            second = mac_row(second, row, n, tap + 2u * rows, quad_out + 1u);
#endif
        }
    }
    store(first, n, oy, strip, quad_out);
#ifndef SINGLE
    store(second, n, oy, strip, quad_out + 1u);
#endif
}
