//! 3×3 convolutions on cooperative matrices.

use super::conv::Params;
use super::{Conv, Conv3x3Pool, Conv3x3Unpool, View};
use crate::device::{
    Alternatives, Bindings, COOP, COOP_TILES, Kernel, Operation, Real, Shader, Slot, Source, T8,
    Work,
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
        &[COOP, "BIAS"],
        &[COOP, "BIAS", "RELU"],
        &[COOP, "BIAS", "POOL"],
        &[COOP, T8],
        &[COOP, T8, "ACCUMULATE"],
        &[COOP, T8, "MASKED"],
        &[COOP, T8, "MASKED", "ACCUMULATE"],
        &[COOP, T8, "UNPOOL"],
        &[COOP, T8, "UNPOOL", "ACCUMULATE"],
        &[COOP, T8, "BIAS"],
        &[COOP, T8, "BIAS", "RELU"],
        &[COOP, T8, "BIAS", "POOL"],
    ],
};

/// Rows of a workgroup's tile.
const ROWS: u32 = 4;

/// A convolution of 3×3 with stride 1 and padding 1, one with its pool, or the gradient of such a one, whose factors are rounded
/// to f16: for operands that are stored in 16 bits. It runs on adapters with cooperative matrices of f16 that add up in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv3x3Coop {
    of: Of,
    /// Side of the matrices.
    tile: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Of {
    Conv(Conv),
    Pool(Conv3x3Pool),
    Unpool(Conv3x3Unpool),
}

impl Conv3x3Coop {
    /// `conv` with matrices of `tile`×`tile`, if its shape is this kernel's.
    #[must_use]
    pub fn serve(conv: Conv, tile: u32) -> Option<Self> {
        let known = COOP_TILES.contains(&tile);
        (known && conv.is_same(3)).then_some(Self {
            of: Of::Conv(conv),
            tile,
        })
    }

    /// A convolution with its pool.
    #[must_use]
    pub fn pool(pool: Conv3x3Pool, tile: u32) -> Option<Self> {
        COOP_TILES.contains(&tile).then_some(Self {
            of: Of::Pool(pool),
            tile,
        })
    }

    /// The gradient of a convolution with its pool.
    #[must_use]
    pub fn unpool(unpool: Conv3x3Unpool, tile: u32) -> Option<Self> {
        COOP_TILES.contains(&tile).then_some(Self {
            of: Of::Unpool(unpool),
            tile,
        })
    }

    /// What `make` makes for every tile, under the shape that times are known by.
    pub(super) fn alternatives(
        shape: String,
        make: impl Fn(u32) -> Option<Self>,
    ) -> Option<Alternatives> {
        let kernels: Vec<_> = COOP_TILES
            .into_iter()
            .filter_map(make)
            .map(|kernel| Box::new(kernel) as Box<dyn Operation>)
            .collect();
        (!kernels.is_empty()).then_some(Alternatives { shape, kernels })
    }

    /// Rows and columns of what is convolved, and vec4s of channels of the result.
    fn extent(&self) -> (View, u32) {
        match self.of {
            Of::Conv(conv) => (conv.y, conv.y.quads),
            Of::Pool(pool) => (pool.x, pool.y.quads),
            Of::Unpool(unpool) => (unpool.dx, unpool.dx.quads),
        }
    }
}

impl Kernel for Conv3x3Coop {
    type Params = Params;

    fn shader(&self) -> Shader {
        let mut definitions = vec![COOP];
        definitions.extend((self.tile == 8).then_some(T8));
        match self.of {
            Of::Conv(conv) => definitions.extend(conv.operands()),
            Of::Pool(_) => definitions.extend(["BIAS", "POOL"]),
            Of::Unpool(unpool) => {
                definitions.push("UNPOOL");
                definitions.extend(unpool.accumulate.then_some("ACCUMULATE"));
            }
        }
        SOURCE.with(&definitions)
    }
    fn bindings(&self) -> Vec<Slot> {
        match &self.of {
            Of::Conv(conv) => Kernel::bindings(conv),
            Of::Pool(pool) => Kernel::bindings(pool),
            Of::Unpool(unpool) => Kernel::bindings(unpool),
        }
    }
    fn params(&self) -> Params {
        match &self.of {
            Of::Conv(conv) => Kernel::params(conv),
            Of::Pool(pool) => Kernel::params(pool),
            Of::Unpool(unpool) => Kernel::params(unpool),
        }
    }
    fn grid(&self) -> [u32; 3] {
        let (view, quads) = self.extent();
        [
            view.w.div_ceil(self.tile) * view.h.div_ceil(ROWS),
            quads.div_ceil(self.tile),
            view.n,
        ]
    }
    fn work(&self) -> Work {
        match &self.of {
            Of::Conv(conv) => Kernel::work(conv),
            Of::Pool(pool) => Kernel::work(pool),
            Of::Unpool(unpool) => Kernel::work(unpool),
        }
    }
    fn twin<T: Real>(&self, bindings: Bindings<'_, T>) {
        match &self.of {
            Of::Conv(conv) => conv.twin(bindings),
            Of::Pool(pool) => pool.twin(bindings),
            Of::Unpool(unpool) => unpool.twin(bindings),
        }
    }
}
