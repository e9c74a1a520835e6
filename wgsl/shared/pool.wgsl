#define_import_path pixgrad::pool
#import pixgrad::nan::rectified
#import pixgrad::tensor::{index, maxima_index}
#import pixgrad::strip::{Strip, add_strip}
#import pixgrad::conv::{bias, p, y}

// Bias, ReLU and 2×2 max pooling of a convolution's sums, see conv3x3_pool.wgsl.

@group(0) @binding(5) var<storage, read_write> maxima: array<u32>;

// The maximum of a window, and the bits of its elements as they are for the first window of a word.
struct Maximum { value: vec4<f32>, bits: u32 }

// Of the window's first row a and b, of its second c and d. What is not negative has the order of its bits, and there
// NaN is the greatest.
fn maximum(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> Maximum {
    let channels = vec4<u32>(1u, 2u, 4u, 8u);
    var value = bitcast<vec4<u32>>(rectified(a));
    var bits = select(vec4<u32>(0u), channels, value > vec4<u32>(0u));
    let second = bitcast<vec4<u32>>(rectified(b));
    bits = select(bits, channels << vec4<u32>(4u), second > value);
    value = max(value, second);
    let third = bitcast<vec4<u32>>(rectified(c));
    bits = select(bits, channels << vec4<u32>(16u), third > value);
    value = max(value, third);
    let fourth = bitcast<vec4<u32>>(rectified(d));
    bits = select(bits, channels << vec4<u32>(20u), fourth > value);
    value = max(value, fourth);
    return Maximum(bitcast<vec4<f32>>(value), bits.x | bits.y | bits.z | bits.w);
}

// Pools and writes the sums of a block, four pixels of each of two rows: pixels 2·group and 2·group + 1 of row `row` of
// y.
fn store_pooled(sum: Strip, n: u32, row: u32, group: u32, quad_out: u32) {
    let s = add_strip(sum, bias[quad_out]);
    let first = maximum(s.a, s.b, s.e, s.f);
    let second = maximum(s.c, s.d, s.g, s.h);
    let ox = group * 2u;
    let both = ox + 1u < p.y.w;
    let at = index(p.y, n, row, ox, quad_out);
    y[at] = first.value;
    if both { y[at + p.y.stride] = second.value; }
    // A pixel beyond the image has no bits.
    let bits = first.bits | select(0u, second.bits << 8u, both);
    maxima[maxima_index(p.y, n, row, group, quad_out)] = bits;
}
