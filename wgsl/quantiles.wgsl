// How far the numbers of each row are from those of another row, both sorted, as distributions: the integral over u of
// the squared difference of their quantiles at u, which are steps: of `len` numbers p the i-th from i/len to (i +
// 1)/len, of `goals` numbers q the j-th from j/goals to (j + 1)/goals. It is exact for any two lengths.
//     slope  = ∫ (p_i − q(u)) du·len over the step of p_i
//     slopes[(image·len + place)·rows + row] = slope, place being where p_i stood before it was sorted
//     partials[group] = Σ ∫ (p_i − q(u))² du·len over 256 of the row's numbers
// Rows are counted over all images, of which each has `rows`.
//
// The step of p_i begins in step j = ⌊i·goals/len⌋ of q, `i·goals mod len` into it (in units of 1/(len·goals)). The
// product may have more than 32 bits, so that it is divided bit by bit.
//
// One invocation per number, `parts` workgroups for each row. Grid: shared/flat.wgsl.
#import pixgrad::flat::group_index
#import pixgrad::reduce::workgroup_sum

struct Params {
    origin: vec4<u32>,
    columns: u32,
    images: u32,
    rows: u32,
    len: u32,
    goals: u32,
    parts: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> goals: array<f32>;
@group(0) @binding(4) var<storage, read_write> slopes: array<f32>;
@group(0) @binding(5) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let group = group_index(id + p.origin.xyz, p.columns);
    let row = group / p.parts;
    let i = group % p.parts * 256u + lane;
    // The grid's last row may reach beyond the last part.
    let has_row = row < p.images * p.rows;
    var square = 0.0;
    if has_row && i < p.len {
        var j = 0u;
        var into = 0u;
        for (var bit = 32u - countLeadingZeros(i); bit > 0u; bit--) {
            let one = (i >> (bit - 1u)) & 1u;
            j = 2u * j + one * (p.goals / p.len);
            into = 2u * into + one * (p.goals % p.len);
            while into >= p.len {
                into -= p.len;
                j++;
            }
        }
        let value = values[row * p.len + i];
        var slope = 0.0;
        var left = p.goals;
        while left > 0u {
            let width = min(p.len - into, left);
            let difference = value - goals[row * p.goals + j];
            slope += f32(width) * difference;
            square += f32(width) * difference * difference;
            left -= width;
            into = 0u;
            j++;
        }
        let place = row / p.rows * p.len + order[row * p.len + i];
        slopes[place * p.rows + row % p.rows] = slope / f32(p.goals);
        square /= f32(p.goals);
    }
    let sum = workgroup_sum(lane, square);
    if lane == 0u && has_row {
        partials[group] = sum;
    }
}
