//! A border around every image: of the opposite side, of the edge repeated or mirrored, or of one number.

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
        &["REFLECT"],
        &["REFLECT", "BACKWARD"],
        &["REFLECT", "BACKWARD", "ACCUMULATE"],
        &["CONSTANT"],
        &["CONSTANT", "BACKWARD"],
        &["CONSTANT", "BACKWARD", "ACCUMULATE"],
    ],
};

/// What stands beyond the edges of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edge {
    /// The outermost positions, repeated.
    Replicate,
    /// The positions of the opposite side.
    Wrap,
    /// The positions mirrored at the outermost ones, which are not repeated. The border is narrower than the tensor.
    Reflect,
    /// One number.
    Constant {
        /// The number.
        value: f32,
    },
}

impl Edge {
    fn definition(self) -> Option<&'static str> {
        match self {
            Self::Wrap => None,
            Self::Replicate => Some("REPLICATE"),
            Self::Reflect => Some("REFLECT"),
            Self::Constant { .. } => Some("CONSTANT"),
        }
    }

    fn value(self) -> f32 {
        match self {
            Self::Constant { value } => value,
            _ => 0.0,
        }
    }
}

/// `y[row, col] = x[source(row − before), source(col − before)]`, or a number where that is no position. The border may
/// be wider than the image, but not where it is mirrored. With [`Edge::Constant`] it may be negative: then rows and
/// columns are cut off.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pad {
    /// The input.
    pub x: View,
    /// The output, larger by `before` and by what there is at the bottom and the right.
    pub y: View,
    /// Rows at the top, columns at the left.
    pub before: [i32; 2],
    /// What the border is.
    pub edge: Edge,
}

/// The adjoint of [`Pad`]: each position of dx gets the sum of dy over the places that show it.
///
/// Bindings: `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PadBackward {
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`Pad::before`].
    pub before: [i32; 2],
    /// As [`Pad::edge`].
    pub edge: Edge,
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
    before: [i32; 2],
    value: f32,
    end: [u32; 3],
}

impl Pad {
    /// The position, of `size`, that place `o` along an axis shows, if it shows one.
    fn source(&self, axis: usize, o: usize, size: usize) -> Option<usize> {
        let i = o as i64 - i64::from(self.before[axis]);
        let size = size as i64;
        let source = match self.edge {
            Edge::Wrap => i.rem_euclid(size),
            Edge::Replicate => i.clamp(0, size - 1),
            Edge::Reflect if i < size => i.abs(),
            Edge::Reflect => 2 * (size - 1) - i,
            Edge::Constant { .. } if (0..size).contains(&i) => i,
            Edge::Constant { .. } => return None,
        };
        Some(source as usize)
    }
}

impl Kernel for Pad {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(self.edge.definition().as_slice())
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
            value: self.edge.value(),
            end: [0; 3],
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
            let column = self.source(1, col, self.x.w as usize);
            if let Some((row, column)) = row.zip(column) {
                let at = self.x.at(n, row, column);
                y.copy_from_slice(&x[at..at + y.len()]);
            } else {
                let (y, padding) = y.split_at_mut(self.y.c as usize);
                y.fill(T::from_f32(self.edge.value()));
                padding.fill(T::ZERO);
            }
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
        let before = self.before[axis];
        let cut = before.min(0).unsigned_abs() as usize;
        let before = before.max(0) as usize;
        let own = (i + before).wrapping_sub(cut);
        let (first, end, step) = match self.edge {
            Edge::Wrap => (own % size, outer, size),
            Edge::Replicate => {
                let first = if i == 0 { 0 } else { own };
                let end = if i + 1 == size { outer } else { own + 1 };
                (first, end, 1)
            }
            Edge::Reflect => (own, own + 1, 1),
            Edge::Constant { .. } if own < outer => (own, own + 1, 1),
            Edge::Constant { .. } => (0, 0, 1),
        };
        let reflects = self.edge == Edge::Reflect;
        let low = (reflects && i > 0 && i <= before).then(|| before - i);
        let high = (reflects && i + 1 < size)
            .then(|| before + 2 * (size - 1) - i)
            .filter(|place| *place < outer);
        (first..end).step_by(step).chain(low).chain(high)
    }
}

impl Kernel for PadBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            self.edge.definition(),
            Some("BACKWARD"),
            self.accumulate.then_some("ACCUMULATE"),
        ];
        SOURCE.with(&definitions.into_iter().flatten().collect::<Vec<_>>())
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
            value: 0.0,
            end: [0; 3],
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
