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

// The same sum, which every lane gets. May be called again and again.
fn workgroup_total(lane: u32, value: f32) -> f32 {
    let ignored = workgroup_sum(lane, value);
    workgroupBarrier();
    let total = sums[0];
    // Everybody has read it before its place is written again.
    workgroupBarrier();
    return total;
}

// The greatest `value` of the 256 invocations, which every lane gets. May be called again and again.
fn workgroup_max(lane: u32, value: f32) -> f32 {
    sums[lane] = value;
    for (var reach = 128u; reach > 0u; reach >>= 1u) {
        workgroupBarrier();
        if lane < reach { sums[lane] = max(sums[lane], sums[lane + reach]); }
    }
    workgroupBarrier();
    let greatest = sums[0];
    workgroupBarrier();
    return greatest;
}
