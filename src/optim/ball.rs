//! Images kept within a distance of their originals.

use super::{Projection, Site};
use crate::device::{Given, Recording};
use crate::kernels::{self, BallNorm, Tensor, View, record_moments_difference};

/// Moves each image to the nearest one within `radius` of its original, then clamps it to \[0, 1\]: the constraint of
/// projected gradient descent (Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks",
/// section 2.1).
///
/// `Linf` holds to the rounding of x₀ ± radius, `L2` to that of a sum.
#[derive(Debug)]
pub struct Ball {
    norm: BallNorm,
    radius: f32,
    centre: Given,
    view: View,
}

impl Ball {
    /// `centre` holds the originals, in \[0, 1\] and the engine's layout, shape `view`: as many as there are images, or
    /// one for all. `radius` is in units of x; that of `L2` is of the whole image.
    #[must_use]
    pub fn new(norm: BallNorm, radius: f32, centre: impl Into<Given>, view: View) -> Self {
        Self {
            norm,
            radius,
            centre: centre.into(),
            view,
        }
    }
}

impl Projection for Ball {
    fn record(&self, recording: &mut Recording, site: Site) {
        let centre = Tensor {
            value: recording.given("originals", &self.centre),
            view: self.view,
        };
        let kernel = kernels::Ball {
            x: site.x.view,
            c: self.view,
            norm: self.norm,
            radius: self.radius,
        };
        let mut values = vec![centre.value, site.x.value];
        if self.norm == BallNorm::L2 {
            let moments = record_moments_difference(recording, "perturbation", site.x, centre);
            values.push(moments);
        }
        recording.call("ball", kernel, &values);
    }
}
