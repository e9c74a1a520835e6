//! From the image to 8-bit pixels, for textures of a host program.

use super::View;
use super::rows::row_grid;
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Work};

/// `wgsl/pixels.wgsl`.
pub const SOURCE: Source = Source {
    name: "pixels",
    text: include_str!("../../wgsl/pixels.wgsl"),
    variants: &[&[], &["BGRA"]],
};

/// `words[y, x]` = the first image's pixel as four bytes, R first (B first with `bgra`), alpha 255, rounded to nearest.
///
/// Bindings: `x`, one quad per pixel, in `[0, 1]`; `words`, `h` rows of `pitch` words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixels {
    /// The image.
    pub x: View,
    /// Words from one row to the next, at least the width.
    pub pitch: u32,
    /// Blue first.
    pub bgra: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    pitch: u32,
}

impl Kernel for Pixels {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(if self.bgra { &["BGRA"] } else { &[] })
    }
    fn bindings(&self) -> Vec<Slot> {
        // In-out: the words between a row's end and the next row stay as they are.
        vec![Slot::IN, Slot::WORDS_IN_OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            pitch: self.pitch,
        }
    }
    fn grid(&self) -> [u32; 3] {
        row_grid(View { n: 1, ..self.x }, self.x.w)
    }
    fn work(&self) -> Work {
        let pixels = u64::from(self.x.h) * u64::from(self.x.w);
        Work {
            flop: 6 * pixels,
            bytes: 20 * pixels,
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, words) = (b.input(), b.words_mut());
        for y in 0..self.x.h as usize {
            for xx in 0..self.x.w as usize {
                let at = self.x.at(0, y, xx);
                let byte = |c: usize| {
                    (x[at + c].max(T::ZERO).min(T::ONE).wide() * 255.0 + 0.5).floor() as u32
                };
                let (first, third) = if self.bgra { (2, 0) } else { (0, 2) };
                words[y * self.pitch as usize + xx] =
                    byte(first) | byte(1) << 8 | byte(third) << 16 | 0xff00_0000;
            }
        }
    }
}
