// Warmth: the mean over all pixels of red minus blue, of every image; and its gradient (BACKWARD).
//     partials[n] = Σ (red − blue)             dx (+)= alpha·(1, 0, −1) at every pixel
//
// Forward: one invocation per image. Backward: one per pixel. Grid: workgroups of 64.
#import pixgrad::tensor::{View, index}

struct Params {
    origin: vec4<u32>,
    x: View,
    alpha: f32,
    // Whether the gradient adds to what is there.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef BACKWARD
@group(0) @binding(1) var<storage, read_write> dx: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = (id.x + p.origin.x) * 64u + lane;
#ifdef BACKWARD
    if item >= p.x.n * p.x.h * p.x.w { return; }
    let at = item * p.x.stride + p.x.offset;
    let before = select(vec4<f32>(0.0), dx[at], p.accumulate != 0u);
    dx[at] = before + p.alpha * vec4<f32>(1.0, 0.0, -1.0, 0.0);
#else
    if item >= p.x.n { return; }
    var sum = 0.0;
    for (var row = 0u; row < p.x.h; row++) {
        for (var column = 0u; column < p.x.w; column++) {
            let pixel = x[index(p.x, item, row, column, 0u)];
            sum += pixel.x - pixel.z;
        }
    }
    partials[item] = sum;
#endif
}
