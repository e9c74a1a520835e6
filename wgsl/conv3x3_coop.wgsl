// 3×3 convolution, stride 1, padding 1 on cooperative matrices (tensor cores, simdgroup matrices): shared/conv.wgsl's formula,
// operands and variants, UNPOOL as in conv3x3.wgsl, and POOL, which is conv3x3_pool.wgsl; but what is multiplied is rounded to
// f16. Sums are f32.
//
// A product of matrices, [pixels, channels in] · [channels in, channels out], for each of the nine taps. A workgroup makes ROWS rows of
// T pixels of 4·T channels. Of T channels in at a time it stages the pixels with a border of one, once for all taps,
// and the weights. Its four subgroups are two columns of channels and two of the rows: each has 2×2 matrices of T×T.
//
// f16 ends at 65504, and neither activations nor gradients keep to that. Pixels are staged as multiples of a power of two for which
// the largest that the workgroup has met is below 2¹⁵. When a larger one comes, the sums so far are brought to the new unit.
//
// T, T8, LANES_8, LANES_64: see shared/coop.wgsl.
// Grid (⌈w/T⌉·⌈h/ROWS⌉, ⌈quads/T⌉, n) of what is convolved, under UNPOOL of y.
#import pixgrad::strip::{Strip, scale_strip}
#import pixgrad::conv::{p, w, store_strip}
#import pixgrad::convolved::convolved
#import pixgrad::coop::{INVOCATIONS, Left, Product, Right, T}
#ifdef POOL
#import pixgrad::pool::store_pooled
#endif

const ROWS: u32 = 4u;
// The staged pixels: rows of T + 2, each pixel T channels.
const ACROSS: u32 = T + 2u;
const QUADS: u32 = (ROWS + 2u) * ACROSS * T / 4u;
const EACH: u32 = (QUADS + INVOCATIONS - 1u) / INVOCATIONS;
// Channels out.
const WIDE: u32 = 4u * T;

var<workgroup> pixels: array<f16, QUADS * 4u>;
// Rows tap·T + channel in, of WIDE channels out.
var<workgroup> taps: array<f16, 9u * T * WIDE>;
// Sums of two rows, of WIDE channels for each pixel.
var<workgroup> sums: array<f32, 2u * T * WIDE>;
// The exponent of the largest number staged so far, as f32 has it.
var<workgroup> largest: atomic<u32>;

// Quad `i` of the staged pixels, with channels from quad `first` on, where the tile begins at (x0, y0).
fn pixel_quad(n: u32, x0: u32, y0: u32, first: u32, i: u32) -> vec4<f32> {
    let pixel = i / (T / 4u);
    let quad = first + i % (T / 4u);
    if i >= QUADS || quad >= p.x.quads { return vec4<f32>(0.0); }
    return convolved(n, i32(y0 + pixel / ACROSS) - 1, i32(x0 + pixel % ACROSS) - 1, quad);
}

// Stages the weights of T channels in, from quad `first` on, to the channels out from quad `first_out` on.
fn stage_taps(n: u32, first: u32, first_out: u32, lane: u32) {
    for (var i = lane; i < 9u * T * T; i += INVOCATIONS) {
        let quad_out = first_out + i % T;
        let row = i / T;
        let channel = first * 4u + row % T;
        var value = vec4<f32>(0.0);
        if quad_out < p.y.quads && channel < p.x.quads * 4u {
            value = w[n * p.image_weights + (row / T * p.x.quads * 4u + channel) * p.y.quads + quad_out];
        }
        let at = row * WIDE + i % T * 4u;
        taps[at] = f16(value.x);
        taps[at + 1u] = f16(value.y);
        taps[at + 2u] = f16(value.z);
        taps[at + 3u] = f16(value.w);
    }
}

// Four and four pixels of the sums: four channels of each, from elements `at` and `then` on.
fn summed(at: u32, then: u32) -> Strip {
    return Strip(
        summed_pixel(at), summed_pixel(at + WIDE), summed_pixel(at + 2u * WIDE), summed_pixel(at + 3u * WIDE),
        summed_pixel(then), summed_pixel(then + WIDE), summed_pixel(then + 2u * WIDE), summed_pixel(then + 3u * WIDE),
    );
}

