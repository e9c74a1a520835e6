//! Convolutions in groups of channels.

use super::conv::Params;
use super::conv_reference::{Scratch, Sums};
use super::conv_windows::Lines;
use super::filters::Reach;
use super::items::{Items, with_items};
use super::rows::at_least;
use super::{Conv, Filters};
use crate::device::{Bindings, Gemm, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/conv_grouped.wgsl`.
pub const SOURCE: Source = Source {
    name: "conv_grouped",
    text: include_str!("../../wgsl/conv_grouped.wgsl"),
    variants: with_items![
        [],
        ["ACCUMULATE"],
        ["MASKED"],
        ["MASKED", "ACCUMULATE"],
        ["BIAS"],
        ["BIAS", "RELU"],
        ["DENSE"],
        ["DENSE", "ACCUMULATE"],
        ["DENSE", "MASKED"],
        ["DENSE", "MASKED", "ACCUMULATE"],
        ["DENSE", "BIAS"],
        ["DENSE", "BIAS", "RELU"],
    ],
};

/// A [`Conv`] in groups: each group of y's channels sees the same group of x's. With an input dilation there is no
/// ReLU, and the stride is 1.
///
/// Bindings: those of the convolution, with weights from [`Filters::arrange`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvGrouped {
    /// The convolution, had it one group.
    pub conv: Conv,
    /// A divisor of the channels of x and of y.
    pub groups: u32,
}

impl ConvGrouped {
    fn filters(&self) -> Filters {
        let Conv { x, y, kernel, .. } = self.conv;
        Filters {
            input: x.c,
            output: y.c,
            groups: self.groups,
            kernel,
        }
    }

    fn items(&self) -> Items {
        let (y, pieces) = (self.conv.y, self.conv.pieces());
        // Two neighbouring vec4s must see the same.
        if (y.c / self.groups).is_multiple_of(8) {
            Items::new(y, pieces)
        } else {
            Items::single(y, pieces)
        }
    }

    /// The weights as a matrix [taps and inputs, outputs] of each group.
    fn matrices<T: Real>(&self, w: &[T]) -> Vec<T> {
        let Conv { y, .. } = self.conv;
        let reach = self.filters().reach();
        let Reach { group, span } = reach;
        let [input, output] = group.map(|n| n as usize);
        let rows = span as usize * 4;
        let taps = self.conv.taps() as usize;
        let mut matrices = Vec::with_capacity(taps * self.groups as usize * input * output);
        for g in 0..self.groups as usize {
            for (tap, i) in (0..taps).flat_map(|tap| (0..input).map(move |i| (tap, i))) {
                matrices.extend((g * output..(g + 1) * output).map(|co| {
                    let row = g * input + i - reach.first(co as u32 / 4) as usize * 4;
                    w[(tap * rows + row) * y.padded() + co]
                }));
            }
        }
        matrices
    }

    /// Σ x·w for output rows `first..first + count` of image `n`: group by group, the windows of all pixels are written
    /// out as the rows of a matrix, which is multiplied with the weights.
    fn sums<'s, T: Real>(
        &self,
        lines: &Lines<'_, T>,
        matrices: &[T],
        (n, first, count): (usize, usize, usize),
        scratch: &'s mut Scratch<T>,
    ) -> Sums<'s, T> {
        let Conv { y, kernel, .. } = self.conv;
        let [input, output] = self.filters().reach().group.map(|n| n as usize);
        let (yw, cout) = (y.w as usize, y.padded());
        let Scratch {
            band, sums, taps, ..
        } = scratch;
        let band = lines.band(n, first, count, band);
        let data = at_least(sums, count * yw * cout);
        data.fill(T::ZERO);
        let [kh, kw] = kernel.map(|side| side as usize);
        let window = kh * kw * input;
        let windows = at_least(taps, count * yw * window);
        // The same positions of every group's windows are 0.
        windows.fill(T::ZERO);
        let groups = matrices.chunks(window * output);
        for (g, matrix) in groups.take(self.groups as usize).enumerate() {
            for (row, windows) in windows.chunks_mut(yw * window).enumerate() {
                for ky in 0..kh {
                    let Some(line) = lines.line(&band, n, first + row, ky) else {
                        continue;
                    };
                    for (seen, to) in lines.seen().iter().zip(windows.chunks_mut(window)) {
                        for (kx, xx) in seen {
                            let from = &line.data[xx * line.pixel + g * input..][..input];
                            to[(ky * kw + kx) * input..][..input].copy_from_slice(from);
                        }
                    }
                }
            }
            T::gemm(Gemm {
                m: count * yw,
                k: window,
                n: output,
                dst: &mut data[g * output..],
                dst_stride: cout,
                lhs: windows,
                lhs_stride: window,
                lhs_step: 1,
                rhs: matrix,
                rhs_stride: output,
                accumulate: false,
            });
        }
        Sums {
            data,
            row_stride: yw,
        }
    }
}

impl Kernel for ConvGrouped {
    type Params = Params;

    fn shader(&self) -> Shader {
        let dense = self.conv.is_dense() && self.conv.kernel[1] >= 3;
        let operands = self.conv.operands().chain(dense.then_some("DENSE"));
        SOURCE.with(
            &operands
                .chain(self.items().definitions())
                .collect::<Vec<_>>(),
        )
    }

    fn bindings(&self) -> Vec<Slot> {
        Kernel::bindings(&self.conv)
    }

    fn params(&self) -> Params {
        let Reach { group, span } = self.filters().reach();
        Kernel::params(&self.conv).in_groups(group, span)
    }

    fn grid(&self) -> [u32; 3] {
        self.items().grid()
    }

    fn work(&self) -> Work {
        self.conv.work_of(self.groups)
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, w, y) = (b.input(), b.input(), b.output());
        let (bias, relu, mask) = self.conv.more(&mut b);
        let lines = Lines::new(&self.conv, x, mask);
        let matrices = self.matrices(w);
        let rows = lines.rows_per_task(self.conv.y.padded());
        self.conv
            .tasks(rows, bias, y, relu, |n, first, count, scratch| {
                self.sums(&lines, &matrices, (n, first, count), scratch)
            });
    }
}
