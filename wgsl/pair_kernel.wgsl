// From products or distances of two sets of columns to a kernel k of them, for each of a batch of matrices m of
// rows×columns elements, row i belonging to x_i and column j to y_j, whose weight is ω_j (`weight`, under WEIGHTED
// weights[j]):
//     gaussian (m_ij = ‖x_i − y_j‖²): k = exp(−m·constant), k' = k
//     polynomial (m_ij = ⟨x_i, y_j⟩): k = (m + constant)^degree, k' = degree·(m + constant)^(degree − 1)
// Under VALUE   values[i] = factor·Σ_j ω_j·k_ij + addend, at place `part` of an image's values.
// Else          m_ij = w_ij = sign·ω_j·k'_ij; of a gaussian kernel slopes[i] = Σ_j w_ij, and where `own` is 1, with the
// slopes
//               there are from another set, m_ii = w_ii − Σ_j w_ij − slopes[i]. Then −Σ_j w_ij·y_j over both sets is
//               Σ_j w_ij·(x_i − y_j).
// `skip`: pairs i = j do not count. Columns that only fill the last vec4 become zero.
//
// A workgroup has 16 rows of one matrix, 16 invocations for each: they take every 16th vec4, then a tree of fixed shape
// adds their sums. Grid (⌈rows/16⌉, 1, matrices).
struct Params {
    origin: vec4<u32>,
    // 0: gaussian, 1: polynomial.
    kind: u32,
    rows: u32,
    columns: u32,
    // The row of a whole matrix that comes first here, the rows of a whole one, and the number of its first matrix.
    first_row: u32,
    batch_rows: u32,
    first_matrix: u32,
    // Rows of an image, parts of its values, and which of them.
    image_rows: u32,
    parts: u32,
    part: u32,
    own: u32,
    skip: u32,
    degree: u32,
    constant: f32,
    weight: f32,
    // factor, or sign.
    factor: f32,
    addend: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#ifdef VALUE
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read_write> m: array<vec4<f32>>;
#endif
// Values, or slopes.
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
#ifdef WEIGHTED
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;
#endif

var<workgroup> tree: array<f32, 256>;

fn power(base: vec4<f32>, exponent: u32) -> vec4<f32> {
    var result = vec4<f32>(1.0);
    for (var i = 0u; i < exponent; i++) { result *= base; }
    return result;
}

fn kernel(v: vec4<f32>) -> vec4<f32> {
    if p.kind == 0u { return exp(-v * p.constant); }
#ifdef VALUE
    return power(v + p.constant, p.degree);
#else
    return f32(p.degree) * power(v + p.constant, p.degree - 1u);
#endif
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let near = lane % 16u;
    let row = id.x * 16u + lane / 16u;
    let quads = (p.columns + 3u) / 4u;
    let begin = (id.z * p.rows + row) * quads;
    let own_column = vec4<u32>(p.first_row + row);
    var sum = 0.0;
    if row < p.rows {
        for (var quad = near; quad < quads; quad += 16u) {
            let column = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
            var counts = column < vec4<u32>(p.columns);
            if p.skip == 1u { counts = counts & (column != own_column); }
#ifdef WEIGHTED
            let weight = weights[quad];
#else
            let weight = vec4<f32>(p.weight);
#endif
            let value = select(vec4<f32>(0.0), p.factor * weight * kernel(m[begin + quad]), counts);
            sum += (value.x + value.y) + (value.z + value.w);
#ifndef VALUE
            m[begin + quad] = value;
#endif
        }
    }
    tree[lane] = sum;
    for (var reach = 8u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if near < reach { tree[lane] += tree[lane + reach]; }
    }
    storageBarrier();
    workgroupBarrier();
    if near != 0u || row >= p.rows { return; }
    let at = (p.first_matrix + id.z) * p.batch_rows + p.first_row + row;
#ifdef VALUE
    let image = at / p.image_rows;
    sums[(image * p.parts + p.part) * p.image_rows + at % p.image_rows] = tree[lane] + p.addend;
#else
    if p.kind != 0u { return; }
    if p.own == 0u {
        sums[at] = tree[lane];
        return;
    }
    let column = p.first_row + row;
    let i = begin + column / 4u;
    let here = vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(column % 4u);
    m[i] -= select(vec4<f32>(0.0), vec4<f32>(tree[lane] + sums[at]), here);
#endif
}
