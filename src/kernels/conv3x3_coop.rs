//! 3×3 convolutions on cooperative matrices.

use super::Conv3x3Form;
use super::conv::Params;
use crate::device::{
    Bindings, COOP, COOP_TILES, Kernel, Real, SPLIT, SPLIT_WEIGHTS, Shader, Slot, Source, T8, Work,
};

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
        &[COOP, SPLIT, SPLIT_WEIGHTS],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "ACCUMULATE"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "MASKED"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "MASKED", "ACCUMULATE"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "UNPOOL"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "UNPOOL", "ACCUMULATE"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "BIAS"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "BIAS", "RELU"],
        &[COOP, SPLIT, SPLIT_WEIGHTS, "BIAS", "POOL"],
        &[COOP, SPLIT, "BIAS"],
        &[COOP, SPLIT, "BIAS", "RELU"],
        &[COOP, SPLIT, "BIAS", "POOL"],
        &[COOP, T8],
        &[COOP, T8, "ACCUMULATE"],
        &[COOP, T8, "MASKED"],
        &[COOP, T8, "MASKED", "ACCUMULATE"],
        &[COOP, T8, "UNPOOL"],
        &[COOP, T8, "UNPOOL", "ACCUMULATE"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "ACCUMULATE"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "MASKED"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "MASKED", "ACCUMULATE"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "UNPOOL"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "UNPOOL", "ACCUMULATE"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "BIAS"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "BIAS", "RELU"],
        &[COOP, T8, SPLIT, SPLIT_WEIGHTS, "BIAS", "POOL"],
        &[COOP, T8, SPLIT, "BIAS"],
        &[COOP, T8, SPLIT, "BIAS", "RELU"],
        &[COOP, T8, SPLIT, "BIAS", "POOL"],
    ],
};

/// Rows of a workgroup's tile.
const ROWS: u32 = 8;

/// What of the factors is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factors {
    /// As much as f16 holds: for gradients that are stored in 16 bits.
    Rounded,
    /// All of the pixels, and as much of the weights as f16 holds, in twice as many products: for layers whose weights
    /// are stored in f16. What is rounded of a layer changes which units behind it are above 0.
    Pixels,
    /// 22 digits of both, in three times as many products: as good as f32.
    Both,
}

/// A convolution of 3×3 on cooperative matrices with factors in f16 that add up in f32, for adapters that have these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Coop {
    form: Conv3x3Form,
    /// Side of the matrices.
    tile: u32,
    factors: Factors,
}

impl Conv3x3Coop {
    /// `form` with matrices of `tile`×`tile`, if there are such. Not all [`Factors`] suit all forms: layers are not
    /// rounded, and only in them weights alone.
    #[must_use]
    pub fn serve(form: Conv3x3Form, tile: u32, factors: Factors) -> Option<Self> {
        let suits = match factors {
            Factors::Rounded => !form.is_layer(),
            Factors::Pixels => form.is_layer(),
            Factors::Both => true,
        };
        let coop = Self {
            form,
            tile,
            factors,
        };
        (suits && COOP_TILES.contains(&tile)).then_some(coop)
    }
}

impl Kernel for Conv3x3Coop {
    type Params = Params;

    fn shader(&self) -> Shader {
        let mut definitions = self.form.operands();
        definitions.push(COOP);
        definitions.extend((self.tile == 8).then_some(T8));
        definitions.extend(match self.factors {
            Factors::Rounded => &[][..],
            Factors::Pixels => &[SPLIT],
            Factors::Both => &[SPLIT, SPLIT_WEIGHTS],
        });
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
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.form.reference(bindings);
    }
}
