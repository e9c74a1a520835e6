//! Convolutions of each channel by a window of its own.

use super::conv::Params;
use super::conv_reference::{Scratch, Sums};
use super::conv_windows::{Line, Lines};
use super::rows::at_least;
use super::{Conv, View};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work, vectorized};

/// `wgsl/conv_depthwise.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv_depthwise",
    text: include_str!("../../wgsl/conv_depthwise.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["MASKED"],
        &["MASKED", "ACCUMULATE"],
        &["BIAS"],
        &["BIAS", "RELU"],
        &["DENSE"],
        &["DENSE", "ACCUMULATE"],
        &["DENSE", "MASKED"],
        &["DENSE", "MASKED", "ACCUMULATE"],
        &["DENSE", "BIAS"],
        &["DENSE", "BIAS", "RELU"],
        &["SPREAD"],
        &["SPREAD", "ACCUMULATE"],
        &["SPREAD", "MASKED"],
        &["SPREAD", "MASKED", "ACCUMULATE"],
        &["SPREAD", "BIAS"],
        &["SPREAD", "BIAS", "RELU"],
        &["GATHER"],
        &["GATHER", "ACCUMULATE"],
        &["GATHER", "MASKED"],
        &["GATHER", "MASKED", "ACCUMULATE"],
        &["GATHER", "BIAS"],
        &["GATHER", "BIAS", "RELU"],
    ],
};

/// A [`Conv`] in as many groups as the narrower of x and y has channels: each channel of the wider is or sees one of
/// the narrower. With an input dilation there is no ReLU, and the stride is 1.
///
/// Bindings: those of the convolution, with weights from [`Filters::arrange`](super::Filters::arrange).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvDepthwise(pub Conv);

impl ConvDepthwise {
    /// Channels of x and of y in a group, of which one is 1.
    fn group(&self) -> [u32; 2] {
        let Conv { x, y, .. } = self.0;
        let groups = x.c.min(y.c);
        [x.c / groups, y.c / groups]
    }

    /// The wider of x and y as far as channels go: each of its channels has a window.
    fn wide(&self) -> View {
        let Conv { x, y, .. } = self.0;
        if x.c > y.c { x } else { y }
    }

    /// Σ x·w for output rows `first..first + count` of image `n`.
    fn sums<'s, T: Real>(
        &self,
        lines: &Lines<'_, T>,
        w: &[T],
        (n, first, count): (usize, usize, usize),
        scratch: &'s mut Scratch<T>,
    ) -> Sums<'s, T> {
        let Conv { x, y, kernel, .. } = self.0;
        let (wide, yw) = (self.wide().padded(), y.w as usize);
        let [gather, spread] = self.group().map(|n| n as usize);
        let Scratch { band, sums, .. } = scratch;
        let band = lines.band(n, first, count, band);
        let narrow = if gather > 1 {
            count * yw * y.padded()
        } else {
            0
        };
        let (narrow, data) = at_least(sums, narrow + count * yw * wide).split_at_mut(narrow);
        let x_line = x.w as usize * wide;
        let mut spread_lines = vec![
            T::ZERO;
            if spread > 1 {
                x_line * kernel[0] as usize
            } else {
                0
            }
        ];
        for (row, sums) in data.chunks_mut(yw * wide).enumerate() {
            let mut seen = Vec::with_capacity(kernel[0] as usize);
            let mut memory = spread_lines.chunks_mut(x_line.max(1));
            for ky in 0..kernel[0] as usize {
                let Some(mut line) = lines.line(&band, n, first + row, ky) else {
                    continue;
                };
                if let (true, Some(to)) = (spread > 1, memory.next()) {
                    line.spread(spread, to, y.c as usize, wide);
                    line = Line {
                        data: to,
                        pixel: wide,
                    };
                }
                let taps = kernel[1] as usize * wide;
                seen.push((line, &w[ky * taps..][..taps]));
            }
            vectorized(|| add_windows(&seen, lines.seen(), wide, sums));
        }
        if gather == 1 {
            return Sums {
                data,
                row_stride: yw,
            };
        }
        narrow.fill(T::ZERO);
        let pixels = narrow.chunks_mut(y.padded()).zip(data.chunks(wide));
        for (to, from) in pixels {
            for (to, from) in to.iter_mut().zip(from[..x.c as usize].chunks(gather)) {
                *to = from.iter().copied().sum();
            }
        }
        Sums {
            data: narrow,
            row_stride: yw,
        }
    }
}

/// The sums of a row of pixels with `channels` channels: of each pixel over the rows of x that it sees, with the
/// weights of their row of the window, and over the pixels of these that are `seen`.
#[inline(always)]
fn add_windows<T: Real>(
    rows: &[(Line<'_, T>, &[T])],
    seen: &[Vec<(usize, usize)>],
    channels: usize,
    sums: &mut [T],
) {
    let mut first = 0;
    // As many channels at once as registers hold.
    while channels - first >= 32 {
        add_block::<T, 32>(rows, seen, (first, channels), sums);
        first += 32;
    }
    while channels - first >= 16 {
        add_block::<T, 16>(rows, seen, (first, channels), sums);
        first += 16;
    }
    while first < channels {
        add_block::<T, 4>(rows, seen, (first, channels), sums);
        first += 4;
    }
}

/// Channels `first..first + N` of [`add_windows`].
#[inline(always)]
fn add_block<T: Real, const N: usize>(
    rows: &[(Line<'_, T>, &[T])],
    seen: &[Vec<(usize, usize)>],
    (first, channels): (usize, usize),
    sums: &mut [T],
) {
    for (seen, to) in seen.iter().zip(sums.chunks_mut(channels)) {
        let mut sum = [T::ZERO; N];
        for (line, weights) in rows {
            for (kx, xx) in seen {
                let from = &line.data[xx * line.pixel + first..][..N];
                let weights = &weights[kx * channels + first..][..N];
                for ((sum, from), weight) in sum.iter_mut().zip(from).zip(weights) {
                    *sum += *from * *weight;
                }
            }
        }
        to[first..first + N].copy_from_slice(&sum);
    }
}

impl Kernel for ConvDepthwise {
    type Params = Params;

    fn shader(&self) -> Shader {
        let way = match self.group() {
            [1, 1] if self.0.is_dense() && self.0.kernel[1] >= 3 => Some("DENSE"),
            [1, 1] => None,
            [1, _] => Some("SPREAD"),
            _ => Some("GATHER"),
        };
        SOURCE.with(&self.0.operands().chain(way).collect::<Vec<_>>())
    }

    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.0)
    }

    fn params(&self) -> Params {
        Kernel::params(&self.0).in_groups(self.group(), 1)
    }

    fn grid(&self) -> [u32; 3] {
        let y = self.0.y;
        [(self.0.pieces() * y.quads).div_ceil(64), y.h, y.n]
    }

    fn work(&self) -> Work {
        let Conv { x, y, .. } = self.0;
        self.0.work_of(x.c.min(y.c))
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, w, y) = (b.input(), b.input(), b.output());
        let (bias, relu, mask) = self.0.more(&mut b);
        let lines = Lines::new(&self.0, x, mask);
        let rows = lines.rows_per_task(self.wide().padded());
        self.0
            .tasks(rows, bias, y, relu, |n, first, count, scratch| {
                self.sums(&lines, w, (n, first, count), scratch)
            });
    }
}
