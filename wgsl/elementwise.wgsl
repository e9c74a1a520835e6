// Element-wise helpers over plain arrays:
//     COMBINE   y = alpha·x + beta·y
//     FILL      y = alpha
//     CLAMP     y = clamp(y, alpha, beta)
//     ROUND     y = round(alpha·clamp(x, 0, 1))/alpha, halves up
//
// One invocation per vec4. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    // vec4s
    len: u32,
    columns: u32,
    alpha: f32,
    beta: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef COMBINE
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#else
#ifdef ROUND
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
#endif
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if i >= p.len { return; }
#ifdef COMBINE
    y[i] = p.alpha * x[i] + p.beta * y[i];
#endif
#ifdef FILL
    y[i] = vec4<f32>(p.alpha);
#endif
#ifdef CLAMP
    y[i] = clamp(y[i], vec4<f32>(p.alpha), vec4<f32>(p.beta));
#endif
#ifdef ROUND
    // The built-in function rounds halves to even; adding a half first would round some that are less than one up.
    let scaled = p.alpha * clamp(x[i], vec4<f32>(0.0), vec4<f32>(1.0));
    let whole = floor(scaled);
    y[i] = (whole + select(vec4<f32>(0.0), vec4<f32>(1.0), scaled - whole >= vec4<f32>(0.5))) / p.alpha;
#endif
}
