//! `alpha_norm`: Σ |x − mean|^α over the pixels and channels of the image: the ‖·‖_α^α of Mahendran & Vedaldi 2015,
//! section 3, which keeps colours near the mean.

use super::{Band, Gathered, Loss, ObjectiveError, Saved, Term};
use crate::device::{Kind, Recording};
use crate::kernels::{self, AlphaNormBackward, Tensor, View};
use crate::value::Rule;

/// The α-norm of the image around a mean colour, to the power α.
#[derive(Debug)]
pub struct AlphaNorm {
    mean: [f32; 3],
    exponent: f32,
    weight: f64,
}

impl AlphaNorm {
    /// The exponent of the paper.
    pub const DEFAULT_ALPHA: f64 = 6.0;

    /// `weight` · Σ |x − mean|^alpha. `mean` is RGB in the image's units, \[0, 1\].
    ///
    /// # Errors
    /// [`ObjectiveError::Alpha`] for an alpha below 1, where the gradient is infinite at the mean, or not finite.
    pub fn new(mean: [f32; 3], alpha: f64, weight: f64) -> Result<Self, ObjectiveError> {
        Rule::AtLeast(1.0)
            .check("alpha", alpha)
            .map_err(ObjectiveError::Alpha)?;
        Ok(Self {
            mean,
            exponent: alpha as f32,
            weight,
        })
    }

    fn kernel(&self, x: Tensor) -> kernels::AlphaNorm {
        let [r, g, b] = self.mean;
        kernels::AlphaNorm {
            x: x.view,
            mean: [r, g, b, 0.0],
            exponent: self.exponent,
        }
    }
}

impl Term for AlphaNorm {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        Some("it reads the image, which is never cut")
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, _: Band, gathered: &mut Gathered) {
        let norm = self.kernel(x);
        let partials = recording.transient(
            "alpha norm partial sums",
            Kind::Real,
            (x.view.n * norm.parts()) as usize,
        );
        recording.call("alpha norm", norm, &[x.value, partials]);
        gathered.add_sum(partials, self.weight);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, "alpha norm", layer.n, loss);
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
        let gradient = AlphaNormBackward {
            norm: self.kernel(x),
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call("alpha norm gradient", gradient, &[x.value, dx.value]);
    }
}
