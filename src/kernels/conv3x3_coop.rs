//! 3×3 convolutions on cooperative matrices.

use super::Conv3x3Form;
use super::conv::Params;
use crate::device::{Bindings, COOP, COOP_TILES, Kernel, Real, Shader, Slot, Source, T8, Work};

/// `wgsl/conv3x3_coop.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv3x3_coop",
    text: include_str!("../../wgsl/conv3x3_coop.wgsl"),
    variants: &[
        &[COOP],
        &[COOP, "ACCUMULATE"],
        &[COOP, "MASKED"],
        &[COOP, "MASKED", "ACCUMULATE"],
        &[COOP, "UNPOOL"],
        &[COOP, "UNPOOL", "ACCUMULATE"],
        &[COOP, "BIAS"],
        &[COOP, "BIAS", "RELU"],
        &[COOP, "BIAS", "POOL"],
        &[COOP, "SPLIT", "BIAS"],
        &[COOP, "SPLIT", "BIAS", "RELU"],
        &[COOP, "SPLIT", "BIAS", "POOL"],
        &[COOP, T8],
        &[COOP, T8, "ACCUMULATE"],
        &[COOP, T8, "MASKED"],
        &[COOP, T8, "MASKED", "ACCUMULATE"],
        &[COOP, T8, "UNPOOL"],
        &[COOP, T8, "UNPOOL", "ACCUMULATE"],
        &[COOP, T8, "BIAS"],
        &[COOP, T8, "BIAS", "RELU"],
        &[COOP, T8, "BIAS", "POOL"],
        &[COOP, T8, "SPLIT", "BIAS"],
        &[COOP, T8, "SPLIT", "BIAS", "RELU"],
        &[COOP, T8, "SPLIT", "BIAS", "POOL"],
    ],
};

/// Rows of a workgroup's tile.
const ROWS: u32 = 8;

/// A layer with at most so many channels in keeps all digits of its pixels: these layers come first, and what their rounding switches, all the
/// others see. docs/precision.md has the measurement.
const WHOLE: u32 = 128;

/// A convolution of 3×3 whose factors are rounded to f16: for operands that are stored in 16 bits. It runs on adapters with
/// cooperative matrices of f16 that add up in f32. A layer with few channels in takes twice as many products and rounds its
/// weights only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Coop {
    form: Conv3x3Form,
    /// Side of the matrices.
    tile: u32,
}

impl Conv3x3Coop {
    /// `form` with matrices of `tile`×`tile`, if there are such.
    #[must_use]
    pub fn serve(form: Conv3x3Form, tile: u32) -> Option<Self> {
        COOP_TILES.contains(&tile).then_some(Self { form, tile })
    }
}

impl Kernel for Conv3x3Coop {
    type Params = Params;

    fn shader(&self) -> Shader {
        let mut definitions = self.form.operands();
        definitions.push(COOP);
        definitions.extend((self.tile == 8).then_some(T8));
        let split = self.form.is_layer() && self.form.conv().x.c <= WHOLE;
        definitions.extend(split.then_some("SPLIT"));
        SOURCE.with(&definitions)
    }
    fn bindings(&self) -> Vec<Slot> {
        self.form.bindings()
    }
    fn params(&self) -> Params {
        self.form.params()
    }
    fn grid(&self) -> [u32; 3] {
        let sums = self.form.sums();
        [
            sums.w.div_ceil(self.tile) * sums.h.div_ceil(ROWS),
            sums.quads.div_ceil(self.tile),
            sums.n,
        ]
    }
    fn work(&self) -> Work {
        self.form.work()
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.form.twin(bindings);
    }
}
