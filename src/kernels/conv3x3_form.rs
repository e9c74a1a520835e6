//! What a kernel of 3×3 convolutions can be asked for.

use super::conv::Params;
use super::{
    Conv, Conv3x3Coop, Conv3x3Narrow, Conv3x3Pool, Conv3x3Tile, Conv3x3Unpool, Conv3x3Winograd,
    Factors, View, WinogradTile,
};
use crate::device::{Alternatives, Bindings, COOP_TILES, Kernel, Operation, Real, Slot, Work};

/// A convolution of 3×3 with stride 1 and padding 1, one with its pool, or the gradient of such a one: the same sums,
/// read and written in different ways. Shapes and bindings are those of [`Conv`], [`Conv3x3Pool`] and
/// [`Conv3x3Unpool`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Form(Form);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Plain(Conv),
    Pool(Conv3x3Pool),
    Unpool(Conv3x3Unpool),
}

impl From<Conv3x3Pool> for Conv3x3Form {
    fn from(pool: Conv3x3Pool) -> Self {
        Self(Form::Pool(pool))
    }
}

impl From<Conv3x3Unpool> for Conv3x3Form {
    fn from(unpool: Conv3x3Unpool) -> Self {
        Self(Form::Unpool(unpool))
    }
}

impl Conv3x3Form {
    /// `conv`, if its window is 3×3, and stride and padding 1.
    #[must_use]
    pub fn of(conv: Conv) -> Option<Self> {
        conv.is_same(3).then_some(Self(Form::Plain(conv)))
    }

    /// Whether it makes a layer of a network, not a gradient.
    pub(super) fn is_layer(&self) -> bool {
        match &self.0 {
            Form::Plain(conv) => conv.bias,
            Form::Pool(_) => true,
            Form::Unpool(_) => false,
        }
    }

    /// Whether the sums are pooled before they are written.
    pub(super) fn pools(&self) -> bool {
        matches!(self.0, Form::Pool(_))
    }

    /// The convolution as the shaders' parameters have it: under POOL y is the pooled tensor, under UNPOOL x.
    pub(super) fn conv(&self) -> Conv {
        match &self.0 {
            Form::Plain(conv) => *conv,
            Form::Pool(pool) => pool.conv(),
            Form::Unpool(unpool) => unpool.conv(),
        }
    }

    /// The sums: images, rows and columns of what is convolved, channels of the result.
    pub(super) fn sums(&self) -> View {
        match &self.0 {
            Form::Plain(conv) => conv.y,
            Form::Pool(pool) => View::new(pool.x.n, pool.x.h, pool.x.w, pool.y.c),
            Form::Unpool(unpool) => unpool.dx,
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

    /// The kernels that may run in the place of the form's own.
    pub(super) fn alternatives(&self) -> Option<Alternatives> {
        let narrow = Conv3x3Narrow::serve(*self).map(boxed);
        let tiles = Conv3x3Tile::serve(*self).map(boxed);
        let sides = [WinogradTile::Two, WinogradTile::Four].into_iter();
        let winograd = sides.filter_map(|side| Conv3x3Winograd::serve(*self, side).map(boxed));
        let kernels = narrow.into_iter().chain(tiles).chain(winograd);
        self.among(kernels.chain(self.coop(&[Factors::Both])).collect())
    }

    /// Those for weights in 16 bits.
    pub(super) fn reduced_alternatives(&self) -> Option<Alternatives> {
        self.among(self.coop(&[Factors::Pixels, Factors::Rounded]).collect())
    }

    fn coop(&self, factors: &[Factors]) -> impl Iterator<Item = Box<dyn Operation>> {
        let all = COOP_TILES
            .iter()
            .flat_map(move |tile| factors.iter().map(move |f| (*tile, *f)));
        all.filter_map(|(tile, factors)| Conv3x3Coop::serve(*self, tile, factors).map(boxed))
    }

    fn among(&self, kernels: Vec<Box<dyn Operation>>) -> Option<Alternatives> {
        let mut shape = self.conv().shape();
        shape += match &self.0 {
            Form::Plain(_) => "",
            Form::Pool(_) => " POOL",
            Form::Unpool(_) => " UNPOOL",
        };
        (!kernels.is_empty()).then_some(Alternatives { shape, kernels })
    }

    /// The definitions that say what is read and written beside x, w and y.
    pub(super) fn operands(&self) -> Vec<&'static str> {
        match &self.0 {
            Form::Plain(conv) => conv.operands().collect(),
            Form::Pool(_) => vec!["BIAS", "POOL"],
            Form::Unpool(unpool) if unpool.accumulate => vec!["UNPOOL", "ACCUMULATE"],
            Form::Unpool(_) => vec!["UNPOOL"],
        }
    }

    fn kernel(&self) -> &dyn Operation {
        match &self.0 {
            Form::Plain(conv) => conv,
            Form::Pool(pool) => pool,
            Form::Unpool(unpool) => unpool,
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

    pub(super) fn reference<T: Real>(&self, bindings: Bindings<'_, T>) {
        match &self.0 {
            Form::Plain(conv) => conv.reference(bindings),
            Form::Pool(pool) => pool.reference(bindings),
            Form::Unpool(unpool) => unpool.reference(bindings),
        }
    }
}

fn boxed(kernel: impl Kernel) -> Box<dyn Operation> {
    Box::new(kernel)
}
