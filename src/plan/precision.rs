//! In how many bits layers are stored.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::device::Kind;
use crate::kernels::View;

/// How layers, their gradients and weights are stored. All arithmetic is in f32, and so are the image, its gradient,
/// everything an optimizer keeps, targets, and the sums that losses are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, for half the memory: weights in f16 or packed, layers and gradients packed ([`Kind::Rectified`], [`Kind::Packed`]), which
    /// keeps 14 or 13 bits of the largest of four channels and overflows nowhere. Layers of fewer than 64 channels stay in 32.
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

/// A layer of fewer channels, such as the picture itself or what a bottleneck lets through, is a small part of the memory, and all that
/// comes after it is made of the little that it holds: docs/precision.md says what its rounding did.
const NARROW: u32 = 64;

impl Precision {
    /// Whether this is [`Precision::F32`].
    #[must_use]
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// What a layer is stored as, which may be `rectified`, never negative.
    #[must_use]
    pub fn of_layer(self, layer: View, rectified: bool) -> Kind {
        match self.of_gradient(layer) {
            _ if layer.c < NARROW => Kind::Real,
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

    /// What weights are stored as. Those of a file in f16 are kept as they are, which is read fastest; others would lose more
    /// digits in f16 than layers do. Beyond its range, where cooperative matrices could not take them, they stay in f32.
    #[must_use]
    pub fn of_weights(self, weights: &[f32]) -> Kind {
        let all = |holds: fn(f32) -> bool| weights.iter().all(|w| holds(*w));
        match self {
            Self::F16 if all(|w| f16::from_f32(w).to_f32() == w) => Kind::Half,
            Self::F16 if all(|w| w.abs() <= f16::MAX.to_f32()) => Kind::Packed,
            _ => Kind::Real,
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
        let bottleneck = View::new(1, 56, 56, 16);
        assert_eq!(p.of_layer(bottleneck, true), Kind::Real);
        assert_eq!(p.of_gradient(bottleneck), Kind::Packed);
        assert_eq!(p.of_gradient(layer), Kind::Packed);
        assert_eq!(p.of_weights(&[0.5, -65_504.0]), Kind::Half);
        assert_eq!(p.of_weights(&[0.5, 0.1]), Kind::Packed);
        assert_eq!(p.of_weights(&[0.5, -65_536.0]), Kind::Real);
        assert_eq!(p.of_weights(&[f32::NAN]), Kind::Real);
        assert_eq!(Precision::F32.of_weights(&[0.5]), Kind::Real);
        assert_eq!(Precision::F32.of_layer(layer, true), Kind::Real);
    }
}
