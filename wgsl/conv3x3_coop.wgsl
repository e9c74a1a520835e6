// 3×3 convolution, stride 1, padding 1 on cooperative matrices (tensor cores, simdgroup matrices): shared/conv.wgsl's
// formula, operands and variants, UNPOOL as in conv3x3.wgsl, and POOL, which is conv3x3_pool.wgsl; but without SPLIT
// what is multiplied is rounded to f16. Sums are f32.
//
// A product of matrices, [pixels, channels in] · [channels in, channels out], for each of the nine taps. A workgroup
// makes ROWS rows of T pixels of 4·T channels. Of T channels in at a time it stages the pixels with a border of one,
// and of the weights one column of the window after the other. Each of four subgroups has T of the channels, that is a
// matrix of T×T for each row, and for a column of the window loads ten matrices of pixels and three of weights for 24
// products.
//
// f16 ends at 65504, and neither activations nor gradients keep to that. Pixels are staged as multiples of a power of
// two for which the largest that the workgroup has met is below 2¹⁵. When a larger one comes, the sums so far are
// brought to the new unit.
//
// SPLIT: pixels are not rounded to f16, and weights are given in it. In a second round over the same channels in, what
// the first has left of each pixel is multiplied, too. SPLIT_WEIGHTS: weights are not rounded either, and in a third
// round pixels are multiplied by what is left of these: 22 digits of each factor count (the bits that f16 leaves of
// both are not multiplied). Tensor cores round sums towards zero, and so the products of a column of the window are
// added to the others outside of them. Ootomo and Yokota, "Recovering single precision accuracy from Tensor Cores",
// 2022.
//
// T, T8, LANES_8, LANES_64: see shared/coop.wgsl.
// Grid (⌈w/T⌉·⌈h/ROWS⌉, ⌈quads/T⌉, n) of what is convolved, under UNPOOL of y.
#import pixgrad::strip::{Strip, scale_strip}
#import pixgrad::conv::{p, store_strip}
#import pixgrad::convolved::{convolved, weight}
#import pixgrad::coop::{INVOCATIONS, Left, Product, Right, T}
#ifdef POOL
#import pixgrad::pool::store_pooled
#endif

const ROWS: u32 = 8u;
// Channels in of a pixel or channel out, and a gap: without it matrices of 16×16 would be read from half of the banks.
const PITCH: u32 = 2u * T - 8u;
// The staged pixels: rows of T + 2.
const ACROSS: u32 = T + 2u;
const BELOW: u32 = ACROSS * PITCH;
const QUADS: u32 = (ROWS + 2u) * ACROSS * T / 4u;
const EACH: u32 = (QUADS + INVOCATIONS - 1u) / INVOCATIONS;
// Channels out.
const WIDE: u32 = 4u * T;
// Blocks of 4 channels in times 4 channels out, in a column of the window.
const BLOCKS: u32 = 3u * T * T / 4u;
const BLOCKS_EACH: u32 = (BLOCKS + INVOCATIONS - 1u) / INVOCATIONS;

#ifdef SPLIT_WEIGHTS
const ROUNDS: u32 = 3u;
#else
#ifdef SPLIT
const ROUNDS: u32 = 2u;
#else
const ROUNDS: u32 = 1u;
#endif
#endif
// Weights are multiplied by this: many are below what f16 has all its digits of, 2⁻¹⁴, and none is above 63
// (Kind::Wide).
const WEIGHTS: f32 = 1024.0;
// What f16 leaves of weights is smaller by this: it is multiplied by it, and the pixels are divided.
const SHIFT: f32 = 2048.0;

var<workgroup> pixels: array<f16, (ROWS + 2u) * BELOW>;
// Rows ky·WIDE + channel out. Channel c of vec4 q is number c·T + q: neighbouring invocations write neighbouring rows.
var<workgroup> taps: array<f16, 3u * WIDE * PITCH>;
// Sums of two rows, of WIDE channels for each pixel, numbered likewise.
var<workgroup> sums: array<f32, 2u * T * WIDE>;
// The exponent of the largest number staged so far, as f32 has it.
var<workgroup> largest: atomic<u32>;

