//! Down and up one level of a Laplacian pyramid.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/pyramid.wgsl`.
pub const SOURCE: Source = Source {
    name: "pyramid",
    text: include_str!("../../wgsl/pyramid.wgsl"),
    variants: &[&[], &["UP"], &["WRAP"], &["WRAP", "UP"]],
};

/// (1, 4, 6, 4, 1)/16 along either axis.
const WEIGHTS: [f64; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// One level down (Burt and Adelson 1983, "The Laplacian Pyramid as a Compact Image Code"): each channel convolved with
/// the outer product of (1, 4, 6, 4, 1)/16 with itself, at every second pixel. Zeros lie outside, placed as
/// TensorFlow's padding `SAME` does: the first window begins one pixel before the image where the size is even, two
/// where it is odd. With `wrap`, for even sides only, the opposite side is there in place of zeros.
///
/// Bindings: `fine`, `coarse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PyramidDown {
    /// Input, h×w.
    pub fine: View,
    /// Output, ⌈h/2⌉×⌈w/2⌉: [`PyramidDown::coarse`] of it.
    pub coarse: View,
    /// Whether the image is a tile.
    pub wrap: bool,
}

/// One level up, added: `fine += alpha·4·Dᵀ·coarse`, D being [`PyramidDown`].
///
/// Bindings: `coarse`, `fine`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PyramidUp {
    /// Input.
    pub coarse: View,
    /// Added to.
    pub fine: View,
    /// Factor.
    pub alpha: f32,
    /// As [`PyramidDown::wrap`].
    pub wrap: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    fine: View,
    coarse: View,
    columns: u32,
    items: u32,
    alpha: f32,
}

/// Zeros before the image along an axis.
fn pad(size: usize) -> usize {
    1 + size % 2
}

/// Whether a tile can be halved.
fn even(fine: View) -> bool {
    fine.h.is_multiple_of(2) && fine.w.is_multiple_of(2)
}

impl PyramidDown {
    /// The shape of the level below `fine`, in a buffer of its own.
    #[must_use]
    pub fn coarse(fine: View) -> View {
        View::new(fine.n, fine.h.div_ceil(2), fine.w.div_ceil(2), fine.c)
    }
}

/// Adds weight·x to y.
fn add<T: Real>(y: &mut [T], weight: f64, x: &[T]) {
    let weight = T::of(weight);
    for (y, &x) in y.iter_mut().zip(x) {
        *y += weight * x;
    }
}

impl Kernel for PyramidDown {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert!(!self.wrap || even(self.fine), "{self:?}");
        SOURCE.with(if self.wrap { &["WRAP"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            fine: self.fine,
            coarse: self.coarse,
            columns: self.grid()[0],
            items: flat::items(self.coarse),
            alpha: 1.0,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.coarse))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * 25 * self.coarse.elements() as u64,
            bytes: self.fine.bytes() + self.coarse.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (fine, coarse) = (bindings.input(), bindings.output());
        let (h, w) = (self.coarse.h as usize, self.coarse.w as usize);
        // The inputs of output o along an axis of `size`, each with its weight.
        let inputs = |o: usize, size: usize| {
            WEIGHTS.iter().enumerate().filter_map(move |(j, &weight)| {
                let i = if self.wrap {
                    (2 * o + j + size - pad(size)) % size
                } else {
                    (2 * o + j).checked_sub(pad(size))?
                };
                (i < size).then_some((i, weight))
            })
        };
        flat::for_each_pixel(self.coarse, coarse, |pixel, coarse| {
            let (n, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
            coarse.fill(T::ZERO);
            for (y, vertical) in inputs(row, self.fine.h as usize) {
                for (x, horizontal) in inputs(column, self.fine.w as usize) {
                    add(
                        coarse,
                        vertical * horizontal,
                        &fine[self.fine.at(n, y, x)..],
                    );
                }
            }
        });
    }
}

impl Kernel for PyramidUp {
    type Params = Params;

    fn shader(&self) -> Shader {
        assert!(!self.wrap || even(self.fine), "{self:?}");
        SOURCE.with(if self.wrap { &["WRAP", "UP"] } else { &["UP"] })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            fine: self.fine,
            coarse: self.coarse,
            columns: self.grid()[0],
            items: flat::items(self.fine),
            alpha: self.alpha,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.fine))
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * 25 * self.coarse.elements() as u64,
            bytes: 2 * self.fine.bytes() + self.coarse.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (coarse, fine) = (bindings.input(), bindings.output());
        let (h, w) = (self.fine.h as usize, self.fine.w as usize);
        // The coarse pixels that pixel i of an axis of `size` was read by, each with its weight there.
        let readers = |i: usize, size: usize| {
            WEIGHTS.iter().enumerate().filter_map(move |(j, &weight)| {
                let at = if self.wrap {
                    (i + pad(size) + 2 * size - j) % size
                } else {
                    (i + pad(size)).checked_sub(j)?
                };
                let read = at.is_multiple_of(2) && at / 2 < size.div_ceil(2);
                read.then_some((at / 2, 2.0 * weight))
            })
        };
        flat::for_each_pixel(self.fine, fine, |pixel, fine| {
            let (n, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
            for (y, vertical) in readers(row, h) {
                for (x, horizontal) in readers(column, w) {
                    let weight = f64::from(self.alpha) * vertical * horizontal;
                    add(fine, weight, &coarse[self.coarse.at(n, y, x)..]);
                }
            }
        });
    }
}
