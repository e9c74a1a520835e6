//! Mean over windows, and the way its gradient is spread.

use std::iter::StepBy;
use std::ops::Range;

use rayon::prelude::*;

use super::View;
use super::rows::{
    Windows, clear_row, gradient_slot, in_row, pixel, row_grid, row_position, rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/avg_pool.wgsl`.
pub const SOURCE: Source = Source {
    name: "avg_pool",
    text: include_str!("../../wgsl/avg_pool.wgsl"),
    variants: &[&[]],
};

/// `wgsl/avg_pool_backward.wgsl`, which serves [`super::AdaptiveAvgPoolBackward`] too.
pub const BACKWARD: Source = Source {
    name: "avg_pool_backward",
    text: include_str!("../../wgsl/avg_pool_backward.wgsl"),
    variants: &[
        &[],
        &["ACCUMULATE"],
        &["ADAPTIVE"],
        &["ADAPTIVE", "ACCUMULATE"],
    ],
};

/// `scale` times the mean over windows, clipped to the image: padding neither adds nor counts (torch's
/// `count_include_pad = false`), or it counts as zeros, see [`AvgPool::counted`].
///
/// A window without a pixel of the image, which only a dilated one can be, has a mean of 0.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AvgPool {
    /// Input.
    pub x: View,
    /// Output, of the same n and c; its height and width are the caller's arithmetic.
    pub y: View,
    /// Height and width of the window.
    pub kernel: [u32; 2],
    /// Step of the window, down and across.
    pub stride: [u32; 2],
    /// Rows and columns that the first window reaches beyond the image, less than what it reaches over.
    pub pad: [u32; 2],
    /// From one position of the window to the next.
    pub dilation: [u32; 2],
    /// Padding behind the image if padding counts: the divisor is then the positions of the window that lie inside the
    /// padded image (torch's `count_include_pad = true`).
    pub counted: Option<[u32; 2]>,
    /// Factor on the mean.
    pub scale: f32,
}

/// The gradient of [`AvgPool`]: each element of dy, times `scale` and divided by the positions of its window that
/// count, goes to all of its pixels.
///
/// Bindings: `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AvgPoolBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`AvgPool::kernel`].
    pub kernel: [u32; 2],
    /// As [`AvgPool::stride`].
    pub stride: [u32; 2],
    /// As [`AvgPool::pad`].
    pub pad: [u32; 2],
    /// As [`AvgPool::dilation`].
    pub dilation: [u32; 2],
    /// As [`AvgPool::counted`].
    pub counted: Option<[u32; 2]>,
    /// As [`AvgPool::scale`].
    pub scale: f32,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    views: [View; 2],
    kernel: [u32; 2],
    stride: [u32; 2],
    pad: [u32; 2],
    dilation: [u32; 2],
    after: [u32; 2],
    counts: u32,
    scale: f32,
}

/// How many positions of the window of output `o` along `axis` count.
fn count(
    windows: &[Windows; 2],
    counted: Option<[u32; 2]>,
    axis: usize,
    o: usize,
    size: usize,
) -> usize {
    match counted {
        Some(after) => windows[axis].padded_count(o, size, after[axis] as usize),
        None => windows[axis].inputs(o, size).len(),
    }
}

impl Kernel for AvgPool {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.x, self.y],
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            dilation: self.dilation,
            after: self.counted.unwrap_or_default(),
            counts: self.counted.is_some().into(),
            scale: self.scale,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.w * self.y.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel[0] * self.kernel[1]) * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let windows = Windows::both(self.kernel, self.stride, self.pad, self.dilation);
        average(
            self.x,
            self.y,
            x,
            y,
            T::from_f32(self.scale),
            |axis, o, size, _| windows[axis].inputs(o, size),
            |axis, o, size, _| count(&windows, self.counted, axis, o, size),
        );
    }
}

