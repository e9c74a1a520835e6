//! A term that counts in a part of the image only: the same term of m∘F, every position of the layer F times a mask m
//! (Gatys et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", section 4.1, where m is called a
//! guidance channel).
//!
//! The gradient is m∘(dL/d(m∘F)). m∘F is computed again for it, so that it takes no memory from the forward to the
//! backward pass.

use super::{Band, Gathered, Loss, Saved, Term};
use crate::device::{Given, Recording};
use crate::kernels::{Tensor, View, Weigh};

/// A term seen through a mask.
#[derive(Debug)]
pub struct Masked {
    term: Box<dyn Term>,
    mask: Given,
}

impl Masked {
    /// `mask` holds m, `[h·w]` of the layer, the same for all images of a batch.
    #[must_use]
    pub fn new(term: Box<dyn Term>, mask: impl Into<Given>) -> Self {
        Self {
            term,
            mask: mask.into(),
        }
    }
}

/// Records `dx (+)=` m∘gradient for the rows of a layer from `first` on.
pub(super) fn record_masked_gradient(
    recording: &mut Recording,
    gradient: Tensor,
    mask: &Given,
    first: u32,
    dx: Tensor,
    accumulate: bool,
) {
    let mask = recording.given("mask", mask);
    let weigh = Weigh {
        x: gradient.view,
        y: dx.view,
        first: first * dx.view.w,
        accumulate,
    };
    recording.call("masked gradient", weigh, &[gradient.value, mask, dx.value]);
}

/// Records m∘x for the rows x of a layer from `first` on, `mask` being m, `[h·w]` of the layer.
pub fn record_masked(recording: &mut Recording, x: Tensor, mask: &Given, first: u32) -> Tensor {
    let View { n, h, w, c, .. } = x.view;
    let y = Tensor::transient(recording, "masked layer", View::new(n, h, w, c));
    let mask = recording.given("mask", mask);
    let weigh = Weigh {
        x: x.view,
        y: y.view,
        first: first * w,
        accumulate: false,
    };
    recording.call("masked layer", weigh, &[x.value, mask, y.value]);
    y
}

impl Term for Masked {
    fn needs_whole_layer(&self) -> Option<&'static str> {
        self.term.needs_whole_layer()
    }

    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Gathered) {
        let masked = record_masked(recording, x, &self.mask, band.first);
        self.term.gather(recording, masked, band, gathered);
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Gathered,
        loss: Loss,
    ) -> Saved {
        self.term.conclude(recording, layer, gathered, loss)
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
        let masked = record_masked(recording, x, &self.mask, band.first);
        let gradient = Tensor::transient(recording, "gradient of the masked layer", masked.view);
        let term = &self.term;
        term.backward(recording, masked, band, saved, gradient, false);
        record_masked_gradient(recording, gradient, &self.mask, band.first, dx, accumulate);
    }
}
