//! Images blurred now and then.

use super::{Projection, Site};
use crate::device::Recording;
use crate::kernels::record_blur;

/// A Gaussian blur of each channel in every `every`-th iteration, the first one included (Yosinski et al. 2015, section
/// 4): mirrored at the edges and cut off at 4σ, as `scipy.ndimage.gaussian_filter` does it. σ = 0 or `every` = 0:
/// never.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blur {
    /// σ in pixels.
    pub sigma: f32,
    /// 1: in every iteration.
    pub every: u32,
    /// Whether the image is a tile: continued by its own copies, not mirrored.
    pub wrap: bool,
}

impl Projection for Blur {
    fn record(&self, recording: &mut Recording, site: Site) {
        if self.sigma > 0.0 && self.every > 0 {
            let Self { sigma, every, wrap } = *self;
            record_blur(recording, "blur", site.x, site.step, sigma, every, wrap);
        }
    }
}
