// 3×3 convolution, stride 1, padding 1, with 16 multiplications in place of 36: shared/conv.wgsl's formula, operands
// and variants, UNPOOL as in conv3x3.wgsl, and POOL, which is conv3x3_pool.wgsl.
//
// Winograd's F(2×2, 3×3), Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.1. A tile
// d of 4×4 pixels and a window g give a tile of 2×2 pixels,
//     Y = Aᵀ[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]A,
// and summed over input channels the product ⊙ is a product of matrices, [tiles, channels in] · [channels in, channels
// out], for each of 16 positions. Everything happens in this one kernel: no transformed tile is ever in a buffer.
//
// One workgroup per 16×8 pixels, that is 8×4 tiles, and 8 vec4s of output channels. For each vec4 of input channels
// half of its 256 invocations transform the tiles and half the weights, 16 KiB in all. Then each has one position, 8
// tiles and two vec4s of output channels: 16 vec4 accumulators, and 64 vec4 multiply-adds of 16 vec4s that it loads.
// Grid (⌈w/16⌉, ⌈h/8⌉, n·⌈quads/8⌉) of what is convolved, under UNPOOL of y.
#import pixgrad::strip::Strip
#import pixgrad::conv::{p, Sums, Weights, zero_sums, mac_sums, store_strip}
#import pixgrad::convolved::{convolved, weight}
#ifdef POOL
#import pixgrad::pool::store_pooled
#endif

// First the transformed tiles, then the transformed weights. Neighbouring invocations read neighbouring vec4s:
// tile (k / 2, k % 2 · 4 + i) at position j is (k·16 + j)·4 + i; from input channel c to vec4 4·h + i of output
// channels it is WEIGHTS + ((2·c + h)·16 + j)·4 + i.
// At the end products, then pixels, of two rows of y after the other.
var<workgroup> staged: array<vec4<f32>, 1024>;
const WEIGHTS: u32 = 512u;

// One row of Bᵀ·d·B for one tile of channels `quad`; invocations 0 .. 127.
fn stage_pixels(n: u32, y0: i32, x0: i32, quad: u32, lane: u32) {
    let i = lane % 4u;
    let row = lane / 4u % 4u;
    let k = lane / 16u;
    let top = y0 + i32(k / 2u * 2u);
    let left = x0 + i32((k % 2u * 4u + i) * 2u);
    // Rows 0 − 2, 1 + 2, 2 − 1, 1 − 3 of d.
    let first = top + i32(select(row, 1u, row == 3u));
    let second = top + i32(select(select(2u, 1u, row == 2u), 3u, row == 3u));
    let sign = select(-1.0, 1.0, row == 1u);
    let a = convolved(n, first, left, quad) + sign * convolved(n, second, left, quad);
    let b = convolved(n, first, left + 1, quad) + sign * convolved(n, second, left + 1, quad);
    let c = convolved(n, first, left + 2, quad) + sign * convolved(n, second, left + 2, quad);
    let d = convolved(n, first, left + 3, quad) + sign * convolved(n, second, left + 3, quad);
    let at = (k * 16u + row * 4u) * 4u + i;
    staged[at] = a - c;
    staged[at + 4u] = b + c;
    staged[at + 8u] = c - b;
    staged[at + 12u] = b - d;
}

// One row of G·g·Gᵀ from one input channel to one vec4 of output channels; invocations 128 .. 255.
fn stage_weights(n: u32, quad: u32, first_out: u32, lane: u32) {
    let i = lane % 4u;
    let row = lane / 4u % 4u;
    let half = lane / 16u % 2u;
    let channel = lane / 32u % 4u;
    let quad_out = first_out + half * 4u + i;
    // Rows g₀, (g₀ + g₁ + g₂) / 2, (g₀ − g₁ + g₂) / 2, g₂.
    let inner = row == 1u || row == 2u;
    let outer = vec2<f32>(select(f32(row == 0u), 0.5, inner), select(f32(row == 3u), 0.5, inner));
    let factors = vec3<f32>(outer.x, select(0.0, select(-0.5, 0.5, row == 1u), inner), outer.y);
    // Rows of w from one tap to the next.
    let tap = p.x.quads * 4u;
    let at = quad * 4u + channel;
    let a = factors.x * weight(n, at, quad_out) + factors.y * weight(n, at + 3u * tap, quad_out)
        + factors.z * weight(n, at + 6u * tap, quad_out);
    let b = factors.x * weight(n, at + tap, quad_out) + factors.y * weight(n, at + 4u * tap, quad_out)
        + factors.z * weight(n, at + 7u * tap, quad_out);
    let c = factors.x * weight(n, at + 2u * tap, quad_out) + factors.y * weight(n, at + 5u * tap, quad_out)
        + factors.z * weight(n, at + 8u * tap, quad_out);
    let to = WEIGHTS + ((channel * 2u + half) * 16u + row * 4u) * 4u + i;
    staged[to] = a;
    staged[to + 4u] = 0.5 * (a + c + b);
    staged[to + 8u] = 0.5 * (a + c - b);
    staged[to + 12u] = c;
}

