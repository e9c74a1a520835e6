// Each image resampled by an affine map of its own, bilinear, with a constant outside:
//     y[o] = Σ_i k(i − u(o))·x[i] + fill·(1 − Σ_i k(i − u(o)))          k(t) = max(1 − |t.x|, 0)·max(1 − |t.y|, 0)
// over the pixels i inside x; u(o), in pixels, is what warp_draw.wgsl draws. BACKWARD is the transpose of the part
// linear in x, gathered: dx[i] = Σ_o k(i − u(o))·dy[o].
//
// Positions are integers in units of 2⁻¹⁴ pixels: the same on every device and in both directions. They do not overflow
// while sides are ≤ 65535, scales ≥ ½ and jitters ≤ 1024.
//
// Bindings: placements ([n·8] words, see warp_draw.wgsl); x and y, or dy and dx. Padding channels are written 0.
// One invocation per vec4 of what is written. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index, padded}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // The image, or its gradient.
    x: View,
    // The resampled image, or its gradient.
    y: View,
    columns: u32,
    items: u32,
    fill: f32,
}

const ONE: i32 = 16384;
const HALF: i32 = 8192;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> placements: array<u32>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
#endif

struct Placement {
    row_x: vec2<i32>,
    row_y: vec2<i32>,
    // Where o = 0 comes from.
    shift: vec2<i32>,
}

fn word(at: u32) -> i32 {
    return bitcast<i32>(placements[at]);
}

fn placement(n: u32) -> Placement {
    let at = n * 8u;
    let centre = vec2<i32>(i32(p.x.w) - 1, i32(p.x.h) - 1) * HALF;
    return Placement(
        vec2<i32>(word(at), word(at + 1u)),
        vec2<i32>(word(at + 2u), word(at + 3u)),
        vec2<i32>(word(at + 4u), word(at + 5u)) + centre,
    );
}

// Where pixel (col, row) of y comes from.
fn source(a: Placement, col: i32, row: i32) -> vec2<i32> {
    let o = vec2<i32>(2 * col + 1 - i32(p.y.w), 2 * row + 1 - i32(p.y.h));
    return vec2<i32>(a.row_x.x * o.x + a.row_x.y * o.y, a.row_y.x * o.x + a.row_y.y * o.y) + a.shift;
}

#ifdef BACKWARD
// The pixels of y among which those lie that came from (col, row) of x or its neighbours: first (col, row), last (col,
// row). A little generous, since it is computed in f32; pixels too many have no weight.
fn candidates(a: Placement, col: u32, row: u32) -> vec4<i32> {
    let aim = vec2<f32>(vec2<i32>(i32(col), i32(row)) * ONE - a.shift);
    let rx = vec2<f32>(a.row_x);
    let ry = vec2<f32>(a.row_y);
    let scale = 1.0 / (rx.x * ry.y - rx.y * ry.x);
    let o = scale * vec2<f32>(ry.y * aim.x - rx.y * aim.y, rx.x * aim.y - ry.x * aim.x);
    let reach = abs(scale) * f32(ONE) * vec2<f32>(abs(ry.y) + abs(rx.y), abs(rx.x) + abs(ry.x)) + 0.25;
    let size = vec2<f32>(f32(p.y.w), f32(p.y.h));
    let first = max(ceil(0.5 * (o - reach + size - 1.0)), vec2<f32>(0.0));
    let last = min(floor(0.5 * (o + reach + size - 1.0)), size - 1.0);
    return vec4<i32>(vec2<i32>(first), vec2<i32>(last));
}
#else
fn pixel_at(n: u32, at: vec2<i32>, quad: u32) -> vec4<f32> {
    if at.x < 0 || at.y < 0 || at.x >= i32(p.x.w) || at.y >= i32(p.x.h) { return vec4<f32>(p.fill); }
    return x[index(p.x, n, u32(at.y), u32(at.x), quad)];
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
#ifdef BACKWARD
    let quad = item % p.x.quads;
    let pixel = item / p.x.quads;
    let col = pixel % p.x.w;
    let row = (pixel / p.x.w) % p.x.h;
    let n = pixel / (p.x.w * p.x.h);
    let a = placement(n);
    let range = candidates(a, col, row);
    let here = vec2<i32>(i32(col), i32(row)) * ONE;
    var sum = vec4<f32>(0.0);
    for (var r = range.y; r <= range.w; r++) {
        for (var c = range.x; c <= range.z; c++) {
            let k = vec2<i32>(ONE) - abs(source(a, c, r) - here);
            if k.x > 0 && k.y > 0 {
                let weight = vec2<f32>(k) / f32(ONE);
                sum = fma(vec4<f32>(weight.x * weight.y), dy[index(p.y, n, u32(r), u32(c), quad)], sum);
            }
        }
    }
    dx[place(p.x, pixel, quad)] = padded(p.x, quad, sum);
#else
    let quad = item % p.y.quads;
    let pixel = item / p.y.quads;
    let col = i32(pixel % p.y.w);
    let row = i32((pixel / p.y.w) % p.y.h);
    let n = pixel / (p.y.w * p.y.h);
    let u = source(placement(n), col, row);
    // The pixel up and left of u, and how far u lies from it.
    let corner = u >> vec2<u32>(14u);
    let t = vec2<f32>(u - corner * ONE) / f32(ONE);
    let above = mix(pixel_at(n, corner, quad), pixel_at(n, corner + vec2<i32>(1, 0), quad), t.x);
    let below = mix(pixel_at(n, corner + vec2<i32>(0, 1), quad), pixel_at(n, corner + vec2<i32>(1, 1), quad), t.x);
    y[place(p.y, pixel, quad)] = padded(p.y, quad, mix(above, below, t.y));
#endif
}
