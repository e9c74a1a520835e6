// The gradient of lrn.wgsl; s_c is computed again from x:
//     dx_c (+)= dy_c·s_c^−beta − 2·beta·alpha/size · x_c · Σ dy_c'·x_c'·s_c'^(−beta−1) over |c' − c| ≤ (size − 1)/2.
// ACCUMULATE adds to dx.
//
// Bindings: x; dy; dx, all of the same shape.
// One workgroup per pixel and 64 channels: it loads those and (size − 1) more on either side, makes the terms of the
// sum for (size − 1)/2 more on either side, then one invocation per channel adds them up, and
// one per vec4 writes. size ≤ 17.
// Grid (w·⌈4·quads/64⌉, h, n).
#import pixgrad::tensor::{View, index, padded}

struct Params {
    origin: vec4<u32>,
    x: View,
    dy: View,
    dx: View,
    // (size − 1)/2, at most 8
    reach: u32,
    // alpha/size
    alpha: f32,
    beta: f32,
    k: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

// x of channels first − 2·reach .., where `first` is the workgroup's first channel.
var<workgroup> values: array<f32, 96>;
// dy·s^−beta and dy·x·s^(−beta−1) of channels first − reach ..
var<workgroup> direct: array<f32, 80>;
var<workgroup> pulls: array<f32, 80>;
var<workgroup> result: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let tiles = (p.dx.quads * 4u + 63u) / 64u;
    let xx = id.x / tiles;
    let first = id.x % tiles * 64u;
    let at_x = index(p.x, id.z, id.y, xx, 0u);
    let at_dy = index(p.dy, id.z, id.y, xx, 0u);
    let window = 2u * p.reach + 1u;
    for (var i = lane; i < 64u + 4u * p.reach; i += 64u) {
        // A channel before the first wraps around to a number that is none, either.
        let c = first + i - 2u * p.reach;
        var value = 0.0;
        if c < p.x.c { value = x[at_x + c / 4u][c % 4u]; }
        values[i] = value;
    }
    workgroupBarrier();
    for (var i = lane; i < 64u + 2u * p.reach; i += 64u) {
        let c = first + i - p.reach;
        var through = 0.0;
        var pull = 0.0;
        if c < p.x.c {
            var sum = 0.0;
            for (var j = i; j < i + window; j++) {
                sum += values[j] * values[j];
            }
            let s = p.k + p.alpha * sum;
            through = dy[at_dy + c / 4u][c % 4u] * pow(s, -p.beta);
            pull = through * values[i + p.reach] / s;
        }
        direct[i] = through;
        pulls[i] = pull;
    }
    workgroupBarrier();
    var sum = 0.0;
    for (var j = lane; j < lane + window; j++) {
        sum += pulls[j];
    }
    result[lane] = direct[lane + p.reach] - 2.0 * p.beta * p.alpha * values[lane + 2u * p.reach] * sum;
    workgroupBarrier();
    let quad = first / 4u + lane;
    if lane >= 16u || quad >= p.dx.quads { return; }
    let l = lane * 4u;
    let value = padded(p.dx, quad, vec4<f32>(result[l], result[l + 1u], result[l + 2u], result[l + 3u]));
    let at = index(p.dx, id.z, id.y, xx, quad);
#ifdef ACCUMULATE
    dx[at] += value;
#else
    dx[at] = value;
#endif
}
