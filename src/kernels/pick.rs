//! Chosen positions of a tensor.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/pick.wgsl`.
pub const SOURCE: Source = Source {
    name: "pick",
    text: include_str!("../../wgsl/pick.wgsl"),
    variants: &[&[]],
};

/// `y[i] = x[chosen[i]]` for every position i of y; positions are counted over rows and images.
///
/// Bindings: `chosen`, one word for each position of y, below the number of x's; `x`; `y`, of the same channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// The input.
    pub x: View,
    /// The output.
    pub y: View,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
}

impl Kernel for Pick {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::WORDS_IN, Slot::IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.y),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 2 * self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (chosen, x, y) = (b.words(), b.input(), b.output());
        let quads = 0..self.y.quads as usize;
        for (to, from) in chosen[..self.y.pixels()].iter().enumerate() {
            let from = flat::place(self.x, *from as usize, quads.clone());
            y[flat::place(self.y, to, quads.clone())].copy_from_slice(&x[from]);
        }
    }
}
