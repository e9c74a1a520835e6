//! `guide`: Σ_i max_j ⟨x_i, y_j⟩: every position of a layer times its best match among those of a guide image's layer.
//! DeepDream's guided objective (Mordvintsev, Olah & Tyka 2015, "Inceptionism", and their notebook).

use super::{Band, Gathered, Loss, Saved, Term};
use crate::device::{Given, Kind, Recording, ValueId};
use crate::kernels::{self, GuideBackward, GuideMatch, Tensor, View};

/// How well the positions of a layer match those of a guide's; a weight below 0 makes it grow.
#[derive(Debug)]
pub struct Guide {
    target: Given,
    view: View,
    weight: f64,
}

impl Guide {
    /// `target` holds the guide's activation of the same layer in the engine's layout, shape `view`: one image (n = 1)
    /// of any size, which all images of a batch share.
    #[must_use]
    pub fn new(target: impl Into<Given>, view: View, weight: f64) -> Self {
        assert_eq!(view.n, 1, "a guide is one image: {view:?}");
        Self {
            target: target.into(),
            view,
            weight,
        }
    }
}

impl Guide {
    /// The guide's layer and the matches of `x` in it.
    fn record_matches(&self, recording: &mut Recording, x: Tensor) -> [ValueId; 2] {
        let target = recording.given("guide", &self.target);
        let best = recording.transient("guide matches", Kind::Word, x.view.pixels());
        recording.call(
            "guide match",
            GuideMatch {
                x: x.view,
                y: self.view,
            },
            &[x.value, target, best],
        );
        [target, best]
    }
}

impl Term for Guide {
    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let matches = self.record_matches(recording, x);
        let products = kernels::Guide {
            x: x.view,
            y: self.view,
        };
        let partials = recording.transient(
            "guide partial sums",
            Kind::Real,
            (x.view.n * products.parts()) as usize,
        );
        let [target, best] = matches;
        recording.call("guide", products, &[target, best, x.value, partials]);
        gathered.add_sum(partials, self.weight);
        gathered.values = matches.to_vec();
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "guide", layer.n, loss);
        if gathered.is_banded() {
            return Saved::default();
        }
        Saved(gathered.values)
    }

    /// The matches of several bands are found again, rather than kept.
    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let [target, best] = match saved.0[..] {
            [target, best] => [target, best],
            _ => self.record_matches(recording, x),
        };
        let gradient = GuideBackward {
            y: self.view,
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call("guide gradient", gradient, &[target, best, dx.value]);
    }
}
