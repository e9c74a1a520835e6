#define_import_path pixgrad::power

// 1 − bᵗ from ln b < 0, to 1e-6 relative for every t ≥ 1. Where bᵗ is close to 1 the subtraction would cancel (b = 0.999,
// t = 1 would keep four digits), so there it is the Taylor series of −(eˣ − 1), x = t·ln b.
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
