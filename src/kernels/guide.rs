//! The best match of each position among the columns of a guide, and its gradient.

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/guide.wgsl`.
pub const SOURCE: Source = Source {
    name: "guide",
    text: include_str!("../../wgsl/guide.wgsl"),
    variants: &[&[]],
};

/// `wgsl/guide_backward.wgsl`.
pub const BACKWARD: Source = Source {
    name: "guide_backward",
    text: include_str!("../../wgsl/guide_backward.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// Positions that one workgroup matches and sums into one partial.
const POSITIONS: u32 = 64;

/// For each position i of each image the column of its guide with the greatest dot product, the lowest of equals, and
/// Σ_i max_j ⟨x_i, y_j⟩ in [`Guide::parts`] parts whose plain sum it is.
///
/// Bindings: `x`, `y`, `matches` (words, one for each position of each image), `partials` (\[n\]\[parts\]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guide {
    /// The layer.
    pub x: View,
    /// The guide's layer, of as many channels and any size; one guide for each image, or one for all.
    pub y: View,
}

/// The gradient of [`Guide`]: `dx_i (+)= alpha·y_matches[i]`.
///
/// Bindings: `y`, `matches`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GuideBackward {
    /// The guide's layer.
    pub y: View,
    /// The gradient, of the shape of x.
    pub dx: View,
    /// Factor on the gradient.
    pub alpha: f32,
    /// Adds to `dx`.
    pub accumulate: bool,
}

/// The parameters of [`Guide`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    positions: u32,
    columns: u32,
    parts: u32,
}

/// The parameters of [`GuideBackward`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct BackwardParams {
    y: View,
    dx: View,
    items: u32,
    width: u32,
    positions: u32,
    columns: u32,
    alpha: f32,
}

/// Pixels of one image.
fn pixels_of_one(view: View) -> usize {
    view.h as usize * view.w as usize
}

impl Guide {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        (self.x.h * self.x.w).div_ceil(POSITIONS)
    }

    /// The columns of a guide, transposed: \[channels, padding included\]\[columns\].
    fn transposed<T: Real>(&self, y: &[T], guide: usize) -> Vec<T> {
        let columns = pixels_of_one(self.y);
        let quads = 0..self.y.quads as usize;
        let mut out = vec![T::ZERO; self.y.padded() * columns];
        for column in 0..columns {
            let one = &y[flat::place(self.y, guide * columns + column, quads.clone())];
            for (channel, value) in one.iter().enumerate() {
                out[channel * columns + column] = *value;
            }
        }
        out
    }
}

impl Kernel for Guide {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, Slot::In, Slot::WordsOut, Slot::Out]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            positions: pixels_of_one(self.x) as u32,
            columns: pixels_of_one(self.y) as u32,
            parts: self.parts(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.parts(), 1, self.x.n]
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * (self.x.elements() * pixels_of_one(self.y)) as u64,
            bytes: self.x.bytes() + self.y.bytes() + 4 * self.x.pixels() as u64,
        }
    }
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y, matches, partials) = (b.input(), b.input(), b.words_mut(), b.output());
        let (positions, columns) = (pixels_of_one(self.x), pixels_of_one(self.y));
        let (parts, share) = (self.parts() as usize, POSITIONS as usize);
        let guides: Vec<Vec<T>> = (0..self.y.n as usize)
            .map(|guide| self.transposed(y, guide))
            .collect();
        // Shares of one image after the other, each image's last one shorter where it must be.
        let images = matches[..self.x.pixels()].chunks_mut(positions);
        let shares: Vec<&mut [u32]> = images.flat_map(|image| image.chunks_mut(share)).collect();
        shares
            .into_par_iter()
            .zip(&mut partials[..self.x.n as usize * parts])
            .enumerate()
            .for_each(|(group, (matches, partial))| {
                let image = group / parts;
                let first = image * positions + group % parts * share;
                let mut scores = vec![T::ZERO; matches.len() * columns];
                T::gemm(Gemm {
                    m: matches.len(),
                    k: self.x.padded(),
                    n: columns,
                    dst: &mut scores,
                    dst_stride: columns,
                    lhs: &x[flat::place(self.x, first, 0..0).start..],
                    lhs_stride: self.x.pixel_stride(),
                    lhs_step: 1,
                    rhs: &guides[image % guides.len()],
                    rhs_stride: columns,
                    accumulate: false,
                });
                let mut sum = 0.0;
                for (found, scores) in matches.iter_mut().zip(scores.chunks_exact(columns)) {
                    let mut best = 0;
                    for (column, score) in scores.iter().enumerate() {
                        if *score > scores[best] {
                            best = column;
                        }
                    }
                    *found = best as u32;
                    sum += scores[best].wide();
                }
                *partial = T::of(sum);
            });
    }
}

impl Kernel for GuideBackward {
    type Params = BackwardParams;

    fn shader(&self) -> Shader {
        BACKWARD.with(if self.accumulate {
            &["ACCUMULATE"]
        } else {
            &[]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::In, Slot::WordsIn, flat::result(self.accumulate)]
    }
    fn params(&self) -> BackwardParams {
        BackwardParams {
            y: self.y,
            dx: self.dx,
            items: flat::items(self.dx),
            width: self.grid()[0],
            positions: pixels_of_one(self.dx) as u32,
            columns: pixels_of_one(self.y) as u32,
            alpha: self.alpha,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * self.dx.elements() as u64,
            bytes: 2 * self.dx.bytes() + 4 * self.dx.pixels() as u64,
        }
    }
    fn twin<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (y, matches, dx) = (b.input(), b.words(), b.output());
        let (positions, columns) = (pixels_of_one(self.dx), pixels_of_one(self.y));
        let alpha = T::from_f32(self.alpha);
        let quads = 0..self.y.quads as usize;
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let guide = pixel / positions % self.y.n as usize;
            let column = guide * columns + matches[pixel] as usize;
            let y = &y[flat::place(self.y, column, quads.clone())];
            for (dx, &y) in dx.iter_mut().zip(y) {
                let value = alpha * y;
                *dx = if self.accumulate { *dx + value } else { value };
            }
        });
    }
}
