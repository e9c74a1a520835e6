//! `tv`: total variation, mean dx² + mean dy² over neighbouring pixels of the image.

use super::{Loss, Saved, Term, record_sum};
use crate::device::{Kind, Recording};
use crate::kernels::{self, Tensor, TvBackward};

/// Total variation of the image.
#[derive(Debug)]
pub struct Tv {
    weight: f64,
}

impl Tv {
    /// With the given weight.
    #[must_use]
    pub fn new(weight: f64) -> Self {
        Self { weight }
    }

    /// The kernel's value is a mean over all images of a batch; ours is a sum over them.
    fn factor(&self, x: Tensor) -> f64 {
        self.weight * f64::from(x.view.n)
    }
}

impl Term for Tv {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let tv = kernels::Tv { x: x.view };
        let partials =
            recording.transient("tv partial sums", Kind::Real, tv.partials_len() as usize);
        recording.call("tv", tv, &[x.value, partials]);
        record_sum(recording, "tv", partials, self.factor(x), loss);
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
        let gradient = TvBackward {
            x: x.view,
            dx: dx.view,
            alpha: self.factor(x) as f32,
            accumulate,
        };
        recording.call("tv gradient", gradient, &[x.value, dx.value]);
    }
}
