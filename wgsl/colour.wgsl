// Colours of three channels, each pixel for itself:
//     y = σ(M·x + b)          dx = Mᵀ·(σ′·dy)          σ′ = y·(1 − y)
// Without SIGMOID σ is the identity.
//
// Bindings: forward: x, y. BACKWARD: dy, y (with SIGMOID only), dx. Tensors have one vec4 per pixel, whose fourth
// component is padding.
// One invocation per pixel. Grid: shared/flat.wgsl.
#import pixgrad::tensor::View
#import pixgrad::flat::{group_index, place}

struct Params {
    origin: vec4<u32>,
    // Of x and dx.
    x: View,
    // Of y.
    y: View,
    dy: View,
    columns: u32,
    items: u32,
    pad_a: u32,
    pad_b: u32,
    matrix: mat3x3<f32>,
    bias: vec3<f32>,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
#ifdef SIGMOID
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;
#endif
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#endif

// 1/(1 + e⁻ᵗ), with no infinity in between.
fn sigmoid(t: vec3<f32>) -> vec3<f32> {
    let e = exp(-abs(t));
    return select(vec3<f32>(1.0), e, t < vec3<f32>(0.0)) / (1.0 + e);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixel = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    if pixel >= p.items { return; }
#ifdef BACKWARD
    var g = dy[place(p.dy, pixel, 0u)].xyz;
#ifdef SIGMOID
    let s = y[place(p.y, pixel, 0u)].xyz;
    g *= s * (1.0 - s);
#endif
    // Row vector times matrix: the transpose.
    dx[place(p.x, pixel, 0u)] = vec4<f32>(g * p.matrix, 0.0);
#else
    let t = p.matrix * x[place(p.x, pixel, 0u)].xyz + p.bias;
#ifdef SIGMOID
    y[place(p.y, pixel, 0u)] = vec4<f32>(sigmoid(t), 0.0);
#else
    y[place(p.y, pixel, 0u)] = vec4<f32>(t, 0.0);
#endif
#endif
}
