//! 3×3 convolutions with 16 multiplications in place of 36, by Winograd's F(2×2, 3×3).

use super::Conv3x3Form;
use super::conv::Params;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv3x3_winograd.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3_winograd",
    text: include_str!("../../wgsl/conv3x3_winograd.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["MASKED"],
        &["MASKED", "ACCUMULATE"],
        &["UNPOOL"],
        &["UNPOOL", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
        &["BIAS", "POOL"],
    ],
};

/// Width and height in pixels and vec4s of output channels of a workgroup's tile.
const TILE: [u32; 3] = [16, 8, 8];

/// Fewest channels, in and out, that it is offered for. With few of them a sum's rounding is the transforms', which is larger, and there
/// are fewer products to be saved.
const CHANNELS: u32 = 64;

/// A convolution of 3×3, with the bindings of its form. Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks",
/// section 4.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Winograd(Conv3x3Form);

impl Conv3x3Winograd {
    /// `form`, whatever its shape.
    #[must_use]
    pub fn new(form: Conv3x3Form) -> Self {
        Self(form)
    }

    /// `form`, if it has the channels for it to pay.
    #[must_use]
    pub fn serve(form: Conv3x3Form) -> Option<Self> {
        let enough = form.conv().x.c.min(form.sums().c) >= CHANNELS;
        enough.then_some(Self(form))
    }
}

impl Kernel for Conv3x3Winograd {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&self.0.operands())
    }
    fn bindings(&self) -> Vec<Slot> {
        self.0.bindings()
    }
    fn params(&self) -> Params {
        self.0.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.0.grid_of_tiles(TILE)
    }
    fn work(&self) -> Work {
        self.0.work()
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.twin(bindings);
    }
}
