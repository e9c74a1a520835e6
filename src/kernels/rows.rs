//! What the kernels share that work along the rows of a tensor: dispatch sizes, windows, and parallel rows for
//! references.

use std::iter::StepBy;
use std::ops::Range;

use rayon::prelude::*;

use super::View;
use crate::device::{Real, Slot};

/// Workgroups of 64 invocations, `per_row` invocations for each row: (⌈per_row/64⌉, h, n).
pub(super) fn row_grid(view: View, per_row: u32) -> [u32; 3] {
    [per_row.div_ceil(64), view.h, view.n]
}

/// How a gradient is bound: added to what is there, or written.
pub(super) fn gradient_slot(accumulate: bool) -> Slot {
    if accumulate { Slot::IN_OUT } else { Slot::OUT }
}

/// The definition that goes with [`gradient_slot`].
pub(super) fn gradient_definition(accumulate: bool) -> &'static [&'static str] {
    if accumulate { &["ACCUMULATE"] } else { &[] }
}

/// The rows of the buffer behind `view`, row (n, y) at place n·h + y, each w·stride vec4s long.
pub(super) fn rows_mut<T: Real>(
    view: View,
    data: &mut [T],
) -> impl IndexedParallelIterator<Item = &mut [T]> {
    data[..view.len()].par_chunks_mut((view.w as usize * view.pixel_stride()).max(1))
}

/// As [`rows_mut`] for words, `per_row` of them in each of the view's rows.
pub(super) fn word_rows_mut(
    view: View,
    per_row: usize,
    words: &mut [u32],
) -> impl IndexedParallelIterator<Item = &mut [u32]> {
    words[..view.n as usize * view.h as usize * per_row].par_chunks_mut(per_row.max(1))
}

/// The row (n, y) at a place in [`rows_mut`].
pub(super) fn row_position(view: View, place: usize) -> (usize, usize) {
    (place / view.h as usize, place % view.h as usize)
}

/// Where the view's channels of pixel x, padding included, stand in a row of [`rows_mut`].
pub(super) fn in_row(view: View, x: usize) -> Range<usize> {
    let at = x * view.pixel_stride() + view.offset as usize * 4;
    at..at + view.padded()
}

/// Where the view's channels of pixel (n, y, x), padding included, stand in its buffer.
pub(super) fn pixel(view: View, n: usize, y: usize, x: usize) -> Range<usize> {
    let at = view.at(n, y, x);
    at..at + view.padded()
}

/// Sets the view's channels in a row of [`rows_mut`] to zero and leaves other slices alone.
pub(super) fn clear_row<T: Real>(view: View, row: &mut [T]) {
    for x in 0..view.w as usize {
        row[in_row(view, x)].fill(T::ZERO);
    }
}

/// Pooling windows along one axis: output o looks at inputs `o·stride − pad + k·dilation`, k < `kernel`, inside the
/// image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub kernel: usize,
    pub stride: usize,
    pub pad: usize,
    pub dilation: usize,
}

impl Windows {
    pub fn new(kernel: u32, stride: u32, pad: u32, dilation: u32) -> Self {
        Self {
            kernel: kernel as usize,
            stride: stride as usize,
            pad: pad as usize,
            dilation: dilation as usize,
        }
    }

    /// Those along the rows' axis, and those along the columns'.
    pub fn both(
        kernel: [u32; 2],
        stride: [u32; 2],
        pad: [u32; 2],
        dilation: [u32; 2],
    ) -> [Self; 2] {
        [0, 1].map(|axis| Self::new(kernel[axis], stride[axis], pad[axis], dilation[axis]))
    }

    /// Inputs from the first that an output looks at to the last, both included.
    fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The inputs, of `size`, that output `o` looks at.
    pub fn inputs(&self, o: usize, size: usize) -> StepBy<Range<usize>> {
        let at = o * self.stride;
        // The first position of the window that is no padding.
        let skipped = self.pad.saturating_sub(at).div_ceil(self.dilation);
        let first = at + skipped * self.dilation - self.pad;
        let end = (at + self.extent()).saturating_sub(self.pad).min(size);
        (first..end.max(first)).step_by(self.dilation)
    }

