//! `guide`: Σ_i max_j ⟨x_i, y_j⟩: every position of a layer times its best match among those of a guide image's layer.
//! DeepDream's guided objective (Mordvintsev, Olah & Tyka 2015, "Inceptionism", and their notebook).

use super::{Loss, Saved, Term, record_sum};
use crate::device::{Buffer, Kind, Recording};
use crate::kernels::{self, GuideBackward, GuideMatch, Tensor, View};

/// How well the positions of a layer match those of a guide's; a weight below 0 makes it grow.
#[derive(Debug)]
pub struct Guide {
    target: Buffer,
    view: View,
    weight: f64,
}

impl Guide {
    /// `target` holds the guide's activation of the same layer in the engine's layout, shape `view`: one image (n = 1) of
    /// any size, which all images of a batch share.
    #[must_use]
    pub fn new(target: Buffer, view: View, weight: f64) -> Self {
        debug_assert_eq!(view.n, 1, "{view:?}");
        Self {
            target,
            view,
            weight,
        }
    }
}

impl Term for Guide {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let target = recording.given("guide", self.target.clone());
        let best = recording.transient("guide matches", Kind::Word, x.view.pixels());
        recording.call(
            "guide match",
            GuideMatch {
                x: x.view,
                y: self.view,
            },
            &[x.value, target, best],
        );
        let products = kernels::Guide {
            x: x.view,
            y: self.view,
        };
        let partials = recording.transient(
            "guide partial sums",
            Kind::Real,
            (x.view.n * products.parts()) as usize,
        );
        recording.call("guide", products, &[target, best, x.value, partials]);
        record_sum(recording, "guide", partials, x.view.n, self.weight, loss);
        Saved(vec![target, best])
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
