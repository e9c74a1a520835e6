//! The plain convolution kernel: what the fast ones are tested and measured against.

use super::Conv;
use super::conv::Params;
use super::items::Items;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv_naive.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv_naive",
    text: include_str!("../../wgsl/conv_naive.wgsl"),
    variants: &[&["FLAT"]],
};

/// A [`Conv`] by the plain kernel, which knows nothing of bias, ReLU, masks and adding to y: what the convolution asks
/// for of these is left out. Bindings: `x`, `w`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvNaive(pub Conv);

impl ConvNaive {
    fn plain(&self) -> Conv {
        Conv {
            bias: false,
            relu: false,
            masked: false,
            accumulate: false,
            ..self.0
        }
    }
}

impl Kernel for ConvNaive {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&["FLAT"])
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.plain())
    }
    fn params(&self) -> Params {
        Kernel::params(&self.0)
    }
    fn grid(&self) -> [u32; 3] {
        Items::narrow(self.0.y).flat_grid()
    }
    fn work(&self) -> Work {
        Kernel::work(&self.plain())
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.plain().reference(bindings);
    }
}
