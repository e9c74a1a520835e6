//! A border around every image: of the opposite side, or of the edge repeated.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/pad.wgsl`.
pub const SOURCE: Source = Source {
    name: "pad",
    text: include_str!("../../wgsl/pad.wgsl"),
    variants: &[
        &[],
        &["REPLICATE"],
        &["BACKWARD"],
        &["BACKWARD", "ACCUMULATE"],
        &["REPLICATE", "BACKWARD"],
        &["REPLICATE", "BACKWARD", "ACCUMULATE"],
    ],
};

/// `y[row, col] = x[source(row − before), source(col − before)]`, the border being the opposite side's pixels or the
/// outermost ones repeated. It may be wider than the image.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// The input.
    pub x: View,
    /// The output, larger by `before` and by what there is at the bottom and the right.
    pub y: View,
    /// Rows at the top, columns at the left.
    pub before: [u32; 2],
    /// Whether the border is the opposite side, not the edge repeated.
    pub wrap: bool,
}

/// The adjoint of [`Pad`]: each position of dx gets the sum of dy over the places that show it.
///
/// Bindings: `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PadBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`Pad::before`].
    pub before: [u32; 2],
    /// As [`Pad::wrap`].
    pub wrap: bool,
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
    before: [u32; 2],
}

impl Pad {
    /// The position, of `size`, that place `o` along an axis shows.
    fn source(&self, axis: usize, o: usize, size: usize) -> usize {
        let i = o as i64 - i64::from(self.before[axis]);
        let size = size as i64;
        (if self.wrap {
            i.rem_euclid(size)
        } else {
            i.clamp(0, size - 1)
        }) as usize
    }
}

impl Kernel for Pad {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.wrap { &[] } else { &["REPLICATE"] })
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
            before: self.before,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            let row = self.source(0, row, self.x.h as usize);
            let at = self.x.at(n, row, self.source(1, col, self.x.w as usize));
            y.copy_from_slice(&x[at..at + y.len()]);
        });
    }
}

impl PadBackward {
    /// The places, of `outer` along an axis, that show position `i`, of `size`.
    fn places(
        &self,
        axis: usize,
        i: usize,
        size: usize,
        outer: usize,
    ) -> impl Iterator<Item = usize> + Clone {
        let before = self.before[axis] as usize;
        let (first, end, step) = if self.wrap {
            ((i + before) % size, outer, size)
        } else {
            let first = if i == 0 { 0 } else { i + before };
            let end = if i + 1 == size { outer } else { i + before + 1 };
            (first, end, 1)
        };
        (first..end).step_by(step)
    }
}

impl Kernel for PadBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("REPLICATE", !self.wrap),
            ("BACKWARD", true),
            ("ACCUMULATE", self.accumulate),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
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
            before: self.before,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.dy.elements() as u64,
            bytes: self.dx.bytes() + self.dy.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (dy, dx) = (b.input(), b.output());
        let (h, w) = (self.dx.h as usize, self.dx.w as usize);
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            let columns = self.places(1, col, w, self.dy.w as usize);
            if !self.accumulate {
                dx.fill(T::ZERO);
            }
            for row in self.places(0, row, h, self.dy.h as usize) {
                for column in columns.clone() {
                    let at = self.dy.at(n, row, column);
                    for (dx, &dy) in dx.iter_mut().zip(&dy[at..]) {
                        *dx += dy;
                    }
                }
            }
        });
    }
}
