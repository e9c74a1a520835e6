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
        &["SINGLE"],
        &["SINGLE", "ACCUMULATE"],
        &["SINGLE", "MASKED"],
        &["SINGLE", "MASKED", "ACCUMULATE"],
        &["SINGLE", "UNPOOL"],
        &["SINGLE", "UNPOOL", "ACCUMULATE"],
        &["SINGLE", "BIAS"],
        &["SINGLE", "BIAS", "RELU"],
    ],
};

/// Width and height in pixels and vec4s of output channels of a workgroup's tile.
const TILE: [u32; 3] = [16, 8, 16];

/// A convolution of 3×3 without a pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Tile {
    form: Conv3x3Form,
    /// Whether an invocation makes one vec4 of channels in place of two, with half the registers.
    single: bool,
}

impl Conv3x3Tile {
    /// The ways to run `form`, if it is this kernel's: with two vec4s of channels for an invocation where their number
    /// is even, and with one.
    pub fn serve(form: Conv3x3Form) -> impl Iterator<Item = Self> {
        let even = form.sums().quads.is_multiple_of(2);
        let ways = [(false, even), (true, true)].into_iter();
        ways.filter(move |(_, fits)| *fits && !form.pools())
            .map(move |(single, _)| Self { form, single })
    }
}

impl Kernel for Conv3x3Tile {
    type Params = Params;

    fn shader(&self) -> Shader {
        let mut definitions = self.form.operands();
        definitions.extend(self.single.then_some("SINGLE"));
        SOURCE.with(&definitions)
    }
    fn bindings(&self) -> Vec<Slot> {
        self.form.bindings()
    }
    fn params(&self) -> Params {
        self.form.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.form.grid_of_tiles(TILE)
    }
    fn work(&self) -> Work {
        self.form.work()
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.form.reference(bindings);
    }
}
