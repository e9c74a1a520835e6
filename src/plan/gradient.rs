//! What adds up to the gradient of one layer.

use crate::device::{Kind, Recording};
use crate::kernels::{Tensor, View};

/// The gradient with respect to one tensor while its contributions are being recorded.
#[derive(Debug)]
pub struct Gradient {
    view: View,
    kind: Kind,
    label: String,
    tensor: Option<Tensor>,
}

impl Gradient {
    pub(super) fn new(view: View, kind: Kind, label: &str) -> Self {
        // A slice of a concatenation reached only by terms still gets a gradient of its own size.
        let view = View::new(view.n, view.h, view.w, view.c);
        Self {
            view,
            kind,
            label: format!("gradient {label}"),
            tensor: None,
        }
    }

    pub(super) fn written(tensor: Tensor) -> Self {
        Self {
            view: tensor.view,
            kind: Kind::Real,
            label: String::new(),
            tensor: Some(tensor),
        }
    }

    /// Where the next contribution goes, and whether it adds to those before it. The first one must write every
    /// element.
    pub fn target(&mut self, recording: &mut Recording) -> (Tensor, bool) {
        match self.tensor {
            Some(tensor) => (tensor, true),
            None => {
                let tensor = Tensor::of_kind(recording, &self.label, self.view, self.kind);
                self.tensor = Some(tensor);
                (tensor, false)
            }
        }
    }

    pub(super) fn tensor(&self) -> Option<Tensor> {
        self.tensor
    }
}
