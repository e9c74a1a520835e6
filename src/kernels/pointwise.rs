//! A function of every number by itself: what networks have between their convolutions.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_slot, in_row, pixel, row_grid, row_position, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work, vectorized};

/// The variants of one function: forward, backward, and backward added to what is there.
macro_rules! variants {
    ($($function:literal),+ $(,)?) => {
        &[$(
            &[$function],
            &[$function, "BACKWARD"],
            &[$function, "BACKWARD", "ACCUMULATE"],
        )+]
    };
}

/// `wgsl/pointwise.wgsl`.
pub const SOURCE: Source = Source {
    name: "pointwise",
    text: include_str!("../../wgsl/pointwise.wgsl"),
    variants: variants![
        "SILU",
        "SIGMOID",
        "TANH",
        "EXP",
        "LOG",
        "ABS",
        "SQRT",
        "SQUARE",
        "RECIPROCAL",
        "ERF",
        "POWER",
        "LEAKY_RELU",
        "ELU",
        "CELU",
        "SELU",
        "HARD_SIGMOID",
        "HARD_SWISH",
        "SOFTPLUS",
        "SOFTSIGN",
        "MISH",
        "GELU",
        "GELU_TANH",
        "CLIP",
        "LOG_SIGMOID",
    ],
};

/// A function of one number. σ is the sigmoid, `σ(x) = 1 / (1 + exp(−x))`.
///
/// Where a function has a kink its derivative there is torch's, which is said where it is not that of x < 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `x·σ(x)` (Elfwing et al. 2018, section 2), also called swish.
    Silu,
    /// `σ(x)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// `exp(x)`; more than f32 holds from x = 88.8 on.
    Exp,
    /// `ln(x)`; not a number where x < 0.
    Log,
    /// `|x|`; its derivative at 0 is 0.
    Abs,
    /// `√x`; not a number where x < 0. Its derivative at 0 is infinite.
    Sqrt,
    /// `x²`.
    Square,
    /// `1/x`.
    Reciprocal,
    /// The error function `2/√π·∫₀ˣ exp(−t²) dt`.
    Erf,
    /// `x` to that power. Where x < 0 and the exponent is not a whole number, both it and its derivative are 0.
    Power(f32),
    /// `x`, or where x ≤ 0 that factor times x.
    LeakyRelu(f32),
    /// `x`, or where x ≤ 0 `α·(exp(x) − 1)` (Clevert et al. 2016, equation 14).
    Elu(f32),
    /// `x`, or where x ≤ 0 `α·(exp(x/α) − 1)` (Barron 2017, equation 2). α is not 0.
    Celu(f32),
    /// γ times [`Function::Elu`] (Klambauer et al. 2017, equation 2).
    Selu {
        /// Of the Elu.
        alpha: f32,
        /// The factor on all.
        gamma: f32,
    },
    /// `min(max(α·x + β, 0), 1)`; its derivative at both kinks is 0.
    HardSigmoid {
        /// Factor on x.
        alpha: f32,
        /// What is added.
        beta: f32,
    },
    /// `x·min(max(x/6 + ½, 0), 1)` (Howard et al. 2019, section 5.2); its derivative is 0 at −3 and 1 at 3.
    HardSwish,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x·tanh(ln(1 + exp(x)))` (Misra 2020, equation 1).
    Mish,
    /// `x·Φ(x)`, Φ being the distribution function of the standard normal distribution (Hendrycks and Gimpel 2016,
    /// section 2).
    Gelu,
    /// The approximation `½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))` of it (there).
    GeluTanh,
    /// `min(max(x, low), high)`; its derivative at both kinks is 1. Either may be infinite.
    Clip {
        /// Least value.
        low: f32,
        /// Greatest value.
        high: f32,
    },
    /// `ln(σ(x))`.
    LogSigmoid,
}

/// `y = f(x)`.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointwise {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
    /// What f is.
    pub function: Function,
}

/// The gradient of [`Pointwise`]: `dx (+)= dy·f′(x)`.
///
/// Bindings: `x`, `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointwiseBackward {
    /// The input of the forward pass.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// What f is.
    pub function: Function,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dy: View,
    out: View,
    /// The numbers of the function, in its order.
    numbers: [f32; 2],
    exponent: Exponent,
    end: [u32; 2],
}

