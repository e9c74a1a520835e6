//! `content`: mean((F − P)²), Gatys et al. 2016, eq. 1, as a mean.

use super::{
    Loss, Saved, Target, Term, record_squared_difference, record_squared_difference_gradient,
};
use crate::device::{Buffer, Recording};
use crate::kernels::{Tensor, View};

/// The mean squared difference between a layer and a target of the same size.
#[derive(Debug)]
pub struct Content {
    target: Buffer,
    view: View,
    weight: f64,
}

impl Content {
    /// `target` holds one image's activation in the engine's layout, shape `view`.
    #[must_use]
    pub fn new(target: Buffer, view: View, weight: f64) -> Self {
        Self {
            target,
            view,
            weight,
        }
    }

    /// The value at all-zero activations, mean P²: what `relative` divides by. `target` is `[C,H,W]`.
    #[must_use]
    pub fn at_zero(target: &[f32]) -> f64 {
        target.iter().map(|&p| f64::from(p).powi(2)).sum::<f64>() / target.len() as f64
    }

    fn per_element(&self) -> f64 {
        self.weight / (self.view.elements() as f64)
    }
}

impl Term for Content {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let target = recording.given("content target", self.target.clone());
        record_squared_difference(
            recording,
            "content",
            x,
            Target::new(target, self.view),
            self.per_element(),
            loss,
        );
        Saved(vec![target])
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        record_squared_difference_gradient(
            recording,
            "content",
            x,
            Target::new(saved.0[0], self.view),
            self.per_element(),
            (dx, accumulate),
        );
    }
}
