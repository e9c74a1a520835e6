//! `tv` with `beta`: Σ (dx² + dy²)^(β/2) over the pixels and channels of the image, Mahendran & Vedaldi 2015, eq. 3.

use super::{Band, Gathered, Loss, ObjectiveError, Saved, Term};
use crate::device::{Kind, Recording, Scalar};
use crate::kernels::{self, Tensor, TvBetaBackward, View};
use crate::value::Rule;

/// Least dx² + dy² in the gradient of β < 2, which else would be infinite in flat regions. The authors' code has 1e-5
/// for values of 0 to 255; here they are 0 to 1, and squares of differences 255² times smaller.
const FLOOR: f64 = 1e-5 / (255.0 * 255.0);

/// Total variation of the image with an exponent: edges cost less than in [`super::Tv`] where β < 2, more where β > 2.
#[derive(Debug)]
pub struct TvBeta {
    beta: f32,
    weight: Scalar,
    wrap: bool,
}

impl TvBeta {
    /// `weight` · Σ (dx² + dy²)^(beta/2), a sum over the pixels, in the image's units, \[0, 1\].
    ///
    /// # Errors
    /// [`ObjectiveError::TvBeta`] for a beta that is not positive and finite.
    pub fn new(beta: f64, weight: impl Into<Scalar>) -> Result<Self, ObjectiveError> {
        Rule::Positive
            .check("beta", beta)
            .map_err(ObjectiveError::TvBeta)?;
        Ok(Self {
            beta: beta as f32,
            weight: weight.into(),
            wrap: false,
        })
    }

    /// Of a tile, whose opposite edges meet, if `wrap`.
    #[must_use]
    pub fn wrapped(self, wrap: bool) -> Self {
        Self { wrap, ..self }
    }

    fn kernel(&self, x: Tensor) -> kernels::TvBeta {
        kernels::TvBeta {
            x: x.view,
            beta: self.beta,
            wrap: self.wrap,
        }
    }
}

impl Term for TvBeta {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("it reads the image, which is never cut")
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let tv = self.kernel(x);
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
        let gradient = TvBetaBackward {
            tv: self.kernel(x),
            dx: dx.view,
            floor: FLOOR as f32,
            alpha: self.weight.clone(),
            accumulate,
        };
        recording.call("tv gradient", gradient, &[x.value, dx.value]);
    }
}
