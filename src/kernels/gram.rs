//! Gram matrices: G = scale·FᵀF of the pixels × channels matrix F of each image (Gatys et al. 2015, "A Neural
//! Algorithm of Artistic Style", section Methods).
//!
//! Two steps: [`Gram`] makes one matrix per share of the pixels, [`GramReduce`] adds them. The gradient needs no
//! kernel of its own: ∂⟨M, FᵀF⟩/∂F = F·(M + Mᵀ), a 1×1 convolution of F whose weights are that matrix.

use rayon::prelude::*;

use super::View;
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/gram.wgsl`.
pub const SOURCE: Source = Source {
    name: "gram",
    text: include_str!("../../wgsl/gram.wgsl"),
    variants: &[&[]],
};

/// `wgsl/gram_reduce.wgsl`.
pub const REDUCE_SOURCE: Source = Source {
    name: "gram_reduce",
    text: include_str!("../../wgsl/gram_reduce.wgsl"),
    variants: &[&[], &["FEW"]],
};

/// FᵀF of each of `splits` shares of the pixels of each image.
///
/// Bindings: `f`; `partial`, reals \[n\]\[splits\]\[C⁺\]\[C⁺\] with C⁺ = 4·quads ([`Gram::partial_len`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gram {
    /// The activations, h·w pixels of c channels.
    pub f: View,
    /// Shares of the pixels of one image; see [`Gram::splits_for`].
    pub splits: u32,
}

/// `gram = scale·Σ partial` over the splits.
///
/// Bindings: `partial` (of [`Gram`]); `gram`, reals \[n\]\[C⁺\]\[C⁺\], symmetric, zero in the padding: a tensor of the
/// shape [`Gram::view`], and the weights of a 1×1 convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GramReduce {
    /// Images in the batch.
    pub n: u32,
    /// Channels; C⁺ is the next multiple of 4.
    pub channels: u32,
    /// Shares of each image's pixels.
    pub splits: u32,
    /// Factor on the sum.
    pub scale: f32,
}

/// The parameters of [`Gram`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    f: View,
    splits: u32,
    pixels: u32,
    share: u32,
}

/// The parameters of [`GramReduce`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct ReduceParams {
    size: u32,
    splits: u32,
    scale: f32,
}

/// Channels of a tile's side.
const TILE: u32 = 64;

impl Gram {
    /// How many shares serve a view best: of at most 4096 pixels each, so that f32 sums stay accurate; smaller ones,
    /// down to 512 pixels, while all partial matrices together stay within 16 MiB.
    #[must_use]
    pub fn splits_for(view: View) -> u32 {
        let pixels = view.h * view.w;
        let matrices = (1 << 22) / (view.padded() * view.padded() * view.n.max(1) as usize);
        let wanted = pixels.div_ceil(512).min(matrices as u32);
        wanted.max(pixels.div_ceil(4096)).max(1)
    }

    /// The Gram matrices of `f` as a tensor: (n, 1, C⁺, C⁺).
    #[must_use]
    pub fn view(f: View) -> View {
        View::new(f.n, 1, f.quads * 4, f.quads * 4)
    }

    /// Reals of `partial`.
    #[must_use]
    pub fn partial_len(&self) -> usize {
        self.splits as usize * Self::view(self.f).len()
    }

    fn pixels(&self) -> usize {
        self.f.h as usize * self.f.w as usize
    }

    fn share(&self) -> usize {
        self.pixels().div_ceil(self.splits as usize)
    }

    /// Rows `first..` of one share's matrix, as many as `rows` holds, from the diagonal on.
    fn rows<T: Real>(&self, f: &[T], split: usize, n: usize, first: usize, rows: &mut [T]) {
        let side = self.f.padded();
        let begin = (split * self.share()).min(self.pixels());
        let end = (begin + self.share()).min(self.pixels());
        if begin == end {
            rows.fill(T::ZERO);
            return;
        }
        let f = &f[self.f.at(n, 0, 0) + begin * self.f.pixel_stride() + first..];
        T::gemm(Gemm {
            m: rows.len() / side,
            k: end - begin,
            n: side - first,
            dst: &mut rows[first..],
            dst_stride: side,
            lhs: f,
            lhs_stride: 1,
            lhs_step: self.f.pixel_stride(),
            rhs: f,
            rhs_stride: self.f.pixel_stride(),
            accumulate: false,
        });
    }
}

impl Kernel for Gram {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            f: self.f,
            splits: self.splits,
            pixels: self.pixels() as u32,
            share: self.share() as u32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        let tiles = (self.f.quads * 4).div_ceil(TILE);
        [tiles * (tiles + 1) / 2, self.splits, self.f.n]
    }
    fn work(&self) -> Work {
        let c = u64::from(self.f.c);
        Work {
            flop: c * (c + 1) * self.f.pixels() as u64,
            bytes: self.f.bytes() + self.partial_len() as u64 * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (f, partial) = (b.input(), b.output());
        let (side, splits) = (self.f.padded(), self.splits as usize);
        let matrices = &mut partial[..self.partial_len()];
        // Tasks of whole rows of one matrix; how they are cut depends on the shape alone.
        let block = TILE as usize;
        matrices
            .par_chunks_mut(side * side)
            .enumerate()
            .run(|(i, matrix)| {
                let (n, split) = (i / splits, i % splits);
                matrix
                    .par_chunks_mut(block * side)
                    .enumerate()
                    .run(|(j, rows)| self.rows(f, split, n, j * block, rows));
                for row in 1..side {
                    for column in 0..row {
                        matrix[row * side + column] = matrix[column * side + row];
                    }
                }
            });
    }
}

impl GramReduce {
    fn side(&self) -> usize {
        self.channels.next_multiple_of(4) as usize
    }

    /// Whether one invocation sums all splits of its element: short sums, and enough elements to fill a GPU.
    fn few(&self) -> bool {
        self.splits <= 32
    }
}

impl Kernel for GramReduce {
    type Params = ReduceParams;

    fn shader(&self) -> Shader {
        REDUCE_SOURCE.with(if self.few() { &["FEW"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> ReduceParams {
        ReduceParams {
            size: (self.side() * self.side() / 4) as u32,
            splits: self.splits,
            scale: self.scale,
        }
    }
    fn grid(&self) -> [u32; 3] {
        let per_group = if self.few() { 256 } else { 16 };
        [self.params().size.div_ceil(per_group), 1, self.n]
    }
    fn work(&self) -> Work {
        let elements = (self.side() * self.side()) as u64 * u64::from(self.n);
        Work {
            flop: elements * u64::from(self.splits),
            bytes: elements * (u64::from(self.splits) + 1) * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (partial, gram) = (b.input(), b.output());
        let (side, splits) = (self.side(), self.splits as usize);
        let size = side * side;
        let scale = f64::from(self.scale);
        gram[..self.n as usize * size]
            .par_chunks_mut(side)
            .enumerate()
            .run(|(row, gram)| {
                let (n, row) = (row / side, row % side);
                let mut sums = vec![0.0; side];
                for split in 0..splits {
                    let partial = &partial[(n * splits + split) * size + row * side..][..side];
                    for (sum, value) in sums.iter_mut().zip(partial) {
                        *sum += value.wide();
                    }
                }
                for (gram, sum) in gram.iter_mut().zip(sums) {
                    *gram = T::of(scale * sum);
                }
            });
    }
}
