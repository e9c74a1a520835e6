//! `energy`: ½ Σ a² over a layer, whose gradient is a itself: DeepDream (Mordvintsev, Olah, Tyka 2015).

use super::{Activation, Banded, Loss, Saved, Selection, Term};
use crate::Error;
use crate::device::{Device, Recording};
use crate::kernels::{Tensor, View};

/// Half the sum of squares of a layer.
#[derive(Debug)]
pub struct Energy(Activation);

impl Energy {
    /// Of a layer of the shape `layer`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    pub fn new(device: &Device, layer: View, weight: f64) -> Result<Self, Error> {
        let whole = Selection::whole(layer);
        let of_mean = weight * 0.5 * whole.elements() as f64;
        let selections = Selection::upload(device, layer, &[whole])?;
        Ok(Self(Activation::new(selections, true, of_mean)))
    }
}

impl Term for Energy {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        self.0.forward(recording, x, loss)
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        self.0.backward(recording, x, saved, dx, accumulate);
    }

    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        self.0.banded()
    }
}
