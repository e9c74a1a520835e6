// Square matrices of c×c elements in rows of whole vec4s, one for each image:
//     RIDGE    d = alpha·m + epsilon·I
//     SCALE    d[i,j] = alpha·m[i,j]·√s[i,i]^row_power·√s[j,j]^column_power, powers −1, 0 or 1;
//              √0 to the power of 1 or −1 counts as 0
//
// One invocation per vec4 of a matrix. Grid: shared/flat.wgsl.
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
    row_power: i32,
    column_power: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
#ifdef RIDGE
@group(0) @binding(2) var<storage, read_write> d: array<vec4<f32>>;

// Which components of vec4 `quad` of row `row` lie on the diagonal.
fn on_diagonal(row: u32, quad: u32) -> vec4<bool> {
    let column = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
    return (column == vec4<u32>(row)) & vec4<bool>(row < p.c);
}
#else
@group(0) @binding(2) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> d: array<vec4<f32>>;

// √value to a power of −1, 0 or 1; 0 where the value is 0.
fn power(value: vec4<f32>, power: i32) -> vec4<f32> {
    if power == 0 { return vec4<f32>(1.0); }
    let positive = value > vec4<f32>(0.0);
    let root = sqrt(select(vec4<f32>(1.0), value, positive));
    return select(vec4<f32>(0.0), select(1.0 / root, root, power > 0), positive);
}
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let item = group_index(id + p.origin.xyz, p.columns) * 256u + lane;
    let row_of_all = item / p.quads;
    let quad = item % p.quads;
    let row = row_of_all % (4u * p.quads);
    if row_of_all >= p.n * 4u * p.quads { return; }
#ifdef RIDGE
    d[item] = p.alpha * m[item] + select(vec4<f32>(0.0), vec4<f32>(p.epsilon), on_diagonal(row, quad));
#else
    // The diagonal's four elements stand in four rows of this column of vec4s.
    let q = p.quads;
    let image = (row_of_all - row) * q;
    let at = image + quad * 4u * q + quad;
    let columns = vec4<f32>(s[at].x, s[at + q].y, s[at + 2u * q].z, s[at + 3u * q].w);
    let of_row = s[image + row * q + row / 4u];
    let rows = power(vec4<f32>(of_row[row % 4u]), p.row_power);
    d[item] = p.alpha * rows * m[item] * power(columns, p.column_power);
#endif
}
