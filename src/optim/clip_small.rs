//! Pixels that matter little set to the mean colour (Yosinski et al. 2015, "Understanding Neural Networks Through Deep
//! Visualization", section 4).

use super::about_mean::padded;
use super::{Projection, Site};
use crate::device::{Kernel, Kind, Recording, ValueId};
use crate::kernels::{ClipSmall, Percentile, PixelContribution, PixelNorm};

/// Pixels whose norm √Σ_c (x − mean)² is below the given percentile of their image go to the mean. Percentile 0: none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipSmallNorm {
    /// 0 to 100, as `numpy.percentile` defines it: linear between order statistics.
    pub percentile: f32,
    /// The mean of each channel; zeros where what is optimized is no image.
    pub mean: [f32; 3],
}

/// Pixels whose contribution to the objective is below the given percentile of their image go to the mean: to first
/// order, setting a pixel to the mean takes Σ_c (x − mean)·∂a/∂x from the activation a that is maximised, and the
/// gradient here is that of a loss to be minimised, −∂a/∂x. It may be scaled (no order changes), but not otherwise
/// filtered. It is that at the image before the step. Percentile 0: none.
///
/// Without `absolute`, pixels that work against the objective go first. The deep visualization toolbox's `px_benefit`
/// has the opposite sign there; with `absolute` (its `px_abs_benefit`, the paper's method) there is no difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipSmallContribution {
    /// As in [`ClipSmallNorm`].
    pub percentile: f32,
    /// Compare absolute values.
    pub absolute: bool,
    /// As in [`ClipSmallNorm`].
    pub mean: [f32; 3],
}

/// Records the clipping of `site.x` by the scores that `kernel` makes of `inputs`.
fn record(
    recording: &mut Recording,
    site: Site,
    percentile: f32,
    mean: [f32; 4],
    kernel: impl Kernel,
    inputs: &[ValueId],
) {
    let view = site.x.view;
    let scores = recording.transient("pixel scores", Kind::Real, view.pixels());
    let values: Vec<ValueId> = inputs.iter().copied().chain([scores]).collect();
    recording.call("pixel scores", kernel, &values);
    let thresholds = recording.transient("thresholds", Kind::Real, view.n as usize);
    let threshold = Percentile {
        n: view.n,
        len: view.h * view.w,
        percentile,
    };
    recording.call("percentile", threshold, &[scores, thresholds]);
    let clip = ClipSmall { x: view, mean };
    recording.call("clip small", clip, &[scores, thresholds, site.x.value]);
}

impl Projection for ClipSmallNorm {
    fn record(&self, recording: &mut Recording, site: Site) {
        if self.percentile <= 0.0 {
            return;
        }
        let mean = padded(self.mean);
        let norm = PixelNorm {
            x: site.x.view,
            mean,
        };
        let inputs = [site.x.value];
        record(recording, site, self.percentile, mean, norm, &inputs);
    }
}

impl Projection for ClipSmallContribution {
    fn record(&self, recording: &mut Recording, site: Site) {
        if self.percentile <= 0.0 {
            return;
        }
        let mean = padded(self.mean);
        let contribution = PixelContribution {
            x: site.x.view,
            gradient: site.gradient.view,
            mean,
            absolute: self.absolute,
        };
        let inputs = [site.x.value, site.gradient.value];
        record(
            recording,
            site,
            self.percentile,
            mean,
            contribution,
            &inputs,
        );
    }
}
