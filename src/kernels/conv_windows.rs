//! Which pixels the windows of a convolution see, tap by tap: for references that add up one row of pixels after the
//! other.

use super::Conv;
use super::rows::{at_least, copy_masked};
use crate::device::{Real, vectorized};

/// Elements of sums that one task makes, or a row of them if that is more: so many that they stay in a cache.
const ELEMENTS: usize = 1 << 16;

/// The input of a convolution, row by row.
pub(super) struct Lines<'a, T> {
    conv: Conv,
    x: &'a [T],
    mask: &'a [u32],
    /// Of each pixel of a row of y the taps by which it sees pixels of a row of x, and these.
    seen: Vec<Vec<(usize, usize)>>,
}

/// Pixels of a row of y, and those of a row of x that they see by one tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The first pixel of x, and from one to the next.
    from: usize,
    from_step: usize,
    /// The first pixel of y, and from one to the next.
    to: usize,
    to_step: usize,
    count: usize,
}

/// A row of x: pixel i begins at element i·`pixel`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a, T> {
    pub data: &'a [T],
    pub pixel: usize,
}

/// Rows of x as they are seen through the mask, from row `first` on; none where there is no mask.
pub(super) struct Band<'a, T> {
    data: &'a [T],
    first: usize,
}

impl<'a, T: Real> Lines<'a, T> {
    pub fn new(conv: &Conv, x: &'a [T], mask: &'a [u32]) -> Self {
        let mut seen = vec![Vec::new(); conv.y.w as usize];
        for kx in 0..conv.kernel[1] {
            let run = run(conv, kx);
            for i in 0..run.count {
                let xx = run.from + i * run.from_step;
                seen[run.to + i * run.to_step].push((kx as usize, xx));
            }
        }
        Self {
            conv: *conv,
            x,
            mask,
            seen,
        }
    }

    /// Of each pixel of a row of y the taps by which it sees pixels of a row of x, and these.
    pub fn seen(&self) -> &[Vec<(usize, usize)>] {
        &self.seen
    }

    /// Rows of y that one task makes where sums have `channels` channels.
    pub fn rows_per_task(&self, channels: usize) -> usize {
        let (h, w) = (self.conv.y.h as usize, self.conv.y.w as usize);
        let share = h.div_ceil(rayon::current_num_threads()).max(1);
        (ELEMENTS / (w * channels).max(1)).clamp(1, share)
    }

    /// The row of x that row `oy` of y sees by row `ky` of the window.
    fn source(&self, oy: usize, ky: usize) -> Option<usize> {
        let [stride, dilation, apart, pad] = [
            self.conv.stride,
            self.conv.input_dilation,
            self.conv.dilation,
            self.conv.pad,
        ]
        .map(|both| both[0] as usize);
        let position = (oy * stride + ky * apart).checked_sub(pad)?;
        let yy = position / dilation;
        (position.is_multiple_of(dilation) && yy < self.conv.x.h as usize).then_some(yy)
    }

