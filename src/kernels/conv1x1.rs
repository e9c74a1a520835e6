//! The fast kernel of 1×1 convolutions with stride 1.

use super::Conv;
use super::conv::Params;
use crate::device::{Alternatives, Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv1x1.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv1x1",
    text: include_str!("../../wgsl/conv1x1.wgsl"),
    variants: super::conv::VARIANTS,
};

/// A [`Conv`] whose shape this kernel serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv1x1(Conv);

impl Conv1x1 {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        conv.is_same(1).then_some(Self(conv))
    }
}

impl Kernel for Conv1x1 {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.0.variant(&SOURCE)
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.0)
    }
    fn params(&self) -> Params {
        Kernel::params(&self.0)
    }
    fn grid(&self) -> [u32; 3] {
        Kernel::grid(&self.0)
    }
    fn work(&self) -> Work {
        Kernel::work(&self.0)
    }
    fn alternatives(&self) -> Option<Alternatives> {
        let narrow = self.0.narrowed()?;
        Some(Alternatives {
            shape: self.0.shape(),
            kernels: vec![Box::new(Self(narrow))],
        })
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.reference(bindings);
    }
}
