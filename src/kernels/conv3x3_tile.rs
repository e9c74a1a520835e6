//! 3×3 convolutions through workgroup memory.

use super::Conv;
use super::conv::Params;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv3x3_tile.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3_tile",
    text: include_str!("../../wgsl/conv3x3_tile.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["MASKED"],
        &["MASKED", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
    ],
};

/// Width and height in pixels and vec4s of output channels of a workgroup's tile.
const TILE: [u32; 3] = [16, 8, 16];

/// A 3×3 convolution with stride 1 and padding 1 and an even number of vec4s of output channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Tile(Conv);

impl Conv3x3Tile {
    /// `conv`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv) -> Option<Self> {
        (conv.is_same(3) && conv.y.quads.is_multiple_of(2)).then_some(Self(conv))
    }
}

impl Kernel for Conv3x3Tile {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&self.0.operands().collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.0)
    }
    fn params(&self) -> Params {
        Kernel::params(&self.0)
    }
    fn grid(&self) -> [u32; 3] {
        let [w, h, quads] = TILE;
        let y = self.0.y;
        [
            y.w.div_ceil(w),
            y.h.div_ceil(h),
            y.n * y.quads.div_ceil(quads),
        ]
    }
    fn work(&self) -> Work {
        Kernel::work(&self.0)
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.0.twin(bindings);
    }
}
