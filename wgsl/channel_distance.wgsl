// How far mean and deviation of every channel are from a target's (means, then variances):
//     values[n, c] = (μ − μ')² + (σ − σ')²                    σ = √variance; without DEVIATION only the means
// and the coefficients [n, 2, C⁺] of half its gradient with respect to a pixel x of N, times alpha·N, as
// channel_affine.wgsl takes them: scales (σ − σ')/σ (0 where the channel is flat, or without DEVIATION), shifts μ − μ'.
//
// One invocation per vec4 of channels of an image. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    columns: u32,
    n: u32,
    quads: u32,
    alpha: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> means: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> goal: array<vec4<f32>>;
#ifdef DEVIATION
@group(0) @binding(3) var<storage, read> variances: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> coefficients: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read_write> values: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> coefficients: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if item >= p.n * p.quads { return; }
    let n = item / p.quads;
    let quad = item % p.quads;
    let shift = means[item] - goal[quad];
    var value = shift * shift;
    var scale = vec4<f32>(0.0);
#ifdef DEVIATION
    let deviation = sqrt(max(variances[item], vec4<f32>(0.0)));
    let stretch = deviation - sqrt(max(goal[p.quads + quad], vec4<f32>(0.0)));
    value = fma(stretch, stretch, value);
    let none = deviation < vec4<f32>(1e-18);
    scale = select(stretch / max(deviation, vec4<f32>(1e-18)), vec4<f32>(0.0), none);
#endif
    values[item] = value;
    let at = n * 2u * p.quads + quad;
    coefficients[at] = p.alpha * scale;
    coefficients[at + p.quads] = p.alpha * shift;
}
