// What lies between covariances and matrix products in the Wasserstein distance of two normal distributions, for
// matrices of c×c elements in rows of whole vec4s, one for each image:
//     RIDGE    d = alpha·m + epsilon·I
//     TRACE    values[n, i] += Σ[i,i] + Σ'[i,i] − 2·√‖A‖·Y[i,i]
//     SLOPE    d = alpha·(I − m/√‖A‖)
// Y and m are of A/‖A‖ in place of A: `moments` [n, 4] hold ‖A‖² third.
//
// One invocation per vec4 of a matrix; TRACE: per vec4 of a diagonal. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index

struct Params {
    origin: vec4<u32>,
    columns: u32,
    n: u32,
    c: u32,
    // vec4s of a row.
    quads: u32,
    alpha: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef RIDGE
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> d: array<vec4<f32>>;
#endif
#ifdef TRACE
@group(0) @binding(1) var<storage, read> covariance: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> goal: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> root: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> values: array<vec4<f32>>;
#endif
#ifdef SLOPE
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> moments: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> d: array<vec4<f32>>;
#endif

// Which components of vec4 `quad` of row `row` lie on the diagonal.
fn on_diagonal(row: u32, quad: u32) -> vec4<bool> {
    let column = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
    return (column == vec4<u32>(row)) & vec4<bool>(row < p.c);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    let zero = vec4<f32>(0.0);
#ifdef TRACE
    if item >= p.n * p.quads { return; }
    let n = item / p.quads;
    let quad = item % p.quads;
    // The diagonal's four elements stand in four rows of this column of vec4s.
    let first = quad * 4u * p.quads + quad;
    let at = n * 4u * p.quads * p.quads + first;
    let s = p.quads;
    let of_image =
        vec4<f32>(covariance[at].x, covariance[at + s].y, covariance[at + 2u * s].z, covariance[at + 3u * s].w);
    let of_goal = vec4<f32>(goal[first].x, goal[first + s].y, goal[first + 2u * s].z, goal[first + 3u * s].w);
    let of_root = vec4<f32>(root[at].x, root[at + s].y, root[at + 2u * s].z, root[at + 3u * s].w);
    let scale = sqrt(sqrt(moments[n].z));
    values[item] += of_image + of_goal - 2.0 * scale * of_root;
#else
    let row_of_all = item / p.quads;
    let quad = item % p.quads;
    let row = row_of_all % (4u * p.quads);
    if row_of_all >= p.n * 4u * p.quads { return; }
#ifdef RIDGE
    d[item] = p.alpha * m[item] + select(zero, vec4<f32>(p.epsilon), on_diagonal(row, quad));
#else
    let norm = sqrt(sqrt(moments[row_of_all / (4u * p.quads)].z));
    let one = select(zero, vec4<f32>(1.0), on_diagonal(row, quad));
    var scaled = zero;
    // Without a norm all is zero.
    if norm > 0.0 { scaled = m[item] / norm; }
    d[item] = p.alpha * (one - scaled);
#endif
#endif
}
