//! Every pixel of a layer by its own factor.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/weigh.wgsl`.
pub const SOURCE: Source = Source {
    name: "weigh",
    text: include_str!("../../wgsl/weigh.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y (+)= weights·x`, pixel by pixel: one weight for all channels and all images, pixel 0's at `first`. The gradient
/// goes the same way.
///
/// Bindings: `x`; `weights`, reals, `first` + h·w of them or more; `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weigh {
    /// The input.
    pub x: View,
    /// The output, of the same shape.
    pub y: View,
    /// Where the weights begin: those of a band of rows, out of a whole layer's.
    pub first: u32,
    /// Adds to y.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    first: u32,
}

impl Kernel for Weigh {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.accumulate {
            &["ACCUMULATE"]
        } else {
            &[]
        })
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.x),
            first: self.first,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: self.x.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes() + u64::from(self.x.h * self.x.w) * 4,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, weights, y) = (b.input(), b.input(), b.output());
        let pixels = self.x.h as usize * self.x.w as usize;
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let weight = weights[self.first as usize + pixel % pixels];
            let x = &x[flat::place(self.x, pixel, quads.clone())];
            for (y, &x) in y.iter_mut().zip(x) {
                let value = weight * x;
                *y = if self.accumulate { *y + value } else { value };
            }
        });
    }
}
