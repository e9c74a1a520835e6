//! Images drawn towards, or held at a distance from, a mean colour.

use super::{Projection, Site};
use crate::device::Recording;
use crate::kernels::{AboutMean, Stretch, record_moments};

/// Three channels and the padding.
pub(super) fn padded([r, g, b]: [f32; 3]) -> [f32; 4] {
    [r, g, b, 0.0]
}

/// Scales each image about the mean colour to ‖x − mean‖₂ = `radius`: activation maximisation under a norm constraint
/// (Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network", section 3.1). An image that is the mean
/// has no direction and stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// In units of x, over the whole image.
    pub radius: f32,
    /// Only where the norm is more.
    pub at_most: bool,
    /// The mean of each channel; zeros where what is optimized is no image.
    pub mean: [f32; 3],
}

impl Projection for Norm {
    fn record(&self, recording: &mut Recording, site: Site) {
        let mean = padded(self.mean);
        let moments = record_moments(recording, "image", site.x, mean);
        let kernel = AboutMean {
            x: site.x.view,
            mean,
            stretch: if self.at_most {
                Stretch::ToNormAtMost(self.radius)
            } else {
                Stretch::ToNorm(self.radius)
            },
        };
        recording.call("norm", kernel, &[moments, site.x.value]);
    }
}

/// x ← mean + (1 − rate)·(x − mean): L2 decay (Yosinski et al. 2015, section 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decay {
    /// 0 to 1.
    pub rate: f32,
    /// The mean of each channel; zeros where what is optimized is no image.
    pub mean: [f32; 3],
}

impl Projection for Decay {
    fn record(&self, recording: &mut Recording, site: Site) {
        let kernel = AboutMean {
            x: site.x.view,
            mean: padded(self.mean),
            stretch: Stretch::By(1.0 - self.rate),
        };
        recording.call("decay", kernel, &[site.x.value]);
    }
}
