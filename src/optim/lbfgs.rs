//! L-BFGS (Nocedal 1980; Nocedal and Wright 2006, algorithm 7.4) with a backtracking line search, all of it on the
//! device.
//!
//! An iteration of a plan is one evaluation of the objective. So x is always a *trial* point, and one iteration is one
//! turn of a state machine that each image of a batch has for itself: its trial is accepted, and the next direction
//! found and a full step tried, or rejected, and a shorter step tried. The two-loop recursion runs on inner products
//! alone (Chen, Wang and Zhou 2014), so that a turn takes five calls, however many pairs are kept:
//!
//! 1. [`LbfgsProducts`], [`Sum`]: all inner products with the stored pairs,
//! 2. [`LbfgsRecursion`]: accepted or not; coefficients of the direction,
//! 3. [`LbfgsDirection`]: the pair is stored, the direction is the linear combination,
//! 4. [`LbfgsStep`]: the next trial point.
//!
//! With a range it is a two-metric projection (Bertsekas 1982, "Projected Newton methods for optimization problems with
//! simple constraints"): elements that a bound holds at the base (they stand at it, and the gradient points out of the
//! box) are taken out of the gradient and of the direction, trial points are clamped, and a pair has no y where both of
//! its points stand at the same bound.
//!
//! Near a minimum f32 rounds the decrease of the objective away. A trial is then accepted by its slope as long as the
//! objective does not rise by more than 10⁻⁶ of itself, so that the gradient goes on falling by some more digits. Where
//! nothing is accepted any more, the pairs are forgotten, steepest descent is tried once, and then the image stays
//! where it is. A loss or gradient that is no finite number is a rejected trial and never gets into the state.
//!
//! The objective must be the same in every iteration: with random transformations the line search compares unlike
//! things.

use super::{Optimizer, Site, State};
use crate::device::{Kind, Recording};
use crate::kernels::lbfgs_products::PRODUCTS;
use crate::kernels::lbfgs_recursion::{MAX_HISTORY, SCALARS, WORDS, coefficients_len, word_limits};
use crate::kernels::{LbfgsDirection, LbfgsProducts, LbfgsRecursion, LbfgsStep, Sum, Tensor};

/// L-BFGS on the pixels, of each image of a batch by itself.
///
/// [`State::result`] is the base: the last accepted point. [`State::counters`] are `[n, 8]` words, of each image:
/// status (0 no finite objective yet, 1 running, 2 stopped), next slot of the ring of pairs, pairs in it, trials
/// rejected in a row, evaluations, accepted steps, resets of the pairs, and accepted steps whose pair had too little
/// curvature to be stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// Pairs (s, y) that are kept, 1 to 127: twice as many images of memory.
    pub history: u32,
    /// Root mean square of the first step, in units of x. Later ones have the length that the curvature says.
    pub step_size: f32,
    /// Elements of x are kept in this range, in which they must start, and which must contain 0 where x has padding
    /// channels; `None`: they are free.
    pub range: Option<[f32; 2]>,
    /// Most bytes of one buffer of pairs; they are kept in several where that is not enough. 128 MiB, the least that
    /// WebGPU promises for a binding, serves every adapter. A buffer holds one pair at least.
    pub buffer_bytes: u64,
}

impl Default for Lbfgs {
    /// Ten pairs, a first step of 0.02, pixels in \[0, 1\].
    fn default() -> Self {
        Self {
            history: 10,
            step_size: 0.02,
            range: Some([0.0, 1.0]),
            buffer_bytes: 128 << 20,
        }
    }
}

impl Optimizer for Lbfgs {
    fn record(&self, recording: &mut Recording, site: Site) -> State {
        let view = site.x.view;
        let history = self.history.clamp(1, MAX_HISTORY);
        let range = self.range.unwrap_or([-f32::MAX, f32::MAX]);
        let (n, m) = (view.n, history as usize);
        let (x, g) = (site.x.value, site.gradient.value);
        let base = Tensor::persistent(recording, "lbfgs base", view);
        let base_gradient = Tensor::persistent(recording, "lbfgs base gradient", view).value;
        let direction = Tensor::persistent(recording, "lbfgs direction", view).value;
        let mut state = |label: &str, kind, len| {
            recording.persistent(format!("lbfgs {label}"), kind, n as usize * len)
        };
        let gram = state("gram", Kind::Real, 4 * m * m);
        let scalars = state("scalars", Kind::Real, SCALARS as usize);
        let words = recording.persistent_indices(
            "lbfgs words",
            (n * WORDS) as usize,
            &word_limits(history),
        );

        // Buffers of pairs: the first of each, how many, and where.
        let pair_bytes = 2 * 4 * view.len() as u64;
        let most = (self.buffer_bytes / pair_bytes.max(1)).clamp(1, u64::from(history)) as u32;
        let buffers: Vec<_> = (0..history)
            .step_by(most as usize)
            .map(|first| {
                let pairs = most.min(history - first);
                let len = 2 * pairs as usize * view.len();
                let label = format!("lbfgs pairs from {first}");
                (first, pairs, recording.persistent(label, Kind::Real, len))
            })
            .collect();

        let rows = n as usize * (m + 1) * PRODUCTS as usize;
        let products = LbfgsProducts {
            x: view,
            history,
            first: 0,
            pairs: 0,
            range,
        };
        let parts = products.parts();
        let partials = recording.transient("lbfgs partial sums", Kind::Real, rows * parts as usize);
        for &(first, pairs, stored) in &buffers {
            recording.call(
                "lbfgs products",
                LbfgsProducts {
                    first,
                    pairs,
                    ..products
                },
                &[x, g, base.value, base_gradient, stored, partials],
            );
        }
        let sums = recording.transient("lbfgs products", Kind::Real, rows);
        let sum = Sum {
            n: rows as u32,
            parts,
            scale: 1.0.into(),
            slots: 1,
            slot: 0,
        };
        recording.call("lbfgs sums", sum, &[partials, sums]);
        let coefficients = recording.transient(
            "lbfgs coefficients",
            Kind::Real,
            n as usize * coefficients_len(history),
        );
        recording.call(
            "lbfgs recursion",
            LbfgsRecursion {
                n,
                history,
                slots: site.slots,
                elements: (view.elements() / n.max(1) as usize) as u32,
                step_size: self.step_size,
            },
            &[site.losses, sums, gram, scalars, words, coefficients],
        );
        for &(first, pairs, stored) in &buffers {
            recording.call(
                "lbfgs direction",
                LbfgsDirection {
                    x: view,
                    history,
                    first,
                    pairs,
                    range,
                },
                &[
                    x,
                    g,
                    base.value,
                    base_gradient,
                    coefficients,
                    stored,
                    direction,
                ],
            );
        }
        recording.call(
            "lbfgs step",
            LbfgsStep {
                x: view,
                history,
                range,
            },
            &[g, direction, coefficients, x, base.value, base_gradient],
        );
        State {
            result: Some(base),
            counters: Some(words),
            ..State::default()
        }
    }
}
