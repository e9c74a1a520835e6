//! 3×3 convolutions through workgroup memory.

use super::Conv3x3Form;
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
        &["UNPOOL"],
        &["UNPOOL", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
    ],
};

/// Width and height in pixels and vec4s of output channels of a workgroup's tile.
const TILE: [u32; 3] = [16, 8, 16];

/// A convolution of 3×3 without a pool, to an even number of vec4s of channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Tile(Conv3x3Form);

impl Conv3x3Tile {
    /// `form`, if it is this kernel's.
    #[must_use]
    pub fn serve(form: Conv3x3Form) -> Option<Self> {
        (!form.pools() && form.sums().quads.is_multiple_of(2)).then_some(Self(form))
    }
}

impl Kernel for Conv3x3Tile {
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
