//! The fast kernel of 3×3 convolutions with stride 1 and padding 1.

use super::conv::Params;
use super::items::with_items;
use super::{Conv, Conv3x3Form};
use crate::device::{Alternatives, Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv3x3.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3",
    text: include_str!("../../wgsl/conv3x3.wgsl"),
    variants: with_items![
        [],
        ["ACCUMULATE"],
        ["MASKED"],
        ["MASKED", "ACCUMULATE"],
        ["UNPOOL"],
        ["UNPOOL", "ACCUMULATE"],
        ["BIAS"],
        ["BIAS", "RELU"],
    ],
};

/// A [`Conv`] whose shape this kernel serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3(Conv);

impl Conv3x3 {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        conv.is_same(3).then_some(Self(conv))
    }
}

impl Kernel for Conv3x3 {
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
        Conv3x3Form::of(self.0)?.alternatives()
    }
    fn reduced_alternatives(&self) -> Option<Alternatives> {
        Conv3x3Form::of(self.0)?.reduced_alternatives()
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.reference(bindings);
    }
}