    /// How many positions output `o` looks at where `size` inputs are followed by `after` more, and the padding before
    /// them counts.
    pub fn padded_count(&self, o: usize, size: usize, after: usize) -> usize {
        let at = o * self.stride;
        let end = (at + self.extent()).min(self.pad + size + after);
        end.saturating_sub(at).div_ceil(self.dilation)
    }

    /// The outputs, of `count`, that look at input `i`.
    pub fn outputs(&self, i: usize, count: usize) -> impl Iterator<Item = usize> + use<> {
        let (at, stride, dilation) = (i + self.pad, self.stride, self.dilation);
        let first = (at + 1).saturating_sub(self.extent());
        let outputs = first.div_ceil(stride)..(at / stride + 1).min(count);
        outputs.filter(move |o| (at - o * stride).is_multiple_of(dilation))
    }
}

/// `len` elements of `memory`, whatever stands in them.
pub(super) fn at_least<T: Real>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    if memory.len() < len {
        memory.resize(len, T::ZERO);
    }
    &mut memory[..len]
}

/// Copies those of each four numbers whose bits are set, from bit `shift` of their word on, and 0 in place of the
/// others.
#[inline(always)]
pub(super) fn copy_masked<T: Real>(to: &mut [T], from: &[T], words: &[u32], shift: usize) {
    let quads = to.chunks_exact_mut(4).zip(from.chunks_exact(4));
    for ((to, from), word) in quads.zip(words) {
        let four = std::array::from_fn(|i| from[i]);
        to.copy_from_slice(&T::kept(four, word >> shift));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_whose_inputs_contain_it() {
        for (kernel, stride, pad, dilation) in [
            (1, 1, 0, 1),
            (2, 2, 0, 1),
            (3, 2, 0, 1),
            (3, 1, 1, 1),
            (3, 2, 1, 1),
            (2, 3, 0, 1),
            (3, 1, 2, 2),
            (3, 2, 4, 3),
            (2, 1, 3, 5),
        ] {
            let windows = Windows::new(kernel, stride, pad, dilation);
            for i in 0..11 {
                let expected: Vec<usize> = (0..5)
                    .filter(|&o| windows.inputs(o, 11).any(|input| input == i))
                    .collect();
                let found: Vec<usize> = windows.outputs(i, 5).collect();
                assert_eq!(found, expected, "{windows:?}, input {i}");
            }
        }
    }

    #[test]
    fn windows_are_clipped_to_the_image() {
        let inputs = |windows: Windows, o| windows.inputs(o, 4).collect::<Vec<_>>();
        let windows = Windows::new(3, 2, 1, 1);
        assert_eq!(inputs(windows, 0), [0, 1]);
        assert_eq!(inputs(windows, 1), [1, 2, 3]);
        assert_eq!(inputs(windows, 2), [3]);
        let dilated = Windows::new(3, 1, 3, 2);
        assert_eq!(inputs(dilated, 0), [1]);
        assert_eq!(inputs(dilated, 1), [0, 2]);
        assert_eq!(inputs(dilated, 2), [1, 3]);
        // Both positions of a window of 2 outside.
        assert!(inputs(Windows::new(2, 1, 5, 9), 3).is_empty());
    }

    #[test]
    fn padding_counts_up_to_the_padded_end() {
        let counts = |windows: Windows, after| {
            let of = |o| windows.padded_count(o, 4, after);
            [of(0), of(1), of(2)]
        };
        assert_eq!(counts(Windows::new(3, 2, 1, 1), 1), [3, 3, 2]);
        assert_eq!(counts(Windows::new(3, 2, 1, 1), 0), [3, 3, 1]);
        assert_eq!(counts(Windows::new(2, 2, 1, 2), 1), [2, 2, 1]);
    }
}
