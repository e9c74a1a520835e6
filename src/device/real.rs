//! The number that a reference implementation computes in.

use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// f32, what the `cpu` device runs in, or f64, what the tests hold every kernel against.
pub trait Real:
    Copy
    + Send
    + Sync
    + PartialOrd
    + Default
    + std::fmt::Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Whether results are held against those in this type: references then compute by the definition, not in a faster
    /// way that rounds otherwise.
    const ORACLE: bool;
    /// Rounds from f64.
    fn of(value: f64) -> Self;
    /// Widens to f64.
    fn wide(self) -> f64;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `self` to the power `exponent`.
    fn powf(self, exponent: Self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1, exact near 0.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), exact near 0.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;

    /// From an f32 parameter of a kernel, exactly.
    fn from_f32(value: f32) -> Self {
        Self::of(f64::from(value))
    }
    /// Rounds to f32.
    fn to_f32(self) -> f32 {
        self.wide() as f32
    }
    /// From a count.
    fn from_usize(value: usize) -> Self {
        Self::of(value as f64)
    }
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
    /// Whether it is greater than `other`; NaN is the greatest of all.
    fn exceeds(self, other: Self) -> bool {
        (self > other || self.is_nan()) && !other.is_nan()
    }
    /// The larger of two; `self` where that is NaN. `other` may not be.
    fn max(self, other: Self) -> Self {
        if self < other { other } else { self }
    }
    /// The smaller of two; `self` where that is NaN. `other` may not be.
    fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    /// Those of four numbers whose bits are set, the lowest first, and 0 in place of the others.
    fn kept(four: [Self; 4], bits: u32) -> [Self; 4];

    /// `dst = dst·keep + lhs·rhs` over row-major matrices with row strides, see [`Gemm`].
    fn gemm(job: Gemm<'_, Self>);
}

/// One product of row-major matrices: `dst[m×n] = (accumulate ? dst : 0) + lhs[m×k] · rhs[k×n]`.
///
/// A row stride smaller than the row (overlapping rows) is allowed for `lhs`: a convolution reads its windows so.
pub struct Gemm<'a, T> {
    /// Rows of `dst` and `lhs`.
    pub m: usize,
    /// Columns of `lhs`, rows of `rhs`.
    pub k: usize,
    /// Columns of `dst` and `rhs`.
    pub n: usize,
    /// The product's destination.
    pub dst: &'a mut [T],
    /// Elements from one row of `dst` to the next.
    pub dst_stride: usize,
    /// Left factor.
    pub lhs: &'a [T],
    /// Elements from one row of `lhs` to the next.
    pub lhs_stride: usize,
    /// Elements from one column of `lhs` to the next (1 unless transposed).
    pub lhs_step: usize,
    /// Right factor.
    pub rhs: &'a [T],
    /// Elements from one row of `rhs` to the next.
    pub rhs_stride: usize,
    /// Adds to `dst` instead of writing it.
    pub accumulate: bool,
}

impl<T> Gemm<'_, T> {
    /// Whether every index the product touches lies inside its slices.
    fn in_bounds(&self) -> bool {
        let last = |rows: usize, row_stride: usize, columns: usize, step: usize| {
            if rows == 0 || columns == 0 {
                0
            } else {
                (rows - 1) * row_stride + (columns - 1) * step + 1
            }
        };
        self.dst.len() >= last(self.m, self.dst_stride, self.n, 1)
            && self.lhs.len() >= last(self.m, self.lhs_stride, self.k, self.lhs_step)
            && self.rhs.len() >= last(self.k, self.rhs_stride, self.n, 1)
            && (self.dst_stride >= self.n || self.m <= 1)
    }
}

macro_rules! real {
    ($t:ty, $bits:ty, $oracle:literal, $gemm:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const ORACLE: bool = $oracle;
            fn of(value: f64) -> Self {
                value as $t
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn powf(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            fn exp(self) -> Self {
                self.exp()
            }
            fn exp_m1(self) -> Self {
                self.exp_m1()
            }
            fn ln(self) -> Self {
                self.ln()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn tanh(self) -> Self {
                self.tanh()
            }
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn kept(four: [Self; 4], bits: u32) -> [Self; 4] {
                // All ones where a bit is set: a vector is loaded and not made bit by bit.
                const ONES: [[$bits; 4]; 16] = {
                    let mut ones = [[0; 4]; 16];
                    let mut at = 0;
                    while at < 64 {
                        if at / 4 >> (at % 4) & 1 == 1 {
                            ones[at / 4][at % 4] = <$bits>::MAX;
                        }
                        at += 1;
                    }
                    ones
                };
                let ones = &ONES[(bits & 15) as usize];
                std::array::from_fn(|i| Self::from_bits(four[i].to_bits() & ones[i]))
            }
            fn gemm(job: Gemm<'_, Self>) {
                assert!(job.in_bounds(), "gemm: operands too short");
                // SAFETY: `in_bounds` has checked every index the product touches, and `dst` is borrowed mutably,
                // so that it overlaps neither factor. All strides are positive.
                unsafe {
                    let lhs = (
                        job.lhs.as_ptr(),
                        job.lhs_step as isize,
                        job.lhs_stride as isize,
                    );
                    let rhs = (job.rhs.as_ptr(), 1, job.rhs_stride as isize);
                    let dst_stride = job.dst_stride as isize;
                    // The library's kernels write columns: rows are those of the transposed product.
                    let (m, n, [column, row], lhs, rhs) = if dst_stride > 1 {
                        let turned = |(data, step, stride)| (data, stride, step);
                        (job.n, job.m, [dst_stride, 1], turned(rhs), turned(lhs))
                    } else {
                        (job.m, job.n, [1, dst_stride], lhs, rhs)
                    };
                    $gemm()(
                        m,
                        n,
                        job.k,
                        job.dst.as_mut_ptr(),
                        column,
                        row,
                        job.accumulate,
                        lhs.0,
                        lhs.1,
                        lhs.2,
                        rhs.0,
                        rhs.1,
                        rhs.2,
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm_common::Parallelism::None,
                    );
                }
            }
        }
    };
}
real!(f32, u32, false, gemm_f32::gemm::f32::get_gemm_fn);
real!(f64, u64, true, gemm_f64::gemm::f64::get_gemm_fn);
