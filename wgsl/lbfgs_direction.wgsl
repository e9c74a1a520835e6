// The direction of L-BFGS from the coefficients of lbfgs_recursion.wgsl, and the new pair into the history:
//     accepted     s, y into their slot of `stored`, if it is one of these
//                  d = δ_q·q + Σ δ_j·s_j + Σ δ_(m+j)·y_j
//     restarted    d = δ_q·q at the base
//     else         d stays
// s, y, q and `stored` as in lbfgs_products.wgsl. `stored` holds pairs first, first + 1, …; where first > 0 their part
// is added.
//
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::bounds::{free_change, free_part}
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    columns: u32,
    // vec4s of all images, and of one.
    len: u32,
    items: u32,
    history: u32,
    first: u32,
    pairs: u32,
    low: f32,
    high: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> base: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> base_gradient: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> coefficients: array<f32>;
@group(0) @binding(6) var<storage, read_write> stored: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> direction: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.len { return; }
    let own = item / p.items * (2u * p.history + 4u);
    let action = u32(coefficients[own + 2u * p.history + 2u]);
    var point = base[item];
    var gradient = base_gradient[item];
    if action == 1u {
        let s = x[item] - point;
        let y = free_change(g[item] - gradient, x[item], point, p.low, p.high);
        point = x[item];
        gradient = g[item];
        // A slot before `first` wraps around and is not below `pairs` either.
        let place = u32(coefficients[own + 2u * p.history + 3u]) - p.first;
        if place < p.pairs {
            stored[2u * place * p.len + item] = s;
            stored[(2u * place + 1u) * p.len + item] = y;
        }
    } else if action != 2u {
        return;
    }
    var d = coefficients[own + 2u * p.history] * free_part(gradient, point, gradient, p.low, p.high);
    if p.first > 0u { d = direction[item]; }
    for (var j = 0u; j < p.pairs; j += 1u) {
        let of_s = coefficients[own + p.first + j];
        let of_y = coefficients[own + p.history + p.first + j];
        if of_s != 0.0 || of_y != 0.0 {
            d += of_s * stored[2u * j * p.len + item] + of_y * stored[(2u * j + 1u) * p.len + item];
        }
    }
    direction[item] = d;
}
