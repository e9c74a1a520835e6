//! `tv`: total variation, mean dx² + mean dy² over neighbouring pixels of the image.

use super::{Band, Gathered, Loss, Saved, Term};
use crate::device::{Kind, Recording, Scalar};
use crate::kernels::{self, Tensor, TvBackward, View};

/// Total variation of the image.
#[derive(Debug)]
pub struct Tv {
    weight: Scalar,
    wrap: bool,
}

impl Tv {
    /// With the given weight.
    #[must_use]
    pub fn new(weight: impl Into<Scalar>) -> Self {
        Self {
            weight: weight.into(),
            wrap: false,
        }
    }

    /// Of an image that is a tile: across its edges, too.
    #[must_use]
    pub fn wrapped(self, wrap: bool) -> Self {
        Self { wrap, ..self }
    }
}

impl Term for Tv {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("it reads the image, which is never cut")
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let tv = kernels::Tv {
            x: x.view,
            wrap: self.wrap,
        };
        let partials = recording.transient(
            "tv partial sums",
            Kind::Real,
            (x.view.n * tv.parts()) as usize,
        );
        recording.call("tv", tv, &[x.value, partials]);
        gathered.add_sum(partials, self.weight.clone());
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "tv", layer.n, loss);
        Saved::default()
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: Band,
        _: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = TvBackward {
            x: x.view,
            wrap: self.wrap,
            dx: dx.view,
            alpha: self.weight.clone(),
            accumulate,
        };
        recording.call("tv gradient", gradient, &[x.value, dx.value]);
    }
}
