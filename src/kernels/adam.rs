//! Adam.

use rayon::prelude::*;

use super::{decay, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/adam.wgsl`.
pub const SOURCE: Source = Source {
    name: "adam",
    text: include_str!("../../wgsl/adam.wgsl"),
    variants: &[&[]],
};

/// One step of Adam (Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1, as
/// `torch.optim.Adam` computes it), then the projection of `x` into \[`low`, `high`\].
///
/// Bindings: `gradient`; `step`, one word, the number of steps completed before this one; `x`, `m`, `v`, all three
/// read and written, the moments `m` and `v` zero before the first step.
///
/// Padding channels stay zero, their gradient being zero, if `low ≤ 0 ≤ high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// Step size (learning rate), in units of x.
    pub step_size: f32,
    /// Decay of the first moment, in \[0, 1).
    pub beta1: f32,
    /// Decay of the second moment, in \[0, 1).
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Least value of x, not above 0.
    pub low: f32,
    /// Greatest value of x, not below 0.
    pub high: f32,
    /// Steps that `m` and `v` have seen before `step` began to count.
    pub earlier: u32,
    /// Change of the step size with every step, as a fraction of it: 0 keeps it, −1/T anneals it to 0 within T steps.
    pub slope: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    len: u32,
    columns: u32,
    step_size: f32,
    epsilon: f32,
    decay_m: f32,
    gain_m: f32,
    ln_decay_m: f32,
    decay_v: f32,
    gain_v: f32,
    ln_decay_v: f32,
    low: f32,
    high: f32,
    earlier: u32,
    slope: f32,
}

impl Kernel for Adam {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![
            Slot::IN,
            Slot::WORDS_IN,
            Slot::IN_OUT,
            Slot::IN_OUT,
            Slot::IN_OUT,
        ]
    }
    fn params(&self) -> Params {
        Params {
            len: self.len / 4,
            columns: self.grid()[0],
            step_size: self.step_size,
            epsilon: self.epsilon,
            decay_m: self.beta1,
            gain_m: decay::gain(self.beta1),
            ln_decay_m: decay::ln_decay(self.beta1) as f32,
            decay_v: self.beta2,
            gain_v: decay::gain(self.beta2),
            ln_decay_v: decay::ln_decay(self.beta2) as f32,
            low: self.low,
            high: self.high,
            earlier: self.earlier,
            slope: self.slope,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 15 * u64::from(self.len),
            bytes: 7 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (gradient, step) = (b.input(), b.words());
        let (x, m, v) = (b.output(), b.output(), b.output());
        let (beta1, beta2) = (T::from_f32(self.beta1), T::from_f32(self.beta2));
        let t = self.earlier + step[0] + 1;
        let annealed =
            f64::from(self.step_size) * (1.0 + f64::from(self.slope) * f64::from(step[0])).max(0.0);
        let rate = T::of(annealed / decay::one_minus_power(self.beta1, t));
        let scale = T::of(1.0 / decay::one_minus_power(self.beta2, t).sqrt());
        let epsilon = T::from_f32(self.epsilon);
        let (low, high) = (T::from_f32(self.low), T::from_f32(self.high));
        let len = self.len as usize;
        (
            x[..len].par_iter_mut(),
            &mut m[..len],
            &mut v[..len],
            &gradient[..len],
        )
            .into_par_iter()
            .with_min_len(flat::TASK)
            .for_each(|(x, m, v, &g)| {
                *m = beta1 * *m + (T::ONE - beta1) * g;
                *v = beta2 * *v + (T::ONE - beta2) * g * g;
                let moved = *x - rate * *m / (scale * v.sqrt() + epsilon);
                *x = moved.max(low).min(high);
            });
    }
}
