//! In how many bits layers are stored.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::device::Kind;
use crate::kernels::View;

/// In how many bits is stored what the backward pass reads. All arithmetic is in f32, and so are the image, its
/// gradient, everything an optimizer keeps, the sums that losses are made of, and the forward pass: what is rounded
/// there changes which units are above 0 and which pixel of a window is its largest, and with each of these the
/// gradient jumps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, for less memory: layers that the backward pass reads again and gradients packed ([`Kind::Rectified`],
    /// [`Kind::Packed`]), which keeps 14 or 13 bits of the largest of four channels and overflows nowhere; its weights
    /// packed, too. Weights that are in f16 already stay that in both passes.
    F16,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        })
    }
}

/// Kernels on cooperative matrices put weights into f16, 1024 times what they are (`wgsl/conv3x3_coop.wgsl`).
const WIDEST: f32 = 63.0;

impl Precision {
    /// Whether this is [`Precision::F32`].
    #[must_use]
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// What a layer is stored as for the backward pass, which may be `rectified`, never negative.
    #[must_use]
    pub fn of_layer(self, layer: View, rectified: bool) -> Kind {
        match self.of_gradient(layer) {
            Kind::Packed if rectified => Kind::Rectified,
            kind => kind,
        }
    }

    /// What the gradient with respect to a layer is stored as. A layer of a single pixel, such as the scores of the
    /// classes, saves nothing worth its rounding.
    #[must_use]
    pub fn of_gradient(self, layer: View) -> Kind {
        match self {
            Self::F16 if layer.h * layer.w > 1 => Kind::Packed,
            _ => Kind::Real,
        }
    }

    /// What the weights of the forward pass are stored as. Those of a file in f16 are kept as they are, which is read
    /// fastest.
    #[must_use]
    pub fn of_weights(self, weights: &[f32]) -> Kind {
        let all = |holds: fn(f32) -> bool| weights.iter().all(|w| holds(*w));
        if !all(|w| w.abs() <= WIDEST) {
            Kind::Wide
        } else if self == Self::F16 && all(|w| f16::from_f32(w).to_f32() == w) {
            Kind::Half
        } else {
            Kind::Real
        }
    }

    /// What the weights of the backward pass are stored as: those that f16 does not hold would lose more digits in it
    /// than packed.
    #[must_use]
    pub fn of_weights_backward(self, weights: &[f32]) -> Kind {
        match self.of_weights(weights) {
            Kind::Real if self == Self::F16 => Kind::Packed,
            kind => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_stored_as_fits_it() {
        let p = Precision::F16;
        let (layer, scores) = (View::new(1, 7, 7, 512), View::new(4, 1, 1, 1000));
        assert_eq!(p.of_layer(layer, false), Kind::Packed);
        assert_eq!(p.of_layer(layer, true), Kind::Rectified);
        assert_eq!(p.of_layer(scores, true), Kind::Real);
        assert_eq!(p.of_gradient(layer), Kind::Packed);
        for (weights, forward, backward) in [
            ([0.5, -63.0], Kind::Half, Kind::Half),
            ([0.5, 0.1], Kind::Real, Kind::Packed),
            ([0.5, -64.0], Kind::Wide, Kind::Wide),
            ([0.5, f32::NAN], Kind::Wide, Kind::Wide),
        ] {
            assert_eq!(p.of_weights(&weights), forward);
            assert_eq!(p.of_weights_backward(&weights), backward);
            let whole = if forward == Kind::Wide {
                forward
            } else {
                Kind::Real
            };
            assert_eq!(Precision::F32.of_weights(&weights), whole);
            assert_eq!(Precision::F32.of_weights_backward(&weights), whole);
        }
        assert_eq!(Precision::F32.of_layer(layer, true), Kind::Real);
    }
}