// Quad `i` of the staged pixels, with channels from quad `first` on, where the tile begins at (x0, y0).
fn pixel_quad(n: u32, x0: u32, y0: u32, first: u32, i: u32) -> vec4<f32> {
    let pixel = i / (T / 4u);
    return convolved(n, i32(y0 + pixel / ACROSS) - 1, i32(x0 + pixel % ACROSS) - 1, first + i % (T / 4u));
}

// The digits that f16 holds. (Compilers may take f32(f16(x)) for x.)
fn digits(value: vec4<f32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((bitcast<vec4<u32>>(value) + vec4<u32>(0x1000u)) & vec4<u32>(0xffffe000u));
}

// What is multiplied of a pixel in a round.
fn pixel_part(value: vec4<f32>, round: u32) -> vec4<f32> {
#ifdef SPLIT
    let first = digits(value);
    return select(select(first, value - first, round == 1u), first * (1.0 / SHIFT), round == 2u);
#else
    return value;
#endif
}

// And of weights.
fn weight_part(value: vec4<f32>, round: u32) -> vec4<f32> {
    let weight = value * WEIGHTS;
#ifdef SPLIT_WEIGHTS
    let first = digits(weight);
    return select(first, (weight - first) * SHIFT, round == 2u);
#else
    return weight;
#endif
}

// What the products of a column of the window are added to, and the sum with them.
#ifdef SPLIT
fn begin(sum: Product) -> Product { return Product(); }
fn end(sum: Product, column: Product) -> Product { return sum + column; }
#else
fn begin(sum: Product) -> Product { return sum; }
fn end(sum: Product, column: Product) -> Product { return column; }
#endif

fn put_pixel_quad(i: u32, value: vec4<f32>) {
    let at = i / (T / 4u) * PITCH + i % (T / 4u) * 4u;
    pixels[at] = f16(value.x);
    pixels[at + 1u] = f16(value.y);
    pixels[at + 2u] = f16(value.z);
    pixels[at + 3u] = f16(value.w);
}

// Block `i` of the weights of a column of the window, to the channels out from quad `first_out` on; column j is channel
// in j.
fn block(n: u32, column: u32, first: u32, first_out: u32, i: u32) -> mat4x4<f32> {
    let quad = first + i % (T / 4u);
    let below = i / (T * T / 4u) * 3u + column;
    let row = (below * p.x.quads + quad) * 4u;
    // Beyond the channels in there are zeros, as there are beyond those out.
    let quad_out = select(p.y.quads, first_out + i / (T / 4u) % T, quad < p.x.quads);
    return mat4x4<f32>(
        weight(n, row, quad_out), weight(n, row + 1u, quad_out),
        weight(n, row + 2u, quad_out), weight(n, row + 3u, quad_out),
    );
}

fn put_block(i: u32, block: mat4x4<f32>, round: u32) {
    let row = i / (T * T / 4u) * WIDE + i / (T / 4u) % T;
    let at = row * PITCH + i % (T / 4u) * 4u;
    let outward = transpose(block);
    put_inward(at, weight_part(outward[0], round));
    put_inward(at + T * PITCH, weight_part(outward[1], round));
    put_inward(at + 2u * T * PITCH, weight_part(outward[2], round));
    put_inward(at + 3u * T * PITCH, weight_part(outward[3], round));
}

// Weights from four channels in to one out.
fn put_inward(at: u32, value: vec4<f32>) {
    taps[at] = f16(value.x);
    taps[at + 1u] = f16(value.y);
    taps[at + 2u] = f16(value.z);
    taps[at + 3u] = f16(value.w);
}

// Four and four pixels of the sums: four channels of each, from elements `at` and `then` on.
fn summed(at: u32, then: u32) -> Strip {
    return Strip(
        summed_pixel(at), summed_pixel(at + WIDE), summed_pixel(at + 2u * WIDE), summed_pixel(at + 3u * WIDE),
        summed_pixel(then), summed_pixel(then + WIDE), summed_pixel(then + 2u * WIDE), summed_pixel(then + 3u * WIDE),
    );
}

