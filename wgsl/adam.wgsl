// One step of Adam (Kingma and Ba 2015, algorithm 1, as torch.optim.Adam computes it), then the projection into
// [low, high]. With t = earlier + step + 1, g the gradient:
//     m = β₁·m + (1 − β₁)·g          v = β₂·v + (1 − β₂)·g²
//     x = clamp(x − step_size/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε), low, high)
// `step` holds the number of steps completed before this one at this scale, `earlier` is that of the scales before it,
// whose moments were taken over.
//
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index
#import pixgrad::power::one_minus_power

struct Params {
    origin: vec4<u32>,
    // vec4s
    len: u32,
    columns: u32,
    step_size: f32,
    epsilon: f32,
    // β, 1 − β and ln β of either moment.
    decay_m: f32,
    gain_m: f32,
    ln_decay_m: f32,
    decay_v: f32,
    gain_v: f32,
    ln_decay_v: f32,
    low: f32,
    high: f32,
    earlier: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> v: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if i >= p.len { return; }
    let t = p.earlier + step[0] + 1u;
    let g = gradient[i];
    let first = p.decay_m * m[i] + p.gain_m * g;
    let second = p.decay_v * v[i] + p.gain_v * g * g;
    m[i] = first;
    v[i] = second;
    let rate = p.step_size / one_minus_power(p.ln_decay_m, t);
    let scale = 1.0 / sqrt(one_minus_power(p.ln_decay_v, t));
    let moved = x[i] - rate * first / (scale * sqrt(second) + p.epsilon);
    x[i] = clamp(moved, vec4<f32>(p.low), vec4<f32>(p.high));
}