// The products of one position with what is staged.
fn mac_position(acc: Sums, pixels: u32, weights: u32) -> Sums {
    let v = Strip(
        staged[pixels], staged[pixels + 64u], staged[pixels + 128u], staged[pixels + 192u],
        staged[pixels + 256u], staged[pixels + 320u], staged[pixels + 384u], staged[pixels + 448u],
    );
    return mac_sums(acc, v, Weights(
        mat4x4<f32>(staged[weights], staged[weights + 128u], staged[weights + 256u], staged[weights + 384u]),
        mat4x4<f32>(staged[weights + 64u], staged[weights + 192u], staged[weights + 320u], staged[weights + 448u]),
    ));
}

// What an invocation has of one row of tiles.
struct Two { left: vec4<f32>, right: vec4<f32> }

fn of_row(s: Strip, row: u32) -> Two {
    switch row {
        case 0u: { return Two(s.a, s.b); }
        case 1u: { return Two(s.c, s.d); }
        case 2u: { return Two(s.e, s.f); }
        default: { return Two(s.g, s.h); }
    }
}

// Aᵀ·m·A at one pixel of a row of tiles: row and column of the pixel in its tile, tile and vec4 of output channels are
// the bits of `lane`. For position (i, j) the product is (i·4 + j)·64 + tile·8 + vec4.
fn pixel(lane: u32) -> vec4<f32> {
    let row = lane / 128u;
    let column = lane / 64u % 2u;
    let at = (row * 4u + column) * 64u + lane % 64u;
    // 1, 1, 1 of the first three for the first pixel, 1, −1, −1 of the last three for the second.
    let right = select(1.0, -1.0, column == 1u);
    let below = select(1.0, -1.0, row == 1u);
    let a = staged[at] + right * (staged[at + 64u] + staged[at + 128u]);
    let b = staged[at + 256u] + right * (staged[at + 320u] + staged[at + 384u]);
    let c = staged[at + 512u] + right * (staged[at + 576u] + staged[at + 640u]);
    return a + below * (b + c);
}

// Four and four pixels of `staged`, from vec4s `at` and `then` on; 8 vec4s of output channels for each pixel.
fn eight_pixels(at: u32, then: u32) -> Strip {
    return Strip(
        staged[at], staged[at + 8u], staged[at + 16u], staged[at + 24u],
        staged[then], staged[then + 8u], staged[then + 16u], staged[then + 24u],
    );
}

// Finishes and writes two rows of 16 pixels from (y0, x0) on; invocations 0 .. 31.
fn store_rows(n: u32, y0: u32, x0: u32, first_out: u32, lane: u32) {
    let quad = lane % 8u;
    let quad_out = first_out + quad;
#ifdef POOL
    let column = lane / 8u * 4u;
    let at = column * 8u + quad;
    if quad_out < p.y.quads && y0 / 2u < p.y.h && (x0 + column) / 2u < p.y.w {
        store_pooled(eight_pixels(at, at + 128u), n, y0 / 2u, (x0 + column) / 4u, quad_out);
    }
#else
    let row = lane / 16u;
    let column = lane / 8u % 2u * 8u;
    let at = (row * 16u + column) * 8u + quad;
    if quad_out < p.y.quads && y0 + row < p.y.h && x0 + column < p.y.w {
        store_strip(eight_pixels(at, at + 32u), n, y0 + row, (x0 + column) / 8u, quad_out);
    }
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let blocks = (p.y.quads + 7u) / 8u;
    let n = id.z / blocks;
    let first_out = id.z % blocks * 8u;
    let x0 = id.x * 16u;
    let y0 = id.y * 8u;
    let position = lane / 16u;
    let tile = lane % 4u;
    let quad = lane / 4u % 4u;
    let pixels = position * 4u + tile;
    let weights = WEIGHTS + position * 4u + quad;
    var sums = zero_sums();
    for (var quad_in = 0u; quad_in < p.x.quads; quad_in++) {
        if lane < 128u {
            stage_pixels(n, i32(y0) - 1, i32(x0) - 1, quad_in, lane);
        } else {
            stage_weights(n, quad_in, first_out, lane - 128u);
        }
        workgroupBarrier();
        sums = mac_position(sums, pixels, weights);
        // Nobody stages while another still reads.
        workgroupBarrier();
    }
    let product = position * 64u + tile * 8u + quad;
    for (var row = 0u; row < 4u; row++) {
        let first = of_row(sums.first, row);
        let second = of_row(sums.second, row);
        staged[product] = first.left;
        staged[product + 32u] = first.right;
        staged[product + 4u] = second.left;
        staged[product + 36u] = second.right;
        workgroupBarrier();
        let value = pixel(lane);
        workgroupBarrier();
        // In the order of y: row, column, vec4 of output channels.
        let column = lane / 8u % 8u * 2u + lane / 64u % 2u;
        staged[(lane / 128u * 16u + column) * 8u + lane % 8u] = value;
        workgroupBarrier();
        if lane < 32u { store_rows(n, y0 + row * 2u, x0, first_out, lane); }
        workgroupBarrier();
    }
}
