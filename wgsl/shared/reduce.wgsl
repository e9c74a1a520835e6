#define_import_path pixgrad::reduce

var<workgroup> sums: array<f32, 256>;

// The sum of `value` over the 256 invocations of a workgroup as a tree of fixed shape, the same bits on every run.
// Lane 0 has it; the others get something else. To be called once, in uniform control flow.
fn workgroup_sum(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { sums[lane] += sums[lane + reach]; }
    }
    return sums[lane];
}
