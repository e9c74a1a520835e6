//! A term that counts in a part of the image only: the same term of g∘F, every position of the layer F times a guide g (Gatys
//! et al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", section 4.1: guided Gram matrices).
//!
//! The gradient is g∘(dL/d(g∘F)). g∘F is computed again for it, so that it takes no memory from the forward to the backward
//! pass.

use super::{Band, Banded, Loss, Saved, Term};
use crate::device::{Buffer, Recording};
use crate::kernels::{Tensor, View, Weigh};

/// A term seen through a guide.
#[derive(Debug)]
pub struct Masked {
    term: Box<dyn Term>,
    guide: Buffer,
}

impl Masked {
    /// `guide` holds g, `[h·w]` of the layer, the same for all images of a batch.
    #[must_use]
    pub fn new(term: Box<dyn Term>, guide: Buffer) -> Self {
        Self { term, guide }
    }

    /// Records `dx (+)=` g∘dL/d(g∘x) for the rows x from `first` on; `backward` records dL/d(g∘x).
    fn pull_back(
        &self,
        recording: &mut Recording,
        (x, first): (Tensor, u32),
        (dx, accumulate): (Tensor, bool),
        backward: impl FnOnce(&mut Recording, Tensor, Tensor),
    ) {
        let guided = record_guided(recording, x, &self.guide, first);
        let gradient = Tensor::transient(recording, "guided gradient", guided.view);
        backward(recording, guided, gradient);
        record_pulled_back(recording, gradient, &self.guide, first, dx, accumulate);
    }
}

/// Records `dx (+)=` g∘gradient for the rows of a layer from `first` on.
pub(super) fn record_pulled_back(
    recording: &mut Recording,
    gradient: Tensor,
    guide: &Buffer,
    first: u32,
    dx: Tensor,
    accumulate: bool,
) {
    let guide = recording.given("guide", guide.clone());
    let weigh = Weigh {
        x: gradient.view,
        y: dx.view,
        first: first * dx.view.w,
        accumulate,
    };
    recording.call("masked gradient", weigh, &[gradient.value, guide, dx.value]);
}

/// Records g∘x for the rows x of a layer from `first` on, `guide` being g, `[h·w]` of the layer.
pub fn record_guided(recording: &mut Recording, x: Tensor, guide: &Buffer, first: u32) -> Tensor {
    let View { n, h, w, c, .. } = x.view;
    let y = Tensor::transient(recording, "guided layer", View::new(n, h, w, c));
    let guide = recording.given("guide", guide.clone());
    let weigh = Weigh {
        x: x.view,
        y: y.view,
        first: first * w,
        accumulate: false,
    };
    recording.call("guided layer", weigh, &[x.value, guide, y.value]);
    y
}

impl Term for Masked {
    fn forward(&self, recording: &mut Recording, x: Tensor, loss: Loss) -> Saved {
        let guided = record_guided(recording, x, &self.guide, 0);
        self.term.forward(recording, guided, loss)
    }

    fn backward(
        &self,
        recording: &mut Recording,
        x: Tensor,
        saved: &Saved,
        dx: Tensor,
        accumulate: bool,
    ) {
        self.pull_back(recording, (x, 0), (dx, accumulate), |recording, x, dx| {
            self.term.backward(recording, x, saved, dx, false);
        });
    }

    fn banded(&self) -> Result<&dyn Banded, &'static str> {
        self.term.banded().map(|_| self as &dyn Banded)
    }
}

/// Where the term itself is [`Banded`]; else nobody gets at this ([`Term::banded`]).
impl Banded for Masked {
    fn gather(&self, recording: &mut Recording, x: Tensor, band: Band, gathered: &mut Saved) {
        let guided = record_guided(recording, x, &self.guide, band.first);
        if let Ok(term) = self.term.banded() {
            term.gather(recording, guided, band, gathered);
        }
    }

    fn conclude(
        &self,
        recording: &mut Recording,
        layer: View,
        gathered: Saved,
        loss: Loss,
    ) -> Saved {
        match self.term.banded() {
            Ok(term) => term.conclude(recording, layer, gathered, loss),
            Err(_) => gathered,
        }
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
        let Ok(term) = self.term.banded() else {
            return;
        };
        let (x, dx) = ((x, band.first), (dx, accumulate));
        self.pull_back(recording, x, dx, |recording, x, dx| {
            term.backward_band(recording, x, band, saved, dx, false);
        });
    }
}
