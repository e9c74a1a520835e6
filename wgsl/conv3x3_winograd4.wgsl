// 3×3 convolution, stride 1, padding 1, with 36 multiplications in place of 144: as conv3x3_winograd.wgsl, with all its
// variants, but by Winograd's F(4×4, 3×3), whose tiles are 4×4 pixels from 6×6. Bᵀ, G and Aᵀ are those of the points 0,
// ±1/√2, ±√2 and ∞, which ncnn has chosen: 1/p is a point where p is, and all factors are near 1. A sum's error is two
// to three times that of the plain kernel.
//
// One workgroup per 16×16 pixels, that is 4×4 tiles, and 4 vec4s of output channels, with 144 invocations and 18 KiB of
// workgroup memory. For each vec4 of input channels tiles and weights are staged and transformed along columns, then
// along rows where they lie. Then each invocation has one of 36 positions, 8 tiles and two vec4s of output channels: 16
// vec4 accumulators, and 64 vec4 multiply-adds of 16 vec4s that it loads.
// Grid (⌈w/16⌉, ⌈h/16⌉, n·⌈quads/4⌉) of what is convolved, under UNPOOL of y.
#import pixgrad::strip::Strip
#import pixgrad::conv::{p, Sums, Weights, zero_sums, mac_sums, store_strip}
#import pixgrad::convolved::{convolved, weight}
#ifdef POOL
#import pixgrad::pool::store_pooled
#endif

const INVOCATIONS: u32 = 144u;
const POSITIONS: u32 = 36u;
const ROOT: f32 = 1.4142135623730951;
const INVERSE: f32 = 0.7071067811865476;

// First the tiles, then the weights. Neighbouring invocations read neighbouring vec4s: number k·2 + i of the tiles, row
// by row, at position j is (k·36 + j)·2 + i; from input channel c to vec4 2·h + i of output channels it is
// WEIGHTS + ((2·c + h)·36 + j)·2 + i.
// At the end products, then pixels, of two rows of tiles after the other.
var<workgroup> staged: array<vec4<f32>, 1152>;
const WEIGHTS: u32 = 576u;

struct Six { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32> }

// Six vec4s of `staged`, `step` apart.
fn six(at: u32, step: u32) -> Six {
    return Six(
        staged[at], staged[at + step], staged[at + 2u * step], staged[at + 3u * step], staged[at + 4u * step],
        staged[at + 5u * step],
    );
}

fn put_six(at: u32, step: u32, v: Six) {
    staged[at] = v.a;
    staged[at + step] = v.b;
    staged[at + 2u * step] = v.c;
    staged[at + 3u * step] = v.d;
    staged[at + 4u * step] = v.e;
    staged[at + 5u * step] = v.f;
}

// Bᵀ·d.
fn transform_pixels(d: Six) -> Six {
    let even = d.e - 2.0 * d.c;
    let odd = INVERSE * d.d - ROOT * d.b;
    let then_even = d.e - 0.5 * d.c;
    let then_odd = ROOT * d.d - INVERSE * d.b;
    return Six(
        d.a - 2.5 * d.c + d.e, even + odd, even - odd, then_even + then_odd, then_even - then_odd,
        d.b - 2.5 * d.d + d.f,
    );
}

