#define_import_path pixgrad::nan

// What an overflow has made must reach the result, or a wrong one looks like a right one. A shader's compiler may take
// for granted that no float is NaN, so NaNs are told by their bits.

// Which components are NaN.
fn is_nan(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

// max(v, 0), and NaN where v is.
fn rectified(v: vec4<f32>) -> vec4<f32> {
    // The bits of numbers from -0 to minus infinity.
    let negative = bitcast<vec4<u32>>(v) - vec4<u32>(0x80000000u) <= vec4<u32>(0x7f800000u);
    return select(v, vec4<f32>(0.0), negative);
}

// `value`, and NaN where v is.
fn unless_nan(v: vec4<f32>, value: vec4<f32>) -> vec4<f32> {
    return select(value, v, is_nan(v));
}

// Which components of `value` are greater than those of `most`; NaN is the greatest of all.
fn exceeds(value: vec4<f32>, most: vec4<f32>) -> vec4<bool> {
    return ((value > most) | is_nan(value)) & !is_nan(most);
}
