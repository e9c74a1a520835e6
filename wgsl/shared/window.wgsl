#define_import_path pixgrad::window
#import pixgrad::divide::divide
#import pixgrad::strip::Strip
#import pixgrad::tensor::masked
#ifdef MASKED
#import pixgrad::conv::mask
#endif
#import pixgrad::conv::{p, x}

// What the windows of convolutions in groups see: conv_depthwise.wgsl, conv_grouped.wgsl.
//
// A piece is 8 pixels of a row of y that are input_dilation columns apart. So each tap of the window sees 8 pixels of x
// that are `stride` columns apart, or for all of them zeros of x°. Without an input dilation a piece is a strip.

// Pieces of the pixels of a row of y that are input_dilation apart.
fn pieces_apart() -> u32 {
    let d = p.input_dilation.y;
    return ((p.y.w + d - 1u) / d + 7u) / 8u;
}

// Pieces of a row of y.
fn pieces() -> u32 {
    return p.input_dilation.y * pieces_apart();
}

// The column of the first pixel of a piece; it may lie outside.
fn first_column(piece: u32) -> u32 {
    if p.input_dilation.y == 1u { return piece * 8u; }
    let at = divide(piece, pieces_apart());
    return at.rest * 8u * p.input_dilation.y + at.quotient;
}

// A row or column of x, which may lie outside; none where `exact` is not set.
struct Source { at: i32, exact: bool }

// What stands at position `o·stride + k·dilation` of the padded x° along an axis, 0 for rows and 1 for columns.
fn source(o: u32, k: u32, axis: u32) -> Source {
    let position = o * p.stride[axis] + k * p.dilation[axis];
    let pad = p.pad[axis];
    let d = p.input_dilation[axis];
    if d == 1u { return Source(i32(position) - i32(pad), true); }
    // So many multiples of d more that nothing is negative.
    let more = (pad + d - 1u) / d;
    let at = divide(position + more * d - pad, d);
    return Source(i32(at.quotient) - i32(more), at.rest == 0u);
}

// Pixel xx of the row of x that begins at `row`, and the words of its mask at `words`; 0 outside the image.
fn pixel(row: u32, words: u32, xx: i32) -> vec4<f32> {
    let inside = clamp(xx, 0, i32(p.x.w) - 1);
    let column = u32(inside);
    var value = x[row + column * p.x.stride];
#ifdef MASKED
    value = masked(value, mask[words + column / 8u * p.x.quads] >> (column % 8u * 4u));
#endif
    return select(vec4<f32>(0.0), value, xx == inside);
}

// Pixels xx, xx + step, ..
fn pixels(row: u32, words: u32, xx: i32, step: i32) -> Strip {
    return Strip(
        pixel(row, words, xx), pixel(row, words, xx + step),
        pixel(row, words, xx + 2 * step), pixel(row, words, xx + 3 * step),
        pixel(row, words, xx + 4 * step), pixel(row, words, xx + 5 * step),
        pixel(row, words, xx + 6 * step), pixel(row, words, xx + 7 * step),
    );
}

// Pixels xx .. xx + 9 as three shifted strips.
struct Shifted { left: Strip, middle: Strip, right: Strip }

fn shifted(row: u32, words: u32, xx: i32) -> Shifted {
    let a = pixel(row, words, xx);
    let b = pixel(row, words, xx + 1);
    let c = pixel(row, words, xx + 2);
    let d = pixel(row, words, xx + 3);
    let e = pixel(row, words, xx + 4);
    let f = pixel(row, words, xx + 5);
    let g = pixel(row, words, xx + 6);
    let h = pixel(row, words, xx + 7);
    let i = pixel(row, words, xx + 8);
    let j = pixel(row, words, xx + 9);
    return Shifted(Strip(a, b, c, d, e, f, g, h), Strip(b, c, d, e, f, g, h, i), Strip(c, d, e, f, g, h, i, j));
}
