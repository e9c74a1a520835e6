//! L-BFGS as plainly as it can be written, in f64 over vectors: what the device's is compared with.

use pixgrad::engine::optim::Lbfgs;

use crate::common::oracle::dot;

/// What became of it.
pub struct Run {
    /// The value of every evaluation.
    pub values: Vec<f64>,
    /// The last accepted point.
    pub base: Vec<f64>,
    /// The least value of the accepted points.
    pub value: f64,
}

/// Minimizes `evaluate` (value and gradient) from `x` with the given number of evaluations, by the rules that the
/// documentation of [`Lbfgs`] states: the two-loop recursion over stored vectors, and the same line search.
pub fn minimize(
    lbfgs: &Lbfgs,
    evaluations: usize,
    mut x: Vec<f64>,
    mut evaluate: impl FnMut(&[f64]) -> (f64, Vec<f64>),
) -> Run {
    let [low, high] = lbfgs.range.unwrap_or([-f32::MAX, f32::MAX]).map(f64::from);
    let step_size = f64::from(lbfgs.step_size);
    // Without the elements that a bound holds.
    let free = |v: &[f64], x: &[f64], g: &[f64]| -> Vec<f64> {
        (0..v.len())
            .map(|i| {
                let held = (x[i] <= low && g[i] > 0.0) || (x[i] >= high && g[i] < 0.0);
                if held { 0.0 } else { v[i] }
            })
            .collect()
    };
    let steepest = |q: &[f64], radius: f64| -> Vec<f64> {
        let scale = radius * (q.len() as f64).sqrt() / dot(q, q).sqrt();
        q.iter().map(|q| -scale * q).collect()
    };
    let mut values = Vec::new();
    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    let (value, gradient) = evaluate(&x);
    values.push(value);
    let mut radius = step_size;
    let (mut base, mut f, mut g) = (x.clone(), value, gradient);
    let mut d = steepest(&free(&g, &base, &g), radius);
    let (mut t, mut rejected) = (1.0, 0);
    while values.len() < evaluations {
        let free_d = free(&d, &base, &g);
        for i in 0..x.len() {
            x[i] = (base[i] + t * free_d[i]).clamp(low, high);
        }
        let (value, gradient) = evaluate(&x);
        values.push(value);
        let s: Vec<f64> = x.iter().zip(&base).map(|(x, b)| x - b).collect();
        let y: Vec<f64> = (0..x.len())
            .map(|i| {
                let held = (x[i] <= low && base[i] <= low) || (x[i] >= high && base[i] >= high);
                if held { 0.0 } else { gradient[i] - g[i] }
            })
            .collect();
        let q = free(&gradient, &x, &gradient);
        let descent = dot(&g, &s);
        let sane = value.is_finite() && dot(&q, &q).is_finite();
        let armijo = value <= f + 1e-4 * descent.min(0.0);
        let level = !pairs.is_empty()
            && value <= f + 1e-6 * f.abs()
            && dot(&q, &s) <= (2e-4 - 1.0) * descent;
        if sane && dot(&s, &s) > 0.0 && (armijo || level) {
            (base, f, g) = (x.clone(), value.min(f), gradient);
            (t, rejected) = (1.0, 0);
            if dot(&s, &y) > 1e-6 * dot(&s, &s).sqrt() * dot(&y, &y).sqrt() {
                pairs.push((s, y));
                if pairs.len() > lbfgs.history as usize {
                    pairs.remove(0);
                }
            } else if pairs.is_empty() {
                radius *= 2.0;
            }
            d = two_loops(&pairs, &q);
            if pairs.is_empty() || dot(&d, &q) >= 0.0 {
                if !pairs.is_empty() {
                    pairs.clear();
                    radius = step_size;
                }
                d = steepest(&q, radius);
            }
            continue;
        }
        rejected += 1;
        if rejected < 20 && dot(&s, &s) > 0.0 {
            t *= if !sane {
                0.1
            } else if descent < 0.0 {
                (-0.5 * descent / (value - f - descent)).clamp(0.1, 0.5)
            } else {
                0.5
            };
        } else if pairs.is_empty() {
            break;
        } else {
            pairs.clear();
            (t, rejected, radius) = (1.0, 0, step_size);
            d = steepest(&free(&g, &base, &g), radius);
        }
    }
    Run {
        values,
        base,
        value: f,
    }
}

/// −H·q: Nocedal and Wright 2006, algorithm 7.4.
pub fn two_loops(pairs: &[(Vec<f64>, Vec<f64>)], q: &[f64]) -> Vec<f64> {
    let mut r: Vec<f64> = q.iter().map(|q| -q).collect();
    let mut alphas = Vec::new();
    for (s, y) in pairs.iter().rev() {
        let alpha = dot(s, &r) / dot(s, y);
        r.iter_mut().zip(y).for_each(|(r, y)| *r -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((s, y)) = pairs.last() {
        let scale = dot(s, y) / dot(y, y);
        r.iter_mut().for_each(|r| *r *= scale);
    }
    for ((s, y), alpha) in pairs.iter().zip(alphas.iter().rev()) {
        let beta = dot(y, &r) / dot(s, y);
        r.iter_mut()
            .zip(s)
            .for_each(|(r, s)| *r += (alpha - beta) * s);
    }
    r
}