// G·g.
fn transform_weights(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> Six {
    let even = (a + 0.5 * c) * (-2.0 / 3.0);
    let odd = b * (-2.0 / 3.0 * INVERSE);
    let then_even = (a + 2.0 * c) * (1.0 / 6.0);
    let then_odd = b * (1.0 / 6.0 * ROOT);
    return Six(a, even + odd, even - odd, then_even + then_odd, then_even - then_odd, c);
}

// Row `row` of Aᵀ·m.
fn transformed_product(m: Six, row: u32) -> vec4<f32> {
    let sign = select(1.0, -1.0, row % 2u == 1u);
    let near = vec4<f32>(1.0, INVERSE, 0.5, 0.5 * INVERSE)[row];
    let far = vec4<f32>(1.0, ROOT, 2.0, 2.0 * ROOT)[row];
    return near * (m.b + sign * m.c) + far * (m.d + sign * m.e) + f32(row == 0u) * m.a + f32(row == 3u) * m.f;
}

// Column `i % 6` of the pixels of one tile, transformed; `i` is one of 96.
fn stage_pixels(n: u32, y0: i32, x0: i32, quad: u32, i: u32) {
    let tile = i / 6u;
    let column = i % 6u;
    let top = y0 + i32(tile / 4u * 4u);
    let xx = x0 + i32(tile % 4u * 4u + column);
    let v = transform_pixels(Six(
        convolved(n, top, xx, quad), convolved(n, top + 1, xx, quad), convolved(n, top + 2, xx, quad),
        convolved(n, top + 3, xx, quad), convolved(n, top + 4, xx, quad), convolved(n, top + 5, xx, quad),
    ));
    put_six((tile / 2u * POSITIONS + column) * 2u + tile % 2u, 12u, v);
}

// Column `i % 3` of the weights from one input channel to one vec4 of output channels, transformed; `i` is one of 48.
fn stage_weights(n: u32, quad: u32, first_out: u32, i: u32) {
    let column = i % 3u;
    let pair = i / 3u;
    let quad_out = first_out + pair % 4u;
    // Rows of w from one row of the window to the next.
    let below = p.x.quads * 12u;
    let at = column * p.x.quads * 4u + quad * 4u + pair / 4u;
    let v = transform_weights(
        weight(n, at, quad_out), weight(n, at + below, quad_out), weight(n, at + 2u * below, quad_out),
    );
    put_six(weights_at(pair) + column * 2u, 12u, v);
}

// Position 0 of the weights of a pair of an input channel, of 4, and a vec4 of output channels, of 4.
fn weights_at(pair: u32) -> u32 {
    return WEIGHTS + (pair / 2u) * POSITIONS * 2u + pair % 2u;
}

// Row `i % 6` of one of 16 tiles or, from 96 on, of one of 16 pairs of channels, whose columns are transformed.
fn transform_row(i: u32) {
    let which = i / 6u;
    let row = i % 6u * 12u;
    if which < 16u {
        let at = which / 2u * POSITIONS * 2u + which % 2u + row;
        put_six(at, 2u, transform_pixels(six(at, 2u)));
    } else {
        let at = weights_at(which - 16u) + row;
        put_six(at, 2u, transform_weights(staged[at], staged[at + 2u], staged[at + 4u]));
    }
}

// The products of one position with what is staged.
fn mac_position(acc: Sums, pixels: u32, weights: u32) -> Sums {
    let v = Strip(
        staged[pixels], staged[pixels + 72u], staged[pixels + 144u], staged[pixels + 216u],
        staged[pixels + 288u], staged[pixels + 360u], staged[pixels + 432u], staged[pixels + 504u],
    );
    return mac_sums(acc, v, Weights(
        mat4x4<f32>(staged[weights], staged[weights + 144u], staged[weights + 288u], staged[weights + 432u]),
        mat4x4<f32>(staged[weights + 72u], staged[weights + 216u], staged[weights + 360u], staged[weights + 504u]),
    ));
}

// What an invocation has of two rows of tiles.
struct Four { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

fn half_of(s: Strip, second: bool) -> Four {
    if second { return Four(s.e, s.f, s.g, s.h); }
    return Four(s.a, s.b, s.c, s.d);
}

fn put_products(at: u32, v: Four) {
    // The invocation has every other tile.
    staged[at] = v.a;
    staged[at + 8u] = v.b;
    staged[at + 16u] = v.c;
    staged[at + 24u] = v.d;
}

// One row of the pixels of a tile, Aᵀ·m·A: the row, of 4, is i / 32; tile, of 8, and vec4 of output channels are the
// rest. For position j the product is j·32 + i % 32.
fn pixel_row(i: u32) -> Four {
    let at = i % 32u;
    let row = i / 32u;
    let c = Six(
        transformed_product(six(at, 192u), row), transformed_product(six(at + 32u, 192u), row),
        transformed_product(six(at + 64u, 192u), row), transformed_product(six(at + 96u, 192u), row),
        transformed_product(six(at + 128u, 192u), row), transformed_product(six(at + 160u, 192u), row),
    );
    return Four(
        transformed_product(c, 0u), transformed_product(c, 1u), transformed_product(c, 2u), transformed_product(c, 3u),
    );
}

// Four and four pixels of `staged`, from vec4s `at` and `then` on; 4 vec4s of output channels for each pixel.
fn eight_pixels(at: u32, then: u32) -> Strip {
    return Strip(
        staged[at], staged[at + 4u], staged[at + 8u], staged[at + 12u],
        staged[then], staged[then + 4u], staged[then + 8u], staged[then + 12u],
    );
}

// Finishes and writes one piece of eight rows of 16 pixels from (y0, x0) on; `i` is one of 64.
fn store_piece(n: u32, y0: u32, x0: u32, first_out: u32, i: u32) {
    let quad = i % 4u;
    let quad_out = first_out + quad;
#ifdef POOL
    let column = i / 4u % 4u * 4u;
    let row = i / 16u * 2u;
    let at = (row * 16u + column) * 4u + quad;
    if quad_out < p.y.quads && (y0 + row) / 2u < p.y.h && (x0 + column) / 2u < p.y.w {
        store_pooled(eight_pixels(at, at + 64u), n, (y0 + row) / 2u, (x0 + column) / 4u, quad_out);
    }
#else
    let column = i / 4u % 2u * 8u;
    let row = i / 8u;
    let at = (row * 16u + column) * 4u + quad;
    if quad_out < p.y.quads && y0 + row < p.y.h && x0 + column < p.y.w {
        store_strip(eight_pixels(at, at + 16u), n, y0 + row, (x0 + column) / 8u, quad_out);
    }
#endif
}

@compute @workgroup_size(144)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let blocks = (p.y.quads + 3u) / 4u;
    let n = id.z / blocks;
    let first_out = id.z % blocks * 4u;
    let x0 = id.x * 16u;
    let y0 = id.y * 16u;
    let position = lane / 4u;
    let tile = lane % 2u;
    let quad = lane / 2u % 2u;
    let pixels = position * 2u + tile;
    let weights = WEIGHTS + position * 2u + quad;
    var sums = zero_sums();
    for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
        if lane < 96u {
            stage_pixels(n, i32(y0) - 1, i32(x0) - 1, quad_in, lane);
        } else {
            stage_weights(n, quad_in, first_out, lane - 96u);
        }
        workgroupBarrier();
        transform_row(lane);
        if lane < 48u { transform_row(lane + INVOCATIONS); }
        workgroupBarrier();
        sums = mac_position(sums, pixels, weights);
        // Nobody stages while another still reads.
        workgroupBarrier();
    }
    let product = position * 32u + tile * 4u + quad;
    for (var half = 0u; half < 2u; half++) {
        put_products(product, half_of(sums.first, half == 1u));
        put_products(product + 2u, half_of(sums.second, half == 1u));
        workgroupBarrier();
        let row = pixel_row(min(lane, 127u));
        workgroupBarrier();
        // In the order of y: row, column, vec4 of output channels.
        let of_tile = lane / 4u % 8u;
        let at = ((of_tile / 4u * 4u + lane / 32u) * 16u + of_tile % 4u * 4u) * 4u + lane % 4u;
        if lane < 128u {
            staged[at] = row.a;
            staged[at + 4u] = row.b;
            staged[at + 8u] = row.c;
            staged[at + 12u] = row.d;
        }
        workgroupBarrier();
        if lane < 64u { store_piece(n, y0 + half * 8u, x0, first_out, lane); }
        workgroupBarrier();
    }
}
