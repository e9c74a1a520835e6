//! A step against the gradient.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/gradient_step.wgsl`.
pub const SOURCE: Source = Source {
    name: "gradient_step",
    text: include_str!("../../wgsl/gradient_step.wgsl"),
    variants: &[&[], &["PROGRESS"], &["PROGRESS", "LOSS"]],
};

/// The factor on the gradient of each image.
///
/// The last two are those of the deep visualization toolbox (Yosinski et al. 2015, "Understanding Neural Networks
/// Through Deep Visualization"). What is desired there is a change of the objective, which does not depend on the unit
/// of pixels: numbers for pixels in 0–255 hold for pixels in \[0,1\]. Rates do depend on it: they are 255² times
/// smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepSize {
    /// `rate·max(1 + slope·step, 0)`: constant where the slope is 0, annealed to 0 in T steps where it is −1/T.
    Constant {
        /// In units of x per unit of the gradient.
        rate: f32,
        /// Change with every step, as a fraction of `rate`.
        slope: f32,
    },
    /// `min(max, desired/‖g‖²)`: to first order, the objective changes by at most `desired` in a step.
    Progress {
        /// The greatest rate.
        max: f32,
        /// Change of the objective in one step, not negative.
        desired: f32,
    },
    /// As `Progress` with `desired = min(early, late·(1 − objective))`, at least 0, for an objective that is a
    /// probability: the nearer to 1, the smaller the steps. The objective of image i is −losses\[i, slot\], so this
    /// slot must hold the one term of weight −1 whose value is a probability.
    ProgressOfProbability {
        /// The greatest rate.
        max: f32,
        /// Change of the objective in one step while it is far from 1.
        early: f32,
        /// Change in one step as a fraction of what is left to 1.
        late: f32,
        /// Where the objective stands among the losses of an image.
        slot: u32,
    },
}

/// `x = clamp(x − rateᵢ·g, low, high)`.
///
/// Bindings: `gradient`, `x`; then for [`StepSize::Constant`] `step`, one word, the number of steps completed; for the
/// others `moments` of the gradient ([n, 4] as [`super::MomentsReduce`] leaves them); and for
/// [`StepSize::ProgressOfProbability`] `losses` ([n, slots]).
///
/// Padding channels stay zero, their gradient being zero, if `low ≤ 0 ≤ high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientStep {
    /// What is stepped.
    pub x: View,
    /// The gradient, of its shape.
    pub gradient: View,
    /// How far.
    pub rate: StepSize,
    /// Losses of one image.
    pub slots: u32,
    /// Least value of x, not above 0.
    pub low: f32,
    /// Greatest value of x, not below 0.
    pub high: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    gradient: View,
    columns: u32,
    items: u32,
    rate: f32,
    slope: f32,
    desired: f32,
    late: f32,
    slots: u32,
    slot: u32,
    low: f32,
    high: f32,
}

impl GradientStep {
    /// The reference's rates, one per image; `words` and `reals` are the bindings after `x`.
    fn rates<T: Real>(&self, step: u32, moments: &[T], losses: &[T]) -> Vec<f64> {
        let progress = |image: usize, max: f32, desired: f64| {
            let square = moments[image * 4 + 2].wide();
            if desired >= f64::from(max) * square {
                f64::from(max)
            } else {
                desired / square
            }
        };
        (0..self.x.n as usize)
            .map(|image| match self.rate {
                StepSize::Constant { rate, slope } => {
                    f64::from(rate) * (1.0 + f64::from(slope) * f64::from(step)).max(0.0)
                }
                StepSize::Progress { max, desired } => progress(image, max, desired.into()),
                StepSize::ProgressOfProbability {
                    max,
                    early,
                    late,
                    slot,
                } => {
                    let loss = losses[image * self.slots as usize + slot as usize].wide();
                    let left = f64::from(late) * (1.0 + loss);
                    progress(image, max, f64::from(early).min(left).max(0.0))
                }
            })
            .collect()
    }
}

impl Kernel for GradientStep {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(match self.rate {
            StepSize::Constant { .. } => &[],
            StepSize::Progress { .. } => &["PROGRESS"],
            StepSize::ProgressOfProbability { .. } => &["PROGRESS", "LOSS"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN, Slot::IN_OUT];
        slots.extend(match self.rate {
            StepSize::Constant { .. } => &[Slot::WORDS_IN][..],
            StepSize::Progress { .. } => &[Slot::IN],
            StepSize::ProgressOfProbability { .. } => &[Slot::IN, Slot::IN],
        });
        slots
    }
    fn params(&self) -> Params {
        let (rate, slope, desired, late, slot) = match self.rate {
            StepSize::Constant { rate, slope } => (rate, slope, 0.0, 0.0, 0),
            StepSize::Progress { max, desired } => (max, 0.0, desired, 0.0, 0),
            StepSize::ProgressOfProbability {
                max,
                early,
                late,
                slot,
            } => (max, 0.0, early, late, slot),
        };
        Params {
            x: self.x,
            gradient: self.gradient,
            columns: self.grid()[0],
            items: flat::items(self.x),
            rate,
            slope,
            desired,
            late,
            slots: self.slots,
            slot,
            low: self.low,
            high: self.high,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 4 * self.x.elements() as u64,
            bytes: 3 * self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (gradient, x) = (bindings.input(), bindings.output());
        let rates = match self.rate {
            StepSize::Constant { .. } => self.rates::<T>(bindings.words()[0], &[], &[]),
            StepSize::Progress { .. } => self.rates(0, bindings.input(), &[]),
            StepSize::ProgressOfProbability { .. } => {
                self.rates(0, bindings.input(), bindings.input())
            }
        };
        let (low, high) = (T::from_f32(self.low), T::from_f32(self.high));
        let each = (self.x.h * self.x.w) as usize;
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.x, x, |pixel, x| {
            let rate = T::of(rates[pixel / each]);
            let gradient = &gradient[flat::place(self.gradient, pixel, quads.clone())];
            for (x, &g) in x.iter_mut().zip(gradient) {
                *x = (*x - rate * g).max(low).min(high);
            }
        });
    }
}
