// y[n,0,0,c] = max of x[n,·,·,c], NaN where there is one; whence[n, c] = the first position, row by row, that has it.
// BACKWARD: dx[n,y,x,c] (+)= dy[n,0,0,c] at that position, else 0. ACCUMULATE adds to dx.
//
// Bindings: x; whence ([n, C⁺] words); y. BACKWARD: dy; whence; dx.
// One workgroup per image and four vec4s of channels: 64 of its 256 invocations for each, neighbours reading
// neighbouring vec4s; each sees every 64th position, and a tree finds the greatest. Grid (⌈quads/4⌉, 1, n).
// BACKWARD: one invocation per pixel and vec4 of channels: grid (⌈w·quads/64⌉, h, n).
#import pixgrad::nan::exceeds
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    // x, or dx.
    large: View,
    // y, or dy.
    small: View,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> whence: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.large.w * p.large.quads { return; }
    let column = flat / p.large.quads;
    let quad = flat % p.large.quads;
    let word = (id.z * p.large.quads + quad) * 4u;
    let first = vec4<u32>(whence[word], whence[word + 1u], whence[word + 2u], whence[word + 3u]);
    let here = first == vec4<u32>(id.y * p.large.w + column);
    let value = select(vec4<f32>(0.0), dy[index(p.small, id.z, 0u, 0u, quad)], here);
    let at = index(p.large, id.z, id.y, column, quad);
#ifdef ACCUMULATE
    dx[at] += value;
#else
    dx[at] = value;
#endif
}
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> whence: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

var<workgroup> greatest: array<vec4<f32>, 256>;
var<workgroup> places: array<vec4<u32>, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let quad = id.x * 4u + lane % 4u;
    let count = p.large.h * p.large.w;
    var best = vec4<f32>(0.0);
    var first = vec4<u32>(0u);
    if quad < p.large.quads {
        // Position 0 stands in for what an invocation has not seen.
        let at = index(p.large, id.z, 0u, 0u, quad);
        best = x[at];
        for (var i = lane / 4u; i < count; i += 64u) {
            let value = x[at + i * p.large.stride];
            let more = exceeds(value, best);
            best = select(best, value, more);
            first = select(first, vec4<u32>(i), more);
        }
    }
    greatest[lane] = best;
    places[lane] = first;
    for (var reach = 128u; reach >= 4u; reach /= 2u) {
        workgroupBarrier();
        if lane < reach {
            let value = greatest[lane + reach];
            let place = places[lane + reach];
            let ahead = exceeds(value, best) | ((value == best) & (place < first));
            best = select(best, value, ahead);
            first = select(first, place, ahead);
            greatest[lane] = best;
            places[lane] = first;
        }
    }
    if lane < 4u && quad < p.large.quads {
        y[index(p.small, id.z, 0u, 0u, quad)] = best;
        let word = (id.z * p.large.quads + quad) * 4u;
        whence[word] = first.x;
        whence[word + 1u] = first.y;
        whence[word + 2u] = first.z;
        whence[word + 3u] = first.w;
    }
}
#endif
