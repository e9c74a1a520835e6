//! The exponential moving average of the image over the iterations.

use super::{decay, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/ema.wgsl`.
pub const SOURCE: Source = Source {
    name: "ema",
    text: include_str!("../../wgsl/ema.wgsl"),
    variants: &[&[], &["READ"]],
};

/// `average = decay·average + (1 − decay)·x`.
///
/// Bindings: `x`; `average`, zero before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ema {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// What is kept of the average, in \[0, 1).
    pub decay: f32,
}

/// The average without its bias towards the zero it began with: `out = average/(1 − decayᵗ)`.
///
/// Bindings: `average`; `step`, one word, the number t of steps completed (0 counts as 1); `out`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmaRead {
    /// Reals, a multiple of 4.
    pub len: u32,
    /// As in [`Ema`].
    pub decay: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    len: u32,
    columns: u32,
    decay: f32,
    gain: f32,
    ln_decay: f32,
}

impl Params {
    fn new(len: u32, decay: f32) -> Self {
        Self {
            len: len / 4,
            columns: flat::item_grid(len / 4)[0],
            decay,
            gain: decay::gain(decay),
            ln_decay: decay::ln_decay(decay) as f32,
        }
    }
}

impl Kernel for Ema {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.decay)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * u64::from(self.len),
            bytes: 3 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, average) = (b.input(), b.output());
        let decay = T::from_f32(self.decay);
        flat::for_each_task(&mut average[..self.len as usize], |range, average| {
            for (average, &x) in average.iter_mut().zip(&x[range]) {
                *average = decay * *average + (T::ONE - decay) * x;
            }
        });
    }
}

impl Kernel for EmaRead {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["READ"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params::new(self.len, self.decay)
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.len / 4)
    }
    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.len),
            bytes: 2 * 4 * u64::from(self.len),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (average, step, out) = (b.input(), b.words(), b.output());
        let weight = T::of(decay::one_minus_power(self.decay, step[0].max(1)));
        flat::for_each_task(&mut out[..self.len as usize], |range, out| {
            for (out, &average) in out.iter_mut().zip(&average[range]) {
                *out = average / weight;
            }
        });
    }
}
