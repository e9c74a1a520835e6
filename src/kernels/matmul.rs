//! Products of matrices, and the distances of their rows.

use rayon::prelude::*;

use super::View;
use super::flat::result;
use crate::device::{Bindings, Gemm, Kernel, Real, Scalar, Shader, Slot, Source, Tasks, Work};

/// `wgsl/matmul.wgsl`.
pub const SOURCE: Source = Source {
    name: "matmul",
    text: include_str!("../../wgsl/matmul.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["TRANSPOSED"],
        &["TRANSPOSED", "DISTANCE"],
    ],
};

/// Where the matrices of a batch lie in their buffer, counted in vec4s; the WGSL struct `Matrix`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Matrix {
    /// Before the first element.
    pub offset: u32,
    /// From one row to the next.
    pub row: u32,
    /// From one matrix of the batch to the next; 0: there is one, which all share.
    pub batch: u32,
    unused: u32,
}

impl Matrix {
    /// Matrices of `rows` rows of `quads` vec4s, one after the other.
    #[must_use]
    pub fn dense(rows: u32, quads: u32) -> Self {
        Self {
            offset: 0,
            row: quads,
            batch: rows * quads,
            unused: 0,
        }
    }

    /// The pixels × channels matrices of the images of a tensor; of one image: shared by a batch.
    #[must_use]
    pub fn of_view(view: View) -> Self {
        Self {
            offset: view.offset,
            row: view.stride,
            batch: if view.n > 1 {
                view.h * view.w * view.stride
            } else {
                0
            },
            unused: 0,
        }
    }

    /// The same matrices without their first rows, and without the first of the batch.
    #[must_use]
    pub fn from(self, matrix: u32, row: u32) -> Self {
        Self {
            offset: self.offset + matrix * self.batch + row * self.row,
            ..self
        }
    }

    /// Where row `row` of matrix `z` begins, in reals.
    fn at(&self, z: usize, row: usize) -> usize {
        (self.offset as usize + z * self.batch as usize + row * self.row as usize) * 4
    }
}

/// Which product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// a·b.
    Plain,
    /// a·bᵀ.
    Transposed,
    /// Σ_k (a\[i,k\] − b\[j,k\])²: how far row i of a is from row j of b.
    Distance,
}

/// `c (+)= alpha·product + diagonal·I` for each of a batch. Columns of c that only fill the last vec4 are zero, of a
/// plain product where b's are.
///
/// Bindings: `a` ([rows, inner]), `b` ([inner, columns], or transposed), `c` ([rows, columns]), all row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matmul {
    /// Where a lies.
    pub a: Matrix,
    /// Where b lies.
    pub b: Matrix,
    /// Where c lies.
    pub c: Matrix,
    /// Matrices of the batch.
    pub batch: u32,
    /// Rows of a and c.
    pub rows: u32,
    /// Columns of c.
    pub columns: u32,
    /// Columns of a.
    pub inner: u32,
    /// Which product.
    pub product: Product,
    /// Factor on the product.
    pub alpha: Scalar,
    /// Factor on the identity.
    pub diagonal: f32,
    /// Ones of the identity.
    pub size: u32,
    /// Adds to c; only of a plain product.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    a: Matrix,
    b: Matrix,
    c: Matrix,
    rows: u32,
    columns: u32,
    inner: u32,
    size: u32,
    alpha: f32,
    diagonal: f32,
}

/// Rows and columns of a workgroup's tile.
const TILE: u32 = 32;
/// Rows that one task of the reference makes.
const TASK: usize = 64;

impl Matmul {
    /// Of `batch` square matrices of `channels` rows, rounded up to whole vec4s with zeros.
    #[must_use]
    pub fn square(batch: u32, channels: u32) -> Self {
        let quads = channels.div_ceil(4);
        let matrix = Matrix::dense(quads * 4, quads);
        Self {
            a: matrix,
            b: matrix,
            c: matrix,
            batch,
            rows: quads * 4,
            columns: quads * 4,
            inner: quads * 4,
            product: Product::Plain,
            alpha: 1.0f64.into(),
            diagonal: 0.0,
            size: channels,
            accumulate: false,
        }
    }

    /// One matrix's b as `inner` rows of whole vec4s, for the reference.
    fn transposed<T: Real>(&self, b: &[T], z: usize) -> Vec<T> {
        let (inner, width) = (self.inner as usize, self.width());
        let mut rows = vec![T::ZERO; inner * width];
        for j in 0..self.columns as usize {
            let from = self.b.at(z, j);
            for (k, &value) in b[from..from + inner].iter().enumerate() {
                rows[k * width + j] = value;
            }
        }
        rows
    }

