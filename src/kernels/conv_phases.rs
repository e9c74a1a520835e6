//! How the reference of a convolution of a dilated input computes: the gradient of one with a stride.
//!
//! Of the input's positions all but every `input_dilation`-th are 0. Positions of the output that are input_dilation
//! apart see what is not 0 by the same taps of the window: those of one *phase*. Each phase is a convolution without
//! gaps, made of products of matrices.

use super::Conv;
use super::conv_reference::{Scratch, Sums};
use super::conv_windows::Lines;
use super::rows::at_least;
use crate::device::{Gemm, Real};

/// Pixels that one task makes, or a row of them if that is more.
const PIXELS: usize = 1 << 11;

/// Positions of the output along an axis of which each sees what is not 0 by the same taps, and these.
struct Phase {
    /// The first of the positions that a task makes, and how many there are.
    first: usize,
    count: usize,
    /// Taps, and where in the input the first position sees by them.
    taps: Vec<(usize, i64)>,
}

impl Conv {
    /// The phases of `count` positions of y from `first` on along an axis.
    fn phases(&self, axis: usize, first: usize, count: usize) -> Vec<Phase> {
        let [kernel, step, apart, pad] =
            [self.kernel, self.input_dilation, self.dilation, self.pad].map(|v| i64::from(v[axis]));
        let phase = |offset: usize| {
            let at = |k: i64| (first + offset) as i64 + k * apart - pad;
            let taps = (0..kernel).filter(|k| at(*k).rem_euclid(step) == 0);
            Phase {
                first: offset,
                count: (count - offset).div_ceil(step as usize),
                taps: taps.map(|k| (k as usize, at(k).div_euclid(step))).collect(),
            }
        };
        (0..count.min(step as usize)).map(phase).collect()
    }

    /// Rows of y that one task makes.
    pub(super) fn phase_rows(&self) -> usize {
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        let share = h.div_ceil(rayon::current_num_threads()).max(1);
        (PIXELS / w.max(1)).clamp(1, share)
    }

    /// Σ x·w for output rows `first..first + count` of image `n`.
    pub(super) fn phase_sums<'s, T: Real>(
        &self,
        lines: &Lines<'_, T>,
        w: &[T],
        (n, first, count): (usize, usize, usize),
        scratch: &'s mut Scratch<T>,
    ) -> Sums<'s, T> {
        let (cin, cout, yw) = (self.x.padded(), self.y.padded(), self.y.w as usize);
        let (down, across) = (self.phases(0, first, count), self.phases(1, 0, yw));
        let Scratch {
            band, sums, taps, ..
        } = scratch;
        // The input that is seen, with zeros around it.
        let ends = |phases: &[Phase]| {
            let all = phases.iter().flat_map(|phase| {
                let last = phase.count as i64 - 1;
                phase.taps.iter().map(move |(_, at)| (*at, at + last))
            });
            all.fold(None, |ends: Option<(i64, i64)>, (low, high)| {
                let (a, b) = ends.unwrap_or((low, high));
                Some((a.min(low), b.max(high)))
            })
        };
        let data = at_least(sums, count * yw * cout);
        data.fill(T::ZERO);
        let (Some((top, bottom)), Some((left, right))) = (ends(&down), ends(&across)) else {
            return Sums {
                data,
                row_stride: yw,
            };
        };
        let width = (right - left + 1) as usize;
        let band = at_least(band, (bottom - top + 1) as usize * width * cin);
        for (yy, row) in (top..).zip(band.chunks_mut(width * cin)) {
            lines.copy(n, yy, left, row);
        }
        let kw = self.kernel[1] as usize;
        for rows in &down {
            for columns in &across {
                let pixels = (rows.count - 1) * width + columns.count;
                let phase = at_least(taps, pixels * cout);
                let mut accumulate = false;
                for (ky, yy) in &rows.taps {
                    for (kx, xx) in &columns.taps {
                        let from = (yy - top) as usize * width + (xx - left) as usize;
                        T::gemm(Gemm {
                            m: pixels,
                            k: cin,
                            n: cout,
                            dst: phase,
                            dst_stride: cout,
                            lhs: &band[from * cin..],
                            lhs_stride: cin,
                            lhs_step: 1,
                            rhs: &w[(ky * kw + kx) * cin * cout..],
                            rhs_stride: cout,
                            accumulate,
                        });
                        accumulate = true;
                    }
                }
                if !accumulate {
                    continue;
                }
                let [step_y, step_x] = self.input_dilation.map(|step| step as usize);
                for j in 0..rows.count {
                    let to = &mut data[(rows.first + j * step_y) * yw * cout..][..yw * cout];
                    let from = &phase[j * width * cout..];
                    let pixels = to[columns.first * cout..].chunks_mut(step_x * cout);
                    for (to, from) in pixels.zip(from.chunks(cout)).take(columns.count) {
                        to[..cout].copy_from_slice(from);
                    }
                }
            }
        }
        Sums {
            data,
            row_stride: yw,
        }
    }
}
