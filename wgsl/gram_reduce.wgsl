// Gram matrices, second step: gram[n, i, j] = scale·Σ_split partial[n, split, i, j].
//
// A workgroup makes 16 neighbouring vec4s. Of its 256 invocations 16 share one vec4: each sums every 16th split, then
// a tree of fixed shape adds their sums. Grid (⌈vec4s of a matrix/16⌉, 1, n). Under FEW (large matrices have few
// splits) one invocation per vec4 sums them all: grid (⌈vec4s of a matrix/256⌉, 1, n).
struct Params {
    origin: vec4<u32>,
    // vec4s of one matrix.
    size: u32,
    splits: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gram: array<vec4<f32>>;

#ifndef FEW
var<workgroup> sums: array<vec4<f32>, 256>;
#endif

// Σ over the splits first, first + step, … of one vec4.
fn sum_splits(n: u32, item: u32, first: u32, step: u32) -> vec4<f32> {
    var sum = vec4<f32>(0.0);
    for (var split = first; split < p.splits; split += step) {
        sum += partial[(n * p.splits + split) * p.size + item];
    }
    return sum;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
#ifdef FEW
    let item = id.x * 256u + lane;
    if item < p.size {
        gram[id.z * p.size + item] = p.scale * sum_splits(id.z, item, 0u, 1u);
    }
#else
    let item = id.x * 16u + lane % 16u;
    var sum = vec4<f32>(0.0);
    if item < p.size { sum = sum_splits(id.z, item, lane / 16u, 16u); }
    sums[lane] = sum;
    for (var reach = 128u; reach >= 16u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { sums[lane] += sums[lane + reach]; }
    }
    if lane < 16u && item < p.size {
        gram[id.z * p.size + item] = p.scale * sums[lane];
    }
#endif
}
