//! Cross-entropy of scores with labels, and its gradient.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_slot, in_row, pixel, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/cross_entropy.wgsl`.
pub const SOURCE: Source = Source {
    name: "cross_entropy",
    text: include_str!("../../wgsl/cross_entropy.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// `values[i] = −weights[i]·ln softmax(zᵢ)[labels[i]]`.
///
/// Bindings: `z`, `labels` (words, \[n\], less than c), `weights` (reals, \[n\]), `values` (reals, \[n\]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossEntropy {
    /// The scores: n images of one pixel, a channel for each class.
    pub z: View,
}

/// The gradient of [`CrossEntropy`]: `dz (+)= alpha·∂values[i]/∂zᵢ`.
///
/// Bindings: `z`, `labels`, `weights`, `dz`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropyBackward {
    /// The scores.
    pub z: View,
    /// The gradient, of the same shape.
    pub dz: View,
    /// Factor on the gradient.
    pub alpha: f32,
    /// Adds to `dz`.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    z: View,
    dz: View,
    alpha: f32,
}

/// One image's exponentials.
struct Exponentials {
    /// The greatest score.
    top: f64,
    /// exp(z_l − top).
    own: f64,
    /// Σ exp(z_j − top) over all other classes.
    rest: f64,
}

impl Exponentials {
    fn of<T: Real>(z: &[T], label: usize) -> Self {
        let top = z.iter().fold(f64::NEG_INFINITY, |top, z| top.max(z.wide()));
        let exp = |z: &T| (z.wide() - top).exp();
        let others = z.iter().enumerate().filter(|(class, _)| *class != label);
        Self {
            top,
            own: exp(&z[label]),
            rest: others.map(|(_, z)| exp(z)).sum(),
        }
    }
}

impl Kernel for CrossEntropy {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            z: self.z,
            dz: self.z,
            alpha: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.z.n, 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 4 * self.z.elements() as u64,
            bytes: self.z.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (z, labels, weights, values) = (b.input(), b.words(), b.input(), b.output());
        for image in 0..self.z.n as usize {
            let z = &z[pixel(self.z, image, 0, 0)][..self.z.c as usize];
            let label = labels[image] as usize;
            let e = Exponentials::of(z, label);
            let value = if e.rest <= 0.5 * e.own {
                (e.rest / e.own).ln_1p()
            } else {
                (e.rest + e.own).ln() - (z[label].wide() - e.top)
            };
            values[image] = T::of(weights[image].wide() * value);
        }
    }
}

impl Kernel for CrossEntropyBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![
            Slot::IN,
            Slot::WORDS_IN,
            Slot::IN,
            gradient_slot(self.accumulate),
        ]
    }
    fn params(&self) -> Params {
        Params {
            z: self.z,
            dz: self.dz,
            alpha: self.alpha,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.z.n, 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.z.elements() as u64,
            bytes: self.z.bytes() + self.dz.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (z, labels, weights, dz) = (b.input(), b.words(), b.input(), b.output());
        rows_mut(self.dz, dz).enumerate().run(|(image, row)| {
            let z = &z[pixel(self.z, image, 0, 0)][..self.z.c as usize];
            let label = labels[image] as usize;
            let e = Exponentials::of(z, label);
            let scale = f64::from(self.alpha) * weights[image].wide() / (e.rest + e.own);
            let (dz, padding) = row[in_row(self.dz, 0)].split_at_mut(z.len());
            if !self.accumulate {
                dz.fill(T::ZERO);
                padding.fill(T::ZERO);
            }
            for (class, (dz, z)) in dz.iter_mut().zip(z).enumerate() {
                let slope = if class == label {
                    -e.rest
                } else {
                    (z.wide() - e.top).exp()
                };
                *dz += T::of(scale * slope);
            }
        });
    }
}
