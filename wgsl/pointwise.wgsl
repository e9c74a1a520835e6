// y = f(x) for every number by itself; the gradient with BACKWARD:
//     dx (+)= dy·f′(x)                                                   ACCUMULATE adds to dx.
// f(NaN) is NaN. The definition says which function f is; `numbers` are its own, in the order of
// src/kernels/pointwise.rs, which has the formulas. No exponent is above 0 but that of EXP itself, so nothing
// overflows.
//
// Bindings: x; y. BACKWARD: x; dy; dx. All of one shape.
// One invocation per pixel and vec4 of channels: grid (⌈w·quads/64⌉, h, n). f(0) may be anything: padding channels are
// set to 0.
#import pixgrad::nan::unless_nan
#import pixgrad::tensor::{View, index, padded}
#import pixgrad::power::power

struct Params {
    origin: vec4<u32>,
    x: View,
    // Of the backward pass.
    dy: View,
    out: View,
    numbers: vec2<f32>,
    // POWER: the exponent, of x or of its derivative, without its sign.
    whole: u32,
    fraction: f32,
    // 1: the exponent is negative. 2: it is a whole number. 4: it is odd.
    flags: u32,
    end_0: u32,
    end_1: u32,
    end_2: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#ifdef BACKWARD
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif

const ZERO = vec4<f32>(0.0);
const ONE = vec4<f32>(1.0);

fn sigmoid(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return select(e, ONE, v >= ZERO) / (1.0 + e);
}

fn sigmoid_slope(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return e / ((1.0 + e) * (1.0 + e));
}

// eᵛ − 1 for v ≤ 0. Near 0, where the subtraction would cancel, by Taylor's series.
fn exp_minus_one(v: vec4<f32>) -> vec4<f32> {
    let near = max(v, vec4<f32>(-0.5));
    var series = ONE;
    for (var k = 9u; k > 1u; k--) {
        series = fma(series, near / f32(k), ONE);
    }
    return select(exp(v) - 1.0, near * series, v > vec4<f32>(-0.5));
}

// ln(1 + e^−|v|), by the series of 2·artanh(e/(2 + e)): its ratio is at most 1/9.
fn ln_one_plus_exp(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    let r = e / (2.0 + e);
    let square = r * r;
    var series = vec4<f32>(1.0 / 17.0);
    for (var k = 8u; k > 0u; k--) {
        series = fma(series, square, vec4<f32>(1.0 / f32(2u * k - 1u)));
    }
    return 2.0 * r * series;
}

// 1 − erf(v) for v ≥ 0: e^(−v²)·t·p(t) with the polynomial of src/kernels/pointwise.rs. Beyond 10 it is 0.
fn erfc(v: vec4<f32>) -> vec4<f32> {
    let near = min(v, vec4<f32>(10.0));
    let t = 1.0 / fma(near, vec4<f32>(0.5), ONE);
    var sum = vec4<f32>(-0.0597149189);
    sum = fma(sum, t, vec4<f32>(0.287768309));
    sum = fma(sum, t, vec4<f32>(-0.493863648));
    sum = fma(sum, t, vec4<f32>(0.28569771));
    sum = fma(sum, t, vec4<f32>(-0.0318417571));
    sum = fma(sum, t, vec4<f32>(0.204853655));
    sum = fma(sum, t, vec4<f32>(0.242572893));
    sum = fma(sum, t, vec4<f32>(0.282445042));
    sum = fma(sum, t, vec4<f32>(0.282082674));
    return exp(-near * near) * t * sum;
}

// Below 1 by Maclaurin's series, which keeps the digits of small numbers.
fn erf(v: vec4<f32>) -> vec4<f32> {
    let near = min(abs(v), ONE);
    let square = -near * near;
    var series = ZERO;
    for (var k = 11u; k > 0u; k--) {
        let n = f32(k - 1u);
        series = fma(series, square / (n + 1.0), vec4<f32>(1.0 / (2.0 * n + 1.0)));
    }
    let size = select(1.0 - erfc(abs(v)), 1.1283791671 * near * series, abs(v) < ONE);
    return select(size, -size, v < ZERO);
}

// The distribution function of the standard normal distribution.
fn normal(v: vec4<f32>) -> vec4<f32> {
    let tail = 0.5 * erfc(abs(v) * 0.7071067812);
    return select(1.0 - tail, tail, v < ZERO);
}

// w = tanh(ln(1 + eᵛ)).
fn mish_factor(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    let part = e * (e + 2.0);
    return select(part / (part + 2.0), (1.0 + 2.0 * e) / (1.0 + 2.0 * e + 2.0 * e * e), v > ZERO);
}

// 1 − w.
fn mish_rest(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return select(2.0 / (e * (e + 2.0) + 2.0), 2.0 * e * e / (1.0 + 2.0 * e + 2.0 * e * e), v > ZERO);
}

// √(8/π)·(v + 0.044715·v³) and its derivative. Beyond 12 nothing changes any more.
fn gelu_argument(v: vec4<f32>) -> vec4<f32> {
    let near = clamp(v, vec4<f32>(-12.0), vec4<f32>(12.0));
    return 1.5957691216 * near * (1.0 + 0.044715 * near * near);
}
fn gelu_argument_slope(v: vec4<f32>) -> vec4<f32> {
    let near = clamp(v, vec4<f32>(-12.0), vec4<f32>(12.0));
    return 1.5957691216 * (1.0 + 0.134145 * near * near);
}

// v to the exponent of the parameters, 0 where that is no real number.
fn signed_power(v: vec4<f32>) -> vec4<f32> {
    var size = power(abs(v), p.whole, p.fraction);
    if (p.flags & 1u) != 0u { size = 1.0 / size; }
    var below = ZERO;
    if (p.flags & 2u) != 0u { below = size; }
    if (p.flags & 4u) != 0u { below = -size; }
    return select(size, below, v < ZERO);
}

#ifdef SILU
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * sigmoid(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return sigmoid(v) * (1.0 + v * sigmoid(-v)); }
#endif
#ifdef SIGMOID
fn value_at(v: vec4<f32>) -> vec4<f32> { return sigmoid(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return sigmoid_slope(v); }
#endif
#ifdef TANH
fn value_at(v: vec4<f32>) -> vec4<f32> {
    let e = exp_minus_one(-2.0 * abs(v));
    return select(e, -e, v > ZERO) / (2.0 + e);
}
fn slope_at(v: vec4<f32>) -> vec4<f32> { return 4.0 * sigmoid_slope(2.0 * v); }
#endif
#ifdef EXP
fn value_at(v: vec4<f32>) -> vec4<f32> { return exp(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return exp(v); }
#endif
#ifdef LOG
fn value_at(v: vec4<f32>) -> vec4<f32> { return log(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return 1.0 / v; }
#endif
#ifdef ABS
fn value_at(v: vec4<f32>) -> vec4<f32> { return abs(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return sign(v); }
#endif
#ifdef SQRT
fn value_at(v: vec4<f32>) -> vec4<f32> { return sqrt(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return 0.5 / sqrt(v); }
#endif
#ifdef SQUARE
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * v; }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return 2.0 * v; }
#endif
#ifdef RECIPROCAL
fn value_at(v: vec4<f32>) -> vec4<f32> { return 1.0 / v; }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return -(1.0 / v) / v; }
#endif
#ifdef ERF
fn value_at(v: vec4<f32>) -> vec4<f32> { return erf(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let near = min(abs(v), vec4<f32>(12.0));
    return 1.1283791671 * exp(-near * near);
}
#endif
#ifdef POWER
fn value_at(v: vec4<f32>) -> vec4<f32> { return signed_power(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    if p.numbers.x == 0.0 { return ZERO; }
    return p.numbers.x * signed_power(v);
}
#endif
#ifdef LEAKY_RELU
fn value_at(v: vec4<f32>) -> vec4<f32> { return select(p.numbers.x * v, v, v > ZERO); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return select(vec4<f32>(p.numbers.x), ONE, v > ZERO); }
#endif
#ifdef ELU
fn value_at(v: vec4<f32>) -> vec4<f32> { return select(p.numbers.x * exp_minus_one(min(v, ZERO)), v, v > ZERO); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return select(p.numbers.x * exp(min(v, ZERO)), ONE, v > ZERO); }
#endif
#ifdef CELU
// With α < 0 the exponent is positive.
fn value_at(v: vec4<f32>) -> vec4<f32> {
    let u = min(v, ZERO) / p.numbers.x;
    let below = select(exp_minus_one(min(u, ZERO)), exp(u) - 1.0, u > ZERO);
    return select(p.numbers.x * below, v, v > ZERO);
}
fn slope_at(v: vec4<f32>) -> vec4<f32> { return select(exp(min(v, ZERO) / p.numbers.x), ONE, v > ZERO); }
#endif
#ifdef SELU
fn value_at(v: vec4<f32>) -> vec4<f32> {
    return p.numbers.y * select(p.numbers.x * exp_minus_one(min(v, ZERO)), v, v > ZERO);
}
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    return p.numbers.y * select(p.numbers.x * exp(min(v, ZERO)), ONE, v > ZERO);
}
#endif
#ifdef HARD_SIGMOID
fn value_at(v: vec4<f32>) -> vec4<f32> { return clamp(p.numbers.x * v + p.numbers.y, ZERO, ONE); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let line = p.numbers.x * v + p.numbers.y;
    return select(ZERO, vec4<f32>(p.numbers.x), (line > ZERO) & (line < ONE));
}
#endif
#ifdef HARD_SWISH
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * clamp(v / 6.0 + 0.5, ZERO, ONE); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let inside = select(ZERO, v / 3.0 + 0.5, v > vec4<f32>(-3.0));
    return select(inside, ONE, v >= vec4<f32>(3.0));
}
#endif
#ifdef SOFTPLUS
fn value_at(v: vec4<f32>) -> vec4<f32> { return max(v, ZERO) + ln_one_plus_exp(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return sigmoid(v); }
#endif
#ifdef SOFTSIGN
fn value_at(v: vec4<f32>) -> vec4<f32> { return v / (1.0 + abs(v)); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let factor = 1.0 / (1.0 + abs(v));
    return factor * factor;
}
#endif
#ifdef MISH
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * mish_factor(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let w = mish_factor(v);
    return w + v * mish_rest(v) * (1.0 + w) * sigmoid(v);
}
#endif
#ifdef GELU
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * normal(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let near = clamp(v, vec4<f32>(-15.0), vec4<f32>(15.0));
    return normal(v) + near * 0.3989422804 * exp(-0.5 * near * near);
}
#endif
#ifdef GELU_TANH
fn value_at(v: vec4<f32>) -> vec4<f32> { return v * sigmoid(gelu_argument(v)); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    let u = gelu_argument(v);
    return sigmoid(u) + v * sigmoid_slope(u) * gelu_argument_slope(v);
}
#endif
#ifdef CLIP
fn value_at(v: vec4<f32>) -> vec4<f32> { return min(max(v, vec4<f32>(p.numbers.x)), vec4<f32>(p.numbers.y)); }
fn slope_at(v: vec4<f32>) -> vec4<f32> {
    return select(ZERO, ONE, (v >= vec4<f32>(p.numbers.x)) & (v <= vec4<f32>(p.numbers.y)));
}
#endif
#ifdef LOG_SIGMOID
fn value_at(v: vec4<f32>) -> vec4<f32> { return min(v, ZERO) - ln_one_plus_exp(v); }
fn slope_at(v: vec4<f32>) -> vec4<f32> { return sigmoid(-v); }
#endif

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group + p.origin.xyz;
    let flat = id.x * 64u + lane;
    if flat >= p.out.w * p.out.quads { return; }
    let xx = flat / p.out.quads;
    let quad = flat % p.out.quads;
    let value = x[index(p.x, id.z, id.y, xx, quad)];
    let at = index(p.out, id.z, id.y, xx, quad);
#ifdef BACKWARD
    let gradient = padded(p.out, quad, dy[index(p.dy, id.z, id.y, xx, quad)] * slope_at(value));
#ifdef ACCUMULATE
    out[at] += gradient;
#else
    out[at] = gradient;
#endif
#else
    out[at] = padded(p.out, quad, unless_nan(value, value_at(value)));
#endif
}
