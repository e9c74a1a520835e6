//! The mean over a selected box of each image, and its gradient: the terms that look at one channel, one unit, one
//! class, or at a whole layer.

use std::ops::Range;

use rayon::prelude::*;

use super::{View, flat};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/select.wgsl`.
pub const SOURCE: Source = Source {
    name: "select",
    text: include_str!("../../wgsl/select.wgsl"),
    variants: &[&[], &["BACKWARD"], &["BACKWARD", "ACCUMULATE"]],
};

/// Words of one selection: first channel, the one after the last; likewise rows; likewise columns.
pub const SELECTION_WORDS: usize = 6;

/// The mean of `linear·a + quadratic·a²` over what is selected of every image, in [`Select::parts`] parts whose plain
/// sum it is; of a band of rows what it adds to its layer's mean.
///
/// Bindings: `x`, `selections` (words, \[n or 1\]\[6\], each box within the layer and not empty), `partials`
/// ([n, parts]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Select {
    /// The layer.
    pub x: View,
    /// The row that x begins with: 0, or where a band of rows stands in its layer. Selections are the layer's.
    pub first: u32,
    /// Selections there are: one for each image, or 1 for all.
    pub selections: u32,
    /// Factor on a.
    pub linear: f32,
    /// Factor on a².
    pub quadratic: f32,
}

/// The gradient of [`Select`]: `dx (+)= alpha·∂value/∂x`; everywhere else 0 is written, nothing added.
///
/// Bindings: `x`, `selections`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelectBackward {
    /// The kernel of the value.
    pub forward: Select,
    /// The gradient, of the shape of x.
    pub dx: View,
    /// Factor on the gradient.
    pub alpha: f32,
    /// Adds to `dx`.
    pub accumulate: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    dx: View,
    columns: u32,
    items: u32,
    parts: u32,
    first: u32,
    selections: u32,
    linear: f32,
    quadratic: f32,
}

/// One image's selection, as the words have it.
struct Chosen {
    channels: Range<usize>,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Chosen {
    fn count(&self) -> usize {
        self.channels.len() * self.rows.len() * self.columns.len()
    }
}

impl Select {
    /// Partial sums of every image.
    #[must_use]
    pub fn parts(&self) -> u32 {
        flat::parts(self.x)
    }

    fn chosen(&self, words: &[u32], image: usize) -> Chosen {
        let at = image % self.selections as usize * SELECTION_WORDS;
        let range = |i: usize| words[at + i] as usize..words[at + i + 1] as usize;
        Chosen {
            channels: range(0),
            rows: range(2),
            columns: range(4),
        }
    }

    /// The selected channels of a pixel, counted over all images, as a range of `quads` of its elements.
    fn in_pixel(&self, chosen: &Chosen, pixel: usize, quads: &Range<usize>) -> Range<usize> {
        let (h, w) = (self.x.h as usize, self.x.w as usize);
        let row = pixel / w % h + self.first as usize;
        if !chosen.columns.contains(&(pixel % w)) || !chosen.rows.contains(&row) {
            return 0..0;
        }
        let (first, end) = (quads.start * 4, quads.end * 4);
        let start = chosen.channels.start.clamp(first, end);
        start - first..chosen.channels.end.clamp(start, end) - first
    }
}

impl Kernel for Select {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            dx: self.x,
            columns: self.grid()[0],
            items: flat::items_of_one(self.x),
            parts: self.parts(),
            first: self.first,
            selections: self.selections,
            linear: self.linear,
            quadratic: self.quadratic,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::grid(flat::groups(self.x))
    }
    fn work(&self) -> Work {
        // What is selected is known on the device only: at most all of it.
        Work {
            flop: 3 * self.x.elements() as u64,
            bytes: self.x.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, words, partials) = (b.input(), b.words(), b.output());
        let (linear, quadratic) = (f64::from(self.linear), f64::from(self.quadratic));
        let parts = self.parts() as usize;
        partials[..flat::groups(self.x) as usize]
            .par_iter_mut()
            .enumerate()
            .run(|(group, partial)| {
                let chosen = self.chosen(words, group / parts);
                let mut sum = 0.0;
                for (pixel, quads) in flat::pixels(self.x, flat::share(self.x, group)) {
                    let selected = self.in_pixel(&chosen, pixel, &quads);
                    for a in &x[flat::place(self.x, pixel, quads)][selected] {
                        let a = a.wide();
                        sum += a * (linear + quadratic * a);
                    }
                }
                *partial = T::of(sum / chosen.count() as f64);
            });
    }
}

impl SelectBackward {
    /// alpha times the factors of the derivative, on 1 and on a.
    fn slopes(&self) -> (f64, f64) {
        let alpha = f64::from(self.alpha);
        (
            alpha * f64::from(self.forward.linear),
            2.0 * alpha * f64::from(self.forward.quadratic),
        )
    }
}

impl Kernel for SelectBackward {
    type Params = Params;

    fn shader(&self) -> Shader {
        if self.accumulate {
            SOURCE.with(&["BACKWARD", "ACCUMULATE"])
        } else {
            SOURCE.with(&["BACKWARD"])
        }
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, flat::result(self.accumulate)]
    }
    fn params(&self) -> Params {
        let (linear, quadratic) = self.slopes();
        Params {
            dx: self.dx,
            columns: self.grid()[0],
            items: flat::items(self.dx),
            linear: linear as f32,
            quadratic: quadratic as f32,
            ..Kernel::params(&self.forward)
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.dx))
    }
    fn work(&self) -> Work {
        Work {
            flop: 3 * self.dx.elements() as u64,
            bytes: self.forward.x.bytes() + self.dx.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, words, dx) = (b.input(), b.words(), b.output());
        let view = self.forward.x;
        let quads = 0..view.quads as usize;
        let (linear, quadratic) = self.slopes();
        flat::for_each_pixel(self.dx, dx, |pixel, dx| {
            let image = pixel / (view.h as usize * view.w as usize);
            let chosen = self.forward.chosen(words, image);
            let selected = self.forward.in_pixel(&chosen, pixel, &quads);
            let count = chosen.count() as f64;
            let (constant, slope) = (T::of(linear / count), T::of(quadratic / count));
            if !self.accumulate {
                dx.fill(T::ZERO);
            }
            let x = &x[flat::place(view, pixel, quads.clone())][selected.clone()];
            for (dx, &a) in dx[selected].iter_mut().zip(x) {
                *dx += constant + slope * a;
            }
        });
    }
}
