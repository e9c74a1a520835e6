//! Antialiased resize, as Pillow and torchvision define it.

use super::{Tensor, View, flat};
use crate::device::{Bindings, Kernel, Real, Recording, Shader, Slot, Source, Work};

/// `wgsl/resize.wgsl`.
pub const SOURCE: Source = Source {
    name: "resize",
    text: include_str!("../../wgsl/resize.wgsl"),
    variants: &[
        &[],
        &["VERTICAL"],
        &["CUBIC"],
        &["CUBIC", "VERTICAL"],
        &["WRAP"],
        &["VERTICAL", "WRAP"],
        &["CUBIC", "WRAP"],
        &["CUBIC", "VERTICAL", "WRAP"],
    ],
};

/// How the neighbours of a position are weighted. Where an image shrinks, the filter widens with it (antialiasing).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResizeFilter {
    /// The triangle of radius 1.
    Bilinear,
    /// The cubic of radius 2 (Keys 1981, "Cubic convolution interpolation for digital image processing") with a = −½.
    Bicubic,
}

/// Along which axis a pass resizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Along rows: the width changes.
    Horizontal,
    /// Along columns: the height changes.
    Vertical,
}

/// One pass of a separable resize: the same numbers as Pillow's `Image.resize` in mode F and torchvision's
/// `resize(antialias=True)`, for sizes with in·out < 2²⁹ along the axis.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// Input.
    pub x: View,
    /// Output: of the shape of `x` but for its width or height.
    pub y: View,
    /// The weights.
    pub filter: ResizeFilter,
    /// Which of the two changes.
    pub axis: Axis,
    /// Whether the image is a tile, continued by its own copies; else positions beyond its edges do not count.
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
}

impl ResizeFilter {
    /// Beyond this distance the weight is 0.
    fn radius(self) -> i64 {
        match self {
            Self::Bilinear => 1,
            Self::Bicubic => 2,
        }
    }

    /// The weight at a distance, not normalised.
    fn weight(self, distance: f64) -> f64 {
        let t = distance.abs();
        match self {
            Self::Bilinear => (1.0 - t).max(0.0),
            Self::Bicubic if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
            Self::Bicubic if t < 2.0 => ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0,
            Self::Bicubic => 0.0,
        }
    }

    /// The first input position of each output position, and the weights from there on; they add up to 1. With `wrap`
    /// positions may be beyond the edges.
    fn windows(self, size_in: u32, size_out: u32, wrap: bool) -> Vec<(i64, Vec<f64>)> {
        let (size_in, size_out) = (i64::from(size_in), i64::from(size_out));
        // In units of 1/(2·out) input pixels, as the shader has it.
        let larger = size_in.max(size_out);
        let reach = 2 * self.radius() * larger;
        (0..size_out)
            .map(|o| {
                let centre = (2 * o + 1) * size_in;
                let first = (centre - reach + size_out).div_euclid(2 * size_out);
                let end = (centre + reach + size_out) / (2 * size_out);
                let (first, end) = if wrap {
                    (first, end)
                } else {
                    (first.max(0), end.min(size_in))
                };
                let weights: Vec<f64> = (first..end)
                    .map(|i| ((2 * i + 1) * size_out - centre) as f64 / (2 * larger) as f64)
                    .map(|distance| self.weight(distance))
                    .collect();
                let total: f64 = weights.iter().sum();
                let weights = weights.iter().map(|w| w / total).collect();
                (first, weights)
            })
            .collect()
    }
}

impl Resize {
    /// Sizes along the axis, before and after.
    fn sizes(&self) -> (u32, u32) {
        match self.axis {
            Axis::Horizontal => (self.x.w, self.y.w),
            Axis::Vertical => (self.x.h, self.y.h),
        }
    }
}

impl Kernel for Resize {
    type Params = Params;

    fn shader(&self) -> Shader {
        let cubic = self.filter == ResizeFilter::Bicubic;
        let vertical = self.axis == Axis::Vertical;
        let definitions = [
            ("CUBIC", cubic),
            ("VERTICAL", vertical),
            ("WRAP", self.wrap),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name));
        SOURCE.with(&definitions.collect::<Vec<_>>())
    }
    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
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
        let (size_in, size_out) = self.sizes();
        let radius = self.filter.radius() as u64;
        let taps = 2 * radius * u64::from(size_in.div_ceil(size_out.max(1)).max(1));
        Work {
            flop: 2 * taps * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }
    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let (size_in, size_out) = self.sizes();
        let windows = self.filter.windows(size_in, size_out, self.wrap);
        let (h, w) = (self.y.h as usize, self.y.w as usize);
        flat::for_each_pixel(self.y, y, |pixel, y| {
            let (n, row, column) = (pixel / (h * w), pixel / w % h, pixel % w);
            let (first, weights) = match self.axis {
                Axis::Horizontal => &windows[column],
                Axis::Vertical => &windows[row],
            };
            y.fill(T::ZERO);
            for (i, &weight) in (*first..).zip(weights) {
                let weight = T::of(weight);
                let i = i.rem_euclid(i64::from(size_in)) as usize;
                let at = match self.axis {
                    Axis::Horizontal => self.x.at(n, row, i),
                    Axis::Vertical => self.x.at(n, i, column),
                };
                for (y, &x) in y.iter_mut().zip(&x[at..]) {
                    *y += weight * x;
                }
            }
        });
    }
}

/// Records a resize from one tensor to another with as many images and channels: along rows, then along columns;
/// a direction whose size stays is left out. `wrap` as [`Resize::wrap`].
pub fn record_resize(
    recording: &mut Recording,
    label: impl Into<String>,
    from: Tensor,
    to: Tensor,
    filter: ResizeFilter,
    wrap: bool,
) {
    let label = label.into();
    let pass = |recording: &mut Recording, what: &str, from: Tensor, to: Tensor, axis: Axis| {
        let kernel = Resize {
            x: from.view,
            y: to.view,
            filter,
            axis,
            wrap,
        };
        recording.call(format!("{label}{what}"), kernel, &[from.value, to.value]);
    };
    if from.view.h == to.view.h {
        // Equal widths make it a copy.
        pass(recording, "", from, to, Axis::Horizontal);
    } else if from.view.w == to.view.w {
        pass(recording, "", from, to, Axis::Vertical);
    } else {
        let view = View::new(from.view.n, from.view.h, to.view.w, from.view.c);
        let between = Tensor::transient(recording, format!("{label}, rows resized"), view);
        pass(recording, ", rows", from, between, Axis::Horizontal);
        pass(recording, ", columns", between, to, Axis::Vertical);
    }
}