    /// Columns of c in whole vec4s.
    fn width(&self) -> usize {
        self.columns.next_multiple_of(4) as usize
    }

    /// Rows `first..` of matrix z, as many as `c` holds, which begins with the first of them.
    fn rows<T: Real>(
        &self,
        a: &[T],
        b: &[T],
        b_stride: usize,
        z: usize,
        first: usize,
        c: &mut [T],
    ) {
        let (width, inner, stride) = (self.width(), self.inner as usize, self.c.row as usize * 4);
        let count = (self.rows as usize - first).min(TASK);
        let mut product = vec![T::ZERO; count * width];
        T::gemm(Gemm {
            m: count,
            k: inner,
            n: width,
            dst: &mut product,
            dst_stride: width,
            lhs: &a[self.a.at(z, first)..],
            lhs_stride: self.a.row as usize * 4,
            lhs_step: 1,
            rhs: b,
            rhs_stride: b_stride,
            accumulate: false,
        });
        if self.product == Product::Distance {
            let square = |sum: T, value: T| sum + value * value;
            let norms: Vec<T> = (0..width)
                .map(|j| {
                    let column = (0..inner).map(|k| b[k * b_stride + j]);
                    column.fold(T::ZERO, square)
                })
                .collect();
            for (i, row) in product.chunks_exact_mut(width).enumerate() {
                let own = &a[self.a.at(z, first + i)..][..inner];
                let norm = own.iter().copied().fold(T::ZERO, square);
                for (value, &other) in row.iter_mut().zip(&norms) {
                    *value = (norm + other - (*value + *value)).max(T::ZERO);
                }
                row[self.columns as usize..].fill(T::ZERO);
            }
        }
        let (alpha, diagonal) = (T::from_f32(self.alpha.get()), T::from_f32(self.diagonal));
        for (i, row) in product.chunks_exact(width).enumerate() {
            let c = &mut c[i * stride..][..width];
            for (j, (c, &value)) in c.iter_mut().zip(row).enumerate() {
                let on = j == first + i && j < self.size as usize;
                let value = alpha * value + if on { diagonal } else { T::ZERO };
                *c = if self.accumulate { *c + value } else { value };
            }
        }
    }
}

impl Kernel for Matmul {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert!(
            !self.accumulate || self.product == Product::Plain,
            "{self:?}"
        );
        SOURCE.with(match self.product {
            Product::Plain if self.accumulate => &["ACCUMULATE"],
            Product::Plain => &[],
            Product::Transposed => &["TRANSPOSED"],
            Product::Distance => &["TRANSPOSED", "DISTANCE"],
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            a: self.a,
            b: self.b,
            c: self.c,
            rows: self.rows,
            columns: self.columns,
            inner: self.inner,
            size: self.size,
            alpha: self.alpha.get(),
            diagonal: self.diagonal,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [
            self.columns.div_ceil(TILE),
            self.rows.div_ceil(TILE),
            self.batch,
        ]
    }
    fn work(&self) -> Work {
        let [rows, columns, inner, batch] =
            [self.rows, self.columns, self.inner, self.batch].map(u64::from);
        Work {
            flop: 2 * batch * rows * columns * inner,
            bytes: 4 * batch * (rows * inner + inner * columns + rows * columns),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (a, b, c) = (bindings.input(), bindings.input(), bindings.output());
        let rows = self.c.row as usize * 4 * self.rows as usize;
        let each = if self.batch > 1 {
            self.c.batch as usize * 4
        } else {
            c.len()
        };
        c[self.c.offset as usize * 4..]
            .par_chunks_mut(each)
            .take(self.batch as usize)
            .enumerate()
            .run(|(z, c)| {
                let copy;
                let (b, b_stride) = if self.product == Product::Plain {
                    (&b[self.b.at(z, 0)..], self.b.row as usize * 4)
                } else {
                    copy = self.transposed(b, z);
                    (&copy[..], self.width())
                };
                let end = rows.min(c.len());
                c[..end]
                    .par_chunks_mut(self.c.row as usize * 4 * TASK)
                    .enumerate()
                    .run(|(task, c)| self.rows(a, b, b_stride, z, task * TASK, c));
            });
    }
}
