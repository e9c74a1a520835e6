// 3×3 convolution, stride 1, padding 1, as conv3x3.wgsl, UNPOOL too, for adapters whose workgroup memory is much nearer
// than their buffers: what 128 invocations need of x and w is loaded once for all of them.
//
// One workgroup per 16×8 pixels and 16 vec4s of output channels: grid (⌈w/16⌉, ⌈h/8⌉, n·⌈quads/16⌉) of y. One
// invocation per strip (8 pixels of a row) and two vec4s of output channels, whose number must be even: 16 vec4
// accumulators. For each vec4 of input channels the workgroup stages 18×10 pixels and 9·4 rows of 16 vec4s of weights,
// 12 KiB, and each invocation makes 576 vec4 multiply-adds of them. SINGLE: one vec4 of output channels for each of 256
// invocations, with half the registers.
#import pixgrad::strip::Strip
#import pixgrad::conv::{p, Sums, Weights, WIDTH, Work, zero_sums, mac_sums, store}
#import pixgrad::convolved::{convolved, weight}

// Rows of 18 pixels, from one above and left of the tile.
var<workgroup> pixels: array<vec4<f32>, 180>;
// Row (3·ky + kx)·4 + ci of 16 vec4s. Neighbouring invocations read neighbouring ones: where each has two, those of
// even number come first.
var<workgroup> taps: array<vec4<f32>, 576>;

// Invocations side by side over the channels, and all of them.
const COLUMNS: u32 = 16u / WIDTH;
const INVOCATIONS: u32 = 16u * COLUMNS;

fn pixel(n: u32, quad: u32, top: i32, left: i32, i: u32) -> vec4<f32> {
    return convolved(n, top + i32(i / 18u), left + i32(i % 18u), quad);
}

fn tap_weight(n: u32, quad: u32, first_out: u32, i: u32) -> vec4<f32> {
    return weight(n, (i / 64u * p.x.quads + quad) * 4u + i / 16u % 4u, first_out + i % 16u);
}

// Where in `taps` the weight with number i is.
fn place(i: u32) -> u32 {
    return (i / 16u) * 16u + i % WIDTH * COLUMNS + i % 16u / WIDTH;
}

// What an invocation stages.
struct Loaded {
    pixel: vec4<f32>,
    first: vec4<f32>,
    second: vec4<f32>,
    third: vec4<f32>,
#ifndef SINGLE
    other_pixel: vec4<f32>,
    fourth: vec4<f32>,
    fifth: vec4<f32>,
#endif
}

fn load_staged(n: u32, quad: u32, top: i32, left: i32, first_out: u32, lane: u32) -> Loaded {
    return Loaded(
        pixel(n, quad, top, left, min(lane, 179u)),
        tap_weight(n, quad, first_out, lane),
        tap_weight(n, quad, first_out, lane + INVOCATIONS),
        tap_weight(n, quad, first_out, min(lane + 2u * INVOCATIONS, 575u)),
#ifndef SINGLE
        pixel(n, quad, top, left, min(lane + INVOCATIONS, 179u)),
        tap_weight(n, quad, first_out, lane + 3u * INVOCATIONS),
        tap_weight(n, quad, first_out, min(lane + 4u * INVOCATIONS, 575u)),
#endif
    );
}

fn stage(v: Loaded, lane: u32) {
    taps[place(lane)] = v.first;
    taps[place(lane + INVOCATIONS)] = v.second;
#ifdef SINGLE
    if lane < 180u { pixels[lane] = v.pixel; }
    if lane < 64u { taps[place(lane + 2u * INVOCATIONS)] = v.third; }
#else
    pixels[lane] = v.pixel;
    if lane < 52u { pixels[lane + INVOCATIONS] = v.other_pixel; }
    taps[place(lane + 2u * INVOCATIONS)] = v.third;
    taps[place(lane + 3u * INVOCATIONS)] = v.fourth;
    if lane < 64u { taps[place(lane + 4u * INVOCATIONS)] = v.fifth; }
#endif
}

// The weights of tap (ky, kx) for the columns of an invocation.
fn tap(ky: u32, kx: u32, column: u32) -> Weights {
    let i = (ky * 3u + kx) * 64u + column;
    return Weights(
        mat4x4<f32>(taps[i], taps[i + 16u], taps[i + 32u], taps[i + 48u]),
#ifndef SINGLE
        mat4x4<f32>(taps[i + 8u], taps[i + 24u], taps[i + 40u], taps[i + 56u]),
#endif
    );
}

// Adds row ky of the window; `at` is the pixel left of the strip in that row.
fn mac_row(acc: Sums, at: u32, ky: u32, column: u32) -> Sums {
    let q = pixels[at];
    let a = pixels[at + 1u];
    let b = pixels[at + 2u];
    let c = pixels[at + 3u];
    let d = pixels[at + 4u];
    let e = pixels[at + 5u];
    let f = pixels[at + 6u];
    let g = pixels[at + 7u];
    let h = pixels[at + 8u];
    let r = pixels[at + 9u];
    let s = mac_sums(acc, Strip(q, a, b, c, d, e, f, g), tap(ky, 0u, column));
    let t = mac_sums(s, Strip(a, b, c, d, e, f, g, h), tap(ky, 1u, column));
    return mac_sums(t, Strip(b, c, d, e, f, g, h, r), tap(ky, 2u, column));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let blocks = (p.y.quads + 15u) / 16u;
    let n = id.z / blocks;
    let first_out = (id.z % blocks) * 16u;
    let column = lane % COLUMNS;
    let strip = lane / COLUMNS % 2u;
    let row = lane / (2u * COLUMNS);
    let at = row * 18u + strip * 8u;
    var sums = zero_sums();
    for (var quad = 0u; quad < p.x.quads; quad++) {
        // All loads are under way before the first is waited for, and while others still work.
        let loaded = load_staged(n, quad, i32(id.y * 8u) - 1, i32(id.x * 16u) - 1, first_out, lane);
        // Nobody stages while another still reads.
        workgroupBarrier();
        stage(loaded, lane);
        workgroupBarrier();
        sums = mac_row(sums, at, 0u, column);
        sums = mac_row(sums, at + 18u, 1u, column);
        sums = mac_row(sums, at + 36u, 2u, column);
    }
    let item = Work(true, id.y * 8u + row, id.x * 2u + strip, first_out + column * WIDTH);
    if item.row < p.y.h && item.piece < p.y.strips && item.quad_out < p.y.quads { store(sums, n, item); }
}
