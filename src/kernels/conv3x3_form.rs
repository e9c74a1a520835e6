//! What a kernel of 3×3 convolutions can be asked for.

use super::conv::Params;
use super::{Conv, Conv3x3Coop, Conv3x3Pool, Conv3x3Tile, Conv3x3Unpool, Conv3x3Winograd, View};
use crate::device::{Alternatives, Bindings, COOP_TILES, Kernel, Operation, Real, Slot, Work};

/// A convolution of 3×3 with stride 1 and padding 1, one with its pool, or the gradient of such a one: the same sums, read and
/// written in different ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conv3x3Form {
    /// With or without bias, ReLU, mask.
    Plain(Conv),
    /// With bias, ReLU and the maximum over windows of 2×2.
    Pool(Conv3x3Pool),
    /// The gradient of [`Conv3x3Form::Pool`].
    Unpool(Conv3x3Unpool),
}

impl Conv3x3Form {
    /// `conv`, if its shape is this.
    #[must_use]
    pub fn of(conv: Conv) -> Option<Self> {
        conv.is_same(3).then_some(Self::Plain(conv))
    }

    /// The convolution as the shaders' parameters have it: y and, under UNPOOL, x are pooled.
    pub(super) fn conv(&self) -> Conv {
        match self {
            Self::Plain(conv) => *conv,
            Self::Pool(pool) => pool.conv(),
            Self::Unpool(unpool) => unpool.conv(),
        }
    }

    /// The sums: images, rows and columns of what is convolved, channels of the result.
    pub(super) fn sums(&self) -> View {
        match self {
            Self::Plain(conv) => conv.y,
            Self::Pool(pool) => View::new(pool.x.n, pool.x.h, pool.x.w, pool.y.c),
            Self::Unpool(unpool) => unpool.dx,
        }
    }

    /// Workgroups in x, y and z where each makes so many columns, rows and vec4s of channels of the sums.
    pub(super) fn grid_of_tiles(&self, [w, h, quads]: [u32; 3]) -> [u32; 3] {
        let sums = self.sums();
        [
            sums.w.div_ceil(w),
            sums.h.div_ceil(h),
            sums.n * sums.quads.div_ceil(quads),
        ]
    }

    /// The kernels that may run in the place of the form's own, which may have a variant of itself as `narrow`.
    pub(super) fn alternatives(&self, narrow: Option<impl Kernel>) -> Option<Alternatives> {
        let narrow = narrow.map(boxed);
        let tile = Conv3x3Tile::serve(*self).map(boxed);
        let winograd = Conv3x3Winograd::serve(*self).map(boxed);
        self.of_kernels(narrow.into_iter().chain(tile).chain(winograd).collect())
    }

    /// Those for operands in 16 bits.
    pub(super) fn reduced_alternatives(&self) -> Option<Alternatives> {
        let tiles = COOP_TILES.into_iter();
        let kernels = tiles.filter_map(|tile| Conv3x3Coop::serve(*self, tile).map(boxed));
        self.of_kernels(kernels.collect())
    }

    fn of_kernels(&self, kernels: Vec<Box<dyn Operation>>) -> Option<Alternatives> {
        let mut shape = self.conv().shape();
        shape += match self {
            Self::Plain(_) => "",
            Self::Pool(_) => " POOL",
            Self::Unpool(_) => " UNPOOL",
        };
        (!kernels.is_empty()).then_some(Alternatives { shape, kernels })
    }

    /// The definitions that say what is read and written beside x, w and y.
    pub(super) fn operands(&self) -> Vec<&'static str> {
        match self {
            Self::Plain(conv) => conv.operands().collect(),
            Self::Pool(_) => vec!["BIAS", "POOL"],
            Self::Unpool(unpool) if unpool.accumulate => vec!["UNPOOL", "ACCUMULATE"],
            Self::Unpool(_) => vec!["UNPOOL"],
        }
    }

    fn kernel(&self) -> &dyn Operation {
        match self {
            Self::Plain(conv) => conv,
            Self::Pool(pool) => pool,
            Self::Unpool(unpool) => unpool,
        }
    }

    pub(super) fn bindings(&self) -> Vec<Slot> {
        self.kernel().bindings()
    }

    pub(super) fn params(&self) -> Params {
        Kernel::params(&self.conv())
    }

    pub(super) fn work(&self) -> Work {
        self.kernel().work()
    }

    pub(super) fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        match self {
            Self::Plain(conv) => conv.twin(bindings),
            Self::Pool(pool) => pool.twin(bindings),
            Self::Unpool(unpool) => unpool.twin(bindings),
        }
    }
}

fn boxed(kernel: impl Kernel) -> Box<dyn Operation> {
    Box::new(kernel)
}