impl Kernel for AvgPoolBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        BACKWARD.with(if self.accumulate {
            &["ACCUMULATE"]
        } else {
            &[]
        })
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.dy, self.dx],
            kernel: self.kernel,
            stride: self.stride,
            pad: self.pad,
            dilation: self.dilation,
            after: self.counted.unwrap_or_default(),
            counts: self.counted.is_some().into(),
            scale: self.scale,
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.dx, self.dx.w * self.dx.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(self.kernel[0] * self.kernel[1]) * self.dy.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, dx) = (b.input(), b.output());
        let windows = Windows::both(self.kernel, self.stride, self.pad, self.dilation);
        spread(
            (self.dy, dy),
            (self.dx, dx),
            T::from_f32(self.scale),
            self.accumulate,
            |axis, o, size, _| windows[axis].inputs(o, size),
            |axis, o, size, _| count(&windows, self.counted, axis, o, size),
            |i, _, outputs| windows[0].outputs(i, outputs),
        );
    }
}

/// `scale` times the mean of x over the windows of y: `inputs(axis, output, size of x, size of y)` along an axis, 0 for
/// rows and 1 for columns, of which so many as `count` says, padding with them.
pub(super) fn average<T: Real>(
    x_view: View,
    y_view: View,
    x: &[T],
    y: &mut [T],
    scale: T,
    inputs: impl Fn(usize, usize, usize, usize) -> StepBy<Range<usize>> + Sync,
    count: impl Fn(usize, usize, usize, usize) -> usize + Sync,
) {
    let (h, w) = (x_view.h as usize, x_view.w as usize);
    let (oh, ow) = (y_view.h as usize, y_view.w as usize);
    rows_mut(y_view, y).enumerate().run(|(place, row)| {
        let (n, oy) = row_position(y_view, place);
        let rows = inputs(0, oy, h, oh);
        let height = count(0, oy, h, oh);
        // Row by row, so that the sum of a whole image keeps its last digits.
        let mut sum = vec![T::ZERO; y_view.padded()];
        for ox in 0..ow {
            let columns = inputs(1, ox, w, ow);
            let count = T::from_usize((height * count(1, ox, w, ow)).max(1));
            let mean = &mut row[in_row(y_view, ox)];
            mean.fill(T::ZERO);
            for yy in rows.clone() {
                sum.fill(T::ZERO);
                for xx in columns.clone() {
                    for (sum, &x) in sum.iter_mut().zip(&x[pixel(x_view, n, yy, xx)]) {
                        *sum += x;
                    }
                }
                for (mean, &sum) in mean.iter_mut().zip(&sum) {
                    *mean += sum;
                }
            }
            for mean in mean {
                *mean *= scale / count;
            }
        }
    });
}

/// The gradient of [`average`]; `outputs(input, size of x, size of y)` are the windows that hold a row of x.
pub(super) fn spread<T: Real, O: Iterator<Item = usize>>(
    (dy_view, dy): (View, &[T]),
    (dx_view, dx): (View, &mut [T]),
    scale: T,
    accumulate: bool,
    inputs: impl Fn(usize, usize, usize, usize) -> StepBy<Range<usize>> + Sync,
    count: impl Fn(usize, usize, usize, usize) -> usize + Sync,
    outputs: impl Fn(usize, usize, usize) -> O + Sync,
) {
    let (h, w) = (dx_view.h as usize, dx_view.w as usize);
    let (oh, ow) = (dy_view.h as usize, dy_view.w as usize);
    rows_mut(dx_view, dx).enumerate().run(|(place, row)| {
        let (n, yy) = row_position(dx_view, place);
        if !accumulate {
            clear_row(dx_view, row);
        }
        for oy in outputs(yy, h, oh) {
            let height = count(0, oy, h, oh);
            for ox in 0..ow {
                let columns = inputs(1, ox, w, ow);
                let count = T::from_usize((height * count(1, ox, w, ow)).max(1));
                let from = &dy[pixel(dy_view, n, oy, ox)];
                for xx in columns {
                    for (to, &from) in row[in_row(dx_view, xx)].iter_mut().zip(from) {
                        *to += scale / count * from;
                    }
                }
            }
        }
    });
}