/// An exponent as `power` in `wgsl/shared/power.wgsl` has it, and what becomes of negative bases.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
struct Exponent {
    whole: u32,
    fraction: f32,
    /// 1: it is negative. 2: it is a whole number. 4: it is odd.
    flags: u32,
    end: u32,
}

impl Exponent {
    fn new(value: f64) -> Self {
        let (magnitude, whole) = (value.abs(), value.abs().floor());
        let flag = |bit: u32, on: bool| if on { bit } else { 0 };
        Self {
            whole: whole as u32,
            fraction: (magnitude - whole) as f32,
            flags: flag(1, value < 0.0)
                | flag(2, magnitude == whole)
                | flag(4, magnitude == whole && whole % 2.0 == 1.0),
            end: 0,
        }
    }
}

/// Coefficients of a polynomial p with `erfc(x) = exp(−x²)·t·p(t)`, `t = 1/(1 + x/2)`, for 0 ≤ x ≤ 10 within 6e-8 of
/// its value: an interpolation at Chebyshev's points. The shader has the same.
const ERFC: [f64; 9] = [
    0.282_082_674,
    0.282_445_042,
    0.242_572_893,
    0.204_853_655,
    -0.031_841_757_1,
    0.285_697_71,
    -0.493_863_648,
    0.287_768_309,
    -0.059_714_918_9,
];

/// `1 − erf(x)` for x ≥ 0.
fn erfc<T: Real>(x: T) -> T {
    if !T::ORACLE {
        let x = x.min(T::of(10.0));
        let t = T::ONE / (T::ONE + T::of(0.5) * x);
        let polynomial = ERFC
            .iter()
            .rev()
            .fold(T::ZERO, |sum, &coefficient| sum * t + T::of(coefficient));
        return (-x * x).exp() * t * polynomial;
    }
    let x = x.wide();
    if x < 2.0 {
        return T::of(1.0 - erf_series(x));
    }
    // The continued fraction of Abramowitz and Stegun 7.1.14, from its 64th denominator up.
    let below = (1..=64).rev().fold(x, |f, k| x + f64::from(k) / 2.0 / f);
    T::of((-x * x).exp() / (below * std::f64::consts::PI.sqrt()))
}

/// erf(x) for 0 ≤ x < 2 by Abramowitz and Stegun 7.1.6, whose terms are all positive.
fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    let mut n = 1.0;
    while term > sum * 1e-18 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The error function.
fn erf<T: Real>(x: T) -> T {
    let size = x.abs();
    let value = if size >= T::of(if T::ORACLE { 2.0 } else { 1.0 }) {
        T::ONE - erfc(size)
    } else if T::ORACLE {
        T::of(erf_series(size.wide()))
    } else {
        // Maclaurin's series; the first term left out is 2e-9 of the first.
        let square = -size * size;
        let terms = (0..=10).rev().fold(T::ZERO, |sum, n| {
            let n = f64::from(n);
            sum * square / T::of(n + 1.0) + T::ONE / T::of(2.0 * n + 1.0)
        });
        T::of(std::f64::consts::FRAC_2_SQRT_PI) * size * terms
    };
    if x < T::ZERO { -value } else { value }
}

/// The distribution function of the standard normal distribution.
fn normal<T: Real>(x: T) -> T {
    let tail = T::of(0.5) * erfc(x.abs() * T::of(std::f64::consts::FRAC_1_SQRT_2));
    if x < T::ZERO { tail } else { T::ONE - tail }
}

/// `1 / (1 + exp(−x))`, without an overflow.
fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    (if x >= T::ZERO { T::ONE } else { e }) / (T::ONE + e)
}

/// The derivative of [`sigmoid`].
fn sigmoid_slope<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    e / ((T::ONE + e) * (T::ONE + e))
}

/// `w = tanh(ln(1 + exp(x)))` and `1 − w`, without an overflow.
fn mish_factor<T: Real>(x: T) -> [T; 2] {
    let two = T::of(2.0);
    let e = (-x.abs()).exp();
    if x > T::ZERO {
        let all = T::ONE + two * e + two * e * e;
        [(T::ONE + two * e) / all, two * e * e / all]
    } else {
        let part = e * (e + two);
        [part / (part + two), two / (part + two)]
    }
}

