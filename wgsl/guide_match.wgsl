// The best match of every pixel of x among the pixels of a guide y of any size: the j of the largest ⟨x_i, y_j⟩ over
// the channels, the lowest such j; all pairs, exactly.
//     best[n·pixels + i] = argmax_j ⟨x_i, y_j⟩
//
// A workgroup has 32 pixels of one image and passes over all of y, 32 pixels at a time; 8 quads of both are staged in
// workgroup memory. One invocation per 4×4 pairs: pixels `row`, `row + 8`, … of x times `column`, `column + 8`, … of y.
// Each keeps the best of its own, the workgroup then the best of the 8 invocations of a row. Grid: shared/flat.wgsl,
// `tiles` workgroups for each image.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    x: View,
    y: View,
    columns: u32,
    // Workgroups of one image.
    tiles: u32,
    // Pixels of one image of x, and of y.
    pixels: u32,
    candidates: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> best: array<u32>;

// 8 quads of 32 pixels each.
var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;
// For each of 32 pixels the largest product that each of 8 invocations has found, and where.
var<workgroup> values: array<f32, 256>;
var<workgroup> places: array<u32, 256>;

// The largest products so far of four pixels of x, and where they are.
struct Best {
    value: vec4<f32>,
    found: vec4<u32>,
}

// Takes the products with pixel j where they are larger, or the first there are.
fn better(so_far: Best, products: vec4<f32>, j: u32, first: bool) -> Best {
    if j >= p.candidates { return so_far; }
    let larger = (products > so_far.value) | vec4<bool>(first);
    return Best(select(so_far.value, products, larger), select(so_far.found, vec4<u32>(j), larger));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    let n = group / p.tiles;
    // The grid's last row may reach beyond the last tile.
    let inside = n < p.x.n;
    let first_pixel = (group % p.tiles) * 32u;
    let row = lane / 8u;
    let column = lane % 8u;
    var winner = Best(vec4<f32>(0.0), vec4<u32>(0u));

    for (var first = 0u; first < p.candidates; first += 32u) {
        // Component i of each: pixel row + 8i of x; a: pixel `column` of y, b, c, d those 8, 16, 24 further on.
        var a = vec4<f32>(0.0);
        var b = vec4<f32>(0.0);
        var c = vec4<f32>(0.0);
        var d = vec4<f32>(0.0);
        for (var quad = 0u; quad < p.x.quads; quad += 8u) {
            for (var i = lane; i < 256u; i += 64u) {
                // Neighbouring invocations read neighbouring quads of a pixel.
                let q = quad + i % 8u;
                let at = (i % 8u) * 32u + i / 8u;
                let pixel = first_pixel + i / 8u;
                let candidate = first + i / 8u;
                var l = vec4<f32>(0.0);
                var r = vec4<f32>(0.0);
                if q < p.x.quads {
                    if inside && pixel < p.pixels { l = x[place(p.x, n * p.pixels + pixel, q)]; }
                    if candidate < p.candidates { r = y[place(p.y, candidate, q)]; }
                }
                left[at] = l;
                right[at] = r;
            }
            workgroupBarrier();
            for (var k = 0u; k < 256u; k += 32u) {
                let l0 = left[k + row];
                let l1 = left[k + row + 8u];
                let l2 = left[k + row + 16u];
                let l3 = left[k + row + 24u];
                let r0 = right[k + column];
                let r1 = right[k + column + 8u];
                let r2 = right[k + column + 16u];
                let r3 = right[k + column + 24u];
                a += vec4<f32>(dot(l0, r0), dot(l1, r0), dot(l2, r0), dot(l3, r0));
                b += vec4<f32>(dot(l0, r1), dot(l1, r1), dot(l2, r1), dot(l3, r1));
                c += vec4<f32>(dot(l0, r2), dot(l1, r2), dot(l2, r2), dot(l3, r2));
                d += vec4<f32>(dot(l0, r3), dot(l1, r3), dot(l2, r3), dot(l3, r3));
            }
            workgroupBarrier();
        }
        let j = first + column;
        winner = better(winner, a, j, first == 0u);
        winner = better(winner, b, j + 8u, false);
        winner = better(winner, c, j + 16u, false);
        winner = better(winner, d, j + 24u, false);
    }

    // Entry 8·pixel + column: lane is 8·row + column.
    values[lane] = winner.value.x;
    values[lane + 64u] = winner.value.y;
    values[lane + 128u] = winner.value.z;
    values[lane + 192u] = winner.value.w;
    places[lane] = winner.found.x;
    places[lane + 64u] = winner.found.y;
    places[lane + 128u] = winner.found.z;
    places[lane + 192u] = winner.found.w;
    workgroupBarrier();
    let pixel = first_pixel + lane;
    if lane >= 32u || !inside || pixel >= p.pixels { return; }
    var value = values[lane * 8u];
    var found = places[lane * 8u];
    // An invocation beyond the end of a small y has found nothing.
    let columns = min(p.candidates, 8u);
    for (var i = 1u; i < columns; i++) {
        let other = values[lane * 8u + i];
        let there = places[lane * 8u + i];
        if other > value || (other == value && there < found) {
            value = other;
            found = there;
        }
    }
    best[n * p.pixels + pixel] = found;
}