    /// The rows that rows `first..first + count` of y see of image n, where x is read through a mask.
    pub fn band<'m>(
        &self,
        n: usize,
        first: usize,
        count: usize,
        memory: &'m mut Vec<T>,
    ) -> Band<'m, T> {
        let x = self.conv.x;
        let kernel = 0..self.conv.kernel[0] as usize;
        let all = kernel.flat_map(|ky| (first..first + count).map(move |oy| (oy, ky)));
        let rows = all.filter_map(|(oy, ky)| self.source(oy, ky));
        let ends = rows.fold(None, |ends: Option<(usize, usize)>, yy| {
            let (low, high) = ends.unwrap_or((yy, yy));
            Some((low.min(yy), high.max(yy)))
        });
        let (Some((low, high)), true) = (ends, self.conv.masked) else {
            return Band {
                data: &[],
                first: 0,
            };
        };
        let (w, cin) = (x.w as usize, x.padded());
        let data = at_least(memory, (high + 1 - low) * w * cin);
        for (yy, row) in (low..=high).zip(data.chunks_mut(w * cin)) {
            self.copy(n, yy as i64, 0, row);
        }
        Band { data, first: low }
    }

    /// Pixels of row yy of image n from column `left` on, which may be outside, into `row`.
    pub fn copy(&self, n: usize, yy: i64, left: i64, row: &mut [T]) {
        let (x, cin) = (self.conv.x, self.conv.x.padded());
        if yy < 0 || yy >= i64::from(x.h) {
            row.fill(T::ZERO);
            return;
        }
        let (yy, w) = (yy as usize, i64::from(x.w));
        vectorized(|| {
            for (xx, to) in (left..).zip(row.chunks_mut(cin)) {
                if xx < 0 || xx >= w {
                    to.fill(T::ZERO);
                    continue;
                }
                let xx = xx as usize;
                let from = &self.x[x.at(n, yy, xx)..][..cin];
                if self.conv.masked {
                    let words = &self.mask[x.mask_at(n, yy, xx / 8, 0)..][..x.quads as usize];
                    copy_masked(to, from, words, xx % 8 * 4);
                } else {
                    to.copy_from_slice(from);
                }
            }
        });
    }

    /// The row of x that row `oy` of y of image n sees by row `ky` of the window, if that is not padding.
    pub fn line<'b>(
        &self,
        band: &Band<'b, T>,
        n: usize,
        oy: usize,
        ky: usize,
    ) -> Option<Line<'b, T>>
    where
        'a: 'b,
    {
        let x = self.conv.x;
        let yy = self.source(oy, ky)?;
        Some(if self.conv.masked {
            let pixel = x.padded();
            let data = &band.data[(yy - band.first) * x.w as usize * pixel..];
            Line { data, pixel }
        } else {
            let data = &self.x[x.at(n, yy, 0)..];
            let pixel = x.pixel_stride();
            Line { data, pixel }
        })
    }
}

impl<T: Real> Line<'_, T> {
    /// The line with every channel `times` times, `channels` in all of `wide` to a pixel, into `to`.
    pub fn spread(&self, times: usize, to: &mut [T], channels: usize, wide: usize) {
        for (i, to) in to.chunks_mut(wide).enumerate() {
            let from = &self.data[i * self.pixel..];
            for (to, from) in to[..channels].chunks_mut(times).zip(from) {
                to.fill(*from);
            }
        }
    }
}

/// The pixels of a row that tap `kx` connects: column ox of y with column xx of x where
/// ox·stride + kx·dilation − pad = xx·input_dilation. Stride or input dilation is 1.
fn run(conv: &Conv, kx: u32) -> Run {
    let [stride, dilation, apart, pad] =
        [conv.stride, conv.input_dilation, conv.dilation, conv.pad].map(|both| i64::from(both[1]));
    let (xw, yw) = (i64::from(conv.x.w), i64::from(conv.y.w));
    let shift = i64::from(kx) * apart - pad;
    let up = |a: i64, b: i64| -(-a).div_euclid(b);
    let run = |from: i64, from_step: i64, to: i64, to_step: i64, count: i64| Run {
        from: from.max(0) as usize,
        from_step: from_step as usize,
        to: to.max(0) as usize,
        to_step: to_step as usize,
        count: count.max(0) as usize,
    };
    if dilation == 1 {
        let first = up(-shift, stride).max(0);
        let end = up(xw - shift, stride).min(yw);
        run(first * stride + shift, stride, first, 1, end - first)
    } else {
        let first = up(shift, dilation).max(0);
        let end = up(yw + shift, dilation).min(xw);
        run(first, 1, first * dilation - shift, dilation, end - first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::View;

    #[test]
    fn runs_connect_the_pixels_of_the_formula() {
        for (stride, dilation) in [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)] {
            for (apart, pad) in [(1, 0), (1, 2), (2, 3), (3, 1)] {
                let conv = Conv {
                    stride: [stride; 2],
                    input_dilation: [dilation; 2],
                    dilation: [apart; 2],
                    pad: [pad; 2],
                    ..Conv::new(View::new(1, 1, 7, 1), View::new(1, 1, 9, 1), 3)
                };
                for kx in 0..3 {
                    let expected: Vec<(u32, u32)> = (0..9)
                        .flat_map(|ox| (0..7).map(move |xx| (ox, xx)))
                        .filter(|(ox, xx)| ox * stride + kx * apart == xx * dilation + pad)
                        .collect();
                    let run = run(&conv, kx);
                    let found: Vec<(u32, u32)> = (0..run.count)
                        .map(|i| (run.to + i * run.to_step, run.from + i * run.from_step))
                        .map(|(ox, xx)| (ox as u32, xx as u32))
                        .collect();
                    assert_eq!(found, expected, "{conv:?}, tap {kx}");
                }
            }
        }
    }
}
