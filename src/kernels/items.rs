//! How the invocations of the convolution kernels are numbered.

use super::View;

/// The invocations of an image, as `work` in `wgsl/shared/conv.wgsl` numbers them: each a piece of a row and a column
/// of output channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items {
    images: u32,
    /// Pieces of all rows.
    pieces: u32,
    columns: u32,
    /// Whether a column is one vec4 of a kernel whose columns are two where they can be.
    single: bool,
}

/// The variants of a kernel with these definitions, each for every way of numbering: [`Items::definitions`].
macro_rules! with_items {
    ($([$($definition:literal),*]),+ $(,)?) => {
        &[$(
            &[$($definition),*],
            &["SINGLE" $(, $definition)*],
            &["FLAT" $(, $definition)*],
            &["FLAT", "SINGLE" $(, $definition)*],
        )+]
    };
}
pub(super) use with_items;

impl Items {
    /// `per_row` pieces in every row of `y`; a column is two vec4s, or one where their number is odd.
    pub(super) fn new(y: View, per_row: u32) -> Self {
        let single = !y.quads.is_multiple_of(2);
        Self {
            images: y.n,
            pieces: y.h * per_row,
            columns: if single { y.quads } else { y.quads / 2 },
            single,
        }
    }

    /// `per_row` pieces in every row of `y`, and columns of one vec4 where there could be two.
    pub(super) fn single(y: View, per_row: u32) -> Self {
        Self {
            columns: y.quads,
            single: true,
            ..Self::new(y, per_row)
        }
    }

    /// Strips, and columns of one vec4, for a kernel that knows no others.
    pub(super) fn narrow(y: View) -> Self {
        Self {
            columns: y.quads,
            single: false,
            ..Self::new(y, y.strips)
        }
    }

    /// Whether workgroups of one column would leave a quarter of their invocations idle, or be too many for one
    /// dimension of a grid.
    fn flat(self) -> bool {
        let groups = self.pieces.div_ceil(64);
        groups > 65_535 || self.columns > 65_535 || self.pieces * 4 < groups * 64 * 3
    }

    /// What a shader must know of it.
    pub(super) fn definitions(self) -> impl Iterator<Item = &'static str> {
        let flat = self.flat().then_some("FLAT");
        flat.into_iter().chain(self.single.then_some("SINGLE"))
    }

    /// Workgroups of 64 invocations.
    pub(super) fn grid(self) -> [u32; 3] {
        if self.flat() {
            self.flat_grid()
        } else {
            [self.pieces.div_ceil(64), self.columns, self.images]
        }
    }

    /// The workgroups of a shader with the definition FLAT.
    pub(super) fn flat_grid(self) -> [u32; 3] {
        let groups = (self.pieces.next_multiple_of(8) * self.columns).div_ceil(64);
        [groups.min(32768), groups.div_ceil(32768), self.images]
    }
}
