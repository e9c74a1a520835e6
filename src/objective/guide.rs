//! `guide`: Σ_i max_j ⟨x_i, y_j⟩: every position of a layer times its best match among those of a guide image's layer.
//! DeepDream's guided objective (Mordvintsev, Olah & Tyka 2015, "Inceptionism", and their notebook).

use super::{Band, Banded, Loss, Saved, Term, gather_value, record_sum};
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
        assert_eq!(view.n, 1, "{view:?}");
        Self {
            target,
            view,
            weight,
        }
    }
}

impl Guide {
    /// The guide's layer and the matches of `x` in it.
    fn record_matches(&self, recording: &mut Recording, x: Tensor) -> Saved {
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
        Saved(vec![target, best])
    }
}

impl Term for Guide {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let saved = self.record_matches(recording, x);
        let products = kernels::Guide {
            x: x.view,
            y: self.view,
        };
        let partials = recording.transient(
            "guide partial sums",
            Kind::Real,
            (x.view.n * products.parts()) as usize,
        );
        recording.call(
            "guide",
            products,
            &[saved.0[0], saved.0[1], x.value, partials],
        );
        record_sum(recording, "guide", partials, x.view.n, self.weight, loss);
        saved
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

    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        Ok(self)
    }
}

/// A band's value is its own sum.
impl Banded for Guide {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved) {
        let value = gather_value(recording, x.view.n, band, gathered);
        let _ = self.forward(recording, x, value);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved {
        record_sum(recording, "guide", gathered.0[0], layer.n, 1.0, loss);
        Saved::default()
    }

    /// The matches are found again, rather than kept of all bands.
    fn backward_band(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: Band,
        _: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let saved = self.record_matches(recording, x);
        self.backward(recording, x, &saved, dx, accumulate);
    }
}
