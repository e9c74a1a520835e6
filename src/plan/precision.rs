//! In how many bits layers are stored.

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
    /// 16 bits, for half the memory: weights in f16, layers and gradients packed ([`Kind::Packed`]), which keeps 13 bits of the
    /// largest of four channels and overflows nowhere.
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

/// The largest number of f16.
const LARGEST_HALF: f32 = 65_504.0;

impl Precision {
    /// Whether this is [`Precision::F32`].
    #[must_use]
    pub fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// What a layer, or the gradient with respect to it, is stored as. A layer of a single pixel, such as the scores of the
    /// classes, saves nothing worth its rounding.
    #[must_use]
    pub fn of_layer(self, layer: View) -> Kind {
        match self {
            Self::F16 if layer.h * layer.w > 1 => Kind::Packed,
            _ => Kind::Real,
        }
    }

    /// What weights are stored as.
    #[must_use]
    pub fn of_weights(self, weights: &[f32]) -> Kind {
        match self {
            Self::F16 if weights.iter().all(|w| w.abs() <= LARGEST_HALF) => Kind::Half,
            _ => Kind::Real,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_or_is_small_stays_as_it_is() {
        let p = Precision::F16;
        assert_eq!(p.of_layer(View::new(1, 7, 7, 512)), Kind::Packed);
        assert_eq!(p.of_layer(View::new(4, 1, 1, 1000)), Kind::Real);
        assert_eq!(p.of_weights(&[0.5, -65_504.0]), Kind::Half);
        assert_eq!(p.of_weights(&[0.5, -65_536.0]), Kind::Real);
        assert_eq!(p.of_weights(&[f32::NAN]), Kind::Real);
        assert_eq!(Precision::F32.of_layer(View::new(1, 7, 7, 8)), Kind::Real);
    }
}
