//! The margin between a label and the best other class, and its gradient.

use rayon::prelude::*;

use super::View;
use super::rows::{gradient_slot, in_row, pixel, rows_mut};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/margin.wgsl`.
pub const SOURCE: Source = Source {
    name: "margin",
    text: include_str!("../../wgsl/margin.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// `values[i] = weights[i]·max(m, −confidence)`, where m is the best other class's score less the label's if
/// `targeted`, and the label's less the other's if not. Of equal scores the class of the lowest index is the best.
///
/// Bindings: `z`, `labels` (words, \[n\], less than c), `weights` (reals, \[n\]), `values` (reals, \[n\]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// The scores: n images of one pixel, a channel for each class; two classes or more.
    pub z: View,
    /// Whether the label is the class to reach, else the class to leave.
    pub targeted: bool,
    /// How far beyond the border of the class the value still falls: Carlini & Wagner's κ, 0 or more.
    pub confidence: f32,
}

/// The gradient of [`Margin`]: `dz (+)= alpha·∂values[i]/∂zᵢ`, that of the clamped value being 0.
///
/// Bindings: `z`, `labels`, `weights`, `dz`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarginBackward {
    /// The kernel of the value.
    pub forward: Margin,
    /// The gradient, of the shape of z.
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
    sign: f32,
    confidence: f32,
}

impl Margin {
    fn sign(&self) -> f32 {
        if self.targeted { 1.0 } else { -1.0 }
    }

    /// The best class but the label, and m.
    fn other<T: Real>(&self, z: &[T], label: usize) -> (usize, T) {
        let mut best = usize::from(label == 0);
        for class in (0..z.len()).filter(|class| *class != label) {
            if z[class] > z[best] {
                best = class;
            }
        }
        let margin = z[best] - z[label];
        (best, if self.targeted { margin } else { -margin })
    }
}

impl Kernel for Margin {
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
            sign: self.sign(),
            confidence: self.confidence,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.z.n, 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: self.z.elements() as u64,
            bytes: self.z.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (z, labels, weights, values) = (b.input(), b.words(), b.input(), b.output());
        let least = -T::from_f32(self.confidence);
        for image in 0..self.z.n as usize {
            let z = &z[pixel(self.z, image, 0, 0)][..self.z.c as usize];
            let (_, margin) = self.other(z, labels[image] as usize);
            values[image] = weights[image] * margin.max(least);
        }
    }
}

impl Kernel for MarginBackward {
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
            dz: self.dz,
            alpha: self.alpha,
            ..Kernel::params(&self.forward)
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.dz.n, 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: self.dz.elements() as u64,
            bytes: self.forward.z.bytes() + self.dz.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (z, labels, weights, dz) = (b.input(), b.words(), b.input(), b.output());
        let forward = &self.forward;
        let least = -T::from_f32(forward.confidence);
        rows_mut(self.dz, dz).enumerate().run(|(image, row)| {
            let z = &z[pixel(forward.z, image, 0, 0)][..forward.z.c as usize];
            let label = labels[image] as usize;
            let (other, margin) = forward.other(z, label);
            let dz = &mut row[in_row(self.dz, 0)];
            if !self.accumulate {
                dz.fill(T::ZERO);
            }
            if margin >= least {
                let slope = T::from_f32(self.alpha * forward.sign()) * weights[image];
                dz[other] += slope;
                dz[label] -= slope;
            }
        });
    }
}
