//! `alpha_norm`: Σ |x − mean|^α over pixels and channels: Mahendran & Vedaldi 2015, "Understanding Deep Image
//! Representations by Inverting Them", section 2.2, who take α = 6.
//!
//! For images of 0 to 1. The value of the same image in units of 0 to 255 is 255^α times as much.

use super::{Loss, Saved, Term, record_sum};
use crate::Error;
use crate::device::{Kind, Recording};
use crate::kernels::{self, AlphaNormBackward, Tensor, View};

/// How far the image's pixels are from a mean colour.
#[derive(Debug)]
pub struct AlphaNorm {
    mean: [f32; 3],
    exponent: f32,
    weight: f64,
}

impl AlphaNorm {
    /// α unless another is asked for.
    pub const EXPONENT: f32 = 6.0;

    /// `mean` is an RGB colour of \[0,1\], usually the network's own mean; `exponent` is α, 1 or more.
    ///
    /// # Errors
    /// [`Error::Plan`] for another exponent, or a mean that is no number.
    pub fn new(mean: [f32; 3], exponent: f32, weight: f64) -> Result<Self, Error> {
        if !(exponent >= 1.0 && exponent.is_finite()) {
            return Err(Error::Plan(format!(
                "the exponent of the α-norm is {exponent}: it must be 1 or more"
            )));
        }
        if mean.iter().any(|v| !v.is_finite()) {
            return Err(Error::Plan(format!(
                "the mean of the α-norm is {mean:?}: it must be a colour"
            )));
        }
        Ok(Self {
            mean,
            exponent,
            weight,
        })
    }

    fn kernel(&self, x: View) -> kernels::AlphaNorm {
        let [r, g, b] = self.mean;
        kernels::AlphaNorm {
            x,
            mean: [r, g, b, 0.0],
            exponent: self.exponent,
        }
    }
}

impl Term for AlphaNorm {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let kernel = self.kernel(x.view);
        let parts = (x.view.n * kernel.parts()) as usize;
        let partials = recording.transient("alpha_norm partial sums", Kind::Real, parts);
        recording.call("alpha_norm", kernel, &[x.value, partials]);
        record_sum(
            recording,
            "alpha_norm",
            partials,
            x.view.n,
            self.weight,
            loss,
        );
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
        let gradient = AlphaNormBackward {
            forward: self.kernel(x.view),
            dx: dx.view,
            alpha: self.weight as f32,
            accumulate,
        };
        recording.call("alpha_norm gradient", gradient, &[x.value, dx.value]);
    }
}
