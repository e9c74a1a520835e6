//! Circular shift of each image by a random offset.

use super::random::{random, uniform_below};
use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/roll.wgsl`.
pub const SOURCE: Source = Source {
    name: "roll",
    text: include_str!("../../wgsl/roll.wgsl"),
    variants: &[&[]],
};

/// `y[row, col] = x[(row − dy) mod h, (col − dx) mod w]`: what leaves the image on one side enters on the other. Each
/// of dx and dy is `fixed` plus an integer drawn uniformly from −`reach`..=`reach`.
///
/// Bindings: `step`, one word, which the draw depends on; `x`; `y`, of the same shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roll {
    /// The input.
    pub x: View,
    /// The output, of the same shape.
    pub y: View,
    /// The run's seed.
    pub seed: u32,
    /// Largest random shift along either axis, in pixels; at most [`Roll::MAX_SHIFT`].
    pub reach: u32,
    /// What the random shift is added to, to the right and down, in pixels; likewise at most.
    pub fixed: [i32; 2],
    /// One draw for all images of the batch.
    pub shared: bool,
    /// Shifts back.
    pub inverse: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    seed: u32,
    reach: u32,
    fixed: [i32; 2],
    own: u32,
    sign: i32,
}

impl Roll {
    /// The largest `reach`, and the largest `fixed` in either direction: positions are 32-bit integers.
    pub const MAX_SHIFT: u32 = 1 << 24;

    /// dx and dy of an image at a step, in pixels.
    #[must_use]
    pub fn shift(&self, step: u32, image: u32) -> [i32; 2] {
        let image = if self.shared { 0 } else { image };
        let words = random(self.seed, step, image, 0);
        [0, 1].map(|axis| {
            let drawn = uniform_below(words[axis], 2 * self.reach + 1) as i32;
            self.fixed[axis] + drawn - self.reach as i32
        })
    }
}

impl Kernel for Roll {
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
            seed: self.seed,
            reach: self.reach,
            fixed: self.fixed,
            own: u32::from(!self.shared),
            sign: if self.inverse { -1 } else { 1 },
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
        let (step, x, y) = (b.words(), b.input(), b.output());
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        let shifts: Vec<_> = (0..self.y.n).map(|n| self.shift(step[0], n)).collect();
        let from = |to: usize, shift: i32, size: usize| {
            let shift = if self.inverse { -shift } else { shift };
            (to as i32 - shift).rem_euclid(size as i32) as usize
        };
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, col) = (pixel / (h * w), pixel / w % h, pixel % w);
            let [dx, dy] = shifts[n];
            let at = self.x.at(n, from(row, dy, h), from(col, dx, w));
            y.copy_from_slice(&x[at..at + y.len()]);
        });
    }
}
