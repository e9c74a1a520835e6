// The percentile of the `len` numbers of each image, interpolated between order statistics:
//     y[i] = s[rank] + fraction·(s[rank + 1] − s[rank])          s: the numbers x[i·len ..] in ascending order
//
// s[rank] is found digit by digit (radix selection): the bits of a number, changed so that they order as unsigned
// integers as the numbers do, are four digits of 8. Among the numbers that begin with the digits found so far the
// workgroup counts each next digit; the bin that `rank` falls into is the next digit. Then s[rank + 1] is the same
// number if there are more of it, else the least one above it. Counts are integers, so that their order does not
// matter.
//
// One workgroup per image; invocation l takes numbers l, l + 256, …. Grid (n).
struct Params {
    origin: vec4<u32>,
    len: u32,
    rank: u32,
    fraction: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> above: atomic<u32>;
var<workgroup> digit: u32;
// The place of s[rank] among the numbers in its bin, and how many these are.
var<workgroup> place: u32;
var<workgroup> count: u32;

// Order as the numbers do, those below 0 included.
fn key(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn number(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = id.x + p.origin.x;
    let first = image * p.len;
    var found = 0u;
    var mask = 0u;
    var rank = p.rank;
    for (var digits = 4u; digits > 0u; digits--) {
        let shift = 8u * (digits - 1u);
        atomicStore(&bins[lane], 0u);
        if lane == 0u { atomicStore(&above, 0xffffffffu); }
        workgroupBarrier();
        for (var i = lane; i < p.len; i += 256u) {
            let k = key(x[first + i]);
            if (k & mask) == found {
                atomicAdd(&bins[(k >> shift) & 255u], 1u);
            }
        }
        workgroupBarrier();
        if lane == 0u {
            var left = rank;
            var d = 0u;
            var here = atomicLoad(&bins[0]);
            while left >= here && d < 255u {
                left -= here;
                d++;
                here = atomicLoad(&bins[d]);
            }
            digit = d;
            place = left;
            count = here;
        }
        workgroupBarrier();
        found |= digit << shift;
        mask |= 255u << shift;
        rank = place;
    }
    if place + 1u >= count {
        for (var i = lane; i < p.len; i += 256u) {
            let k = key(x[first + i]);
            if k > found { atomicMin(&above, k); }
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let low = number(found);
        var value = low;
        let next = atomicLoad(&above);
        // Without a greater number, or with one more of the same, there is nothing to interpolate.
        if p.fraction > 0.0 && next != 0xffffffffu {
            let high = number(next);
            // From the nearer of the two, so that rounding is small against it.
            let gap = high - low;
            if p.fraction < 0.5 {
                value = min(low + p.fraction * gap, high);
            } else {
                value = max(high - (1.0 - p.fraction) * gap, low);
            }
        }
        y[image] = value;
    }
}
