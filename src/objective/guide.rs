//! `guide`: each position's dot product with its best-matching column of a guide image's layer, summed: the guided
//! objective of DeepDream (Mordvintsev, Olah, Tyka 2015), whose gradient is that column.

use super::{Loss, Saved, Term, record_sum};
use crate::device::{Buffer, Kind, Recording};
use crate::kernels::{self, GuideBackward, Tensor, View};

/// How well a layer's columns match those of a guide.
#[derive(Debug)]
pub struct Guide {
    guide: Buffer,
    view: View,
    weight: f64,
}

impl Guide {
    /// `guide` holds the guide's layer in the engine's layout, shape `view`: as many channels as the layer has, and any
    /// size; one guide for each image, or one for all.
    #[must_use]
    pub fn new(guide: Buffer, view: View, weight: f64) -> Self {
        Self {
            guide,
            view,
            weight,
        }
    }
}

impl Term for Guide {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let kernel = kernels::Guide {
            x: x.view,
            y: self.view,
        };
        let guide = recording.given("guide", self.guide.clone());
        let matches = recording.transient("guide matches", Kind::Word, x.view.pixels());
        let parts = (x.view.n * kernel.parts()) as usize;
        let partials = recording.transient("guide partial sums", Kind::Real, parts);
        recording.call("guide", kernel, &[x.value, guide, matches, partials]);
        record_sum(recording, "guide", partials, x.view.n, self.weight, loss);
        Saved(vec![guide, matches])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        _: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = GuideBackward {
            y: self.view,
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call(
            "guide gradient",
            gradient,
            &[saved.0[0], saved.0[1], dx.value],
        );
    }
}
