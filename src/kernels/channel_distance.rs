//! How far the means and deviations of a layer's channels are from a target's.

use super::flat;
use crate::device::{Bindings, Kernel, Real, Scalar, Shader, Slot, Source, Work};

/// `wgsl/channel_distance.wgsl`.
pub const SOURCE: Source = Source {
    name: "channel_distance",
    text: include_str!("../../wgsl/channel_distance.wgsl"),
    variants: &[&[], &["DEVIATION"]],
};

/// `values = (μ − μ')² + (σ − σ')²` for every channel of each image, and the coefficients of alpha·N/2 times its
/// gradient with respect to the pixels, as [`super::ChannelAffine`] takes them: (σ − σ')/σ and μ − μ'.
///
/// A channel without variance has no direction in which its deviation would grow: its scale is 0.
///
/// Bindings: `means` ([n, C⁺]); `goal` ([2, C⁺]: μ', σ'²); with `deviation` `variances` ([n, C⁺]); `values` ([n, C⁺]);
/// `coefficients` ([n, 2, C⁺]).
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelDistance {
    /// Images.
    pub n: u32,
    /// vec4s of channels.
    pub quads: u32,
    /// Whether deviations are compared, too.
    pub deviation: bool,
    /// Factor on the coefficients.
    pub alpha: Scalar,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    n: u32,
    quads: u32,
    alpha: f32,
}

/// Deviations below this are none.
const FLAT: f64 = 1e-18;

impl Kernel for ChannelDistance {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.deviation { &["DEVIATION"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        let mut slots = vec![Slot::IN, Slot::IN, Slot::OUT, Slot::OUT];
        if self.deviation {
            slots.insert(2, Slot::IN);
        }
        slots
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            n: self.n,
            quads: self.quads,
            alpha: self.alpha.get(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(self.n * self.quads)
    }
    fn work(&self) -> Work {
        let channels = 4 * u64::from(self.n * self.quads);
        Work {
            flop: 8 * channels,
            bytes: 24 * channels,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (means, goal) = (b.input(), b.input());
        let variances = if self.deviation { b.input() } else { &[] };
        let (values, coefficients) = (b.output(), b.output());
        let padded = self.quads as usize * 4;
        let alpha = T::from_f32(self.alpha.get());
        for i in 0..self.n as usize * padded {
            let (n, c) = (i / padded, i % padded);
            let shift = means[i] - goal[c];
            let (mut value, mut scale) = (shift * shift, T::ZERO);
            if self.deviation {
                let deviation = variances[i].max(T::ZERO).sqrt();
                let stretch = deviation - goal[padded + c].max(T::ZERO).sqrt();
                value += stretch * stretch;
                if deviation.wide() >= FLAT {
                    scale = stretch / deviation;
                }
            }
            values[i] = value;
            coefficients[n * 2 * padded + c] = alpha * scale;
            coefficients[(n * 2 + 1) * padded + c] = alpha * shift;
        }
    }
}
