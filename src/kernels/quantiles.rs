//! How far sorted rows of numbers are from other ones, and the gradient.

use rayon::prelude::*;

use super::flat;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/quantiles.wgsl`.
pub const SOURCE: Source = Source {
    name: "quantiles",
    text: include_str!("../../wgsl/quantiles.wgsl"),
    variants: &[&[]],
};

/// The squared 2-Wasserstein distance, times `len`, of the numbers of each row from those of a row of another matrix:
/// len·∫(p(u) − q(u))² du of their quantiles, which are steps. Each row's value is the sum of its [`Quantiles::parts`]
/// parts. The slope of a number is half the value's derivative.
///
/// Bindings: `values` (reals, [images, rows, len], sorted) and `order` (words, the same), as [`super::record_sort`]
/// leaves them; `goals` (reals, [images, rows, goals], sorted); `slopes` (reals, [images, len, rows], each number's in
/// the place that it had before it was sorted); `partials` (reals, [images, rows, parts]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantiles {
    /// Images.
    pub images: u32,
    /// Rows of each image.
    pub rows: u32,
    /// Numbers of a row; at most 2³⁰.
    pub len: u32,
    /// Numbers of a row that they are compared with.
    pub goals: u32,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    columns: u32,
    images: u32,
    rows: u32,
    len: u32,
    goals: u32,
    parts: u32,
}

impl Quantiles {
    /// Partial sums of each row.
    #[must_use]
    pub fn parts(&self) -> u32 {
        self.len.div_ceil(flat::LANES)
    }

    /// len·∫(p_i − q(u))² du and len·∫(p_i − q(u)) du over the step of each number.
    fn of_row<T: Real>(&self, values: &[T], goals: &[T]) -> Vec<[f64; 2]> {
        let (len, count) = (values.len(), goals.len());
        let all = count as f64;
        let (mut j, mut into) = (0, 0);
        let of_number = |value: &T| {
            let (mut square, mut slope, mut left) = (0.0, 0.0, count);
            while left > 0 {
                let width = (len - into).min(left);
                let difference = value.wide() - goals[j].wide();
                square += width as f64 * difference * difference;
                slope += width as f64 * difference;
                left -= width;
                into += width;
                if into == len {
                    into = 0;
                    j += 1;
                }
            }
            [square / all, slope / all]
        };
        values.iter().map(of_number).collect()
    }
}

impl Kernel for Quantiles {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::IN, Slot::OUT, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            columns: self.grid()[0],
            images: self.images,
            rows: self.rows,
            len: self.len,
            goals: self.goals,
            parts: self.parts(),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(
            self.images
                .saturating_mul(self.rows)
                .saturating_mul(self.parts()),
        )
    }
    fn work(&self) -> Work {
        let rows = u64::from(self.images) * u64::from(self.rows);
        let [len, goals] = [self.len, self.goals].map(u64::from);
        Work {
            flop: rows * (60 * len + 5 * (len + goals)),
            bytes: 4 * rows * (3 * len + goals),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (values, order, goals) = (b.input(), b.words(), b.input());
        let (slopes, partials) = (b.output(), b.output());
        let [images, rows, len, count, parts] =
            [self.images, self.rows, self.len, self.goals, self.parts()].map(|v| v as usize);
        let of_rows: Vec<Vec<T>> = partials[..images * rows * parts]
            .par_chunks_exact_mut(parts)
            .enumerate()
            .map(|(row, partials)| {
                let found =
                    self.of_row(&values[row * len..][..len], &goals[row * count..][..count]);
                for (partial, found) in partials.iter_mut().zip(found.chunks(flat::LANES as usize))
                {
                    *partial = T::of(found.iter().map(|[square, _]| square).sum());
                }
                let mut placed = vec![T::ZERO; len];
                for ([_, slope], place) in found.into_iter().zip(&order[row * len..]) {
                    placed[*place as usize] = T::of(slope);
                }
                placed
            })
            .collect();
        slopes[..images * len * rows]
            .par_chunks_exact_mut(rows)
            .enumerate()
            .run(|(at, slopes)| {
                let of_image = &of_rows[at / len * rows..][..rows];
                for (slope, of_row) in slopes.iter_mut().zip(of_image) {
                    *slope = of_row[at % len];
                }
            });
    }
}
