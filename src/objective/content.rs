//! The squared distance of a tensor from a given one, `scale · Σ (x − x₀)²`, in three scales:
//!
//! - `content`: mean((F − P)²), Gatys et al. 2016, eq. 1, as a mean;
//! - `l2`: mean((x − x₀)²), the same of the image;
//! - `inversion`: ‖Φ − Φ₀‖²/‖Φ₀‖², Mahendran & Vedaldi 2015, section 3.

use super::{
    Band, Banded, Loss, Saved, Term, gather_value, record_squared_difference, record_sum, rows_of,
};
use crate::Error;
use crate::device::{Buffer, Recording};
use crate::kernels::{SquaredDifferenceBackward, Tensor, View};

/// The squared distance of each image of a batch from a target of the same size.
#[derive(Debug)]
pub struct Content {
    name: &'static str,
    target: Buffer,
    view: View,
    /// Factor on the sum over one image.
    scale: f64,
}

impl Content {
    /// `weight` · mean((F − P)²). `target` holds P in the engine's layout, shape `view`: one image, with which each
    /// of a batch is compared, or as many as the batch has.
    #[must_use]
    pub fn new(target: Buffer, view: View, weight: f64) -> Self {
        Self {
            name: "content",
            target,
            view,
            scale: weight / View { n: 1, ..view }.elements() as f64,
        }
    }

    /// `weight` · mean((x − x₀)²): [`Content::new`] under its name as a regularizer of the image.
    #[must_use]
    pub fn l2(target: Buffer, view: View, weight: f64) -> Self {
        Self {
            name: "l2",
            ..Self::new(target, view, weight)
        }
    }

    /// `weight` · ‖Φ − Φ₀‖²/‖Φ₀‖². `target` holds the Φ₀ of one image, shape `view`, with which each image of a batch is
    /// compared; `norm_squared` is its ‖Φ₀‖².
    ///
    /// # Errors
    /// [`Error::Recipe`] for a target that is zero everywhere or not finite, or one of several images.
    pub fn inversion(
        target: Buffer,
        view: View,
        norm_squared: f64,
        weight: f64,
    ) -> Result<Self, Error> {
        if !(norm_squared > 0.0 && norm_squared.is_finite()) {
            return Err(Error::Recipe(format!(
                "inversion: the target's squared norm is {norm_squared}; it must be positive and finite: take a layer \
                 that the target activates"
            )));
        }
        if view.n != 1 {
            return Err(Error::Recipe(format!(
                "inversion: the target has {} images; it must be one, which the batch shares",
                view.n
            )));
        }
        Ok(Self {
            name: "inversion",
            target,
            view,
            scale: weight / norm_squared,
        })
    }

    /// The value of [`Content::new`] at all-zero activations, mean P²: what `relative` divides by. `target` is `[C,H,W]`.
    #[must_use]
    pub fn at_zero(target: &[f32]) -> f64 {
        target.iter().map(|&p| f64::from(p).powi(2)).sum::<f64>() / target.len() as f64
    }
}

impl Content {
    fn target(&self, recording: &mut Recording) -> Tensor {
        Tensor {
            value: recording.given(format!("{} target", self.name), self.target.clone()),
            view: self.view,
        }
    }

    fn record_value(&self, recording: &mut Recording, x: Tensor, target: Tensor, loss: Loss) {
        let target = (target.value, target.view);
        record_squared_difference(recording, self.name, x, target, self.scale, loss);
    }

    fn record_gradient(
        &self,
        recording: &mut Recording,
        x: Tensor,
        target: Tensor,
        dx: Tensor,
        accumulate: bool,
    ) {
        let gradient = SquaredDifferenceBackward {
            a: x.view,
            b: target.view,
            da: dx.view,
            alpha: (2.0 * self.scale) as f32,
            accumulate,
        };
        recording.call(
            format!("{} gradient", self.name),
            gradient,
            &[x.value, target.value, dx.value],
        );
    }
}

impl Term for Content {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let target = self.target(recording);
        self.record_value(recording, x, target, loss);
        Saved(vec![target.value])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let target = Tensor {
            value: saved.0[0],
            view: self.view,
        };
        self.record_gradient(recording, x, target, dx, accumulate);
    }

    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        Ok(self)
    }
}

impl Banded for Content {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved) {
        let target = self.target(recording);
        let rows = rows_of(recording, target, band, x.view);
        let value = gather_value(recording, x.view.n, band, gathered);
        self.record_value(recording, x, rows, value);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved {
        record_sum(recording, self.name, gathered.0[0], layer.n, 1.0, loss);
        Saved(vec![self.target(recording).value])
    }

    fn backward_band(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let target = Tensor {
            value: saved.0[0],
            view: self.view,
        };
        let rows = rows_of(recording, target, band, x.view);
        self.record_gradient(recording, x, rows, dx, accumulate);
    }
}
