//! The plain convolution kernel: what the fast ones are tested and measured against.

use super::Conv;
use super::conv::Params;
use super::items::Items;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv_naive.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv_naive",
    text: include_str!("../../wgsl/conv_naive.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["MASKED"],
        &["MASKED", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
        &["FLAT"],
        &["FLAT", "ACCUMULATE"],
        &["FLAT", "MASKED"],
        &["FLAT", "MASKED", "ACCUMULATE"],
        &["FLAT", "BIAS"],
        &["FLAT", "BIAS", "RELU"],
    ],
};

/// Any [`Conv`], by the plain kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvNaive(pub Conv);

impl Kernel for ConvNaive {
    type Params = Params;

    fn shader(&self) -> Shader {
        let items = Items::narrow(self.0.y);
        let definitions = self.0.operands().chain(items.definitions());
        SOURCE.with(&definitions.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.0)
    }
    fn params(&self) -> Params {
        Kernel::params(&self.0)
    }
    fn grid(&self) -> [u32; 3] {
        Items::narrow(self.0.y).grid()
    }
    fn work(&self) -> Work {
        Kernel::work(&self.0)
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.twin(bindings);
    }
}
