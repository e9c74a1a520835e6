// Two tensors number by number:
//     y = a + b, a − b, a·b, a/b, min(a, b), max(a, b)                   ADD, SUB, MUL, DIV, MIN, MAX
// and the gradient with respect to one of them, `mine`, the other being `other`:
//     dx (+)= dy·g    g = factor (LINEAR), other (PRODUCT), 1/other (NUMERATOR), −other/mine² (DENOMINATOR), or
//                     (EXTREME) 1 where factor·(mine − other) > 0, ½ where it is 0, else 0
// A tensor of one channel stands for one of as many as y has, one of 1×1 positions for one of y's size, one of a single
// image (a constant, which has no gradient) for one of as many as y has. The gradient of the others is a sum: over the
// channels with CHANNELS; over a share of the positions with POSITIONS, which channel_sums.wgsl adds up. ACCUMULATE adds
// to dx.
//
// Bindings: a; b; y. Backward: mine; other (both not LINEAR); dy; dx, or partials ([n, splits, C⁺], POSITIONS).
// One invocation per vec4 of y or dx; CHANNELS: sixteen per position, each every 16th vec4. Grid: shared/flat.wgsl.
// POSITIONS: a workgroup has 16 vec4s of channels and 16 invocations for each, which take every 16th position; then a
// tree adds their sums: grid (⌈quads/16⌉, splits, n). Padding channels are set to 0, since 0/0 is no number.
#import pixgrad::nan::unless_nan
#import pixgrad::tensor::{View, padded}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // a, or mine.
    a: View,
    // b, or other.
    b: View,
    dy: View,
    // y, or dx.
    out: View,
    columns: u32,
    items: u32,
    factor: f32,
    // POSITIONS: shares of one image, and positions of one.
    splits: u32,
    share: u32,
    end_0: u32,
    end_1: u32,
    end_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef LINEAR
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(3) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#endif
#endif

// The vec4 of a tensor that stands at a pixel and quad of `all`.
fn standing(v: View, all: View, pixel: u32, quad: u32) -> u32 {
    let area = all.h * all.w;
    let image = select(pixel / area, 0u, v.n == 1u);
    let position = select(pixel % area, 0u, v.h * v.w == 1u);
    return place(v, image * v.h * v.w + position, select(quad, 0u, v.c == 1u));
}

fn spread(v: View, value: vec4<f32>) -> vec4<f32> {
    return select(value, value.xxxx, v.c == 1u);
}

#ifdef BACKWARD
// What the number of y at a pixel and quad adds to the gradient.
fn part(pixel: u32, quad: u32) -> vec4<f32> {
    let gradient = dy[place(p.dy, pixel, quad)];
#ifdef LINEAR
    return p.factor * gradient;
#else
    let mine = spread(p.a, a[standing(p.a, p.dy, pixel, quad)]);
    let other = spread(p.b, b[standing(p.b, p.dy, pixel, quad)]);
#ifdef PRODUCT
    return gradient * other;
#endif
#ifdef NUMERATOR
    return padded(p.dy, quad, gradient / other);
#endif
#ifdef DENOMINATOR
    return padded(p.dy, quad, -(gradient / mine) * (other / mine));
#endif
#ifdef EXTREME
    let ahead = p.factor * (mine - other);
    let zero = vec4<f32>(0.0);
    return select(select(zero, 0.5 * gradient, ahead == zero), gradient, ahead > zero);
#endif
#endif
}
#endif

#ifdef POSITIONS
var<workgroup> tree: array<vec4<f32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let quads = p.dy.quads;
    let quad = id.x * 16u + lane % 16u;
    let pixels = p.dy.h * p.dy.w;
    var sum = vec4<f32>(0.0);
    if quad < quads {
        let begin = id.y * p.share;
        let end = min(begin + p.share, pixels);
        for (var pixel = begin + lane / 16u; pixel < end; pixel += 16u) {
            sum += part(id.z * pixels + pixel, quad);
        }
    }
    tree[lane] = sum;
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { tree[lane] += tree[lane + reach]; }
    }
    if lane < 16u && quad < quads {
        out[(id.z * p.splits + id.y) * quads + quad] = tree[lane];
    }
}
#else
#ifdef CHANNELS
var<workgroup> tree: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group_index(id + p.origin.xyz, p.columns) * 16u + lane / 16u;
    var sum = vec4<f32>(0.0);
    if pixel < p.items {
        for (var quad = lane % 16u; quad < p.dy.quads; quad += 16u) {
            sum += part(pixel, quad);
        }
    }
    tree[lane] = (sum.x + sum.y) + (sum.z + sum.w);
    for (var reach = 8u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane % 16u < reach { tree[lane] += tree[lane + reach]; }
    }
    if lane % 16u == 0u && pixel < p.items {
        let at = place(p.out, pixel, 0u);
        let total = vec4<f32>(tree[lane], 0.0, 0.0, 0.0);
#ifdef ACCUMULATE
        out[at] += total;
#else
        out[at] = total;
#endif
    }
}
#else
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let pixel = item / p.out.quads;
    let quad = item % p.out.quads;
    let at = place(p.out, pixel, quad);
#ifdef BACKWARD
#ifdef ACCUMULATE
    out[at] += part(pixel, quad);
#else
    out[at] = part(pixel, quad);
#endif
#else
    let first = spread(p.a, a[standing(p.a, p.out, pixel, quad)]);
    let second = spread(p.b, b[standing(p.b, p.out, pixel, quad)]);
#ifdef ADD
    let value = first + second;
#endif
#ifdef SUB
    let value = first - second;
#endif
#ifdef MUL
    let value = first * second;
#endif
#ifdef DIV
    let value = first / second;
#endif
#ifdef MIN
    let value = unless_nan(first, unless_nan(second, min(first, second)));
#endif
#ifdef MAX
    let value = unless_nan(first, unless_nan(second, max(first, second)));
#endif
    out[at] = padded(p.out, quad, value);
#endif
}
#endif
#endif
