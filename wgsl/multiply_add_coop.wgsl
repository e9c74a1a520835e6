// What an adapter's cooperative matrices compute at most: four chains of products per subgroup, with nothing but
// registers touched in between. With m the matrix of T×T of a subgroup, of 16·rounds steps for each of the four chains:
//     y[m, i, j] = (64·rounds + 1.5) · a·b·(1 + (i + 3·j) % 4)
// as so many products of a·I and a matrix of these numbers, factors in f16, sums in f32: the chains begin at 0, 1, 2
// and 3 quarters of one, so that no compiler makes one of them: none is another some steps later.
//
// T, T8, LANES_8, LANES_64: see shared/coop.wgsl. Four matrices for a workgroup: grid (⌈matrices/4⌉, 1, 1); y has that
// many.
#import pixgrad::coop::{INVOCATIONS, Left, Product, Right, T}

struct Params {
    origin: vec4<u32>,
    rounds: u32,
    a: f32,
    b: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

var<workgroup> diagonal: array<f16, T * T>;
var<workgroup> numbers: array<f16, T * T>;

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    for (var i = lane; i < T * T; i += INVOCATIONS) {
        let row = i / T;
        let column = i % T;
        diagonal[i] = f16(select(0.0, p.a, row == column));
        numbers[i] = f16(p.b * f32(1u + (row + 3u * column) % 4u));
    }
    workgroupBarrier();
    let left = coopLoadT<Left>(&diagonal[0], T);
    let right = coopLoadT<Right>(&numbers[0], T);
    var first = Product();
    let one = coopMultiplyAdd(left, right, first);
    var second = one * 0.25;
    var third = one * 0.5;
    var fourth = one * 0.75;
    for (var step = 0u; step < p.rounds * 16u; step++) {
        first = coopMultiplyAdd(left, right, first);
        second = coopMultiplyAdd(left, right, second);
        third = coopMultiplyAdd(left, right, third);
        fourth = coopMultiplyAdd(left, right, fourth);
    }
    let at = ((id.x + p.origin.x) * 4u + subgroup % 4u) * T * T;
    coopStoreT((first + second) + (third + fourth), &y[at], T);
}
