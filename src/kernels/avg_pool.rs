//! Mean over windows, and the way its gradient is spread.

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

/// `scale` times the mean over windows, clipped to the image: padding neither adds nor counts
/// (torch's `count_include_pad = false`).
///
/// Every window must hold a pixel of the image, as torch's and Caffe's arithmetic of y's size (floor or ceil) ensures.
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
    /// Rows and columns that the first window reaches beyond the image, less than `kernel`.
    pub pad: [u32; 2],
    /// Factor on the mean.
    pub scale: f32,
}

/// The gradient of [`AvgPool`]: each element of dy, times `scale` and divided by the pixels of its window, goes to all
/// of them.
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
    scale: f32,
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
        let windows = Windows::both(self.kernel, self.stride, self.pad);
        let scale = T::from_f32(self.scale);
        average(self.x, self.y, x, y, scale, |axis, o, size, _| {
            windows[axis].inputs(o, size)
        });
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
        let windows = Windows::both(self.kernel, self.stride, self.pad);
        spread(
            (self.dy, dy),
            (self.dx, dx),
            T::from_f32(self.scale),
            self.accumulate,
            |axis, o, size, _| windows[axis].inputs(o, size),
            |axis, i, _, outputs| windows[axis].outputs(i, outputs),
        );
    }
}

/// `scale` times the mean of x over the windows of y: `inputs(axis, output, size of x, size of y)` along an axis, 0 for
/// rows and 1 for columns.
pub(super) fn average<T: Real>(
    x_view: View,
    y_view: View,
    x: &[T],
    y: &mut [T],
    scale: T,
    inputs: impl Fn(usize, usize, usize, usize) -> Range<usize> + Sync,
) {
    let (h, w) = (x_view.h as usize, x_view.w as usize);
    let (oh, ow) = (y_view.h as usize, y_view.w as usize);
    rows_mut(y_view, y).enumerate().run(|(place, row)| {
        let (n, oy) = row_position(y_view, place);
        let rows = inputs(0, oy, h, oh);
        // Row by row, so that the sum of a whole image keeps its last digits.
        let mut sum = vec![T::ZERO; y_view.padded()];
        for ox in 0..ow {
            let columns = inputs(1, ox, w, ow);
            let count = T::from_usize(rows.len() * columns.len());
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

/// The gradient of [`average`]; `outputs(axis, input, size of x, size of y)` are the windows that hold an input.
pub(super) fn spread<T: Real>(
    (dy_view, dy): (View, &[T]),
    (dx_view, dx): (View, &mut [T]),
    scale: T,
    accumulate: bool,
    inputs: impl Fn(usize, usize, usize, usize) -> Range<usize> + Sync,
    outputs: impl Fn(usize, usize, usize, usize) -> Range<usize> + Sync,
) {
    let (h, w) = (dx_view.h as usize, dx_view.w as usize);
    let (oh, ow) = (dy_view.h as usize, dy_view.w as usize);
    rows_mut(dx_view, dx).enumerate().run(|(place, row)| {
        let (n, yy) = row_position(dx_view, place);
        if !accumulate {
            clear_row(dx_view, row);
        }
        for oy in outputs(0, yy, h, oh) {
            let height = inputs(0, oy, h, oh).len();
            for ox in 0..ow {
                let columns = inputs(1, ox, w, ow);
                let count = T::from_usize(height * columns.len());
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