/// The argument of the sigmoid in [`Function::GeluTanh`] and its derivative. Beyond 12 nothing changes any more.
fn gelu_argument<T: Real>(x: T) -> [T; 2] {
    let x = x.max(T::of(-12.0)).min(T::of(12.0));
    let factor = T::of((8.0 / std::f64::consts::PI).sqrt());
    let cube = T::of(0.044_715);
    [
        factor * x * (T::ONE + cube * x * x),
        factor * (T::ONE + T::of(3.0) * cube * x * x),
    ]
}

/// x to a power; 0 where that is no real number.
fn power<T: Real>(x: T, exponent: T) -> T {
    let whole = exponent.wide().fract() == 0.0;
    if x < T::ZERO && !whole {
        T::ZERO
    } else {
        x.powf(exponent)
    }
}

impl Function {
    /// What it is called, for names and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Abs => "abs",
            Self::Sqrt => "sqrt",
            Self::Square => "square",
            Self::Reciprocal => "reciprocal",
            Self::Erf => "erf",
            Self::Power(_) => "power",
            Self::LeakyRelu(_) => "leaky_relu",
            Self::Elu(_) => "elu",
            Self::Celu(_) => "celu",
            Self::Selu { .. } => "selu",
            Self::HardSigmoid { .. } => "hard_sigmoid",
            Self::HardSwish => "hard_swish",
            Self::Softplus => "softplus",
            Self::Softsign => "softsign",
            Self::Mish => "mish",
            Self::Gelu | Self::GeluTanh => "gelu",
            Self::Clip { .. } => "clip",
            Self::LogSigmoid => "log_sigmoid",
        }
    }

    /// Its name in WGSL.
    fn definition(self) -> &'static str {
        match self {
            Self::Silu => "SILU",
            Self::Sigmoid => "SIGMOID",
            Self::Tanh => "TANH",
            Self::Exp => "EXP",
            Self::Log => "LOG",
            Self::Abs => "ABS",
            Self::Sqrt => "SQRT",
            Self::Square => "SQUARE",
            Self::Reciprocal => "RECIPROCAL",
            Self::Erf => "ERF",
            Self::Power(_) => "POWER",
            Self::LeakyRelu(_) => "LEAKY_RELU",
            Self::Elu(_) => "ELU",
            Self::Celu(_) => "CELU",
            Self::Selu { .. } => "SELU",
            Self::HardSigmoid { .. } => "HARD_SIGMOID",
            Self::HardSwish => "HARD_SWISH",
            Self::Softplus => "SOFTPLUS",
            Self::Softsign => "SOFTSIGN",
            Self::Mish => "MISH",
            Self::Gelu => "GELU",
            Self::GeluTanh => "GELU_TANH",
            Self::Clip { .. } => "CLIP",
            Self::LogSigmoid => "LOG_SIGMOID",
        }
    }

    /// Its numbers, in their order; 0 where it has none.
    #[must_use]
    pub fn numbers(self) -> [f32; 2] {
        match self {
            Self::Power(a) | Self::LeakyRelu(a) | Self::Elu(a) | Self::Celu(a) => [a, 0.0],
            Self::Selu { alpha: a, gamma: b }
            | Self::HardSigmoid { alpha: a, beta: b }
            | Self::Clip { low: a, high: b } => [a, b],
            _ => [0.0; 2],
        }
    }

    /// Whether it is never negative; `inputs` says it of x.
    #[must_use]
    pub fn is_rectified(self, inputs: bool) -> bool {
        match self {
            Self::Sigmoid
            | Self::Exp
            | Self::Abs
            | Self::Sqrt
            | Self::Square
            | Self::HardSigmoid { .. }
            | Self::Softplus => true,
            Self::Log | Self::LogSigmoid => false,
            Self::Silu
            | Self::Tanh
            | Self::Reciprocal
            | Self::Erf
            | Self::Celu(_)
            | Self::HardSwish
            | Self::Softsign
            | Self::Mish
            | Self::Gelu
            | Self::GeluTanh => inputs,
            Self::Power(exponent) => inputs || exponent % 2.0 == 0.0,
            Self::LeakyRelu(alpha) | Self::Elu(alpha) => inputs || alpha <= 0.0,
            Self::Selu { alpha, gamma } => gamma >= 0.0 && (inputs || alpha <= 0.0),
            Self::Clip { low, high } => high >= 0.0 && (inputs || low >= 0.0),
        }
    }

    /// Whether networks have it in place of a ReLU: what is far above 0 stays, what is far below is near 0 or small.
    #[must_use]
    pub fn is_rectifier(self) -> bool {
        matches!(
            self,
            Self::Silu
                | Self::LeakyRelu(_)
                | Self::Elu(_)
                | Self::Celu(_)
                | Self::Selu { .. }
                | Self::HardSwish
                | Self::Softplus
                | Self::Mish
                | Self::Gelu
                | Self::GeluTanh
        )
    }

    /// Its value.
    fn value<T: Real>(self, x: T) -> T {
        let [a, b] = self.numbers().map(T::from_f32);
        match self {
            Self::Silu => x * sigmoid(x),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Exp => x.exp(),
            Self::Log => x.ln(),
            Self::Abs => x.abs(),
            Self::Sqrt => x.sqrt(),
            Self::Square => x * x,
            Self::Reciprocal => T::ONE / x,
            Self::Erf => erf(x),
            Self::Power(_) => power(x, a),
            Self::LeakyRelu(_) if x > T::ZERO => x,
            Self::LeakyRelu(_) => a * x,
            Self::Elu(_) | Self::Celu(_) if x > T::ZERO => x,
            Self::Elu(_) => a * x.exp_m1(),
            Self::Celu(_) => a * (x / a).exp_m1(),
            Self::Selu { .. } if x > T::ZERO => b * x,
            Self::Selu { .. } => b * a * x.exp_m1(),
            Self::HardSigmoid { .. } => (a * x + b).max(T::ZERO).min(T::ONE),
            Self::HardSwish => x * (x / T::of(6.0) + T::of(0.5)).max(T::ZERO).min(T::ONE),
            Self::Softplus => x.max(T::ZERO) + (-x.abs()).exp().ln_1p(),
            Self::Softsign => x / (T::ONE + x.abs()),
            Self::Mish => x * mish_factor(x)[0],
            Self::Gelu => x * normal(x),
            Self::GeluTanh => x * sigmoid(gelu_argument(x)[0]),
            Self::Clip { .. } => x.max(a).min(b),
            Self::LogSigmoid => x.min(T::ZERO) - (-x.abs()).exp().ln_1p(),
        }
    }

    /// Its derivative.
    fn slope<T: Real>(self, x: T) -> T {
        let [a, b] = self.numbers().map(T::from_f32);
        let inside = |inside: bool, slope: T| if inside { slope } else { T::ZERO };
        match self {
            Self::Silu => sigmoid(x) * (T::ONE + x * sigmoid(-x)),
            Self::Sigmoid => sigmoid_slope(x),
            Self::Tanh => T::of(4.0) * sigmoid_slope(T::of(2.0) * x),
            Self::Exp => x.exp(),
            Self::Log => T::ONE / x,
            Self::Abs => inside(x > T::ZERO, T::ONE) - inside(x < T::ZERO, T::ONE),
            Self::Sqrt => T::of(0.5) / x.sqrt(),
            Self::Square => T::of(2.0) * x,
            Self::Reciprocal => -(T::ONE / x) / x,
            Self::Erf => T::of(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).exp(),
            Self::Power(0.0) => T::ZERO,
            Self::Power(_) => a * power(x, a - T::ONE),
            Self::LeakyRelu(_) | Self::Elu(_) | Self::Celu(_) if x > T::ZERO => T::ONE,
            Self::LeakyRelu(_) => a,
            Self::Elu(_) => a * x.exp(),
            Self::Celu(_) => (x / a).exp(),
            Self::Selu { .. } if x > T::ZERO => b,
            Self::Selu { .. } => b * a * x.exp(),
            Self::HardSigmoid { .. } => {
                let line = a * x + b;
                inside(line > T::ZERO && line < T::ONE, a)
            }
            Self::HardSwish if x >= T::of(3.0) => T::ONE,
            Self::HardSwish => inside(x > T::of(-3.0), x / T::of(3.0) + T::of(0.5)),
            Self::Softplus => sigmoid(x),
            Self::Softsign => {
                let factor = T::ONE / (T::ONE + x.abs());
                factor * factor
            }
            Self::Mish => {
                let [w, rest] = mish_factor(x);
                w + x * rest * (T::ONE + w) * sigmoid(x)
            }
            Self::Gelu => {
                let near = x.max(T::of(-40.0)).min(T::of(40.0));
                let density =
                    (-near * near / T::of(2.0)).exp() / T::of(std::f64::consts::TAU.sqrt());
                normal(x) + near * density
            }
            Self::GeluTanh => {
                let [u, slope] = gelu_argument(x);
                sigmoid(u) + x * sigmoid_slope(u) * slope
            }
            Self::Clip { .. } => inside(x >= a && x <= b, T::ONE),
            Self::LogSigmoid => sigmoid(-x),
        }
    }

    /// Operations of a number, roughly.
    fn flop(self) -> u64 {
        match self {
            Self::Abs
            | Self::Square
            | Self::Reciprocal
            | Self::Clip { .. }
            | Self::LeakyRelu(_) => 2,
            Self::Erf | Self::Gelu | Self::Mish | Self::Softplus | Self::LogSigmoid => 32,
            Self::Power(_) | Self::Tanh | Self::GeluTanh => 16,
            _ => 8,
        }
    }

    fn params(self, [x, dy, out]: [View; 3], backward: bool) -> Params {
        let exponent = match self {
            Self::Power(exponent) if backward => Exponent::new(f64::from(exponent) - 1.0),
            Self::Power(exponent) => Exponent::new(f64::from(exponent)),
            _ => Exponent::default(),
        };
        Params {
            x,
            dy,
            out,
            numbers: self.numbers(),
            exponent,
            end: [0; 2],
        }
    }
}

