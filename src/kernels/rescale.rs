//! Each image of a tensor divided by a norm of its own.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/rescale.wgsl`.
pub const SOURCE: Source = Source {
    name: "rescale",
    text: include_str!("../../wgsl/rescale.wgsl"),
    variants: &[&[], &["SIGN"]],
};

/// What an image g of N elements is divided by; ε is [`Rescale::epsilon`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// mean |g| + ε.
    MeanAbs,
    /// The standard deviation (of all elements of the image, ÷N) + ε.
    ///
    /// It is √(mean g² − mean² g) of sums in f32: it has few digits where the mean is over a hundred deviations.
    Std,
    /// max(√(mean g²), ε).
    Rms,
    /// ‖g‖₂ + ε.
    L2,
    /// ‖g‖₁ + ε.
    L1,
    /// max |g| + ε.
    Linf,
    /// Not divided: the sign of each element, sign 0 = 0.
    Sign,
}

/// `x = x/d` in place, d from the moments of each image as [`Normalization`] says. Where d is no normal number the
/// image becomes 0, never NaN: one of zeros, and, where squares are summed, one with no element above 1e-19.
///
/// Bindings: `moments` ([n, 4] as [`super::MomentsReduce`] leaves them; not for [`Normalization::Sign`]), `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    /// The tensor.
    pub x: View,
    /// What its images are divided by.
    pub mode: Normalization,
    /// ε, not negative.
    pub epsilon: f32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    columns: u32,
    items: u32,
    mode: u32,
    epsilon: f32,
    elements: f32,
}

impl Rescale {
    fn is_sign(&self) -> bool {
        self.mode == Normalization::Sign
    }

    /// N.
    fn elements(&self) -> usize {
        View { n: 1, ..self.x }.elements()
    }

    fn divisor<T: Real>(&self, sums: &[T]) -> f64 {
        let epsilon = f64::from(self.epsilon);
        let count = self.elements() as f64;
        let [absolute, sum, square, largest] = [0, 1, 2, 3].map(|i| sums[i].wide());
        match self.mode {
            Normalization::MeanAbs => absolute / count + epsilon,
            Normalization::Std => {
                (square / count - (sum / count).powi(2)).max(0.0).sqrt() + epsilon
            }
            Normalization::Rms => (square / count).sqrt().max(epsilon),
            Normalization::L2 => square.sqrt() + epsilon,
            Normalization::L1 => absolute + epsilon,
            Normalization::Linf => largest + epsilon,
            Normalization::Sign => 1.0,
        }
    }
}

/// −1, 0 or 1.
fn sign<T: Real>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else {
        x
    }
}

impl Kernel for Rescale {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.is_sign() { &["SIGN"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        if self.is_sign() {
            vec![Slot::IN_OUT]
        } else {
            vec![Slot::IN, Slot::IN_OUT]
        }
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            columns: self.grid()[0],
            items: flat::items(self.x),
            mode: self.mode as u32,
            epsilon: self.epsilon,
            elements: self.elements() as f32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.x.elements() as u64,
            bytes: 2 * self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        if self.is_sign() {
            flat::for_each_pixel(self.x, bindings.output(), |_, x| {
                for x in x {
                    *x = sign(*x);
                }
            });
            return;
        }
        let (moments, x) = (bindings.input(), bindings.output());
        let divisors: Vec<f64> = moments
            .chunks_exact(4)
            .map(|sums| self.divisor(sums))
            .collect();
        let each = (self.x.h * self.x.w) as usize;
        flat::for_each_pixel(self.x, x, |pixel, x| {
            let divisor = divisors[pixel / each];
            for x in x {
                *x = if divisor < f64::from(f32::MIN_POSITIVE) {
                    T::ZERO
                } else {
                    *x / T::of(divisor)
                };
            }
        });
    }
}