fn summed_pixel(at: u32) -> vec4<f32> {
    return vec4<f32>(sums[at], sums[at + T], sums[at + 2u * T], sums[at + 3u * T]) * (1.0 / WEIGHTS);
}

// Finishes and writes the sums of two rows, of which the first is y0.
#ifdef POOL
fn store_rows(n: u32, x0: u32, y0: u32, first_out: u32, unit: f32, lane: u32) {
    for (var i = lane; i < T / 4u * T; i += INVOCATIONS) {
        let quad = i % T;
        let block = i / T;
        let column = x0 + block * 4u;
        if first_out + quad < p.y.quads && y0 / 2u < p.y.h && column / 2u < p.y.w {
            let at = block * 4u * WIDE + quad;
            let s = scale_strip(summed(at, at + T * WIDE), unit);
            store_pooled(s, n, y0 / 2u, column / 4u, first_out + quad);
        }
    }
}
#else
fn store_rows(n: u32, x0: u32, y0: u32, first_out: u32, unit: f32, lane: u32) {
    for (var i = lane; i < 2u * (T / 8u) * T; i += INVOCATIONS) {
        let quad = i % T;
        let strip = i / T % (T / 8u);
        let row = i / T / (T / 8u);
        let column = x0 + strip * 8u;
        if first_out + quad < p.y.quads && y0 + row < p.y.h && column < p.y.w {
            let at = (row * T + strip * 8u) * WIDE + quad;
            let s = scale_strip(summed(at, at + 4u * WIDE), unit);
            store_strip(s, n, y0 + row, column / 8u, first_out + quad);
        }
    }
}
#endif

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let id = group + p.origin.xyz;
    let n = id.z;
#ifdef POOL
    let across = (p.x.w + T - 1u) / T;
#else
    let across = (p.y.w + T - 1u) / T;
