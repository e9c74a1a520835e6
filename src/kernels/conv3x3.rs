//! The fast kernel of 3×3 convolutions with stride 1 and padding 1.

use super::Conv;
use super::conv::Params;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv3x3.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3",
    text: include_str!("../../wgsl/conv3x3.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["MASKED"],
        &["MASKED", "ACCUMULATE"],
        &["UNPOOL"],
        &["UNPOOL", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
        &["SINGLE"],
        &["SINGLE", "ACCUMULATE"],
        &["SINGLE", "MASKED"],
        &["SINGLE", "MASKED", "ACCUMULATE"],
        &["SINGLE", "UNPOOL"],
        &["SINGLE", "UNPOOL", "ACCUMULATE"],
        &["SINGLE", "BIAS"],
        &["SINGLE", "BIAS", "RELU"],
        &["FLAT"],
        &["FLAT", "ACCUMULATE"],
        &["FLAT", "MASKED"],
        &["FLAT", "MASKED", "ACCUMULATE"],
        &["FLAT", "UNPOOL"],
        &["FLAT", "UNPOOL", "ACCUMULATE"],
        &["FLAT", "BIAS"],
        &["FLAT", "BIAS", "RELU"],
        &["FLAT", "SINGLE"],
        &["FLAT", "SINGLE", "ACCUMULATE"],
        &["FLAT", "SINGLE", "MASKED"],
        &["FLAT", "SINGLE", "MASKED", "ACCUMULATE"],
        &["FLAT", "SINGLE", "UNPOOL"],
        &["FLAT", "SINGLE", "UNPOOL", "ACCUMULATE"],
        &["FLAT", "SINGLE", "BIAS"],
        &["FLAT", "SINGLE", "BIAS", "RELU"],
    ],
};

/// A [`Conv`] whose shape this kernel serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3(Conv);

impl Conv3x3 {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        let fits = (conv.kernel, conv.stride, conv.pad, conv.input_dilation) == (3, 1, 1, 1);
        let same_size = (conv.x.n, conv.x.h, conv.x.w) == (conv.y.n, conv.y.h, conv.y.w);
        (fits && same_size).then_some(Self(conv))
    }
}

impl Kernel for Conv3x3 {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.0.variant(&SOURCE, self.0.items())
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
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.twin(bindings);
    }
}
