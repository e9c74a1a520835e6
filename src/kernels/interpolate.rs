//! Other sizes by the nearest positions or between two, as ONNX's Resize defines them.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/interpolate.wgsl`.
pub const SOURCE: Source = Source {
    name: "interpolate",
    text: include_str!("../../wgsl/interpolate.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Which input positions make an output position that falls between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Taps {
    /// The two beside it, by their distance.
    Linear = 0,
    /// The one before it.
    Floor = 1,
    /// The one behind it.
    Ceil = 2,
    /// The nearest, of two as near the one before.
    PreferFloor = 3,
    /// The nearest, of two as near the one behind.
    PreferCeil = 4,
}

/// Positions that are nearer to a border of rounding than this are on it: `o·scale + shift` is rounded itself.
const NEAR: f32 = 1.0 / 1024.0;

/// Where output position `o` lies among `size` input positions along an axis: at `o·scale + shift`, kept inside.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Along {
    /// Input positions from one output position to the next.
    pub scale: f32,
    /// Where output position 0 lies.
    pub shift: f32,
}

impl Along {
    /// The two input positions that output position `o` is made of, and the weight of the second.
    fn taps<T: Real>(self, taps: Taps, o: usize, size: usize) -> (usize, usize, T) {
        let at = o as f64 * f64::from(self.scale) + f64::from(self.shift);
        let (last, near) = ((size - 1) as f64, f64::from(NEAR));
        let one = |at: f64| {
            let at = at.clamp(0.0, last) as usize;
            (at, at, T::ZERO)
        };
        match taps {
            Taps::Linear => {
                let at = at.clamp(0.0, last);
                let first = at.floor();
                let second = (first + 1.0).min(last);
                (first as usize, second as usize, T::of(at - first))
            }
            Taps::Floor => one((at + near).floor()),
            Taps::Ceil => one((at - near).ceil()),
            Taps::PreferFloor => one((at - 0.5 - near).ceil()),
            Taps::PreferCeil => one((at + 0.5 + near).floor()),
        }
    }

    /// The output positions, of `outer`, that position `i` may be part of.
    fn places(self, i: usize, size: usize, outer: usize) -> std::ops::Range<usize> {
        // All output positions lie at one place.
        if self.scale <= 0.0 {
            return 0..outer;
        }
        let o = |at: f64| (at - f64::from(self.shift)) / f64::from(self.scale);
        let first = if i == 0 {
            0.0
        } else {
            o(i as f64 - 1.0).floor() - 1.0
        };
        let end = if i + 1 == size {
            outer as f64
        } else {
            o(i as f64 + 1.0).ceil() + 2.0
        };
        let within = |o: f64| o.clamp(0.0, outer as f64) as usize;
        within(first)..within(end)
    }
}

/// Each output position is made of the input positions that it falls between: see [`Taps`].
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interpolate {
    /// The input.
    pub x: View,
    /// The output, of the same n and c.
    pub y: View,
    /// Which input positions count.
    pub taps: Taps,
    /// Rows and columns.
    pub along: [Along; 2],
}

/// The adjoint of [`Interpolate`]: each position of dx gets the sum of dy over the positions that it is part of, by its
/// weight in them.
///
/// Bindings: `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InterpolateBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`Interpolate::taps`].
    pub taps: Taps,
    /// As [`Interpolate::along`].
    pub along: [Along; 2],
    /// Adds to dx.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    inner: View,
    outer: View,
    columns: u32,
    items: u32,
    taps: u32,
    near: f32,
    along: [Along; 2],
}

impl Kernel for Interpolate {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            inner: self.x,
            outer: self.y,
            columns: self.grid()[0],
            items: flat::items(self.y),
            taps: self.taps as u32,
            near: NEAR,
            along: self.along,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 6 * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            let (top, bottom, down) = self.along[0].taps::<T>(self.taps, row, self.x.h as usize);
            let (left, right, across) = self.along[1].taps::<T>(self.taps, col, self.x.w as usize);
            let [a, b, c, d] = [(top, left), (top, right), (bottom, left), (bottom, right)]
                .map(|(row, col)| &x[self.x.at(n, row, col)..]);
            for (i, y) in y.iter_mut().enumerate() {
                let upper = a[i] + (b[i] - a[i]) * across;
                let lower = c[i] + (d[i] - c[i]) * across;
                *y = upper + (lower - upper) * down;
            }
        });
    }
}

impl Kernel for InterpolateBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["BACKWARD", "ACCUMULATE"]
        } else {
            &["BACKWARD"]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            inner: self.dx,
            outer: self.dy,
            columns: self.grid()[0],
            items: flat::items(self.dx),
            taps: self.taps as u32,
            near: NEAR,
            along: self.along,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 4 * self.dy.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, dx) = (b.input(), b.output());
        let (h, w) = (self.dx.h as usize, self.dx.w as usize);
        let (outer_h, outer_w) = (self.dy.h as usize, self.dy.w as usize);
        let weight = |axis: usize, o: usize, i: usize, size: usize| -> T {
            let (first, second, part) = self.along[axis].taps::<T>(self.taps, o, size);
            let mut weight = T::ZERO;
            if first == i {
                weight += T::ONE - part;
            }
            if second == i {
                weight += part;
            }
            weight
        };
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            if !self.accumulate {
                dx.fill(T::ZERO);
            }
            for y in self.along[0].places(row, h, outer_h) {
                let down = weight(0, y, row, h);
                if down == T::ZERO {
                    continue;
                }
                for x in self.along[1].places(col, w, outer_w) {
                    let part = down * weight(1, x, col, w);
                    if part == T::ZERO {
                        continue;
                    }
                    let at = self.dy.at(n, y, x);
                    for (dx, &dy) in dx.iter_mut().zip(&dy[at..]) {
                        *dx += part * dy;
                    }
                }
            }
        });
    }
}
