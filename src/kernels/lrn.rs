//! Local response normalization across channels (Krizhevsky et al. 2012, section 3.3), as Caffe computes it.

use rayon::prelude::*;

use super::View;
use super::rows::{
    gradient_definition, gradient_slot, in_row, pixel, row_grid, row_position, rows_mut,
};
use crate::device::{Bindings, Kernel, Real, Shader, Slot, Source, Tasks, Work};

/// `wgsl/lrn.wgsl`.
pub const SOURCE: Source = Source {
    name: "lrn",
    text: include_str!("../../wgsl/lrn.wgsl"),
    variants: &[&[]],
};

/// `wgsl/lrn_backward.wgsl`.
pub const BACKWARD: Source = Source {
    name: "lrn_backward",
    text: include_str!("../../wgsl/lrn_backward.wgsl"),
    variants: &[&[], &["ACCUMULATE"]],
};

/// `y_c = x_c·s_c^−beta` with `s_c = k + alpha/size·Σ x²` over the `size` channels around c, fewer at the ends.
///
/// Bindings: `x`, `y`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lrn {
    /// Input.
    pub x: View,
    /// Output, of the same n, h, w and c.
    pub y: View,
    /// Channels in the window: odd, at most 17.
    pub size: u32,
    /// Weight of the mean square.
    pub alpha: f32,
    /// Exponent.
    pub beta: f32,
    /// What s is where all is 0; positive.
    pub k: f32,
}

/// The gradient of [`Lrn`]: `dx_c (+)= dy_c·s_c^−beta − 2·beta·alpha/size·x_c·Σ dy·x·s^(−beta−1)`, the sum over the
/// same window.
///
/// Bindings: `x`, `dy`, `dx`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrnBackward {
    /// The forward pass's input.
    pub x: View,
    /// Gradient with respect to the output.
    pub dy: View,
    /// Gradient with respect to the input.
    pub dx: View,
    /// As [`Lrn::size`].
    pub size: u32,
    /// As [`Lrn::alpha`].
    pub alpha: f32,
    /// As [`Lrn::beta`].
    pub beta: f32,
    /// As [`Lrn::k`].
    pub k: f32,
    /// Adds to dx.
    pub accumulate: bool,
}

/// The normalization's parameters as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct Norm {
    reach: u32,
    alpha: f32,
    beta: f32,
    k: f32,
}

/// The parameters of [`Lrn`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Params {
    views: [View; 2],
    norm: Norm,
}

/// The parameters of [`LrnBackward`] as WGSL has them.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct BackwardParams {
    views: [View; 3],
    norm: Norm,
}

impl Norm {
    fn new(size: u32, alpha: f32, beta: f32, k: f32) -> Self {
        assert!(size % 2 == 1 && size <= 17, "a window of {size} channels");
        Self {
            reach: size / 2,
            alpha: alpha / size as f32,
            beta,
            k,
        }
    }

    /// Sums `terms` over the window around each channel.
    fn windows<T: Real>(&self, terms: &[T], sums: &mut [T]) {
        let reach = self.reach as usize;
        for (c, sum) in sums.iter_mut().enumerate() {
            let window = c.saturating_sub(reach)..(c + reach + 1).min(terms.len());
            *sum = terms[window].iter().copied().sum();
        }
    }

    /// s of every channel; `squares` is scratch.
    fn scales<T: Real>(&self, x: &[T], squares: &mut [T], scales: &mut [T]) {
        for (square, &x) in squares.iter_mut().zip(x) {
            *square = x * x;
        }
        self.windows(squares, scales);
        let (k, alpha) = (T::from_f32(self.k), T::from_f32(self.alpha));
        for scale in scales {
            *scale = k + alpha * *scale;
        }
    }
}

impl Lrn {
    fn norm(&self) -> Norm {
        Norm::new(self.size, self.alpha, self.beta, self.k)
    }
}

impl LrnBackward {
    fn norm(&self) -> Norm {
        Norm::new(self.size, self.alpha, self.beta, self.k)
    }
}

impl Kernel for Lrn {
    type Params = Params;

    fn shader(&self) -> Shader {
        SOURCE.with(&[])
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::OUT]
    }

    fn params(&self) -> Params {
        Params {
            views: [self.x, self.y],
            norm: self.norm(),
        }
    }

    fn grid(&self) -> [u32; 3] {
        row_grid(self.y, self.y.w * self.y.quads)
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(2 * self.size + 10) * self.y.elements() as u64,
            bytes: self.x.bytes() + self.y.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, y) = (b.input(), b.output());
        let norm = self.norm();
        let (channels, minus_beta) = (self.x.c as usize, T::from_f32(-self.beta));
        rows_mut(self.y, y).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.y, place);
            let mut squares = vec![T::ZERO; channels];
            let mut scales = vec![T::ZERO; channels];
            for xx in 0..self.y.w as usize {
                let x = &x[pixel(self.x, n, yy, xx)][..channels];
                norm.scales(x, &mut squares, &mut scales);
                let (to, padding) = row[in_row(self.y, xx)].split_at_mut(channels);
                padding.fill(T::ZERO);
                for ((to, &x), &scale) in to.iter_mut().zip(x).zip(&scales) {
                    *to = x * scale.powf(minus_beta);
                }
            }
        });
    }
}

impl Kernel for LrnBackward {
    type Params = BackwardParams;

    fn shader(&self) -> Shader {
        BACKWARD.with(gradient_definition(self.accumulate))
    }

    fn bindings(&self) -> Vec<Slot> {
        vec![Slot::IN, Slot::IN, gradient_slot(self.accumulate)]
    }

    fn params(&self) -> BackwardParams {
        BackwardParams {
            views: [self.x, self.dy, self.dx],
            norm: self.norm(),
        }
    }

    fn grid(&self) -> [u32; 3] {
        [self.dx.w * self.dx.quads.div_ceil(16), self.dx.h, self.dx.n]
    }

    fn work(&self) -> Work {
        Work {
            flop: u64::from(3 * self.size + 15) * self.dx.elements() as u64,
            bytes: self.x.bytes() + self.dy.bytes() + self.dx.bytes(),
        }
    }

    fn reference<T: Real>(&self, mut b: Bindings<'_, T>) {
        let (x, dy, dx) = (b.input(), b.input(), b.output());
        let norm = self.norm();
        let (channels, minus_beta) = (self.x.c as usize, T::from_f32(-self.beta));
        let factor = T::of(2.0) * T::from_f32(norm.beta) * T::from_f32(norm.alpha);
        rows_mut(self.dx, dx).enumerate().run(|(place, row)| {
            let (n, yy) = row_position(self.dx, place);
            let mut terms = vec![T::ZERO; channels];
            let mut scales = vec![T::ZERO; channels];
            let mut direct = vec![T::ZERO; channels];
            for xx in 0..self.dx.w as usize {
                let x = &x[pixel(self.x, n, yy, xx)][..channels];
                let dy = &dy[pixel(self.dy, n, yy, xx)][..channels];
                norm.scales(x, &mut terms, &mut scales);
                for c in 0..channels {
                    direct[c] = dy[c] * scales[c].powf(minus_beta);
                    terms[c] = direct[c] * x[c] / scales[c];
                }
                let sums = &mut scales;
                norm.windows(&terms, sums);
                let (to, padding) = row[in_row(self.dx, xx)].split_at_mut(channels);
                padding.fill(T::ZERO);
                for (c, to) in to.iter_mut().enumerate() {
                    let value = direct[c] - factor * x[c] * sums[c];
                    *to = if self.accumulate { *to + value } else { value };
                }
            }
        });
    }
}