fn summed_pixel(at: u32) -> vec4<f32> {
    return vec4<f32>(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
}

// Finishes and writes the sums of two rows, of which the first is y0.
#ifdef POOL
fn store_rows(n: u32, x0: u32, y0: u32, first_out: u32, unit: f32, lane: u32) {
    for (var i = lane; i < T / 4u * T; i += INVOCATIONS) {
        let quad = i % T;
        let block = i / T;
        let column = x0 + block * 4u;
        if first_out + quad < p.y.quads && y0 / 2u < p.y.h && column / 2u < p.y.w {
            let at = block * 4u * WIDE + quad * 4u;
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
            let at = (row * T + strip * 8u) * WIDE + quad * 4u;
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
    let row = subgroup / 2u;
    let column = subgroup % 2u * 2u * T;
    if lane == 0u { atomicStore(&largest, 15u); }
    workgroupBarrier();

    var near_left = Product();
    var near_right = Product();
    var far_left = Product();
    var far_right = Product();
    var exponent = 15u;
    for (var first = 0u; first < p.x.quads; first += T / 4u) {
        var mine: array<vec4<f32>, EACH>;
        var bits = 0u;
        for (var k = 0u; k < EACH; k++) {
            mine[k] = pixel_quad(n, x0, y0, first, lane + k * INVOCATIONS);
            let own = bitcast<vec4<u32>>(mine[k]) & vec4<u32>(0x7fffffffu);
            bits = max(bits, max(max(own.x, own.y), max(own.z, own.w)));
        }
        atomicMax(&largest, min(bits >> 23u, 254u));
        stage_taps(n, first, first_out, lane);
        workgroupBarrier();
        let now = atomicLoad(&largest);
        // 2¹⁴ times the number over its largest power of two.
        let unit = bitcast<f32>((268u - now) << 23u);
        for (var k = 0u; k < EACH; k++) {
            let i = lane + k * INVOCATIONS;
            if i < QUADS {
                let value = mine[k] * unit;
                pixels[i * 4u] = f16(value.x);
                pixels[i * 4u + 1u] = f16(value.y);
                pixels[i * 4u + 2u] = f16(value.z);
                pixels[i * 4u + 3u] = f16(value.w);
            }
        }
        // The sums so far in the new unit.
        let change = select(0.0, bitcast<f32>((127u + exponent - now) << 23u), now < exponent + 127u);
        exponent = now;
        near_left = near_left * change;
        near_right = near_right * change;
        far_left = far_left * change;
        far_right = far_right * change;
        workgroupBarrier();
        for (var tap = 0u; tap < 9u; tap++) {
            let at = ((row + tap / 3u) * ACROSS + tap % 3u) * T;
            let near = coopLoadT<Left>(&pixels[at], T);
            let far = coopLoadT<Left>(&pixels[at + 2u * ACROSS * T], T);
            let left = coopLoadT<Right>(&taps[tap * T * WIDE + column], WIDE);
            let right = coopLoadT<Right>(&taps[tap * T * WIDE + column + T], WIDE);
            near_left = coopMultiplyAdd(near, left, near_left);
            near_right = coopMultiplyAdd(near, right, near_right);
            far_left = coopMultiplyAdd(far, left, far_left);
            far_right = coopMultiplyAdd(far, right, far_right);
        }
        workgroupBarrier();
    }

    let unit = bitcast<f32>((exponent - 14u) << 23u);
    let at = row * T * WIDE + column;
    coopStoreT(near_left, &sums[at], WIDE);
    coopStoreT(near_right, &sums[at + T], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0, first_out, unit, lane);
    workgroupBarrier();
    coopStoreT(far_left, &sums[at], WIDE);
    coopStoreT(far_right, &sums[at + T], WIDE);
    workgroupBarrier();
    store_rows(n, x0, y0 + 2u, first_out, unit, lane);
}
