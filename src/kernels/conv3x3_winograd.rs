//! 3×3 convolutions with fewer multiplications, by Winograd's F(2×2, 3×3) and F(4×4, 3×3).

use super::Conv3x3Form;
use super::conv::Params;
use crate::device::{Bindings, Kernel, LARGE, Real, Shader, Slot, Source, Work};

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

/// `wgsl/conv3x3_winograd4.wgsl`.
pub const SOURCE_4: Source = Source {
    name: "conv3x3_winograd4",
    text: include_str!("../../wgsl/conv3x3_winograd4.wgsl"),
    variants: &[
        &[LARGE],
        &[LARGE, "ACCUMULATE"],
        &[LARGE, "MASKED"],
        &[LARGE, "MASKED", "ACCUMULATE"],
        &[LARGE, "UNPOOL"],
        &[LARGE, "UNPOOL", "ACCUMULATE"],
        &[LARGE, "BIAS"],
        &[LARGE, "BIAS", "RELU"],
        &[LARGE, "BIAS", "POOL"],
    ],
};

/// Fewest channels, in and out, that it is offered for. With few of them a sum's rounding is the transforms', which is
/// larger, and there are fewer products to be saved.
const CHANNELS: u32 = 64;

/// Pixels of a tile's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WinogradTile {
    /// F(2×2, 3×3): 16 multiplications in place of 36.
    Two,
    /// F(4×4, 3×3): 36 in place of 144, with two to three times the rounding; for adapters with 32 KiB of workgroup
    /// memory.
    Four,
}

/// A convolution of 3×3, with the bindings of its form. Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
/// Networks", section 4.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Winograd {
    form: Conv3x3Form,
    tile: WinogradTile,
}

impl Conv3x3Winograd {
    /// `form`, whatever its channels.
    #[must_use]
    pub fn new(form: Conv3x3Form, tile: WinogradTile) -> Self {
        Self { form, tile }
    }

    /// `form`, if it has the channels for it to pay.
    #[must_use]
    pub fn serve(form: Conv3x3Form, tile: WinogradTile) -> Option<Self> {
        let enough = form.conv().x.c.min(form.sums().c) >= CHANNELS;
        enough.then_some(Self { form, tile })
    }
}

impl Kernel for Conv3x3Winograd {
    type Params = Params;

    fn shader(&self) -> Shader {
        let mut definitions = self.form.operands();
        match self.tile {
            WinogradTile::Two => SOURCE.with(&definitions),
            WinogradTile::Four => {
                definitions.push(LARGE);
                SOURCE_4.with(&definitions)
            }
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        self.form.bindings()
    }
    fn params(&self) -> Params {
        self.form.params()
    }
    fn grid(&self) -> [u32; 3] {
        self.form.grid_of_tiles(match self.tile {
            WinogradTile::Two => [16, 8, 8],
            WinogradTile::Four => [16, 16, 4],
        })
    }
    fn work(&self) -> Work {
        self.form.work()
    }
    fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        self.form.reference(bindings);
    }
}
