// Gram matrices, first step: for each image and each share of its pixels
//     partial[n, split, i, j] = Σ_pixels of the share F[pixel, i]·F[pixel, j]
// as row-major [4·quads, 4·quads] matrices, padding channels included (they are zero). gram_reduce.wgsl adds the
// shares: short sums added as a tree keep f32 accurate, and the shares fill the GPU where there are few channels.
//
// A workgroup makes one 64×64 tile, and its mirror image, so that only tiles on and above the diagonal are dispatched.
// One invocation per 8×8 elements: channels of quads `row`, `row + 8` times those of `column`, `column + 8`, as four
// mat4x4s. 16 pixels at a time are staged in workgroup memory. Grid (pairs of tiles, splits, n).
// BROADCAST: see shared/conv.wgsl.
#import pixgrad::tensor::View

struct Params {
    origin: vec4<u32>,
    f: View,
    splits: u32,
    // Pixels of one image, and of one share.
    pixels: u32,
    share: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> f: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;

// 16 pixels of 16 quads each.
var<workgroup> left: array<vec4<f32>, 256>;
var<workgroup> right: array<vec4<f32>, 256>;

// 0 beyond the share and the channels.
fn load(n: u32, pixel: u32, end: u32, quad: u32) -> vec4<f32> {
    let inside = pixel < end && quad < p.f.quads;
    let at = (n * p.pixels + pixel) * p.f.stride + p.f.offset + quad;
    return select(vec4<f32>(0.0), f[select(0u, at, inside)], inside);
}

// Stages 16 pixels of the columns of 16 quads from `left_quad` and `right_quad` on.
fn stage(n: u32, first: u32, end: u32, left_quad: u32, right_quad: u32, lane: u32) {
    // All that an invocation loads is under way before it waits for the first.
    let pixel = first + lane / 16u;
    let l = left_quad + lane % 16u;
    let r = right_quad + lane % 16u;
    let l0 = load(n, pixel, end, l);
    let l1 = load(n, pixel + 4u, end, l);
    let l2 = load(n, pixel + 8u, end, l);
    let l3 = load(n, pixel + 12u, end, l);
    let r0 = load(n, pixel, end, r);
    let r1 = load(n, pixel + 4u, end, r);
    let r2 = load(n, pixel + 8u, end, r);
    let r3 = load(n, pixel + 12u, end, r);
    left[lane] = l0;
    left[lane + 64u] = l1;
    left[lane + 128u] = l2;
    left[lane + 192u] = l3;
    right[lane] = r0;
    right[lane + 64u] = r1;
    right[lane + 128u] = r2;
    right[lane + 192u] = r3;
}

// acc + l·rᵀ; column i of the result belongs to channel i of l and is a piece of a row of the Gram matrix.
fn add_outer(acc: mat4x4<f32>, l: vec4<f32>, r: vec4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(fma(l.xxxx, r, acc[0]), fma(l.yyyy, r, acc[1]), fma(l.zzzz, r, acc[2]), fma(l.wwww, r, acc[3]));
}

fn store(matrix: u32, row_quad: u32, column_quad: u32, m: mat4x4<f32>) {
    if row_quad >= p.f.quads || column_quad >= p.f.quads { return; }
    let width = p.f.quads;
    let at = matrix * width * width * 4u + row_quad * 4u * width + column_quad;
    partial[at] = m[0];
    partial[at + width] = m[1];
    partial[at + 2u * width] = m[2];
    partial[at + 3u * width] = m[3];
}

// The 8×8 elements of one invocation.
struct Sums { near_near: mat4x4<f32>, near_far: mat4x4<f32>, far_near: mat4x4<f32>, far_far: mat4x4<f32> }

// Adds one pixel, whose quads of the right tile begin at `at`.
fn add_pixel(sums: Sums, l_near: vec4<f32>, l_far: vec4<f32>, at: u32) -> Sums {
    let r_near = right[at];
    let r_far = right[at + 8u];
    return Sums(
        add_outer(sums.near_near, l_near, r_near), add_outer(sums.near_far, l_near, r_far),
        add_outer(sums.far_near, l_far, r_near), add_outer(sums.far_far, l_far, r_far),
    );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let n = id.z;
    // Tile (i, j), i ≤ j: those of column j come after the j(j + 1)/2 of the columns before it.
    var tile_row = id.x;
    var tile_column = 0u;
    while tile_row > tile_column {
        tile_column += 1u;
        tile_row -= tile_column;
    }
    let row = lane / 8u;
    let column = lane % 8u;
    let zero = mat4x4<f32>();
    var sums = Sums(zero, zero, zero, zero);

    let begin = id.y * p.share;
    let end = min(begin + p.share, p.pixels);
    for (var first = begin; first < end; first += 16u) {
        stage(n, first, end, tile_row * 16u, tile_column * 16u, lane);
        workgroupBarrier();
#ifdef BROADCAST
        // The invocations of a subgroup have the same row: each loads the left quads of one of eight pixels.
        for (var k = 0u; k < 256u; k += 128u) {
            let near = left[k + column * 16u + row];
            let far = left[k + column * 16u + row + 8u];
            let at = k + column;
            sums = add_pixel(sums, subgroupBroadcast(near, 0u), subgroupBroadcast(far, 0u), at);
            sums = add_pixel(sums, subgroupBroadcast(near, 1u), subgroupBroadcast(far, 1u), at + 16u);
            sums = add_pixel(sums, subgroupBroadcast(near, 2u), subgroupBroadcast(far, 2u), at + 32u);
            sums = add_pixel(sums, subgroupBroadcast(near, 3u), subgroupBroadcast(far, 3u), at + 48u);
            sums = add_pixel(sums, subgroupBroadcast(near, 4u), subgroupBroadcast(far, 4u), at + 64u);
            sums = add_pixel(sums, subgroupBroadcast(near, 5u), subgroupBroadcast(far, 5u), at + 80u);
            sums = add_pixel(sums, subgroupBroadcast(near, 6u), subgroupBroadcast(far, 6u), at + 96u);
            sums = add_pixel(sums, subgroupBroadcast(near, 7u), subgroupBroadcast(far, 7u), at + 112u);
        }
#else
        for (var k = 0u; k < 256u; k += 16u) {
            sums = add_pixel(sums, left[k + row], left[k + row + 8u], k + column);
        }
#endif
        workgroupBarrier();
    }

    let matrix = n * p.splits + id.y;
    let i = tile_row * 16u + row;
    let j = tile_column * 16u + column;
    store(matrix, i, j, sums.near_near);
    store(matrix, i, j + 8u, sums.near_far);
    store(matrix, i + 8u, j, sums.far_near);
    store(matrix, i + 8u, j + 8u, sums.far_far);
    if tile_row != tile_column {
        store(matrix, j, i, transpose(sums.near_near));
        store(matrix, j + 8u, i, transpose(sums.near_far));
        store(matrix, j, i + 8u, transpose(sums.far_near));
        store(matrix, j + 8u, i + 8u, transpose(sums.far_far));
    }
}
