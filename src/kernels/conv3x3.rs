//! The fast kernel of 3×3 convolutions with stride 1 and padding 1.

use super::conv::{Items, Params};
use super::{Conv, Conv3x3Tile};
use crate::device::{Alternatives, Bindings, Kernel, Operation, Real, Shader, Slot, Source, Work};

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
pub struct Conv3x3 {
    conv: Conv,
    narrow: bool,
}

impl Conv3x3 {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        conv.is_same(3).then_some(Self {
            conv,
            narrow: false,
        })
    }

    /// The same with one vec4 of output channels per invocation: half the registers, more loads.
    #[must_use]
    pub fn narrow(self) -> Self {
        Self {
            narrow: true,
            ..self
        }
    }

    fn items(&self) -> Items {
        if self.narrow {
            Items::single(self.conv.y)
        } else {
            self.conv.items()
        }
    }
}

impl Kernel for Conv3x3 {
    type Params = Params;

    fn shader(&self) -> Shader {
        self.conv.variant(&SOURCE, self.items())
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.conv)
    }
    fn params(&self) -> Params {
        Kernel::params(&self.conv)
    }
    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }
    fn work(&self) -> Work {
        Kernel::work(&self.conv)
    }
    fn alternatives(&self) -> Option<Alternatives> {
        let narrow = self.narrow();
        let mut kernels: Vec<Box<dyn Operation>> = Vec::new();
        if Kernel::shader(&narrow) != Kernel::shader(self) {
            kernels.push(Box::new(narrow));
        }
        if let Some(tile) = Conv3x3Tile::serve(self.conv) {
            kernels.push(Box::new(tile));
        }
        Some(Alternatives {
            shape: self.conv.shape(),
            kernels,
        })
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.conv.twin(bindings);
    }
}
