//! `tv` with `beta`: Σ (dx² + dy²)^(β/2) over pixels and channels: Mahendran & Vedaldi 2015, "Understanding Deep Image
//! Representations by Inverting Them", eq. 3.
//!
//! For images of 0 to 1. The value of the same image in units of 0 to 255 is 255^β times as much.

use super::{Loss, Saved, Term, record_sum};
use crate::Error;
use crate::device::{Kind, Recording};
use crate::kernels::{self, Tensor, TvBetaBackward, View};

/// Total variation of the image with an exponent.
#[derive(Debug)]
pub struct TvBeta {
    beta: f32,
    weight: f64,
}

impl TvBeta {
    /// `beta` is greater than 0: 2 for smooth images, 1 keeps edges and leaves spikes.
    ///
    /// # Errors
    /// [`Error::Plan`] for another `beta`.
    pub fn new(beta: f32, weight: f64) -> Result<Self, Error> {
        if beta > 0.0 && beta.is_finite() {
            return Ok(Self { beta, weight });
        }
        Err(Error::Plan(format!(
            "the exponent of total variation is {beta}: it must be greater than 0"
        )))
    }

    fn kernel(&self, x: View) -> kernels::TvBeta {
        kernels::TvBeta { x, beta: self.beta }
    }
}

impl Term for TvBeta {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let kernel = self.kernel(x.view);
        let parts = (x.view.n * kernel.parts()) as usize;
        let partials = recording.transient("tv_beta partial sums", Kind::Real, parts);
        recording.call("tv_beta", kernel, &[x.value, partials]);
        record_sum(recording, "tv_beta", partials, x.view.n, self.weight, loss);
        Saved::default()
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        _: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = TvBetaBackward {
            forward: self.kernel(x.view),
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call("tv_beta gradient", gradient, &[x.value, dx.value]);
    }
}
