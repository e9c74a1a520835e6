// The next trial point of L-BFGS. Where lbfgs_recursion.wgsl has accepted the last one it becomes the base; then
//     x = clamp(base + t·d, low, high)
// without elements of d that a bound holds at the base (shared/bounds.wgsl). While there is no finite point yet x
// stays, and the base is x.
//
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::bounds::free_part
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    columns: u32,
    // vec4s of all images, and of one.
    len: u32,
    items: u32,
    history: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> direction: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> coefficients: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> base: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> base_gradient: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.len { return; }
    let own = item / p.items * (2u * p.history + 4u) + 2u * p.history;
    let length = coefficients[own + 1u];
    let action = u32(coefficients[own + 2u]);
    var point = base[item];
    var gradient = base_gradient[item];
    if action == 1u || action == 3u {
        point = x[item];
        base[item] = point;
    }
    if action == 3u { return; }
    if action == 1u {
        gradient = g[item];
        base_gradient[item] = gradient;
    }
    let d = free_part(direction[item], point, gradient, p.low, p.high);
    x[item] = clamp(point + length * d, vec4<f32>(p.low), vec4<f32>(p.high));
}
