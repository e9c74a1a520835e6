// dx[n,y,x,c] (+)= y[n,y,x,c] · (dy[n,y,x,c] − Σ_c' dy[n,y,x,c'] · y[n,y,x,c']), y being what softmax.wgsl wrote.
// ACCUMULATE adds to dx.
//
// Bindings: y; dy; dx, all of the same shape.
// One workgroup of 64 per pixel, each invocation every 64th vec4 of channels; a tree makes the sum. Grid (w, h, n).
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    y: View,
    dy: View,
    dx: View,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let at_y = index(p.y, id.z, id.y, id.x, 0u);
    let at_dy = index(p.dy, id.z, id.y, id.x, 0u);
    let at_dx = index(p.dx, id.z, id.y, id.x, 0u);
    var sum = 0.0;
    // All invocations go round equally often, see softmax.wgsl.
    for (var first = 0u; first < p.y.quads; first += 64u) {
        let quad = first + lane;
        // Padding channels are 0 in both.
        if quad < p.y.quads { sum += dot(y[at_y + quad], dy[at_dy + quad]); }
    }
    partial[lane] = sum;
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach { partial[lane] += partial[lane + reach]; }
    }
    workgroupBarrier();
    let mean = partial[0];
    for (var first = 0u; first < p.y.quads; first += 64u) {
        let quad = first + lane;
        if quad >= p.y.quads { continue; }
        let value = y[at_y + quad] * (dy[at_dy + quad] - mean);
#ifdef ACCUMULATE
        dx[at_dx + quad] += value;
#else
        dx[at_dx + quad] = value;
#endif
    }
}