#endif
    let x0 = id.x % across * T;
    let y0 = id.x / across * ROWS;
    let first_out = id.y * T;
    let channels = subgroup % 4u * T;
    if lane == 0u { atomicStore(&largest, 15u); }
    workgroupBarrier();

    // The sums of ROWS rows.
    var a = Product();
    var b = Product();
    var c = Product();
    var d = Product();
    var e = Product();
    var f = Product();
    var g = Product();
    var h = Product();
    var exponent = 15u;
    let steps = (p.x.quads + T / 4u - 1u) / (T / 4u) * ROUNDS;
    for (var step = 0u; step < steps; step++) {
        let first = step / ROUNDS * (T / 4u);
        let round = step % ROUNDS;
        var mine: array<vec4<f32>, EACH>;
        var bits = 0u;
        for (var k = 0u; k < EACH; k++) {
            mine[k] = pixel_quad(n, x0, y0, first, min(lane + k * INVOCATIONS, QUADS - 1u));
            let own = bitcast<vec4<u32>>(mine[k]) & vec4<u32>(0x7fffffffu);
            bits = max(bits, max(max(own.x, own.y), max(own.z, own.w)));
        }
        atomicMax(&largest, min(bits >> 23u, 254u));
        for (var column = 0u; column < 3u; column++) {
            var blocks: array<mat4x4<f32>, BLOCKS_EACH>;
            for (var k = 0u; k < BLOCKS_EACH; k++) {
                blocks[k] = block(n, column, first, first_out, min(lane + k * INVOCATIONS, BLOCKS - 1u));
            }
            // Nobody stages while another still reads; the largest number of all is known.
            workgroupBarrier();
            if column == 0u {
                let now = atomicLoad(&largest);
                // 2¹⁴ times the number over its largest power of two.
                let unit = bitcast<f32>((268u - now) << 23u);
                for (var k = 0u; k < EACH; k++) {
                    let i = lane + k * INVOCATIONS;
                    if i < QUADS { put_pixel_quad(i, pixel_part(mine[k] * unit, round)); }
                }
                // The sums so far in the new unit.
                let change = select(0.0, bitcast<f32>((127u + exponent - now) << 23u), now < exponent + 127u);
                exponent = now;
                a = a * change;
                b = b * change;
                c = c * change;
                d = d * change;
                e = e * change;
                f = f * change;
                g = g * change;
                h = h * change;
            }
            for (var k = 0u; k < BLOCKS_EACH; k++) {
                let i = lane + k * INVOCATIONS;
                if i < BLOCKS { put_block(i, blocks[k], round); }
            }
            workgroupBarrier();
            let top = coopLoad<Right>(&taps[channels * PITCH], PITCH);
            let middle = coopLoad<Right>(&taps[(WIDE + channels) * PITCH], PITCH);
            let bottom = coopLoad<Right>(&taps[(2u * WIDE + channels) * PITCH], PITCH);
            // The columns of three rows are under way at a time.
            let at = column * PITCH;
            var row = coopLoadT<Left>(&pixels[at], PITCH);
            var s = coopMultiplyAdd(row, top, begin(a));
            row = coopLoadT<Left>(&pixels[at + BELOW], PITCH);
            var t = coopMultiplyAdd(row, top, begin(b));
            s = coopMultiplyAdd(row, middle, s);
            row = coopLoadT<Left>(&pixels[at + 2u * BELOW], PITCH);
            var u = coopMultiplyAdd(row, top, begin(c));
            t = coopMultiplyAdd(row, middle, t);
            a = end(a, coopMultiplyAdd(row, bottom, s));
            row = coopLoadT<Left>(&pixels[at + 3u * BELOW], PITCH);
            s = coopMultiplyAdd(row, top, begin(d));
            u = coopMultiplyAdd(row, middle, u);
            b = end(b, coopMultiplyAdd(row, bottom, t));
            row = coopLoadT<Left>(&pixels[at + 4u * BELOW], PITCH);
            t = coopMultiplyAdd(row, top, begin(e));
            s = coopMultiplyAdd(row, middle, s);
            c = end(c, coopMultiplyAdd(row, bottom, u));
            row = coopLoadT<Left>(&pixels[at + 5u * BELOW], PITCH);
            u = coopMultiplyAdd(row, top, begin(f));
            t = coopMultiplyAdd(row, middle, t);
            d = end(d, coopMultiplyAdd(row, bottom, s));
            row = coopLoadT<Left>(&pixels[at + 6u * BELOW], PITCH);
            s = coopMultiplyAdd(row, top, begin(g));
            u = coopMultiplyAdd(row, middle, u);
            e = end(e, coopMultiplyAdd(row, bottom, t));
            row = coopLoadT<Left>(&pixels[at + 7u * BELOW], PITCH);
            t = coopMultiplyAdd(row, top, begin(h));
            s = coopMultiplyAdd(row, middle, s);
            f = end(f, coopMultiplyAdd(row, bottom, u));
            row = coopLoadT<Left>(&pixels[at + 8u * BELOW], PITCH);
            t = coopMultiplyAdd(row, middle, t);
            g = end(g, coopMultiplyAdd(row, bottom, s));
            row = coopLoadT<Left>(&pixels[at + 9u * BELOW], PITCH);
            h = end(h, coopMultiplyAdd(row, bottom, t));
        }
    }

    let unit = bitcast<f32>((exponent - 14u) << 23u);
    coopStoreT(a, &sums[channels], WIDE);
    coopStoreT(b, &sums[T * WIDE + channels], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0, first_out, unit, lane);
    workgroupBarrier();
    coopStoreT(c, &sums[channels], WIDE);
    coopStoreT(d, &sums[T * WIDE + channels], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0 + 2u, first_out, unit, lane);
    workgroupBarrier();
    coopStoreT(e, &sums[channels], WIDE);
    coopStoreT(f, &sums[T * WIDE + channels], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0 + 4u, first_out, unit, lane);
    workgroupBarrier();
    coopStoreT(g, &sums[channels], WIDE);
    coopStoreT(h, &sums[T * WIDE + channels], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0 + 6u, first_out, unit, lane);
}
