// One pass of a separable, antialiased resize, along rows or (VERTICAL) columns, as Pillow's `resize` and torchvision's
// `resize(antialias=True)` define it:
//     y[o] = Σ_i f(d)·x[i] / Σ_i f(d)          d = ((i + ½) − (o + ½)·s)/max(s, 1)          s = in/out
// over the i inside the image with |i + ½ − centre| below the filter's radius times max(s, 1). f is the triangle
// (radius 1), or under CUBIC Keys' cubic with a = −½ (radius 2). Positions are integers over a common denominator,
// exact while in·out < 2²⁹. Under WRAP the image is continued by its own copies, and i runs beyond its edges.
//
// One invocation per vec4 of y. Grid: shared/flat.wgsl.
#import pixgrad::tensor::{View, index}
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    items: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

#ifdef CUBIC
const RADIUS: i32 = 2;
fn filter_weight(d: f32) -> f32 {
    let t = abs(d);
    if t < 1.0 { return (1.5 * t - 2.5) * t * t + 1.0; }
    if t < 2.0 { return ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0; }
    return 0.0;
}
#else
const RADIUS: i32 = 1;
fn filter_weight(d: f32) -> f32 {
    return max(1.0 - abs(d), 0.0);
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.items { return; }
    let quad = item % p.y.quads;
    let pixel = item / p.y.quads;
    let column = pixel % p.y.w;
    let row = (pixel / p.y.w) % p.y.h;
    let n = pixel / (p.y.w * p.y.h);
#ifdef VERTICAL
    let size_in = i32(p.x.h);
    let size_out = i32(p.y.h);
    let centre = (2 * i32(row) + 1) * size_in;
#else
    let size_in = i32(p.x.w);
    let size_out = i32(p.y.w);
    let centre = (2 * i32(column) + 1) * size_in;
#endif
    // In units of 1/(2·out) pixels of x: `centre`, the radius, and pixel i's own centre (2·i + 1)·out.
    let larger = max(size_in, size_out);
    let reach = 2 * RADIUS * larger;
#ifdef WRAP
    // Whole sizes are added so that nothing is negative, and taken away again from i.
    let added = (reach + 2 * size_out * size_in - 1) / (2 * size_out * size_in) * size_in;
    let first = (centre - reach + size_out + 2 * size_out * added) / (2 * size_out) - added;
    let end = (centre + reach + size_out) / (2 * size_out);
#else
    let first = max(centre - reach + size_out, 0) / (2 * size_out);
    let end = min((centre + reach + size_out) / (2 * size_out), size_in);
#endif
    let unit = 1.0 / f32(2 * larger);
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var i = first; i < end; i++) {
        let weight = filter_weight(f32((2 * i + 1) * size_out - centre) * unit);
#ifdef WRAP
        let source = u32((i + added) % size_in);
#else
        let source = u32(i);
#endif
#ifdef VERTICAL
        let at = index(p.x, n, source, column, quad);
#else
        let at = index(p.x, n, row, source, quad);
#endif
        sum = fma(vec4<f32>(weight), x[at], sum);
        total += weight;
    }
    y[place(p.y, pixel, quad)] = sum / total;
}
