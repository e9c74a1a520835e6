//! The squared distance of a tensor from a given one, `scale · Σ (x − x₀)²`, in three scales:
//!
//! - `content`: mean((F − P)²), Gatys et al. 2016, eq. 1, as a mean;
//! - `l2`: mean((x − x₀)²), the same of the image;
//! - `inversion`: ‖Φ − Φ₀‖²/‖Φ₀‖², Mahendran & Vedaldi 2015, section 3.

use super::{
    Band, Gathered, Loss, ObjectiveError, Saved, Term, record_squared_difference, rows_of,
};
use crate::device::{Given, Later, Recording, Scalar};
use crate::kernels::{SquaredDifferenceBackward, Tensor, View};

/// The squared distance of each image of a batch from a target of the same size.
#[derive(Debug)]
pub struct Content {
    name: &'static str,
    target: Given,
    view: View,
    /// Factor on the sum over one image.
    scale: Scalar,
}

impl Content {
    /// `weight` · mean((F − P)²). `target` holds P in the engine's layout, shape `view`: one image, with which each
    /// of a batch is compared, or as many as the batch has.
    #[must_use]
    pub fn new(target: impl Into<Given>, view: View, weight: impl Into<Scalar>) -> Self {
        let elements = View { n: 1, ..view }.elements() as f64;
        Self {
            name: "content",
            target: target.into(),
            view,
            scale: weight.into().times(1.0 / elements),
        }
    }

    /// `weight` · mean((x − x₀)²): [`Content::new`] under its name as a regularizer of the image.
    #[must_use]
    pub fn l2(target: impl Into<Given>, view: View, weight: impl Into<Scalar>) -> Self {
        Self {
            name: "l2",
            ..Self::new(target, view, weight)
        }
    }

    /// `weight` · ‖Φ − Φ₀‖²/‖Φ₀‖². `target` holds the Φ₀ of one image, shape `view`, with which each image of a batch
    /// is compared; `inverse_square` is 1/‖Φ₀‖².
    ///
    /// # Errors
    /// [`ObjectiveError::InversionTarget`] for a target of several images.
    pub fn inversion(
        target: impl Into<Given>,
        view: View,
        inverse_square: &Later,
        weight: impl Into<Scalar>,
    ) -> Result<Self, ObjectiveError> {
        if view.n != 1 {
            return Err(ObjectiveError::InversionTarget { images: view.n });
        }
        Ok(Self {
            name: "inversion",
            target: target.into(),
            view,
            scale: weight.into().times_later(inverse_square),
        })
    }
}

impl Content {
    fn target(&self, recording: &mut Recording) -> Tensor {
        Tensor {
            value: recording.given(format!("{} target", self.name), &self.target),
            view: self.view,
        }
    }

    /// The rows of the target that `x` is compared with.
    fn rows(&self, recording: &mut Recording, band: Band, x: View) -> Tensor {
        let target = self.target(recording);
        match band.count {
            1 => target,
            _ => rows_of(recording, target, band, x),
        }
    }
}

impl Term for Content {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let target = self.rows(recording, band, x.view);
        let target = (target.value, target.view);
        let partials = record_squared_difference(recording, self.name, x, target);
        gathered.add_sum(partials, self.scale.clone());
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        gathered.conclude_sums(recording, self.name, layer.n, loss);
        Saved::default()
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        _: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        let target = self.rows(recording, band, x.view);
        let gradient = SquaredDifferenceBackward {
            a: x.view,
            b: target.view,
            da: dx.view,
            alpha: self.scale.times(2.0),
            accumulate,
        };
        recording.call(
            format!("{} gradient", self.name),
            gradient,
            &[x.value, target.value, dx.value],
        );
    }
}
