// Reals in 16 bits. Any binding that a kernel declares as array<vec4<f32>> can hold them instead: src/device/packing.rs
// then makes an array<vec2<u32>> of it and puts one of these functions at each load and each store. No kernel knows.
//
// Packed: four numbers share an exponent. With m_i in [−8191, 8191] and e in 1..=254, number i is m_i·2^(e−127); the
// largest |m_i| is at least 4096 but near the smallest f32. A word holds, from its high bits down, 14 bits of m_0, 14
// of m_1, 4 of e (the low ones); the other m_2, m_3 and the high bits of e. So no value of an activation or a gradient
// is too large or too small, whatever the network and the weight of the loss. e = 255: not finite.
//
// Rectified: the same of numbers that are never negative, as what a ReLU leaves. All 14 bits are of the number: m_i in
// [0, 16383], the largest at least 8192.

fn exponent(words: vec2<u32>) -> f32 {
    return bitcast<f32>(((words.x & 15u) | ((words.y & 15u) << 4u)) << 23u);
}

// Each m from the highest bit on.
fn mantissas(words: vec2<u32>) -> vec4<u32> {
    return vec4<u32>(words.x, words.x << 14u, words.y, words.y << 14u);
}

fn unpack(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(bitcast<vec4<i32>>(mantissas(words)) >> vec4<u32>(18u)) * exponent(words);
}

fn unpack_rectified(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(mantissas(words) >> vec4<u32>(18u)) * exponent(words);
}

// The words, where the largest m has `bits` bits (a sign, if any, is one more) and all are in [least, most].
fn joined(value: vec4<f32>, bits: u32, least: f32, most: f32) -> vec2<u32> {
    let magnitude = bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu);
    let largest = max(max(magnitude.x, magnitude.y), max(magnitude.z, magnitude.w));
    let e = min(max(largest >> 23u, bits) + 1u - bits, 255u - bits);
    let scaled = clamp(value * bitcast<f32>((254u - e) << 23u), vec4<f32>(least), vec4<f32>(most));
    // 1.5·2²³: a sum with so large a number is rounded to a whole one, which stands in its low bits.
    let m = bitcast<vec4<u32>>(scaled + 12582912.0) & vec4<u32>(0x3fffu);
    let words = vec2<u32>((m.x << 18u) | (m.y << 4u) | (e & 15u), (m.z << 18u) | (m.w << 4u) | (e >> 4u));
    return select(words, vec2<u32>(15u), largest >= 0x7f800000u);
}

fn pack(value: vec4<f32>) -> vec2<u32> {
    return joined(value, 13u, -8191.0, 8191.0);
}

fn pack_rectified(value: vec4<f32>) -> vec2<u32> {
    return joined(value, 14u, 0.0, 16383.0);
}

// Half: IEEE 754's binary16, for weights, which are only read: it is known beforehand that they fit.

fn from_half(words: vec2<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(words.x), unpack2x16float(words.y));
}
