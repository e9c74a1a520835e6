//! `energy`: ½ Σ a² over a layer, whose gradient is a itself: DeepDream (Mordvintsev, Olah, Tyka 2015).

use super::{Activation, Band, Gathered, Loss, Saved, Selection, Term};
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
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        self.0.gather(recording, x, band, gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        self.0.conclude(recording, layer, gathered, loss)
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        band: Band,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        self.0.backward(recording, x, band, saved, dx, accumulate);
    }
}
