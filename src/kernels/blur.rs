//! Gaussian blur.

use super::{Axis, Tensor, View, flat};
use crate::device::{Bindings, Kernel, Real, Recording, Shader, Slot, Source, ValueId, Work};

/// `wgsl/blur.wgsl`.
pub const SOURCE: Source = Source {
    name: "blur",
    text: include_str!("../../wgsl/blur.wgsl"),
    variants: &[&[], &["VERTICAL"], &["WRAP"], &["WRAP", "VERTICAL"]],
};

/// Where the Gaussian is cut off, in standard deviations.
const TRUNCATE: f64 = 4.0;

/// One pass of a separable Gaussian blur of each channel, with the numbers of `scipy.ndimage.gaussian_filter` and its
/// defaults: mirrored at the edges (the edge pixel twice), cut off at 4σ, the weights adding up to 1. With `wrap` the
/// image is continued by its own copies (mode `wrap`). In iterations whose
/// number is no multiple of `every` it is a copy.
///
/// Bindings: `x`; `step`, one word, the number of steps completed; `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blur {
    /// Input.
    pub x: View,
    /// Output, of the same shape.
    pub y: View,
    /// σ in pixels, above 0.
    pub sigma: f32,
    /// 1: in every iteration; at least 1.
    pub every: u32,
    /// Along which axis.
    pub axis: Axis,
    /// Whether what stands beyond an edge is the opposite side, not the mirror image.
    pub wrap: bool,
}

/// The parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    x: View,
    y: View,
    columns: u32,
    items: u32,
    radius: u32,
    every: u32,
    exponent: f32,
}

impl Blur {
    /// Neighbours on either side that count.
    fn radius(&self) -> u32 {
        (TRUNCATE * f64::from(self.sigma) + 0.5) as u32
    }

    /// −1/2σ².
    fn exponent(&self) -> f64 {
        -0.5 / f64::from(self.sigma).powi(2)
    }
}

/// The pixel of a row of `size` that stands at position `i` of its mirrored, or repeated, continuation.
fn continued(i: i64, size: i64, wrap: bool) -> usize {
    if wrap {
        return i.rem_euclid(size) as usize;
    }
    let phase = i.rem_euclid(2 * size);
    phase.min(2 * size - 1 - phase) as usize
}

impl Kernel for Blur {
    type Params = Params;

    fn shader(&self) -> Shader {
        let definitions = [
            ("WRAP", self.wrap),
            ("VERTICAL", self.axis == Axis::Vertical),
        ];
        let on = definitions
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&on.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::WORDS_IN, Slot::OUT]
    }
    fn params(&self) -> Params {
        Params {
            x: self.x,
            y: self.y,
            columns: self.grid()[0],
            items: flat::items(self.y),
            radius: self.radius(),
            every: self.every.max(1),
            exponent: self.exponent() as f32,
        }
    }
    fn grid(&self) -> [u32; 3] {
        flat::item_grid(flat::items(self.y))
    }
    fn work(&self) -> Work {
        let taps = 2 * u64::from(self.radius()) + 1;
        Work {
            flop: 3 * taps * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut bindings: Bindings<'_, T>) {
        let (x, step, y) = (bindings.input(), bindings.words(), bindings.output());
        let on = step[0].is_multiple_of(self.every.max(1));
        let radius = if on { i64::from(self.radius()) } else { 0 };
        let weights: Vec<f64> = (-radius..=radius)
            .map(|k| (self.exponent() * (k * k) as f64).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<T> = weights.iter().map(|w| T::of(w / total)).collect();
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
            y.fill(T::ZERO);
            for (k, &weight) in (-radius..).zip(&weights) {
                let moved = |i: usize, size: usize| continued(i as i64 + k, size as i64, self.wrap);
                let at = match self.axis {
                    Axis::Horizontal => self.x.at(n, row, moved(column, w)),
                    Axis::Vertical => self.x.at(n, moved(row, h), column),
                };
                for (y, &x) in y.iter_mut().zip(&x[at..]) {
                    *y += weight * x;
                }
            }
        });
    }
}

/// Records a blur of `x` in place, in iterations whose number `step` (one word) is a multiple of `every`: along rows,
/// then along columns; `wrap` as [`Blur::wrap`].
pub fn record_blur(
    recording: &mut Recording,
    label: &str,
    x: Tensor,
    step: ValueId,
    sigma: f32,
    every: u32,
    wrap: bool,
) {
    let v = x.view;
    let view = View::new(v.n, v.h, v.w, v.c);
    let between = Tensor::transient(recording, format!("{label}, rows blurred"), view);
    let mut pass = |what: &str, from: Tensor, to: Tensor, axis: Axis| {
        let kernel = Blur {
            x: from.view,
            y: to.view,
            sigma,
            every,
            axis,
            wrap,
        };
        recording.call(
            format!("{label}, {what}"),
            kernel,
            &[from.value, step, to.value],
        );
    };
    pass("rows", x, between, Axis::Horizontal);
    pass("columns", between, x, Axis::Vertical);
}
