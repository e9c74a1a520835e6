//! Of each image the version that is nearest to another, among those whose loss is within a threshold.

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/keep_best.wgsl`.
pub const SOURCE: Source = Source {
    name: "keep_best",
    text: include_str!("../../wgsl/keep_best.wgsl"),
    variants: &[&[], &["DECIDE"]],
};

/// Which images are to be kept: those with `losses[i, slot] ≤ threshold` and a distance below the one in `best`, which
/// it then replaces. In iteration 0 the best distances count as [`DecideBest::FARTHEST`], whatever they are, and all
/// images are kept. A NaN is never better.
///
/// Bindings: `losses` (reals, [n, slots]); `distances` (reals, \[n\], not negative); `step`, one word, the number of
/// iterations completed; `best` (reals, \[n\]); `keep` (words, \[n\]: 1 or 0).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecideBest {
    /// Images.
    pub n: u32,
    /// Losses of one image.
    pub slots: u32,
    /// The one that decides.
    pub slot: u32,
    /// The greatest that is a success.
    pub threshold: f32,
}

/// `y = x` in the images with `keep` = 1.
///
/// Bindings: `x`, `keep` (words, \[n\]), `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepBest {
    /// Read.
    pub x: View,
    /// Written in part, of the same shape.
    pub y: View,
}

/// The parameters of [`DecideBest`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct DecideParams {
    n: u32,
    slots: u32,
    slot: u32,
    threshold: f32,
}

/// The parameters of [`KeepBest`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
}

impl DecideBest {
    /// 2¹²⁷: the best distance until there is a success. A farther image is not kept.
    pub const FARTHEST: f32 = f32::from_bits(254 << 23);
}

impl Kernel for DecideBest {
    type Params = DecideParams;

    fn shader(&self) -> Shader {
        SOURCE.with(&["DECIDE"])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![
            Slot::IN,
            Slot::IN,
            Slot::WORDS_IN,
            Slot::IN_OUT,
            Slot::WORDS_OUT,
        ]
    }
    fn params(&self) -> DecideParams {
        DecideParams {
            n: self.n,
            slots: self.slots,
            slot: self.slot,
            threshold: self.threshold,
        }
    }
    fn grid(&self) -> [u32; 3] {
        [self.n.div_ceil(flat::LANES), 1, 1]
    }
    fn work(&self) -> Work {
        Work {
            flop: 2 * u64::from(self.n),
            bytes: 20 * u64::from(self.n),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (losses, distances, step) = (bindings.input(), bindings.input(), bindings.words());
        let (best, keep) = (bindings.output(), bindings.words_mut());
        let first = step[0] == 0;
        for i in 0..self.n as usize {
            let before = if first {
                T::from_f32(Self::FARTHEST)
            } else {
                best[i]
            };
            let loss = losses[i * self.slots as usize + self.slot as usize];
            let better = loss <= T::from_f32(self.threshold) && distances[i] < before;
            best[i] = if better { distances[i] } else { before };
            keep[i] = (better || first).into();
        }
    }
}

impl Kernel for KeepBest {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.x),
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.x))
    }
    fn work(&self) -> Work {
        Work {
            flop: 0,
            bytes: 2 * self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, keep, y) = (bindings.input(), bindings.words(), bindings.output());
        let each = (self.x.h * self.x.w) as usize;
        let quads = 0..self.x.quads as usize;
        flat::for_each_pixel(self.y, y, |pixel, y| {
            if keep[pixel / each] == 1 {
                y.copy_from_slice(&x[flat::place(self.x, pixel, quads.clone())]);
            }
        });
    }
}
