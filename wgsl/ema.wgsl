// The exponential moving average of an array:
//     average = decay·average + (1 − decay)·x
// and, under READ, what it says after t steps from zero, without the bias towards that zero:
//     out = average/(1 − decayᵗ)          t = max(step, 1), `step` being the number of steps completed
//
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index
#ifdef READ
#import pixgrad::power::one_minus_power
#endif

struct Params {
    origin: vec4<u32>,
    // vec4s
    len: u32,
    columns: u32,
    decay: f32,
    gain: f32,
    ln_decay: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef READ
@group(0) @binding(1) var<storage, read> average: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> step: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> average: array<vec4<f32>>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if i >= p.len { return; }
#ifdef READ
    out[i] = average[i] / one_minus_power(p.ln_decay, max(step[0], 1u));
#else
    average[i] = p.decay * average[i] + p.gain * x[i];
#endif
}
