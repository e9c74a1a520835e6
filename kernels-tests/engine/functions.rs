//! Objectives that need no network: functions of a few numbers with their gradients, as kernels of the tests' own.

use pixgrad::engine::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// One invocation per image computes it all.
static SOURCE: Source = Source {
    name: "functions",
    text: "
struct Params {
    origin: vec4<u32>,
    n: u32,
    len: u32,
    coupling: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> stiffness: array<f32>;
@group(0) @binding(3) var<storage, read> rest: array<f32>;
@group(0) @binding(4) var<storage, read_write> losses: array<f32>;
@group(0) @binding(5) var<storage, read_write> g: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= p.n { return; }
    let first = id.x * p.len;
    let end = first + p.len;
    for (var i = first; i < end; i += 1u) { g[i] = 0.0; }
    var sum = 0.0;
#ifdef ROSENBROCK
    for (var i = first; i + 1u < end; i += 1u) {
        let a = 1.0 - x[i];
        let b = x[i + 1u] - x[i] * x[i];
        sum += stiffness[i] * (a * a + 100.0 * b * b);
        g[i] += stiffness[i] * (-2.0 * a - 400.0 * x[i] * b);
        g[i + 1u] += stiffness[i] * 200.0 * b;
    }
#else
    for (var i = first; i < end; i += 1u) {
        let a = x[i] - rest[i];
        sum += 0.5 * stiffness[i] * a * a;
        g[i] += stiffness[i] * a;
        if i + 1u < end {
            let b = x[i + 1u] - x[i];
            sum += 0.5 * p.coupling * b * b;
            g[i] -= p.coupling * b;
            g[i + 1u] += p.coupling * b;
        }
    }
#endif
    losses[id.x] = sum;
}
",
    variants: &[&["ROSENBROCK"], &["QUADRATIC"]],
};

/// Which function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Σ_i k_i·((1 − x_i)² + 100·(x_(i+1) − x_i²)²) over all but the last element, the chained one.
    Rosenbrock,
    /// ½ Σ_i k_i·(x_i − r_i)² + ½·coupling·Σ_i (x_(i+1) − x_i)²: springs to their rests and to each other.
    Quadratic { coupling: f32 },
}

/// The function's value and gradient, of each of n images of `len` elements without padding.
///
/// Bindings: `x`, `stiffness` (k), `rest` (r), `losses` (`[n, 1]`), `g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluate {
    pub function: Function,
    pub n: u32,
    pub len: u32,
}

#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    n: u32,
    len: u32,
    coupling: f32,
}

impl Function {
    /// Value and gradient at one image.
    pub fn at<T: Real>(self, x: &[T], stiffness: &[T], rest: &[T]) -> (T, Vec<T>) {
        let (one, two, hundred) = (T::ONE, T::of(2.0), T::of(100.0));
        let half = T::of(0.5);
        let mut sum = T::ZERO;
        let mut g = vec![T::ZERO; x.len()];
        for i in 0..x.len() {
            let last = i + 1 == x.len();
            match self {
                Self::Rosenbrock if last => {}
                Self::Rosenbrock => {
                    let (a, b) = (one - x[i], x[i + 1] - x[i] * x[i]);
                    sum += stiffness[i] * (a * a + hundred * b * b);
                    g[i] -= stiffness[i] * two * (a + two * hundred * x[i] * b);
                    g[i + 1] += stiffness[i] * two * hundred * b;
                }
                Self::Quadratic { coupling } => {
                    let a = x[i] - rest[i];
                    sum += half * stiffness[i] * a * a;
                    g[i] += stiffness[i] * a;
                    if !last {
                        let pull = T::from_f32(coupling) * (x[i + 1] - x[i]);
                        sum += half * pull * (x[i + 1] - x[i]);
                        g[i] -= pull;
                        g[i + 1] += pull;
                    }
                }
            }
        }
        (sum, g)
    }
}

impl Kernel for Evaluate {
    type Params = Params;

    fn shader(&self) -> Shader {
        match self.function {
            Function::Rosenbrock => SOURCE.with(&["ROSENBROCK"]),
            Function::Quadratic { .. } => SOURCE.with(&["QUADRATIC"]),
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, Slot::IN, Slot::OUT, Slot::OUT]
    }
    fn params(&self) -> Params {
        let coupling = match self.function {
            Function::Rosenbrock => 0.0,
            Function::Quadratic { coupling } => coupling,
        };
        Params {
            n: self.n,
            len: self.len,
            coupling,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n.div_ceil(64), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 20 * u64::from(self.n * self.len),
            bytes: 16 * u64::from(self.n * self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, stiffness, rest) = (b.input(), b.input(), b.input());
        let (losses, g) = (b.output(), b.output());
        for (image, loss) in losses[..self.n as usize].iter_mut().enumerate() {
            let own = image * self.len as usize..(image + 1) * self.len as usize;
            let (x, k, r) = (&x[own.clone()], &stiffness[own.clone()], &rest[own.clone()]);
            let (value, gradient) = self.function.at(x, k, r);
            *loss = value;
            g[own].copy_from_slice(&gradient);
        }
    }
}

mod tests {
    use super::*;
    use crate::common::oracle::{dot, wide};
    use crate::common::{Data, check, random, uniform};

    /// The shader is the reference, and the gradient the derivative of the value.
    #[test]
    fn functions_and_their_gradients() {
        for function in [Function::Rosenbrock, Function::Quadratic { coupling: 0.3 }] {
            let kernel = Evaluate {
                function,
                n: 3,
                len: 8,
            };
            let mut rng = random(5);
            let [x, k, r, v] = [(); 4].map(|()| uniform(&mut rng, 24));
            let out = check(
                &kernel,
                &[
                    Data::Reals(x.clone()),
                    Data::Reals(k.clone()),
                    Data::Reals(r.clone()),
                    Data::PoisonedReals(3),
                    Data::PoisonedReals(24),
                ],
            );
            let (x, k, r, v) = (wide(&x), wide(&k), wide(&r), wide(&v));
            let at = |t: f64| -> f64 {
                let moved: Vec<f64> = x.iter().zip(&v).map(|(x, v)| x + t * v).collect();
                (0..3)
                    .map(|i| 8 * i..8 * i + 8)
                    .map(|i| function.at(&moved[i.clone()], &k[i.clone()], &r[i]).0)
                    .sum()
            };
            let numeric = (at(1e-6) - at(-1e-6)) / 2e-6;
            let analytic = dot(out[1].reals(), &v);
            assert!(
                (numeric - analytic).abs() <= 1e-7 * analytic.abs().max(1.0),
                "{function:?}: {analytic} should be {numeric}"
            );
        }
    }
}
