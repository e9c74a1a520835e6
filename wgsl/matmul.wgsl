// Products of matrices, for each of a batch:
//     c (+)= alpha·a·b + diagonal·I                 TRANSPOSED: a·bᵀ
//     DISTANCE (with TRANSPOSED): Σ_k (a[i,k] − b[j,k])² in place of the product: the squared distances of rows
// Rows are made of vec4s and lie `row` vec4s apart, the matrices of a batch `batch` ones (0: all share one). The
// identity has `size` ones. Columns of c that only fill the last vec4 are zero where b's are; under TRANSPOSED always.
// ACCUMULATE adds to c.
//
// A workgroup makes 32×32 elements of c, one invocation 4×4: rows `row`, `row + 8`, … of columns 4·`column` to
// 4·`column` + 3. 32 elements of the inner dimension are staged in workgroup memory at a time. Grid (⌈columns/32⌉,
// ⌈rows/32⌉, matrices).
#ifndef TRANSPOSED
#import pixgrad::strip::mac
#endif

struct Matrix {
    // All in vec4s.
    offset: u32,
    row: u32,
    batch: u32,
    unused: u32,
}

struct Params {
    origin: vec4<u32>,
    a: Matrix,
    b: Matrix,
    c: Matrix,
    rows: u32,
    columns: u32,
    inner: u32,
    size: u32,
    alpha: f32,
    diagonal: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4<f32>>;

// Of a: 8 vec4s of 32 rows. Of b: the same, or 8 vec4s of 32 inner rows.
var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;

fn at(m: Matrix, z: u32, row: u32, quad: u32) -> u32 {
    return m.offset + z * m.batch + row * m.row + quad;
}

#ifdef TRANSPOSED
fn product(l: vec4<f32>, r: vec4<f32>) -> f32 {
#ifdef DISTANCE
    let d = l - r;
    return dot(d, d);
#else
    return dot(l, r);
#endif
}

fn add(sum: vec4<f32>, l: vec4<f32>, r0: vec4<f32>, r1: vec4<f32>, r2: vec4<f32>, r3: vec4<f32>) -> vec4<f32> {
    return sum + vec4<f32>(product(l, r0), product(l, r1), product(l, r2), product(l, r3));
}
#endif

fn store(z: u32, row: u32, quad: u32, sum: vec4<f32>) {
    if row >= p.rows || quad * 4u >= p.columns { return; }
    let column = vec4<u32>(0u, 1u, 2u, 3u) + quad * 4u;
    var value = p.alpha * sum;
#ifdef TRANSPOSED
    value = select(vec4<f32>(0.0), value, column < vec4<u32>(p.columns));
#endif
    if row < p.size {
        value = select(value, value + p.diagonal, column == vec4<u32>(row));
    }
    let i = at(p.c, z, row, quad);
#ifdef ACCUMULATE
    c[i] += value;
#else
    c[i] = value;
#endif
}

// Vec4 `quad` of a row of a; 0 outside.
fn load_left(z: u32, row: u32, quad: u32) -> vec4<f32> {
    let inside = row < p.rows && quad * 4u < p.inner;
    return select(vec4<f32>(0.0), a[select(0u, at(p.a, z, row, quad), inside)], inside);
}

// Vec4 `quad` of a row of b, under TRANSPOSED of a column of the product, else of an inner row; 0 outside.
fn load_right(z: u32, row: u32, quad: u32) -> vec4<f32> {
#ifdef TRANSPOSED
    let inside = row < p.columns && quad * 4u < p.inner;
#else
    let inside = row < p.inner && quad * 4u < p.columns;
#endif
    return select(vec4<f32>(0.0), b[select(0u, at(p.b, z, row, quad), inside)], inside);
}

// Stages 32 rows of a from `row` on and 32 columns of the product from quad `column` on, for 8 inner vec4s from `inner`
// on.
fn stage(z: u32, row: u32, column: u32, inner: u32, lane: u32) {
    // Neighbouring invocations read neighbouring vec4s of a row.
    let near = lane % 8u;
    let far = lane / 8u;
#ifdef TRANSPOSED
    let right_row = column * 4u + far;
    let right_quad = inner + near;
#else
    let right_row = inner * 4u + far;
    let right_quad = column + near;
#endif
    // All that an invocation loads is under way before it waits for the first.
    let l0 = load_left(z, row + far, inner + near);
    let l1 = load_left(z, row + far + 8u, inner + near);
    let l2 = load_left(z, row + far + 16u, inner + near);
    let l3 = load_left(z, row + far + 24u, inner + near);
    let r0 = load_right(z, right_row, right_quad);
    let r1 = load_right(z, right_row + 8u, right_quad);
    let r2 = load_right(z, right_row + 16u, right_quad);
    let r3 = load_right(z, right_row + 24u, right_quad);
    let at = near * 32u + far;
    left[at] = l0;
    left[at + 8u] = l1;
    left[at + 16u] = l2;
    left[at + 24u] = l3;
#ifdef TRANSPOSED
    right[at] = r0;
    right[at + 8u] = r1;
    right[at + 16u] = r2;
    right[at + 24u] = r3;
#else
    right[lane] = r0;
    right[lane + 64u] = r1;
    right[lane + 128u] = r2;
    right[lane + 192u] = r3;
#endif
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let z = id.z;
    let first_row = id.y * 32u;
    let first_quad = id.x * 8u;
    let row = lane / 8u;
    let column = lane % 8u;
    let inner_quads = (p.inner + 3u) / 4u;
    var c0 = vec4<f32>(0.0);
    var c1 = vec4<f32>(0.0);
    var c2 = vec4<f32>(0.0);
    var c3 = vec4<f32>(0.0);
    for (var quad = 0u; quad < inner_quads; quad += 8u) {
        stage(z, first_row, first_quad, quad, lane);
        workgroupBarrier();
        for (var k = 0u; k < 256u; k += 32u) {
            let l0 = left[k + row];
            let l1 = left[k + row + 8u];
            let l2 = left[k + row + 16u];
            let l3 = left[k + row + 24u];
#ifdef TRANSPOSED
            let r0 = right[k + column * 4u];
            let r1 = right[k + column * 4u + 1u];
            let r2 = right[k + column * 4u + 2u];
            let r3 = right[k + column * 4u + 3u];
            c0 = add(c0, l0, r0, r1, r2, r3);
            c1 = add(c1, l1, r0, r1, r2, r3);
            c2 = add(c2, l2, r0, r1, r2, r3);
            c3 = add(c3, l3, r0, r1, r2, r3);
#else
            let at = k + column;
            let m = mat4x4<f32>(right[at], right[at + 8u], right[at + 16u], right[at + 24u]);
            c0 = mac(c0, l0, m);
            c1 = mac(c1, l1, m);
            c2 = mac(c2, l2, m);
            c3 = mac(c3, l3, m);
#endif
        }
        workgroupBarrier();
    }
    store(z, first_row + row, first_quad + column, c0);
    store(z, first_row + row + 8u, first_quad + column, c1);
    store(z, first_row + row + 16u, first_quad + column, c2);
    store(z, first_row + row + 24u, first_quad + column, c3);
}
