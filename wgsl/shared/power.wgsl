#define_import_path pixgrad::power

// 1 − bᵗ from ln b < 0, to 1e-6 relative for every t ≥ 1. Where bᵗ is close to 1 the subtraction would cancel (b =
// 0.999, t = 1 would keep four digits), so there it is the Taylor series of −(eˣ − 1), x = t·ln b.
fn one_minus_power(ln_base: f32, t: u32) -> f32 {
    let x = f32(t) * ln_base;
    if x < -0.5 { return 1.0 - exp(x); }
    // Ten terms: the first one left out is 0.5¹⁰/11! of the first.
    var series = 1.0;
    for (var k = 10u; k > 1u; k--) {
        series = fma(series, x / f32(k), 1.0);
    }
    return -x * series;
}

// v^(whole + fraction) of each component of v ≥ 0, 0 ≤ fraction < 1; v⁰ = 1. The whole part is by squaring, one half by
// a root: `pow` alone, which is an exponential of a logarithm, would lose digits in proportion to the exponent. It is
// kept from 0, whose logarithm is undefined.
fn power(v: vec4<f32>, whole: u32, fraction: f32) -> vec4<f32> {
    var result = vec4<f32>(1.0);
    var square = v;
    for (var bits = whole; bits > 0u; bits >>= 1u) {
        if (bits & 1u) != 0u { result *= square; }
        square *= square;
    }
    if fraction == 0.5 {
        result *= sqrt(v);
    } else if fraction > 0.0 {
        let root = pow(max(v, vec4<f32>(1.2e-38)), vec4<f32>(fraction));
        result *= select(vec4<f32>(0.0), root, v > vec4<f32>(0.0));
    }
    return result;
}
