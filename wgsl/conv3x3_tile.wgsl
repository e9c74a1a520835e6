// 3×3 convolution, stride 1, padding 1, as conv3x3.wgsl, UNPOOL too, for adapters whose workgroup memory is much nearer than their
// buffers: what 128 invocations need of x and w is loaded once for all of them.
//
// One workgroup per 16×8 pixels and 16 vec4s of output channels: grid (⌈w/16⌉, ⌈h/8⌉, n·⌈quads/16⌉) of y. One invocation
// per strip (8 pixels of a row) and two vec4s of output channels, whose number must be even: 16 vec4 accumulators. For each vec4 of input
// channels the workgroup stages 18×10 pixels and 9·4 rows of 16 vec4s of weights, 12 KiB, and each invocation makes 576
// vec4 multiply-adds of them.
#import pixgrad::strip::Strip
#import pixgrad::conv::{p, Sums, Weights, Work, zero_sums, mac_sums, store}
#import pixgrad::convolved::{convolved, weight}

// Rows of 18 pixels, from one above and left of the tile.
var<workgroup> pixels: array<vec4<f32>, 180>;
// Row (3·ky + kx)·4 + ci of 16 vec4s, first those of even number, then the others: neighbouring invocations read
// neighbouring ones.
var<workgroup> taps: array<vec4<f32>, 576>;

fn pixel(n: u32, quad: u32, top: i32, left: i32, i: u32) -> vec4<f32> {
    return convolved(n, top + i32(i / 18u), left + i32(i % 18u), quad);
}

fn tap_weight(n: u32, quad: u32, first_out: u32, i: u32) -> vec4<f32> {
    return weight(n, (i / 64u * p.x.quads + quad) * 4u + i / 16u % 4u, first_out + i % 16u);
}

// Where in `taps` the weight with number i is.
fn place(i: u32) -> u32 {
    return (i / 16u) * 16u + (i % 2u) * 8u + i % 16u / 2u;
}

// What an invocation stages: two pixels and five weights.
struct Loaded { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>, e: vec4<f32>, f: vec4<f32>, g: vec4<f32> }

fn load_staged(n: u32, quad: u32, top: i32, left: i32, first_out: u32, lane: u32) -> Loaded {
    return Loaded(
        pixel(n, quad, top, left, lane), pixel(n, quad, top, left, min(lane + 128u, 179u)),
        tap_weight(n, quad, first_out, lane), tap_weight(n, quad, first_out, lane + 128u),
        tap_weight(n, quad, first_out, lane + 256u), tap_weight(n, quad, first_out, lane + 384u),
        tap_weight(n, quad, first_out, min(lane + 512u, 575u)),
    );
}

fn stage(v: Loaded, lane: u32) {
    pixels[lane] = v.a;
    if lane < 52u { pixels[lane + 128u] = v.b; }
    taps[place(lane)] = v.c;
    taps[place(lane + 128u)] = v.d;
    taps[place(lane + 256u)] = v.e;
    taps[place(lane + 384u)] = v.f;
    if lane < 64u { taps[place(lane + 512u)] = v.g; }
}

// The weights of tap (ky, kx) for the pair of vec4s number `pair`.
fn tap(ky: u32, kx: u32, pair: u32) -> Weights {
    let i = (ky * 3u + kx) * 64u + pair;
    return Weights(
        mat4x4<f32>(taps[i], taps[i + 16u], taps[i + 32u], taps[i + 48u]),
        mat4x4<f32>(taps[i + 8u], taps[i + 24u], taps[i + 40u], taps[i + 56u]),
    );
}

// Adds row ky of the window; `at` is the pixel left of the strip in that row.
fn mac_row(acc: Sums, at: u32, ky: u32, pair: u32) -> Sums {
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
    let s = mac_sums(acc, Strip(q, a, b, c, d, e, f, g), tap(ky, 0u, pair));
    let t = mac_sums(s, Strip(a, b, c, d, e, f, g, h), tap(ky, 1u, pair));
    return mac_sums(t, Strip(b, c, d, e, f, g, h, r), tap(ky, 2u, pair));
}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let blocks = (p.y.quads + 15u) / 16u;
    let n = id.z / blocks;
    let first_out = (id.z % blocks) * 16u;
    let pair = lane % 8u;
    let strip = lane / 8u % 2u;
    let row = lane / 16u;
    let at = row * 18u + strip * 8u;
    var sums = zero_sums();
    for (var quad = 0u; quad < p.x.quads; quad++) {
        // All loads are under way before the first is waited for, and while others still work.
        let loaded = load_staged(n, quad, i32(id.y * 8u) - 1, i32(id.x * 16u) - 1, first_out, lane);
        // Nobody stages while another still reads.
        workgroupBarrier();
        stage(loaded, lane);
        workgroupBarrier();
        sums = mac_row(sums, at, 0u, pair);
        sums = mac_row(sums, at + 18u, 1u, pair);
        sums = mac_row(sums, at + 36u, 2u, pair);
    }
    let item = Work(true, id.y * 8u + row, id.x * 2u + strip, first_out + pair * 2u);
    if item.row < p.y.h && item.piece < p.y.strips && item.quad_out < p.y.quads { store(sums, n, item); }
}