impl Kernel for Pointwise {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[self.function.definition()])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }

    fn params(&self) -> Self::Params {
        self.function.params([self.x, self.y, self.y], false)
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.w * self.y.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: self.function.flop() * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, b: Bindings<'_, T>) {
        match self.function {
            // The one of the many that networks have after every convolution: alone it becomes vector instructions.
            Function::Clip { low, high } => {
                let (low, high) = (T::from_f32(low), T::from_f32(high));
                self.map(b, |x| x.max(low).min(high));
            }
            function => self.map(b, |x| if x.is_nan() { x } else { function.value(x) }),
        }
    }
}

impl Pointwise {
    fn map<T: Real>(&self, mut b: Bindings<'_, T>, value: impl Fn(T) -> T + Sync) {
        let (x, y) = (b.input(), b.output());
        let channels = self.y.c as usize;
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            vectorized(|| {
                for xx in 0..self.y.w as usize {
                    let from = &x[pixel(self.x, n, yy, xx)];
                    let (to, padding) = row[in_row(self.y, xx)].split_at_mut(channels);
                    padding.fill(T::ZERO);
                    for (to, &x) in to.iter_mut().zip(from) {
                        *to = value(x);
                    }
                }
            });
        });
    }
}

impl Kernel for PointwiseBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let function = self.function.definition();
        if self.accumulate {
            SOURCE.with(&[function, "BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&[function, "BACKWARD"])
        }
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Self::Params {
        self.function.params([self.x, self.dy, self.dx], true)
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: 2 * self.function.flop() * self.dx.elements() as u64,
            bytes: self.x.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }

    fn reference<T: Real>(&self, b: Bindings<'_, T>) {
        match self.function {
            Function::Clip { low, high } => {
                let (low, high) = (T::from_f32(low), T::from_f32(high));
                // Both are compared, always: a jump that depends on the number would be taken wrongly half the time.
                self.map(b, |x| {
                    if (x >= low) & (x <= high) {
                        T::ONE
                    } else {
                        T::ZERO
                    }
                });
            }
            function => self.map(b, |x| function.slope(x)),
        }
    }
}

impl PointwiseBackward {
    fn map<T: Real>(&self, mut b: Bindings<'_, T>, slope: impl Fn(T) -> T + Sync) {
        let (x, dy, dx) = (b.input(), b.input(), b.output());
        let channels = self.dx.c as usize;
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            vectorized(|| {
                for xx in 0..self.dx.w as usize {
                    let x = &x[pixel(self.x, n, yy, xx)];
                    let dy = &dy[pixel(self.dy, n, yy, xx)];
                    let (to, padding) = row[in_row(self.dx, xx)].split_at_mut(channels);
                    padding.fill(T::ZERO);
                    for ((to, &x), &dy) in to.iter_mut().zip(x).zip(dy) {
                        let value = dy * slope(x);
                        *to = if self.accumulate { *to + value } else { value };
                    }
                }
            });
        });
    }
}
